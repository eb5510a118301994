//! How many keys each query sees.

use burn::prelude::*;
use sparta_ops::attention::AttentionOptions;

use crate::masks::{Hidden, either};

/// The keys that each query of a call sees, as numbers.
///
/// # Shapes
/// - output: `[batch or 1, n_heads or 1, seq_q, 1]`
///
/// # Panics
/// For packed sequences.
pub(crate) fn visible_keys(
    options: &AttentionOptions,
    hidden: &Hidden<'_>,
    sizes: [usize; 2],
    device: &Device,
) -> Tensor<4> {
    assert!(
        options.packing.is_none(),
        "a scale of rows counts the keys of one sequence: leave `packing` out"
    );
    let mut options = options.clone();
    options.fold_lengths(sizes[1]);
    let seen = options.key_padding.clone().map(seen_as_numbers);
    let given = options.global_mask.is_some() || options.block_mask.is_some();
    let is_plain = !given && options.extra_mask.is_none();
    match (&hidden.global, &hidden.pattern, seen) {
        (None, None, seen) if is_plain => unmasked(options.causal, seen, sizes, device),
        (None, Some((part, masks)), None) if is_plain => {
            masks.counts(part, || masked(&options, hidden, None, sizes, device))
        }
        (_, _, seen) => masked(&options, hidden, seen, sizes, device),
    }
}

/// Without masks: those up to the query, or all, that are not padding (`seen` = 1, `[batch, seq_kv]`).
fn unmasked(
    causal: bool,
    seen: Option<Tensor<2>>,
    [seq_q, seq_kv]: [usize; 2],
    device: &Device,
) -> Tensor<4> {
    let device = device.clone().inner();
    let before = seq_kv as i64 - seq_q as i64;
    match (causal, seen) {
        (false, None) => Tensor::full([1, 1, seq_q, 1], seq_kv as f32, &device),
        (true, None) => {
            let counts = Tensor::<1, Int>::arange(before + 1..seq_kv as i64 + 1, &device);
            counts.clamp_min(0).float().reshape([1, 1, seq_q, 1])
        }
        (false, Some(seen)) => {
            let batch = seen.dims()[0];
            let all = seen.sum_dim(1).reshape([batch, 1, 1, 1]);
            all.expand([batch, 1, seq_q, 1])
        }
        (true, Some(seen)) => {
            let batch = seen.dims()[0];
            let first = usize::try_from(before).unwrap_or_else(|_| {
                panic!("a causal call has {seq_q} queries, more than its {seq_kv} keys")
            });
            let counts = seen.cumsum(1).slice([0..batch, first..seq_kv]);
            counts.reshape([batch, 1, seq_q, 1])
        }
    }
}

/// Counted cell by cell.
fn masked(
    options: &AttentionOptions,
    hidden: &Hidden<'_>,
    seen: Option<Tensor<2>>,
    [seq_q, seq_kv]: [usize; 2],
    device: &Device,
) -> Tensor<4> {
    let causal = (options.causal).then(|| {
        // True strictly above the diagonal, which ends at the last key.
        let diagonal = seq_kv as i64 - seq_q as i64;
        Tensor::<3, Bool>::tril_mask([1, seq_q, seq_kv], diagonal, &device.clone().inner())
    });
    let blocks = options.block_mask.as_ref().map(|mask| mask.to_tensor());
    let extra = options.extra_mask.clone().map(Tensor::unsqueeze::<3>);
    let masks = [
        causal,
        blocks,
        extra,
        options.global_mask.clone(),
        hidden.cells(),
    ];
    let hidden = masks.into_iter().flatten().reduce(either);
    let hidden =
        hidden.unwrap_or_else(|| Tensor::full([1, seq_q, seq_kv], false, &device.clone().inner()));
    let visible = seen_as_numbers(hidden);
    let n_heads = visible.dims()[0];
    match seen {
        None => visible.sum_dim(2).unsqueeze::<4>(),
        Some(seen) => {
            let batch = seen.dims()[0];
            let seen = seen.reshape([batch, 1, 1, seq_kv]);
            let all = [batch, n_heads, seq_q, seq_kv];
            let both = visible.unsqueeze::<4>().expand(all) * seen.expand(all);
            both.sum_dim(3)
        }
    }
}

/// 0 where something is hidden, else 1.
fn seen_as_numbers<const D: usize>(hidden: Tensor<D, Bool>) -> Tensor<D> {
    Tensor::ones(hidden.dims(), &hidden.device()).mask_fill(hidden, 0.0)
}
