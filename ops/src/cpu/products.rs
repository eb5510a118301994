//! Matrix products by the gemm crate: whole rows of the result are a task.

#![allow(unsafe_code, reason = "matrices where they lie, for the gemm crate")]

use std::mem::MaybeUninit;

use gemm::Parallelism;
use rayon::prelude::*;

use super::float::{Float, Stored};
use super::isa;
use super::norm::total;
use super::view::Strided;
use crate::linear::LinearActivation;

/// Rows of a task at least, and tasks at most: each packs the right matrix again. The last task then has more than half as
/// many rows, and none so few that gemm would add in another order.
const SMALLEST_BLOCK: usize = 64;
const MOST_BLOCKS: usize = 32;
/// Rows of a task from which a thread has more than one, for whoever is done first.
const LARGE_BLOCK: usize = 1024;
/// Multiplications below which a product is not worth handing over.
const WORTH_SHARING: usize = 512 * 1024;

/// A type that gemm multiplies.
pub(super) trait Multiplied: Stored<Wide = Self> + Float {}

impl Multiplied for f32 {}
impl Multiplied for f64 {}

/// A `[rows, columns]` matrix where it lies.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    elements: &'a [T],
    start: usize,
    strides: [isize; 2],
    shape: [usize; 2],
}

impl<'a, T: Multiplied> Matrix<'a, T> {
    /// # Panics
    /// If it is not within its elements.
    pub fn of(strided: &'a Strided<'_, T>, shape: [usize; 2]) -> Self {
        let matrix = Self {
            elements: &strided.elements,
            start: strided.start,
            strides: strided.strides,
            shape,
        };
        matrix.check();
        matrix
    }

    /// That the first and the last element in memory are within the slice, and so all others.
    fn check(&self) {
        let [mut lowest, mut highest] = [self.start as i128; 2];
        for (n, stride) in self.shape.into_iter().zip(self.strides) {
            assert!(n > 0, "an empty matrix");
            let span = (n as i128 - 1) * stride as i128;
            lowest += span.min(0);
            highest += span.max(0);
        }
        assert!(lowest >= 0 && highest < self.elements.len() as i128);
    }

    pub fn transposed(self) -> Self {
        Self {
            strides: [self.strides[1], self.strides[0]],
            shape: [self.shape[1], self.shape[0]],
            ..self
        }
    }

    /// Whether columns are contiguous and rows are not.
    pub fn is_column_major(self) -> bool {
        self.strides[0] == 1 && self.strides[1] != 1
    }

    /// Some of the rows.
    fn rows(self, first: usize, n: usize) -> Self {
        let part = Self {
            start: (self.start).wrapping_add_signed(first as isize * self.strides[0]),
            shape: [n, self.shape[1]],
            ..self
        };
        part.check();
        part
    }

    fn as_ptr(&self) -> *const T {
        self.elements[self.start..].as_ptr()
    }
}

/// What becomes of a row of a product.
#[derive(Clone, Copy)]
pub(super) struct Epilogue<'a, T> {
    pub bias: &'a [T],
    pub activation: LinearActivation,
}

/// `out = f(a·b + bias)`, row-major: every element is written. Each sums in an order that the shapes decide.
pub(super) fn multiply<'o, T: Multiplied>(
    out: &'o mut [MaybeUninit<T>],
    a: Matrix<T>,
    b: Matrix<T>,
    epilogue: Option<Epilogue<T>>,
) -> &'o mut [T] {
    let ([m, k], [_, n]) = (a.shape, b.shape);
    assert!(b.shape[0] == k && out.len() == m * n);
    let n_threads = rayon::current_num_threads();
    let n_blocks = (m / LARGE_BLOCK).clamp(n_threads, 4 * n_threads);
    let block = m.div_ceil(n_blocks.min(m / SMALLEST_BLOCK).clamp(1, MOST_BLOCKS));
    let task = |(i, out): (usize, &mut [MaybeUninit<T>])| {
        let a = a.rows(i * block, out.len() / n);
        let rows = multiply_task(out, a, b);
        if let Some(epilogue) = epilogue {
            finish(rows, epilogue);
        }
    };
    match m * n * k < WORTH_SHARING {
        true => out.chunks_mut(block * n).enumerate().for_each(task),
        false => out.par_chunks_mut(block * n).enumerate().for_each(task),
    }
    // SAFETY: the tasks have written every row, and there are only whole rows.
    unsafe { out.assume_init_mut() }
}

/// One product by this thread.
fn multiply_task<'o, T: Multiplied>(
    out: &'o mut [MaybeUninit<T>],
    a: Matrix<T>,
    b: Matrix<T>,
) -> &'o mut [T] {
    let ([m, k], [_, n]) = (a.shape, b.shape);
    assert!(b.shape[0] == k && out.len() == m * n && k > 0);
    // SAFETY: a and b are within their slices (`Matrix::check`), `out` has just been seen to hold m × n elements, and is
    // written without being read.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr().cast::<T>(),
            1,
            n as isize,
            false,
            a.as_ptr(),
            a.strides[1],
            a.strides[0],
            b.as_ptr(),
            b.strides[1],
            b.strides[0],
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            Parallelism::None,
        );
        out.assume_init_mut()
    }
}

/// Adds the bias to every row and applies the activation.
fn finish<T: Multiplied>(rows: &mut [T], Epilogue { bias, activation }: Epilogue<T>) {
    isa::dispatch(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(bias.len()) {
                match activation {
                    LinearActivation::Identity => {
                        for (x, b) in row.iter_mut().zip(bias) {
                            *x = *x + *b;
                        }
                    }
                    LinearActivation::Relu => {
                        for (x, b) in row.iter_mut().zip(bias) {
                            let sum = *x + *b;
                            // A NaN stays one.
                            *x = if sum <= T::ZERO { T::ZERO } else { sum };
                        }
                    }
                }
            }
        },
    );
}

/// Rows whose columns are summed by one task.
const SUMMED: usize = 64;

/// Sets the gradient of `max(z, 0)` to that of z, and sums its columns: the gradient of a bias within z.
pub(super) fn relu_backward<T: Multiplied>(grad: &mut [T], output: &[T], n: usize) -> Vec<T> {
    assert_eq!(grad.len(), output.len());
    let tasks = grad.par_chunks_mut(SUMMED * n);
    let sums = tasks
        .zip(output.par_chunks(SUMMED * n))
        .map(|(grad, output)| {
            isa::dispatch(
                #[inline(always)]
                || {
                    for (g, y) in grad.iter_mut().zip(output) {
                        *g = if *y <= T::ZERO { T::ZERO } else { *g };
                    }
                    sum_rows(grad, n)
                },
            )
        });
    total(sums.collect(), n)
}

/// The sum of all rows.
pub(super) fn column_sums<T: Multiplied>(rows: &[T], n: usize) -> Vec<T> {
    let tasks = rows.par_chunks(SUMMED * n);
    let sums = tasks.map(|rows| {
        isa::dispatch(
            #[inline(always)]
            || sum_rows(rows, n),
        )
    });
    total(sums.collect(), n)
}

#[inline(always)]
fn sum_rows<T: Float>(rows: &[T], n: usize) -> Vec<T> {
    let mut sum = vec![T::ZERO; n];
    for row in rows.chunks_exact(n) {
        for (sum, x) in sum.iter_mut().zip(row) {
            *sum = *sum + *x;
        }
    }
    sum
}
