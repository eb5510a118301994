//! LSH attention with the scores of the chunks alone.

use burn::tensor::{Bool, Int, Tensor};

use super::super::reference::dropout;
use super::places::Places;
use super::{LshOptions, own_key_hidden};
use crate::primitive::HIDDEN;

/// Of no chunk and no bucket.
const FAR: f64 = 1e6;

/// What [`super::reference::attend`] gives as context. Each round's keys are put in sorted order by a gather, and its sums
/// `Σ_j e^{s_ij − t_i} v_j/N_ij` and `Σ_j e^{s_ij − t_i}/N_ij` back by a gather with the inverse permutation; the tops t cancel
/// when rounds are added up.
pub(super) fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    places: &Places,
    options: &LshOptions,
) -> Tensor<4> {
    let [batch, n_heads, seq_q, d_head] = query.dims();
    let [.., n, d_value] = value.dims();
    let (device, dtype) = (query.device(), query.dtype());
    let lists = Lists::new(places, options, seq_q);
    // Places before the first query have none.
    let query = match n - seq_q {
        0 => query,
        before => {
            let none = Tensor::zeros([batch, n_heads, before, d_head], (&device, dtype));
            Tensor::cat(vec![none, query], 2)
        }
    };
    let query = lists.chunks(query);
    let key = lists.with_chunk_before(lists.chunks(key), 0.0);
    let scores = query.matmul(key.swap_dims(2, 3));
    let scores = scores.mask_fill(lists.hidden(places, options), 10.0 * HIDDEN);
    let top = scores.clone().inner().max_dim(3).clamp_min(HIDDEN);
    let mut weights = (scores - Tensor::from_inner(top.clone())).exp();
    if let Some(times) = lists.times(places, options) {
        weights = weights / Tensor::from_inner(times.cast(dtype));
    }
    let total = weights.clone().sum_dim(3);
    let kept = dropout(weights, options.dropout, options.dropout_seed);
    let sums = kept.matmul(lists.with_chunk_before(lists.chunks(value.clone()), 0.0));

    let sums = lists.back(Tensor::cat(vec![sums, total], 3));
    let top = lists.back(top);
    let factor = (top.clone() - top.max_dim(2)).exp();
    let sums = (sums * Tensor::from_inner(factor)).sum_dim(2);
    let sums: Tensor<4> = sums.reshape([batch, n_heads, seq_q, d_value + 1]);
    let columns = |columns| {
        sums.clone()
            .slice([0..batch, 0..n_heads, 0..seq_q, columns])
    };
    let total = columns(d_value..d_value + 1);
    let nothing = total.clone().inner().equal_elem(0.0);
    let context = columns(0..d_value) / total.mask_fill(nothing.clone(), 1.0);

    let alone = match own_key_hidden(options, [batch, seq_q, n]) {
        Some(hidden) => nothing.bool_and(hidden.bool_not().expand([batch, n_heads, seq_q, 1])),
        None => nothing,
    };
    let own = value.slice([0..batch, 0..n_heads, n - seq_q..n, 0..d_value]);
    let others = alone.bool_not().expand([batch, n_heads, seq_q, d_value]);
    context + own.mask_fill(others, 0.0)
}

/// Sorted positions, one list for each example, head and round, in chunks.
struct Lists {
    batch: usize,
    n_heads: usize,
    rounds: usize,
    n: usize,
    seq_q: usize,
    /// Places of a chunk.
    size: usize,
    n_chunks: usize,
    wraps: bool,
    /// The rows of `[batch · n_heads · n, …]` that lists have, `[batch · n_heads · rounds · n]`.
    rows: Tensor<1, Int>,
    /// The places in `[batch · n_heads · rounds · n_chunks · size, …]` where queries are.
    places: Tensor<1, Int>,
    /// The position at each place, `[batch · n_heads · rounds, n_chunks, size, 1]`; n behind the last.
    position: Tensor<4>,
}

impl Lists {
    fn new(places: &Places, options: &LshOptions, seq_q: usize) -> Self {
        let [batch, n_heads, rounds, n] = places.order.dims();
        let Places { size, n_chunks, .. } = *places;
        let device = places.order.device();
        let n_lists = batch * n_heads * rounds;
        let first = |n_firsts: usize, apart: usize| {
            let firsts = Tensor::<1, Int>::arange(0..n_firsts as i64, &device);
            firsts.mul_scalar(apart as i64)
        };
        let rows = first(batch * n_heads, n).reshape([batch, n_heads, 1, 1]);
        let rows = places.order.clone() + rows.expand([batch, n_heads, rounds, n]);
        let rank = (places.rank.clone()).slice([0..batch, 0..n_heads, 0..rounds, n - seq_q..n]);
        let firsts = first(n_lists, n_chunks * size).reshape([batch, n_heads, rounds, 1]);
        let mut lists = Self {
            batch,
            n_heads,
            rounds,
            n,
            seq_q,
            size,
            n_chunks,
            wraps: options.wraps(),
            rows: rows.reshape([n_lists * n]),
            places: (rank + firsts.expand([batch, n_heads, rounds, seq_q]))
                .reshape([n_lists * seq_q]),
            position: Tensor::zeros([1, 1, 1, 1], &device),
        };
        lists.position = lists.folded(places.order.clone().float(), n as f64);
        lists
    }

