//! Row mappings, losses and activations on tensors in the host's memory: from tensors to the kernels that
//! work on rows, and back.

use burn::backend::TensorMetadata;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, IntDType, TensorData, bf16, f16};

use super::float::{Float, Stored};
use super::rows::{RowKernel, each};
use super::tensor::{HostBackend, HostTensor};
use super::workspace::{RowLayout, Workspace};
use super::{backward, forward, gelu, loss as kernel};
use crate::backend::SpartaBackend;
use crate::entmax::{self, Mapping, StructuredMapping, reference};
use crate::primitive::hidden_at;
use crate::{activation, loss};

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

pub(crate) fn entmax_forward<B: HostBackend>(
    scores: FloatTensor<B>,
    mapping: Mapping,
) -> FloatTensor<B> {
    by_type!(scores, E => {
        let hidden = hidden::<B, E>(&scores);
        let layout = RowLayout::of(scores.shape()[1], forward::longest_interleaved(mapping));
        map::<B, E, ()>(scores, Float::LOWEST, layout, |_, group, _| {
            forward::forward(group, hidden, mapping);
        }).0
    }, else reference::forward::<B>(scores, mapping))
}

/// The kernels need no sort and no hint; tensor operations elsewhere than on the host do.
pub(crate) fn entmax_topk_forward<B: HostBackend>(
    scores: FloatTensor<B>,
    mapping: Mapping,
    k: usize,
) -> FloatTensor<B> {
    match scores.is_on_host() {
        true => entmax_forward::<B>(scores, mapping),
        false => reference::forward_topk::<B>(scores, mapping, k),
    }
}

pub(crate) fn entmax_rows_forward<B: HostBackend>(
    scores: FloatTensor<B>,
    alpha: FloatTensor<B>,
) -> FloatTensor<B> {
    by_type!(scores, E => {
        let hidden = hidden::<B, E>(&scores);
        let alphas = numbers::<B>(alpha);
        let layout = RowLayout::of(scores.shape()[1], forward::longest_interleaved_of(&alphas));
        map::<B, E, ()>(scores, Float::LOWEST, layout, |first, group, _| {
            forward::entmax(group, hidden, &alphas[first..]);
        }).0
    }, else reference::forward_rows::<B>(scores, alpha))
}

pub(crate) fn entmax_backward<B: HostBackend>(
    weights: FloatTensor<B>,
    grad: FloatTensor<B>,
    mapping: Mapping,
) -> FloatTensor<B> {
    by_type!(weights, E => {
        let layout = RowLayout::of(weights.shape()[1], backward::longest_interleaved(mapping));
        let weights = weights.read::<E>();
        map::<B, E, ()>(grad, Float::ZERO, layout, |first, group, rows| {
            weights.load_others(first, rows.len(), group);
            backward::backward(group, mapping);
        }).0
    }, else reference::backward::<B>(weights, grad, mapping))
}

pub(crate) fn entmax_rows_backward<B: HostBackend>(
    weights: FloatTensor<B>,
    grad: FloatTensor<B>,
    alpha: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    by_type!(weights, E => {
        let (dtype, device) = (alpha.dtype(), alpha.device());
        let alphas = numbers::<B>(alpha);
        let longest = backward::longest_interleaved_with_alpha(&alphas);
        let layout = RowLayout::of(weights.shape()[1], longest);
        let weights = weights.read::<E>();
        let (scores_grad, d_alphas) = map::<B, E, _>(grad, Float::ZERO, layout, |first, group, d_alphas| {
            weights.load_others(first, d_alphas.len(), group);
            backward::with_alpha(group, &alphas[first..], d_alphas);
        });
        let d_alphas = TensorData::new(d_alphas, [alphas.len(), 1]).convert_dtype(dtype);
        (scores_grad, B::float_from_data(d_alphas, &device))
    }, else reference::backward_rows::<B>(weights, grad, alpha))
}

/// The row solver of the definition, on elements where they lie.
pub(crate) fn structured_forward<B: HostBackend>(
    scores: FloatTensor<B>,
    mapping: StructuredMapping,
) -> (FloatTensor<B>, IntTensor<B>) {
    by_type!(scores, E => {
        let (shape, device) = (scores.shape().dims::<2>(), scores.device());
        let hidden = hidden_at(scores.dtype());
        let (weights, groups) = {
            let scores = scores.read::<E>();
            let score = |i, j| scores.elements[scores.at(i, j)].widen().to_f64();
            entmax::structured_solve(shape, score, hidden, mapping, narrow::<E>)
        };
        (
            B::float_from_data(TensorData::new(weights, shape), &device),
            B::int_from_data(TensorData::new(groups, shape), &device),
        )
    }, else entmax::structured_forward::<B>(scores, mapping))
}

