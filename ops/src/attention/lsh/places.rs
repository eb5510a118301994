//! Where each position stands when a round's buckets are sorted.

use burn::tensor::{Bool, Int, IntDType, Tensor};

/// What padding is sorted by, above every bucket · n + position.
const BEHIND_ALL: i64 = 1 << 30;

/// The sorting of each round.
pub(super) struct Places {
    /// The buckets, `[batch, n_heads, rounds, n]`.
    pub buckets: Tensor<4, Int>,
    /// Which position has a rank, `[batch, n_heads, rounds, n]`.
    pub order: Tensor<4, Int>,
    /// The rank of a position, `[batch, n_heads, rounds, n]`: the inverse of `order`.
    pub rank: Tensor<4, Int>,
    /// The chunk of a position, `[batch, n_heads, rounds, n]`.
    pub chunk: Tensor<4, Int>,
    /// Places of a chunk; the last one may have fewer.
    pub size: usize,
    /// Number of chunks.
    pub n_chunks: usize,
}

impl Places {
    /// By bucket, then by position; padding comes last.
    pub fn new(buckets: Tensor<4, Int>, padding: Option<&Tensor<2, Bool>>, chunk: usize) -> Self {
        let shape @ [batch, _, _, n] = buckets.dims();
        let size = chunk.min(n.max(1));
        let position = Tensor::<1, Int>::arange(0..n as i64, &buckets.device());
        // Sorting may give another type of whole numbers, and sums take one.
        let whole: IntDType = position.dtype().into();
        let buckets = buckets.inner().cast(whole);
        let position = position.reshape([1, 1, 1, n]).expand(shape);
        let mut by = buckets.clone().mul_scalar(n as i64) + position.clone();
        if let Some(padding) = padding {
            let padding = padding.clone().reshape([batch, 1, 1, n]).expand(shape);
            by = by.mask_where(padding, position.add_scalar(BEHIND_ALL));
        }
        let order = by.argsort(3).cast(whole);
        let rank = order.clone().argsort(3).cast(whole);
        Self {
            buckets,
            order,
            chunk: rank.clone().div_scalar(size as i64),
            rank,
            size,
            n_chunks: n.div_ceil(size),
        }
    }
}
