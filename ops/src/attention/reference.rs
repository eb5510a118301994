//! Attention with materialised scores: the readable definition.

use burn::backend::Dispatch;
use burn::tensor::{Bool, DType, Device, Distribution, Int, Tensor, TensorData};

use super::packing::{hidden_cells, visible_keys};
use super::span::of_type;
use super::{AttentionOptions, AttentionOutput, Dropout, Implementation, Normalizer, RelativeTerm};
use crate::backend::SpartaBackend;
use crate::primitive::HIDDEN;
use crate::{entmax, entmax15, fusedmax, oscarmax, softmax, sparsemax};

pub(super) fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mut options: AttentionOptions,
) -> AttentionOutput {
    let [batch, n_heads, seq_q, d_head] = query.dims();
    let seq_kv = key.dims()[2];
    if [batch, n_heads, seq_q].contains(&0) {
        return without_queries(query, key, value, &options);
    }
    if seq_kv == 0 {
        return without_keys(query, value.dims()[3], &options);
    }
    let (device, dtype) = (query.device(), query.dtype());
    options.fold_span([seq_q, seq_kv], dtype, false);
    let [key, value] = [key, value].map(|rows| repeat_heads(of_type(rows, dtype), n_heads));
    let scale = options.scale.unwrap_or(1.0 / (d_head as f64).sqrt());

    let query = match scale {
        1.0 => query,
        _ => query.mul_scalar(scale),
    };
    let mut scores = query.matmul(key.swap_dims(2, 3));
    if let Some(bias) = &options.bias {
        scores = scores + of_type(bias.clone(), dtype);
    }
    if let Some(RelativeTerm { query, positions }) = options.relative.clone() {
        let query = of_type(query, dtype).mul_scalar(scale);
        scores = scores + by_distance(query, of_type(positions, dtype), seq_kv);
    }
    if let Some(mask) = combine(&options, [seq_q, seq_kv], &device) {
        let shape = scores.dims();
        let hidden = match dtype {
            DType::F16 => -65504.0,
            _ => 10.0 * HIDDEN,
        };
        scores = scores.mask_fill(mask.expand(shape), hidden);
    }

    let weights = match options.normalizer {
        Normalizer::Softmax => softmax(scores, 3),
        Normalizer::Sparsemax => sparsemax(scores, 3),
        Normalizer::Entmax15 => entmax15(scores, 3),
        Normalizer::Entmax(alpha) => entmax(scores, alpha.reshape([1, n_heads, 1, 1]), 3),
        Normalizer::Fusedmax { lambda } => fusedmax(scores, lambda, 3),
        Normalizer::Oscarmax { lambda } => oscarmax(scores, lambda, 3),
    };
    let weights = match &options.span {
        Some(span) => span.limit(weights),
        None => weights,
    };
    let kept = dropout(weights.clone(), options.dropout, options.dropout_seed);
    AttentionOutput {
        context: kept.matmul(value),
        weights: options.return_weights.then_some(weights),
        implementation: Implementation::Reference,
    }
}

/// Nothing, made of nothing: no tensor has a gradient, and some backends have no product of no rows.
fn without_queries(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: &AttentionOptions,
) -> AttentionOutput {
    let [batch, n_heads, seq_q, _] = query.dims();
    let (device, dtype) = (query.device(), query.dtype());
    let of = |width| Tensor::zeros([batch, n_heads, seq_q, width], (&device, dtype));
    AttentionOutput {
        context: of(value.dims()[3]),
        weights: options.return_weights.then(|| of(key.dims()[2])),
        implementation: Implementation::Reference,
    }
}

/// Zeros, with zero gradients in the query: some backends have no product over nothing.
fn without_keys(query: Tensor<4>, d_value: usize, options: &AttentionOptions) -> AttentionOutput {
    let [batch, n_heads, seq_q, _] = query.dims();
    let (device, dtype) = (query.device(), query.dtype());
    let everywhere =
        Tensor::<4, Bool>::full([batch, n_heads, seq_q, 1], true, &device.clone().inner());
    let zeros = query.narrow(3, 0, 1).mask_fill(everywhere, 0.0);
    AttentionOutput {
        context: zeros.expand([batch, n_heads, seq_q, d_value]),
        weights: (options.return_weights)
            .then(|| Tensor::zeros([batch, n_heads, seq_q, 0], (&device, dtype))),
        implementation: Implementation::Reference,
    }
}

/// `[batch, n_kv_heads, seq, d]` with every head as often as query heads read it.
fn repeat_heads(tensor: Tensor<4>, n_heads: usize) -> Tensor<4> {
    let [batch, n_kv_heads, seq, d] = tensor.dims();
    if n_kv_heads == n_heads {
        return tensor;
    }
    tensor
        .reshape([batch, n_kv_heads, 1, seq * d])
        .expand([batch, n_kv_heads, n_heads / n_kv_heads, seq * d])
        .reshape([batch, n_heads, seq, d])
}