pub(crate) fn structured_backward<B: HostBackend>(
    groups: IntTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    by_type!(grad, E => {
        let (shape, device) = (grad.shape().dims::<2>(), grad.device());
        let gradients = {
            let (groups, grad) = (groups.read::<i32>(), grad.read::<E>());
            let group = |i, j| groups.elements[groups.at(i, j)];
            let grad = |i, j| grad.elements[grad.at(i, j)].widen().to_f64();
            entmax::structured_gradients(shape, group, grad, narrow::<E>)
        };
        B::float_from_data(TensorData::new(gradients, shape), &device)
    }, else entmax::structured_backward::<B>(groups, grad))
}

pub(crate) fn cross_entropy_forward<B: HostBackend>(
    logits: FloatTensor<B>,
    targets: IntTensor<B>,
) -> FloatTensor<B> {
    by_type!(logits, E => {
        let n = logits.shape()[1];
        let targets = classes::<B>(targets, n);
        let kernel = each(|i, work: &mut Workspace<_>| {
            targets[i].map_or(Float::ZERO, |target| kernel::cross_entropy(work, target))
        });
        let rows = RowKernel { n, padding: Float::LOWEST, layout: RowLayout::RowMajor, kernel };
        let losses = rows.compress(&logits.read::<E>(), targets.len());
        let losses = TensorData::new(losses, [targets.len()]).convert_dtype(logits.dtype());
        B::float_from_data(losses, &logits.device())
    }, else loss::reference::forward::<B>(logits, targets))
}

pub(crate) fn cross_entropy_backward<B: HostBackend>(
    logits: FloatTensor<B>,
    targets: IntTensor<B>,
    losses: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    by_type!(logits, E => {
        let n = logits.shape()[1];
        let targets = classes::<B>(targets, n);
        let column = |x: &FloatTensor<B>| x.read::<E>().column(targets.len());
        let (losses, grads) = (column(&losses), column(&grad));
        map::<B, E, ()>(logits, Float::LOWEST, RowLayout::RowMajor, each(|i, work: &mut Workspace<_>| match targets[i] {
            Some(target) => kernel::cross_entropy_backward(
                work, target, losses[i].widen(), grads[i].widen(),
            ),
            None => work.row.fill(Float::ZERO),
        })).0
    }, else loss::reference::backward::<B>(logits, targets, losses, grad))
}

pub(crate) fn entmax_loss_forward<B: HostBackend + SpartaBackend>(
    scores: FloatTensor<B>,
    targets: IntTensor<B>,
    mapping: Mapping,
) -> (FloatTensor<B>, FloatTensor<B>) {
    by_type!(scores, E => {
        let (n, dtype, device) = (scores.shape()[1], scores.dtype(), scores.device());
        let hidden = hidden::<B, E>(&scores);
        let targets = classes::<B>(targets, n);
        let (weights, losses) = map::<B, E, f64>(scores, Float::LOWEST, RowLayout::RowMajor, |first, group, losses| {
            kernel::entmax(group, &targets[first..], hidden, mapping, losses);
        });
        let losses = TensorData::new(losses, [targets.len()]).convert_dtype(dtype);
        (B::float_from_data(losses, &device), weights)
    }, else loss::reference::entmax_forward::<B>(scores, targets, mapping))
}

pub(crate) fn entmax_loss_backward<B: HostBackend>(
    weights: FloatTensor<B>,
    targets: IntTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    by_type!(weights, E => {
        let targets = classes::<B>(targets, weights.shape()[1]);
        let grads = grad.read::<E>().column(targets.len());
        map::<B, E, ()>(weights, Float::ZERO, RowLayout::RowMajor, each(|i, work: &mut Workspace<_>| match targets[i] {
            Some(target) => kernel::entmax_backward(work, target, grads[i].widen()),
            None => work.row.fill(Float::ZERO),
        })).0
    }, else loss::reference::entmax_backward::<B>(weights, targets, grad))
}

pub(crate) fn exact_gelu<B: HostBackend>(x: FloatTensor<B>) -> FloatTensor<B> {
    by_type_below_f64!(x, E => {
        map::<B, E, ()>(x, 0.0, RowLayout::RowMajor, each(|_, work: &mut Workspace<_>| gelu::gelu(work))).0
    }, else activation::reference::gelu::<B>(x))
}

pub(crate) fn exact_gelu_backward<B: HostBackend>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    by_type_below_f64!(x, E => {
        let x = x.read::<E>();
        map::<B, E, ()>(grad, 0.0, RowLayout::RowMajor, |first, group, rows| {
            x.load_others(first, rows.len(), group);
            group.iter_mut().for_each(gelu::gelu_backward);
        }).0
    }, else activation::reference::gelu_backward::<B>(x, grad))
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
pub(super) fn numbers<B: HostBackend>(column: FloatTensor<B>) -> Vec<f64> {
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
