//! Operations on tensors in the host's memory: from tensors to the kernels that work on rows, and back.

use std::borrow::Cow;

use burn::backend::TensorMetadata;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, IntDType, bf16, f16};

use super::float::{Float, Stored};
use super::rows::RowKernel;
use super::tensor::{HostBackend, HostTensor};
use super::view::Strided;
use super::workspace::{RowLayout, Workspace};
use crate::primitive::hidden_at;

/// `$body` with the type `$stored` of a tensor's elements, or `$other` for types without kernels.
macro_rules! by_type {
    ($tensor:expr, $stored:ident => $body:expr, else $other:expr) => {
        match $tensor.dtype() {
            DType::F64 if $tensor.is_on_host() => {
                type $stored = f64;
                $body
            }
            _ => by_type_below_f64!($tensor, $stored => $body, else $other),
        }
    };
}

/// The same for kernels that compute in f32 only.
macro_rules! by_type_below_f64 {
    ($tensor:expr, $stored:ident => $body:expr, else $other:expr) => {
        match $tensor.dtype() {
            DType::F32 if $tensor.is_on_host() => {
                type $stored = f32;
                $body
            }
            DType::F16 if $tensor.is_on_host() => {
                type $stored = f16;
                $body
            }
            DType::BF16 if $tensor.is_on_host() => {
                type $stored = bf16;
                $body
            }
            _ => $other,
        }
    };
}

mod entmax;
mod layers;
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod linear;
mod losses;
mod optimizer;

pub(crate) use entmax::*;
pub(crate) use layers::*;
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) use linear::*;
pub(crate) use losses::*;
pub(crate) use optimizer::*;

/// A row `[n]` of any type in that of the arithmetic.
fn wide_row<B: HostBackend, T: Float>(row: &FloatTensor<B>) -> Vec<T> {
    let n = row.shape()[0];
    by_type!(row, E => {
        let elements = row.read::<E>().column(n);
        elements.into_iter().map(|x| T::from_f64(x.widen().to_f64())).collect()
    }, else panic!("{:?} is not a type of floats on this device", row.dtype()))
}

/// The elements of `[rows, n]`, or of `[rows]` with n = 1, in row-major order, copied if they do not lie so.
fn contiguous<'a, E: Stored>(elements: &'a Strided<'_, E>, [rows, n]: [usize; 2]) -> Cow<'a, [E]> {
    let start = elements.start;
    match elements.strides == [n as isize, 1] {
        true => Cow::Borrowed(&elements.elements[start..start + rows * n]),
        false => {
            let element = |i: usize| elements.elements[elements.at(i / n, i % n)];
            Cow::Owned((0..rows * n).map(element).collect())
        }
    }
}

/// A tensor of rank 1 or 2 that nobody else holds, in row-major order: itself, or a copy.
fn owned<B: HostBackend, E: Stored>(mut tensor: FloatTensor<B>) -> FloatTensor<B> {
    if tensor.write::<E>().is_some() {
        return tensor;
    }
    let shape = tensor.shape();
    let shape = match shape.num_dims() {
        1 => [shape[0], 1],
        _ => shape.dims::<2>(),
    };
    let elements = tensor.read::<E>();
    FloatTensor::<B>::create(&tensor, |out| {
        out.write_copy_of_slice(&contiguous(&elements, shape))
    })
}

fn narrow<E: Stored>(value: f64) -> E {
    E::narrow(Float::from_f64(value))
}

/// The score at or below which one is hidden.
fn hidden<B: HostBackend, E: Stored>(scores: &FloatTensor<B>) -> E::Wide {
    Float::from_f64(hidden_at(scores.dtype()))
}

/// Runs the kernel on every row, in place where nobody else holds the tensor.
fn map<B: HostBackend, E: Stored, R: Clone + Default + Send>(
    mut tensor: FloatTensor<B>,
    padding: E::Wide,
    layout: RowLayout,
    kernel: impl Fn(usize, &mut [Workspace<E::Wide>], &mut [R]) + Sync,
) -> (FloatTensor<B>, Vec<R>) {
    let rows = RowKernel {
        n: tensor.shape()[1],
        padding,
        layout,
        kernel,
    };
    if let Some(data) = tensor.write::<E>() {
        let results = rows.replace(data);
        return (tensor, results);
    }
    let input = tensor.read::<E>();
    let mut results = Vec::new();
    let output = FloatTensor::<B>::create(&tensor, |output| {
        let (written, returned) = rows.produce(&input, output);
        results = returned;
        written
    });
    drop(input);
    (output, results)
}

/// The elements of `[rows, 1]` in f64.
pub(in crate::cpu) fn numbers<B: HostBackend>(column: FloatTensor<B>) -> Vec<f64> {
    let rows = column.shape()[0];
    by_type!(column, E => {
        let elements = column.read::<E>().column(rows);
        elements.into_iter().map(|x| x.widen().to_f64()).collect()
    }, else panic!("{:?} is not a type of floats on this device", column.dtype()))
}

/// The classes of `[rows]`; none where the target is negative.
fn classes<B: HostBackend>(targets: IntTensor<B>, n: usize) -> Vec<Option<usize>> {
    let rows = targets.shape()[0];
    let targets = B::int_cast(targets, IntDType::I64);
    let class = |&target: &i64| {
        let class = usize::try_from(target).ok()?;
        assert!(
            class < n,
            "target {class} is not one of the {n} classes of the logits"
        );
        Some(class)
    };
    targets
        .read::<i64>()
        .column(rows)
        .iter()
        .map(class)
        .collect()
}
