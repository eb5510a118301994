//! LSH attention as it is defined, with all scores.

use burn::tensor::{Bool, Device, Int, Tensor};

use super::super::reference::{causal_mask, dropout};
use super::places::Places;
use super::{LshOptions, either, own_key_hidden};
use crate::primitive::HIDDEN;
use crate::softmax;

/// Context and weights, for keys of length 1 and queries that are scaled; every key is read without places.
///
/// A *look* is one round's visible keys; the wrapped chunks of a round are a look of their own, for what those add to
/// a softmax is what another round adds.
pub(super) fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    places: Option<&Places>,
    options: &LshOptions,
) -> (Tensor<4>, Tensor<4>) {
    let [batch, n_heads, seq_q, _] = query.dims();
    let seq_kv = key.dims()[2];
    let cells = [batch, n_heads, seq_q, seq_kv];
    let (device, dtype) = (query.device(), query.dtype());
    let looks = match places {
        None => vec![Tensor::full(cells, true, &device.clone().inner())],
        Some(places) => looks(places, options, seq_q),
    };
    let hidden = hidden(options, [batch, seq_q, seq_kv], &device).expand(cells);
    let found = (looks.iter())
        .map(|visible| visible.clone().int())
        .reduce(|sum, look| sum + look)
        .expect("there is a look");
    let scores = query.matmul(key.swap_dims(2, 3));
    let scores = match options.duplicates {
        true => scores,
        false => {
            let times = found.clone().clamp_min(1).float().cast(dtype);
            scores - Tensor::from_inner(times.log())
        }
    };
    let (mut per_look, mut totals) = (Vec::new(), Vec::new());
    for visible in &looks {
        let hidden = hidden.clone().bool_or(visible.clone().bool_not());
        let scores = scores.clone().mask_fill(hidden, 10.0 * HIDDEN);
        totals.push(log_sum_exp(scores.clone()));
        per_look.push(softmax(scores, 3));
    }
    // exp(z_l − log Σ exp z); a look that sees nothing has no part.
    let shares = softmax(Tensor::cat(totals, 3), 3);

    // Nothing but itself is visible: all of the weight.
    let others = found.greater_elem(0).bool_and(hidden.bool_not());
    let mut alone = others.any_dim(3).bool_not();
    if let Some(hidden) = own_key_hidden(options, [batch, seq_q, seq_kv]) {
        alone = alone.bool_and(hidden.bool_not().expand([batch, n_heads, seq_q, 1]));
    }
    let is_own = own_key([seq_q, seq_kv], &device).expand(cells);
    let own = is_own.bool_and(alone.expand(cells)).float().cast(dtype);
    let own = Tensor::<4>::from_inner(own);

    let (mut weights, mut kept) = (own.clone(), own);
    for (i, look) in per_look.into_iter().enumerate() {
        let share = shares
            .clone()
            .slice([0..batch, 0..n_heads, 0..seq_q, i..i + 1]);
        weights = weights + look.clone() * share.clone();
        let seed = options.dropout_seed.map(|seed| seed.wrapping_add(i as u64));
        kept = kept + dropout(look, options.dropout, seed) * share;
    }
    (kept.matmul(value), weights)
}

/// What queries see in each round: own chunk and the one before it, `[batch, n_heads, seq_q, seq_kv]`.
fn looks(places: &Places, options: &LshOptions, seq_q: usize) -> Vec<Tensor<4, Bool>> {
    let [batch, n_heads, n_rounds, n] = places.order.dims();
    let cells = [batch, n_heads, seq_q, n];
    let of = |numbers: &Tensor<4, Int>, round: usize, rows: [usize; 2]| {
        let part = [0..batch, 0..n_heads, round..round + 1, n - seq_q..n];
        let all = [0..batch, 0..n_heads, round..round + 1, 0..n];
        let taken = numbers.clone().slice(if rows[1] == 1 { part } else { all });
        taken
            .reshape([batch, n_heads, rows[0], rows[1]])
            .expand(cells)
    };
    let queries = |numbers: &Tensor<4, Int>, round| of(numbers, round, [seq_q, 1]);
    let keys = |numbers: &Tensor<4, Int>, round| of(numbers, round, [1, n]);
    let mut looks = Vec::new();
    for round in 0..n_rounds {
        let behind = queries(&places.chunk, round) - keys(&places.chunk, round);
        let near = behind.clone().equal_elem(0).bool_or(behind.equal_elem(1));
        looks.push(match options.same_bucket {
            false => near,
            true => {
                let same = queries(&places.buckets, round).equal(keys(&places.buckets, round));
                near.bool_and(same)
            }
        });
        if options.wraps() {
            let before = (round + n_rounds - 1) % n_rounds;
            let last = places.n_chunks as i64 - 1;
            let first = queries(&places.chunk, round).equal_elem(0);
            looks.push(first.bool_and(keys(&places.chunk, before).equal_elem(last)));
        }
    }
    looks
}

/// What is hidden in every round: the query's own key, later ones, masked ones, padding.
fn hidden(
    options: &LshOptions,
    [batch, seq_q, seq_kv]: [usize; 3],
    device: &Device,
) -> Tensor<4, Bool> {
    let later = (options.causal).then(|| causal_mask(seq_q, seq_kv, device).unsqueeze::<4>());
    let mask = options.mask.clone().map(|mask| mask.unsqueeze::<4>());
    let padding = (options.key_padding.clone()).map(|mask| mask.reshape([batch, 1, 1, seq_kv]));
    let own = own_key([seq_q, seq_kv], device);
    [later, mask, padding]
        .into_iter()
        .flatten()
        .fold(own, either)
}

/// `true` at the query's own key, `[1, 1, seq_q, seq_kv]`.
fn own_key([seq_q, seq_kv]: [usize; 2], device: &Device) -> Tensor<4, Bool> {
    let diagonal = (seq_kv - seq_q) as i64;
    let others = Tensor::<2, Bool>::diag_mask([seq_q, seq_kv], diagonal, &device.clone().inner());
    others.bool_not().unsqueeze::<4>()
}

/// Of each row; very low where everything is hidden.
fn log_sum_exp(scores: Tensor<4>) -> Tensor<4> {
    let top = scores.clone().detach().max_dim(3);
    (scores - top.clone()).exp().sum_dim(3).log() + top
}
