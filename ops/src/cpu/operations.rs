//! Row mappings, losses and activations on tensors in the host's memory: from tensors to the kernels that
//! work on rows, and back.

use std::borrow::Cow;

use burn::backend::TensorMetadata;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, IntDType, TensorData, bf16, f16};

use super::float::{Float, Stored};
#[cfg(any(feature = "flex", feature = "ndarray"))]
use super::products;
use super::rows::{RowKernel, each};
use super::tensor::{HostBackend, HostTensor, vector};
use super::view::Strided;
use super::workspace::{RowLayout, Workspace};
use super::{
    adam as adam_kernel, backward, direct, dropout as dropout_kernel, forward, gelu,
    kept as kept_kernel, loss as kernel, norm as norm_kernel,
};
use crate::attention::{self, Dropout};
use crate::backend::SpartaBackend;
use crate::entmax::{self, Mapping, StructuredMapping, reference};
#[cfg(any(feature = "flex", feature = "ndarray"))]
use crate::linear::{self, LinearActivation};
use crate::optimizer::{self, AdamStep};
use crate::primitive::hidden_at;
use crate::{activation, loss, norm};

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
    let of_row =
        |i: usize, row: &[T]| targets[i].map(|target| (target, losses[i] + row[target], grads[i]));
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

pub(crate) fn append_positions<B: HostBackend>(
    kept: FloatTensor<B>,
    rows: IntTensor<B>,
    new: FloatTensor<B>,
) -> FloatTensor<B> {
    if kept.dtype() != new.dtype() {
        return attention::kept::reference::<B>(kept, rows, new);
    }
    by_type!(kept, E => {
        let [batch, n_heads, seq, d] = kept.shape().dims::<4>();
        let [n, _, n_new, _] = new.shape().dims::<4>();
        let device = kept.device();
        let rows = B::int_cast(rows, IntDType::I64).read::<i64>().column(n);
        let row = |&row: &i64| match usize::try_from(row) {
            Ok(row) if row < batch => row,
            Ok(_) | Err(_) => panic!("there is no row {row} in a batch of {batch}"),
        };
        let rows: Vec<usize> = rows.iter().map(row).collect();
        let all = vector(n * n_heads * (seq + n_new) * d, |out| {
            kept_kernel::append((&kept.view::<E>(), seq), &rows, (&new.view::<E>(), n_new), [n_heads, d], out)
        });
        B::float_from_data(TensorData::new(all, [n, n_heads, seq + n_new, d]), &device)
    }, else attention::kept::reference::<B>(kept, rows, new))
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

/// `$body` with f32 or f64 as the type of the elements, or `$other` for types that gemm does not multiply.
#[cfg(any(feature = "flex", feature = "ndarray"))]
macro_rules! by_multiplied_type {
    ($tensor:expr, $stored:ident => $body:expr, else $other:expr) => {
        match $tensor.dtype() {
            DType::F32 => {
                type $stored = f32;
                $body
            }
            DType::F64 => {
                type $stored = f64;
                $body
            }
            _ => $other,
        }
    };
}

#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) fn linear_forward<B: HostBackend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    activation: LinearActivation,
) -> FloatTensor<B> {
    by_multiplied_type!(x, E => {
        let n = bias.shape()[0];
        let bias = bias.read::<E>().column(n);
        let epilogue = products::Epilogue { bias: &bias, activation };
        multiply::<B, E>(&x, &weight, Some(epilogue))
    }, else linear::reference::forward::<B>(x, weight, bias, activation))
}

#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) fn bias_backward<B: HostBackend>(
    output: FloatTensor<B>,
    grad: FloatTensor<B>,
    activation: LinearActivation,
) -> (FloatTensor<B>, FloatTensor<B>) {
    by_multiplied_type!(grad, E => {
        let (shape, device) = (grad.shape().dims::<2>(), grad.device());
        let (grad, sums) = match activation {
            LinearActivation::Identity => {
                let sums = products::column_sums(&contiguous(&grad.read::<E>(), shape), shape[1]);
                (grad, sums)
            }
            LinearActivation::Relu => {
                let mut grad = owned::<B, E>(grad);
                let sums = {
                    let output = output.read::<E>();
                    let grad = grad.write::<E>().expect("nobody else holds it");
                    products::relu_backward(grad, &contiguous(&output, shape), shape[1])
                };
                (grad, sums)
            }
        };
        (grad, B::float_from_data(TensorData::new(sums, [shape[1]]), &device))
    }, else linear::reference::bias_backward::<B>(output, grad, activation))
}

#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) fn product<B: HostBackend>(x: FloatTensor<B>, weight: FloatTensor<B>) -> FloatTensor<B> {
    by_multiplied_type!(x, E => multiply::<B, E>(&x, &weight, None), else linear::reference::product::<B>(x, weight))
}