/// `query_i · positions_t` at `t = j + seq_q − 1 − i`, `[batch, n_heads, seq_q, seq_kv]`.
///
/// Query i wants the row of scores by position moved left by `seq_q − 1 − i`: with rows of `n_positions`,
/// reading the same numbers on from `seq_q − 1` in rows one shorter does that. The positions of a head are
/// common to the batch, so that batch and queries are one dimension of the product.
fn by_distance(query: Tensor<4>, positions: Tensor<3>, seq_kv: usize) -> Tensor<4> {
    let [batch, n_heads, seq_q, d_head] = query.dims();
    let n_positions = positions.dims()[1];
    let query = query
        .swap_dims(0, 1)
        .reshape([n_heads, batch * seq_q, d_head]);
    let scores = query.matmul(positions.swap_dims(1, 2));
    let flat = scores.reshape([n_heads, batch, seq_q * n_positions]);
    let first = seq_q - 1;
    let n = seq_q * (n_positions - 1);
    flat.slice([0..n_heads, 0..batch, first..first + n])
        .reshape([n_heads, batch, seq_q, n_positions - 1])
        .slice([0..n_heads, 0..batch, 0..seq_q, 0..seq_kv])
        .swap_dims(0, 1)
}

/// The union of all masks, `[batch or 1, n_heads or 1, seq_q or 1, seq_kv]`.
fn combine(
    options: &AttentionOptions,
    [seq_q, seq_kv]: [usize; 2],
    device: &Device,
) -> Option<Tensor<4, Bool>> {
    let place = match &options.packing {
        Some(packing) => {
            let visible = visible_keys(seq_q, seq_kv, options.causal, Some(packing));
            let cells = TensorData::new(hidden_cells(&visible, seq_kv), [1, 1, seq_q, seq_kv]);
            Some(Tensor::from_data(cells, &device.clone().inner()))
        }
        None => options
            .causal
            .then(|| causal_mask(seq_q, seq_kv, device).unsqueeze::<4>()),
    };
    let blocks = options.block_mask.as_ref();
    let blocks = blocks.map(|mask| mask.to_tensor().unsqueeze::<4>());
    let extra = options.extra_mask.clone().map(|m| m.unsqueeze::<4>());
    let global = options.global_mask.clone().map(|m| m.unsqueeze::<4>());
    let padding = options.key_padding.clone().map(|mask| {
        let [batch, seq_kv] = mask.dims();
        mask.reshape([batch, 1, 1, seq_kv])
    });
    [place, extra, global, blocks, padding]
        .into_iter()
        .flatten()
        .reduce(either)
}

fn either(a: Tensor<4, Bool>, b: Tensor<4, Bool>) -> Tensor<4, Bool> {
    let (left, right) = (a.dims(), b.dims());
    let shape: [usize; 4] = std::array::from_fn(|d| left[d].max(right[d]));
    a.expand(shape).bool_or(b.expand(shape))
}

/// `true` where key j comes after query i when the last query is aligned with the last key:
/// `j > i + seq_kv − seq_q`.
pub(super) fn causal_mask(seq_q: usize, seq_kv: usize, device: &Device) -> Tensor<2, Bool> {
    let device = device.clone().inner();
    let n_before = seq_kv as i64 - seq_q as i64;
    let row = Tensor::<1, Int>::arange(0..seq_q as i64, &device)
        .reshape([seq_q, 1])
        .expand([seq_q, seq_kv]);
    let column = Tensor::<1, Int>::arange(0..seq_kv as i64, &device)
        .reshape([1, seq_kv])
        .expand([seq_q, seq_kv]);
    column.greater(row.add_scalar(n_before))
}

/// Without a seed the device's generator decides.
pub(super) fn dropout(weights: Tensor<4>, probability: f64, seed: Option<u64>) -> Tensor<4> {
    if probability == 0.0 {
        return weights;
    }
    let Some(seed) = seed else {
        let keep = weights.random_like(Distribution::Bernoulli(1.0 - probability));
        return weights * keep.div_scalar(1.0 - probability);
    };
    let shape = weights.dims();
    let [batch, n_heads, seq_q, seq_kv] = shape;
    let rows: Tensor<2> = weights.clone().reshape([batch * n_heads * seq_q, seq_kv]);
    let kept = Tensor::from_dispatch(<Dispatch as SpartaBackend>::dropout_mask(
        rows.inner().into_dispatch(),
        Dropout { probability, seed },
    ));
    weights * Tensor::<2>::from_inner(kept).reshape(shape)
}
