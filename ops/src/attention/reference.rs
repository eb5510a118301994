//! Attention with materialised scores: the readable definition.

use burn::tensor::{Bool, Device, Distribution, Int, Tensor};

use super::{AttentionOptions, AttentionOutput, Normalizer};
use crate::{entmax, entmax15, primitive::HIDDEN, softmax, sparsemax};

pub(super) fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: AttentionOptions,
) -> AttentionOutput {
    let [_, n_heads, seq_q, d_head] = query.dims();
    let seq_kv = key.dims()[2];
    let device = query.device();
    let scale = options.scale.unwrap_or(1.0 / (d_head as f64).sqrt());

    let query = match scale {
        1.0 => query,
        _ => query.mul_scalar(scale),
    };
    let mut scores = query.matmul(key.swap_dims(2, 3));
    if let Some(bias) = &options.bias {
        scores = scores + bias.clone();
    }
    if let Some(mask) = combine(&options, [seq_q, seq_kv], &device) {
        let shape = scores.dims();
        let hidden = match scores.dtype() {
            burn::tensor::DType::F16 => -65504.0,
            _ => 10.0 * HIDDEN,
        };
        scores = scores.mask_fill(mask.expand(shape), hidden);
    }

    let weights = match options.normalizer {
        Normalizer::Softmax => softmax(scores, 3),
        Normalizer::Sparsemax => sparsemax(scores, 3),
        Normalizer::Entmax15 => entmax15(scores, 3),
        Normalizer::Entmax(alpha) => entmax(scores, alpha.reshape([1, n_heads, 1, 1]), 3),
    };
    let kept = dropout(weights.clone(), options.dropout);
    AttentionOutput {
        context: kept.matmul(value),
        weights: options.return_weights.then_some(weights),
    }
}

/// The union of all masks, `[batch or 1, n_heads or 1, seq_q or 1, seq_kv]`.
fn combine(
    options: &AttentionOptions,
    [seq_q, seq_kv]: [usize; 2],
    device: &Device,
) -> Option<Tensor<4, Bool>> {
    let causal = options
        .causal
        .then(|| causal_mask(seq_q, seq_kv, device).unsqueeze::<4>());
    let extra = options.extra_mask.clone().map(|m| m.unsqueeze::<4>());
    let global = options.global_mask.clone().map(|m| m.unsqueeze::<4>());
    let padding = options.key_padding.clone().map(|mask| {
        let [batch, seq_kv] = mask.dims();
        mask.reshape([batch, 1, 1, seq_kv])
    });
    [causal, extra, global, padding]
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
fn causal_mask(seq_q: usize, seq_kv: usize, device: &Device) -> Tensor<2, Bool> {
    let device = device.clone().inner();
    let offset = seq_kv as i64 - seq_q as i64;
    let row = Tensor::<1, Int>::arange(0..seq_q as i64, &device)
        .reshape([seq_q, 1])
        .expand([seq_q, seq_kv]);
    let column = Tensor::<1, Int>::arange(0..seq_kv as i64, &device)
        .reshape([1, seq_kv])
        .expand([seq_q, seq_kv]);
    column.greater(row.add_scalar(offset))
}

fn dropout(weights: Tensor<4>, share: f64) -> Tensor<4> {
    if share == 0.0 {
        return weights;
    }
    let keep = weights.random_like(Distribution::Bernoulli(1.0 - share));
    weights * keep.div_scalar(1.0 - share)
}