    fn n_lists(&self) -> usize {
        self.batch * self.n_heads * self.rounds
    }

    /// Rows of positions, `[batch, n_heads, n, width]`, in sorted chunks, `[lists, n_chunks, size, width]`; zeros behind.
    fn chunks(&self, rows: Tensor<4>) -> Tensor<4> {
        let width = rows.dims()[3];
        let flat: Tensor<2> = rows.reshape([self.batch * self.n_heads * self.n, width]);
        let sorted = flat.select(0, self.rows.clone());
        self.chunked(sorted.reshape([self.n_lists(), self.n, width]), 0.0)
    }

    /// Numbers in sorted order, `[batch, n_heads, rounds, n]`, as `[lists, n_chunks, size, 1]`.
    fn folded(&self, numbers: Tensor<4>, behind: f64) -> Tensor<4> {
        self.chunked(numbers.reshape([self.n_lists(), self.n, 1]), behind)
    }

    /// Numbers of positions, as [`Self::folded`] has them: a round's own, or in every list those of one round.
    fn numbers(
        &self,
        numbers: &Tensor<4, Int>,
        order: &Tensor<4, Int>,
        round: Option<usize>,
    ) -> Tensor<4> {
        let numbers = match round {
            None => numbers.clone(),
            Some(round) => {
                let of_one = [0..self.batch, 0..self.n_heads, round..round + 1, 0..self.n];
                numbers.clone().slice(of_one).expand(order.dims())
            }
        };
        self.folded(numbers.gather(3, order.clone()).float(), -9.0)
    }

    fn chunked(&self, sorted: Tensor<3>, behind: f64) -> Tensor<4> {
        let [n_lists, n, width] = sorted.dims();
        let missing = self.n_chunks * self.size - n;
        let sorted = match missing {
            0 => sorted,
            _ => {
                let options = (&sorted.device(), sorted.dtype());
                let behind = Tensor::full([n_lists, missing, width], behind, options);
                Tensor::cat(vec![sorted, behind], 1)
            }
        };
        sorted.reshape([n_lists, self.n_chunks, self.size, width])
    }

    /// The chunk before each and the chunk itself, `[lists, n_chunks, 2 · size, width]`; where there is none before,
    /// `missing`, and if there is never one, the chunk alone.
    fn with_chunk_before(&self, chunks: Tensor<4>, missing: f64) -> Tensor<4> {
        let [n_lists, n_chunks, size, width] = chunks.dims();
        if n_chunks == 1 && !self.wraps {
            return chunks;
        }
        let before = match self.wraps {
            false => {
                let options = (&chunks.device(), chunks.dtype());
                let none = Tensor::full([n_lists, 1, size, width], missing, options);
                let others = chunks.clone().slice([0..n_lists, 0..n_chunks - 1]);
                Tensor::cat(vec![none, others], 1)
            }
            true => {
                let n_examples = self.batch * self.n_heads;
                let n_all = self.rounds * n_chunks;
                let all = chunks.clone().reshape([n_examples, n_all, size, width]);
                let last = all.clone().slice([0..n_examples, n_all - 1..n_all]);
                let others = all.slice([0..n_examples, 0..n_all - 1]);
                Tensor::cat(vec![last, others], 1).reshape([n_lists, n_chunks, size, width])
            }
        };
        Tensor::cat(vec![before, chunks], 2)
    }

    /// A number of each query minus that of each of its keys, `[lists, n_chunks, size, 2 · size]`.
    fn minus(&self, query: Tensor<4>, key: Tensor<4>, missing: f64) -> Tensor<4> {
        query - self.with_chunk_before(key, missing).swap_dims(2, 3)
    }

