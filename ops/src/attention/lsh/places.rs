//! Where each position stands when a round's buckets are sorted.

use burn::tensor::{Bool, Int, IntDType, Tensor};

use super::super::error::AttentionError;

/// From so many places on the largest bucket is read from the device.
const LONG: usize = 1 << 15;

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
    /// By bucket, then by position; padding comes last. There is at least one bucket.
    ///
    /// # Errors
    /// So many places and buckets that their products, by which places are sorted, are beyond the device's whole numbers. Of
    /// less than [`LONG`] places that is not looked for.
    pub fn new(
        buckets: Tensor<4, Int>,
        padding: Option<&Tensor<2, Bool>>,
        chunk: usize,
    ) -> Result<Self, AttentionError> {
        let shape @ [batch, _, _, n] = buckets.dims();
        let size = chunk.min(n);
        let position = Tensor::<1, Int>::arange(0..n as i64, &buckets.device());
        // Sorting may give another type of whole numbers, and sums take one.
        let whole: IntDType = position.dtype().into();
        let buckets = buckets.inner().cast(whole);
        if n >= LONG && whole != IntDType::I64 {
            let n_buckets = buckets.clone().max().into_scalar::<i64>() + 1;
            // One more for padding.
            if (n_buckets + 1) * n as i64 > i64::from(i32::MAX) {
                return Err(AttentionError::Buckets { n_buckets, n });
            }
        }
        let position = position.reshape([1, 1, 1, n]).expand(shape);
        let mut major = buckets.clone();
        if let Some(padding) = padding {
            let padding = padding.clone().reshape([batch, 1, 1, n]).expand(shape);
            let behind_all = buckets.clone().max().add_scalar(1).reshape([1, 1, 1, 1]);
            major = major.mask_where(padding, behind_all.expand(shape));
        }
        let by = major.mul_scalar(n as i64) + position;
        let order = by.argsort(3).cast(whole);
        let rank = order.clone().argsort(3).cast(whole);
        Ok(Self {
            buckets,
            order,
            chunk: rank.clone().div_scalar(size as i64),
            rank,
            size,
            n_chunks: n.div_ceil(size),
        })
    }
}
