//! Row mappings.

use burn::tensor::TensorData;

use super::*;
use crate::cpu::{backward, direct, forward};
use crate::entmax::{self, Mapping, StructuredMapping, reference};

pub(crate) fn entmax_forward<B: HostBackend>(
    scores: FloatTensor<B>,
    mapping: Mapping,
) -> FloatTensor<B> {
    let is_long = scores.shape()[1] > forward::longest_interleaved(mapping);
    if is_long && mapping == Mapping::Softmax && scores.is_on_host() {
        match scores.dtype() {
            DType::F32 => return softmax_of_long_rows::<B, f32>(scores),
            DType::F64 => return softmax_of_long_rows::<B, f64>(scores),
            // In f32, so that it needs a workspace.
            _ => {}
        }
    }
    by_type!(scores, E => {
        let hidden = hidden::<B, E>(&scores);
        let layout = RowLayout::of(scores.shape()[1], forward::longest_interleaved(mapping));
        map::<B, E, ()>(scores, Float::LOWEST, layout, |_, group, _| {
            forward::forward(group, hidden, mapping);
        }).0
    }, else reference::forward::<B>(scores, mapping))
}

fn softmax_of_long_rows<B: HostBackend, T: Float + Stored<Wide = T>>(
    mut scores: FloatTensor<B>,
) -> FloatTensor<B> {
    let (shape, hidden) = (scores.shape().dims::<2>(), hidden::<B, T>(&scores));
    if let Some(data) = scores.write::<T>() {
        direct::softmax(data, shape[1], hidden);
        return scores;
    }
    let input = scores.read::<T>();
    let rows = contiguous(&input, shape);
    FloatTensor::<B>::create(&scores, |out| {
        direct::softmax_into(&rows, out, shape[1], hidden)
    })
}

/// Of weights and gradients in row-major order.
fn backward_of_long_rows<B: HostBackend, E: Stored>(
    weights: &Strided<E>,
    mut grad: FloatTensor<B>,
    mapping: Mapping,
) -> FloatTensor<B> {
    let shape = grad.shape().dims::<2>();
    let weights = contiguous(weights, shape);
    if let Some(data) = grad.write::<E>() {
        direct::backward(&weights, data, shape[1], mapping);
        return grad;
    }
    let input = grad.read::<E>();
    let rows = contiguous(&input, shape);
    FloatTensor::<B>::create(&grad, |out| {
        direct::backward_into(&weights, &rows, out, shape[1], mapping)
    })
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
        let n = weights.shape()[1];
        let layout = RowLayout::of(n, backward::longest_interleaved(mapping));
        let weights = weights.read::<E>();
        let is_long = layout == RowLayout::RowMajor && direct::has_backward(mapping);
        if is_long && [weights.strides, grad.read::<E>().strides] == [[n as isize, 1]; 2] {
            return backward_of_long_rows::<B, E>(&weights, grad, mapping);
        }
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
