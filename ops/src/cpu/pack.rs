//! A row as the kernels see it: packs of elements, which the compiler turns into registers, and the
//! reductions over them.

use std::hint::black_box;
use std::ops::{Add, Mul, Sub};

use super::float::Float;

/// Elements of a pack: a multiple of every register width, and the order of summation everywhere.
pub(crate) const LANES: usize = 16;

/// Neighbouring elements of a row, aligned to a cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Pack<T>(pub [T; LANES]);

impl<T: Float> Pack<T> {
    #[inline(always)]
    pub fn splat(value: T) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    pub fn map(mut self, f: impl Fn(T) -> T) -> Self {
        for x in &mut self.0 {
            *x = f(*x);
        }
        self
    }

    #[inline(always)]
    pub fn zip(mut self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        for (x, y) in self.0.iter_mut().zip(other.0) {
            *x = f(*x, y);
        }
        self
    }

    /// 1 where the element is above the limit, else 0.
    #[inline(always)]
    pub fn is_above(self, limit: T) -> Self {
        self.map(
            #[inline(always)]
            |x| if x > limit { T::ONE } else { T::ZERO },
        )
    }

    /// Whether any element is above the limit, or NaN.
    #[inline(always)]
    pub fn reaches(self, limit: T) -> bool {
        let mut any = false;
        for x in self.0 {
            let is_at_most = x <= limit;
            any |= !is_at_most;
        }
        any
    }

    /// The lanes folded in halves. What this does is hidden from the compiler, which would otherwise
    /// build the packs before it from registers of the last, narrowest width.
    #[inline(always)]
    pub fn across(self, join: impl Fn(T, T) -> T) -> T {
        let mut lanes = black_box(self).0;
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] = join(lanes[i], lanes[i + width]);
            }
            width /= 2;
        }
        lanes[0]
    }
}

macro_rules! arithmetic {
    ($($trait:ident $method:ident $op:tt;)*) => {$(
        impl<T: Float> $trait for Pack<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, #[inline(always)] |x, y| x $op y)
            }
        }

        impl<T: Float> $trait<T> for Pack<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: T) -> Self {
                self.map(#[inline(always)] |x| x $op other)
            }
        }
    )*};
}

arithmetic! {
    Add add +;
    Sub sub -;
    Mul mul *;
}

/// Packs that are summed before their sum joins the row's, which is kept in f64: beside a weight near
/// 1, one running f32 sum would lose a long row's small weights.
pub(crate) const BLOCK: usize = 64;

/// Sums over a row of `K` terms of each element.
#[inline(always)]
pub(crate) fn sums<T: Float, const K: usize>(
    row: &[Pack<T>],
    terms: impl Fn(Pack<T>) -> [Pack<T>; K],
) -> [f64; K] {
    let mut totals = [0.0; K];
    for block in row.chunks(BLOCK) {
        let mut sums = [Pack::splat(T::ZERO); K];
        for &pack in block {
            let terms = terms(pack);
            for k in 0..K {
                sums[k] = sums[k] + terms[k];
            }
        }
        add(&mut totals, sums);
    }
    totals
}

/// [`sums`] where `terms` may replace the pack.
#[inline(always)]
pub(crate) fn sums_of_replaced<T: Float, const K: usize>(
    row: &mut [Pack<T>],
    terms: impl Fn(&mut Pack<T>) -> [Pack<T>; K],
) -> [f64; K] {
    let mut totals = [0.0; K];
    for block in row.chunks_mut(BLOCK) {
        let mut sums = [Pack::splat(T::ZERO); K];
        for pack in block {
            let terms = terms(pack);
            for k in 0..K {
                sums[k] = sums[k] + terms[k];
            }
        }
        add(&mut totals, sums);
    }
    totals
}

/// [`sums`] over two rows; `terms` may replace the first one's pack.
#[inline(always)]
pub(crate) fn sums_of_pairs<T: Float, const K: usize>(
    left: &mut [Pack<T>],
    right: &[Pack<T>],
    terms: impl Fn(&mut Pack<T>, Pack<T>) -> [Pack<T>; K],
) -> [f64; K] {
    let mut totals = [0.0; K];
    for (left, right) in left.chunks_mut(BLOCK).zip(right.chunks(BLOCK)) {
        let mut sums = [Pack::splat(T::ZERO); K];
        for (x, &y) in left.iter_mut().zip(right) {
            let terms = terms(x, y);
            for k in 0..K {
                sums[k] = sums[k] + terms[k];
            }
        }
        add(&mut totals, sums);
    }
    totals
}

#[inline(always)]
fn add<T: Float, const K: usize>(totals: &mut [f64; K], sums: [Pack<T>; K]) {
    for (total, sum) in totals.iter_mut().zip(sums) {
        *total += sum.across(|a, b| a + b).to_f64();
    }
}

/// The largest element of each lane. A NaN may get lost.
#[inline(always)]
pub(crate) fn largest_by_lane<T: Float>(row: &[Pack<T>]) -> Pack<T> {
    let mut largest = Pack::splat(T::LOWEST);
    for &pack in row {
        largest = largest.zip(pack, larger);
    }
    largest
}

#[inline(always)]
pub(crate) fn larger<T: Float>(a: T, b: T) -> T {
    if a > b { a } else { b }
}