/// Both products at once: their tasks fill the gaps of each other. The gradient of a transposed weight comes as a
/// transposed view, so that what it is a view of gets contiguous rows.
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) fn product_backward<B: HostBackend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    by_multiplied_type!(grad, E => {
        let ([m, k], [_, n]) = (x.shape().dims::<2>(), weight.shape().dims::<2>());
        let device = x.device();
        let (of_x, of_weight, is_transposed) = {
            let (x, weight, grad) = (x.read::<E>(), weight.read::<E>(), grad.read::<E>());
            let x = products::Matrix::of(&x, [m, k]);
            let weight = products::Matrix::of(&weight, [k, n]);
            let grad = products::Matrix::of(&grad, [m, n]);
            let is_transposed = weight.is_column_major();
            let of_x = || vector(m * k, |out| products::multiply(out, grad, weight.transposed(), None));
            let of_weight = || vector(k * n, |out| match is_transposed {
                true => products::multiply(out, grad.transposed(), x, None),
                false => products::multiply(out, x.transposed(), grad, None),
            });
            let (of_x, of_weight) = rayon::join(of_x, of_weight);
            (of_x, of_weight, is_transposed)
        };
        let of_x = B::float_from_data(TensorData::new(of_x, [m, k]), &device);
        let of_weight = match is_transposed {
            true => {
                let transposed = B::float_from_data(TensorData::new(of_weight, [n, k]), &device);
                B::float_swap_dims(transposed, 0, 1)
            }
            false => B::float_from_data(TensorData::new(of_weight, [k, n]), &device),
        };
        (of_x, of_weight)
    }, else linear::reference::product_backward::<B>(x, weight, grad))
}

#[cfg(any(feature = "flex", feature = "ndarray"))]
fn multiply<B: HostBackend, E: products::Multiplied>(
    a: &FloatTensor<B>,
    b: &FloatTensor<B>,
    epilogue: Option<products::Epilogue<E>>,
) -> FloatTensor<B> {
    let ([m, k], [_, n]) = (a.shape().dims::<2>(), b.shape().dims::<2>());
    let product = {
        let (a, b) = (a.read::<E>(), b.read::<E>());
        let a = products::Matrix::of(&a, [m, k]);
        let b = products::Matrix::of(&b, [k, n]);
        vector(m * n, |out| products::multiply(out, a, b, epilogue))
    };
    B::float_from_data(TensorData::new(product, [m, n]), &a.device())
}

pub(crate) fn drop_values<B: HostBackend>(x: FloatTensor<B>, dropout: Dropout) -> FloatTensor<B> {
    by_type!(x, E => {
        let n = x.shape()[1];
        let mut x = owned::<B, E>(x);
        dropout_kernel::drop_values(x.write::<E>().expect("nobody else holds it"), n, dropout);
        x
    }, else crate::dropout::reference::<B>(x, dropout))
}

pub(crate) fn layer_norm_forward<B: HostBackend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    by_type!(x, E => {
        let (shape, device) = (x.shape().dims::<2>(), x.device());
        let [gamma, beta] = [gamma, beta].map(|row| wide_row::<B, <E as Stored>::Wide>(&row));
        let mut statistics = vec![Float::ZERO; 2 * shape[0]];
        let input = x.read::<E>();
        let rows = contiguous(&input, shape);
        let normal = FloatTensor::<B>::create(&x, |out| {
            norm_kernel::forward(&rows, [&gamma, &beta], Float::from_f64(epsilon), out, &mut statistics)
        });
        let statistics = TensorData::new(statistics, [shape[0], 2]);
        (normal, B::float_from_data(statistics, &device))
    }, else norm::reference::forward::<B>(x, gamma, beta, epsilon))
}

pub(crate) fn layer_norm_backward<B: HostBackend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    statistics: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    by_type!(x, E => {
        let (shape, device, dtype) = (x.shape().dims::<2>(), x.device(), gamma.dtype());
        let gamma = wide_row::<B, <E as Stored>::Wide>(&gamma);
        let mut grad = owned::<B, E>(grad);
        let sums = {
            let input = x.read::<E>();
            let statistics = statistics.read::<<E as Stored>::Wide>();
            let statistics = contiguous(&statistics, [shape[0], 2]);
            let grad = grad.write::<E>().expect("nobody else holds it");
            norm_kernel::backward(&contiguous(&input, shape), &gamma, &statistics, grad)
        };
        let [of_gamma, of_beta] = sums.map(|sums| {
            let sums = TensorData::new(sums, [shape[1]]).convert_dtype(dtype);
            B::float_from_data(sums, &device)
        });
        (grad, of_gamma, of_beta)
    }, else norm::reference::backward::<B>(x, gamma, statistics, grad))
}

pub(crate) fn adam<B: HostBackend>(
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    scale: FloatTensor<B>,
    step: AdamStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    if weight.dtype() != DType::F32 || !weight.is_on_host() {
        return optimizer::reference::adam::<B>(weight, gradient, first, second, scale, step);
    }
    let n = weight.shape()[0];
    let [mut weight, mut first, mut second] = [weight, first, second].map(owned::<B, f32>);
    {
        let scale = scale.read::<f32>().column(1)[0];
        let gradient = gradient.read::<f32>();
        let gradient = contiguous(&gradient, [n, 1]);
        let [weight, first, second] = [&mut weight, &mut first, &mut second]
            .map(|tensor| tensor.write::<f32>().expect("nobody else holds it"));
        adam_kernel::update(weight, &gradient, [first, second], scale, step.factors());
    }
    (weight, first, second)
}

pub(crate) fn sum_of_squares<B: HostBackend>(x: FloatTensor<B>) -> FloatTensor<B> {
    if x.dtype() != DType::F32 || !x.is_on_host() {
        return optimizer::reference::sum_of_squares::<B>(x);
    }
    let n = x.shape()[0];
    let sum = adam_kernel::sum_of_squares(&contiguous(&x.read::<f32>(), [n, 1])) as f32;
    B::float_from_data(TensorData::new(vec![sum], [1]), &x.device())
}

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
