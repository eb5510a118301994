//! Losses, and what they share with beam search.

use burn::tensor::TensorData;

use super::*;
use crate::backend::SpartaBackend;
use crate::cpu::rows::each;
use crate::cpu::{direct, loss as kernel};
use crate::entmax::Mapping;
use crate::loss;

pub(crate) fn cross_entropy_forward<B: HostBackend>(
    logits: FloatTensor<B>,
    targets: IntTensor<B>,
) -> FloatTensor<B> {
    if logits.is_on_host() {
        match logits.dtype() {
            DType::F32 => return cross_entropy_of_rows::<B, f32>(&logits, targets),
            DType::F64 => return cross_entropy_of_rows::<B, f64>(&logits, targets),
            // In f32, so that they need a workspace.
            _ => {}
        }
    }
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
    if logits.is_on_host() {
        match logits.dtype() {
            DType::F32 => return gradients_of_logits::<B, f32>(logits, targets, &losses, &grad),
            DType::F64 => return gradients_of_logits::<B, f64>(logits, targets, &losses, &grad),
            _ => {}
        }
    }
    by_type!(logits, E => {
        let n = logits.shape()[1];
        let targets = classes::<B>(targets, n);
        let grads = grad.read::<E>().column(targets.len());
        // From the row: a half type has not the digits of a loss that the softmax needs.
        map::<B, E, ()>(logits, Float::LOWEST, RowLayout::RowMajor, each(|i, work: &mut Workspace<_>| match targets[i] {
            Some(target) => {
                let log_partition = kernel::log_partition(work);
                kernel::cross_entropy_backward(work, target, log_partition, grads[i].widen());
            }
            None => work.row.fill(Float::ZERO),
        })).0
    }, else loss::reference::backward::<B>(logits, targets, losses, grad))
}

fn cross_entropy_of_rows<B: HostBackend, T: Float + Stored<Wide = T>>(
    logits: &FloatTensor<B>,
    targets: IntTensor<B>,
) -> FloatTensor<B> {
    let shape = logits.shape().dims::<2>();
    let targets = classes::<B>(targets, shape[1]);
    let input = logits.read::<T>();
    let sums = direct::largest_and_sum(&contiguous(&input, shape), shape[1]);
    let loss = |(i, (largest, sum)): (usize, (T, f64))| match targets[i] {
        Some(target) => T::from_f64(sum.ln()) + (largest - input.elements[input.at(i, target)]),
        None => T::ZERO,
    };
    let losses: Vec<T> = sums.into_iter().enumerate().map(loss).collect();
    B::float_from_data(TensorData::new(losses, [shape[0]]), &logits.device())
}

/// `log Σexp(z) = loss + z_target` where the loss has the digits for that, and from the row elsewhere.
fn gradients_of_logits<B: HostBackend, T: Float + Stored<Wide = T>>(
    mut logits: FloatTensor<B>,
    targets: IntTensor<B>,
    losses: &FloatTensor<B>,
    grad: &FloatTensor<B>,
) -> FloatTensor<B> {
    let shape = logits.shape().dims::<2>();
    let targets = classes::<B>(targets, shape[1]);
    let column = |x: &FloatTensor<B>| x.read::<T>().column(targets.len());
    let (losses, grads) = (column(losses), column(grad));
    let largest = T::from_f64(loss::LARGEST_KEPT_LOSS);
    let of_row = |i: usize, row: &[T]| {
        let target = targets[i]?;
        let log_partition = match losses[i] <= largest {
            true => losses[i] + row[target],
            false => direct::log_partition(row),
        };
        Some((target, log_partition, grads[i]))
    };
    if let Some(data) = logits.write::<T>() {
        direct::cross_entropy_backward(data, shape[1], of_row);
        return logits;
    }
    let input = logits.read::<T>();
    let rows = contiguous(&input, shape);
    FloatTensor::<B>::create(&logits, |out| {
        direct::cross_entropy_backward_into(&rows, out, shape[1], of_row)
    })
}

pub(crate) fn log_partition<B: HostBackend>(scores: FloatTensor<B>) -> FloatTensor<B> {
    if scores.is_on_host() {
        match scores.dtype() {
            DType::F32 => return log_partition_of_rows::<B, f32>(&scores),
            DType::F64 => return log_partition_of_rows::<B, f64>(&scores),
            _ => {}
        }
    }
    by_type!(scores, E => {
        let [n_rows, n] = scores.shape().dims::<2>();
        let kernel = each(|_, work: &mut Workspace<_>| kernel::log_partition(work));
        let rows = RowKernel { n, padding: Float::LOWEST, layout: RowLayout::RowMajor, kernel };
        let sums = rows.compress(&scores.read::<E>(), n_rows);
        let sums = TensorData::new(sums, [n_rows]).convert_dtype(scores.dtype());
        B::float_from_data(sums, &scores.device())
    }, else loss::reference::log_partition::<B>(scores))
}

fn log_partition_of_rows<B: HostBackend, T: Float + Stored<Wide = T>>(
    scores: &FloatTensor<B>,
) -> FloatTensor<B> {
    let shape = scores.shape().dims::<2>();
    let input = scores.read::<T>();
    let sums = direct::largest_and_sum(&contiguous(&input, shape), shape[1]);
    let sums: Vec<T> = (sums.into_iter())
        .map(|(largest, sum)| T::from_f64(sum.ln()) + largest)
        .collect();
    B::float_from_data(TensorData::new(sums, [shape[0]]), &scores.device())
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