    /// Which cells are hidden: the query's own key, later ones, padding, places behind the last, masked cells, other buckets.
    fn hidden(&self, places: &Places, options: &LshOptions) -> Tensor<4, Bool> {
        // Where nothing is, beyond any position.
        let nowhere = (4 * self.n) as f64;
        let shape = places.order.dims();
        let [batch, .., n] = shape;
        let mut position = self.position.clone();
        if let Some(padding) = &options.key_padding {
            let padding = padding.clone().reshape([batch, 1, 1, n]).expand(shape);
            let padded = self.numbers(&padding.int(), &places.order, None);
            position = position.mask_fill(padded.greater_elem(0.5), nowhere);
        }
        let position = {
            let behind = position.clone().greater_equal_elem(n as f64);
            position.mask_fill(behind, nowhere)
        };
        let apart = self.minus(self.position.clone(), position.clone(), nowhere);
        let mut hidden = match options.causal {
            true => apart.lower_equal_elem(0.0),
            false => {
                let own = apart.clone().equal_elem(0.0);
                own.bool_or(apart.lower_elem(-1.5 * n as f64))
            }
        };
        if options.same_bucket {
            let buckets = self.numbers(&places.buckets, &places.order, None);
            let other = self.minus(buckets.clone(), buckets, FAR);
            hidden = hidden.bool_or(other.not_equal_elem(0.0));
        }
        match &options.mask {
            Some(mask) => hidden.bool_or(self.masked(mask, position, nowhere)),
            None => hidden,
        }
    }

    /// The cells of a mask, `[n_heads or 1, seq_q, n]`, at the queries and keys of the lists.
    fn masked(&self, mask: &Tensor<3, Bool>, keys: Tensor<4>, nowhere: f64) -> Tensor<4, Bool> {
        let [n_masks, seq_q, n] = mask.dims();
        let key = self.with_chunk_before(keys, nowhere).swap_dims(2, 3).int();
        let key = key.clamp(0, n as i64 - 1);
        let row = self.position.clone().int().sub_scalar((n - seq_q) as i64);
        let mut row = row.clamp(0, seq_q as i64 - 1).mul_scalar(n as i64);
        if n_masks > 1 {
            let head = Tensor::<1, Int>::arange(0..self.n_heads as i64, &row.device());
            let head = head
                .mul_scalar((seq_q * n) as i64)
                .reshape([1, self.n_heads, 1]);
            let head = head.expand([self.batch, self.n_heads, self.rounds]);
            let shape = row.dims();
            row = row + head.reshape([self.n_lists(), 1, 1, 1]).expand(shape);
        }
        let shape = [self.n_lists(), self.n_chunks, self.size, key.dims()[3]];
        let cells = row.expand(shape) + key.expand(shape);
        let flat = mask.clone().reshape([n_masks * seq_q * n]);
        flat.select(0, cells.reshape([shape.iter().product::<usize>()]))
            .reshape(shape)
    }

    /// N of each cell, how often rounds find the pair; none where that is once, or not to be corrected.
    fn times(&self, places: &Places, options: &LshOptions) -> Option<Tensor<4>> {
        if options.duplicates || (self.rounds == 1 && !self.wraps) {
            return None;
        }
        let of = |numbers, round| self.numbers(numbers, &places.order, Some(round));
        let of_keys = |numbers| self.with_chunk_before(numbers, 0.0).swap_dims(2, 3);
        // 1 where a whole number is 0, else 0.
        let is_zero = |apart: Tensor<4>| apart.abs().neg().add_scalar(1.0).clamp_min(0.0);
        let near = (0..self.rounds).map(|round| {
            let chunk = of(&places.chunk, round);
            // Half of 1 where the difference is 0 or 1.
            let apart = self.minus(chunk.clone().sub_scalar(0.5), chunk, FAR);
            let near = is_zero(apart).mul_scalar(2.0);
            match options.same_bucket {
                false => near,
                true => {
                    let bucket = of(&places.buckets, round);
                    near * is_zero(self.minus(bucket.clone(), bucket, FAR))
                }
            }
        });
        let wrapping = if self.wraps { self.rounds } else { 0 };
        let wrapped = (0..wrapping).map(|round| {
            let before = of(&places.chunk, (round + self.rounds - 1) % self.rounds);
            let in_last = is_zero(before.sub_scalar(self.n_chunks as f64 - 1.0));
            is_zero(of(&places.chunk, round)) * of_keys(in_last)
        });
        // Cells that nothing finds are hidden.
        let times = near.chain(wrapped).reduce(|sum, times| sum + times);
        times.map(|times| times.clamp_min(1.0))
    }

    /// Rows of places, `[lists, n_chunks, size, width]`, at the queries: `[batch, n_heads, rounds, seq_q, width]`.
    fn back(&self, rows: Tensor<4>) -> Tensor<5> {
        let width = rows.dims()[3];
        let flat: Tensor<2> = rows.reshape([self.n_lists() * self.n_chunks * self.size, width]);
        flat.select(0, self.places.clone()).reshape([
            self.batch,
            self.n_heads,
            self.rounds,
            self.seq_q,
            width,
        ])
    }
}
