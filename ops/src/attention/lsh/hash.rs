//! Buckets by random rotations.

use burn::tensor::{Bool, Int, Tensor};

use crate::primitive::HIDDEN;

/// `h(x) = argmax([xR; −xR])` in each round: vectors of a small angle are likely to share a bucket. It does not depend on the length
/// of x, and has no gradient.
///
/// R has as many columns as there may be pairs of buckets. With a chunk of m keys, an example with n keys
/// that are not padding uses the first `max(1, ⌊n/m⌋)` of them, or all if there are fewer: `2n/m` buckets of m/2 keys on average. So an
/// example has the same buckets however far it is padded. Without a chunk all columns are used.
///
/// # Shapes
/// - x: `[batch, n_heads, n, d_head]`, padding: `[batch, n]`, `true` where padded
/// - rotations: `[n_heads or 1, rounds, d_head, columns]`, from N(0, 1)
/// - output: `[batch, n_heads, rounds, n]`, each below twice the number of columns used
///
/// # Source
/// Andoni et al. 2015, "Practical and Optimal LSH for Angular Distance"; Kitaev et al. 2020, section 2; the number of
/// buckets is that of google/trax.
pub fn lsh_buckets(
    x: Tensor<4>,
    rotations: Tensor<4>,
    chunk: Option<usize>,
    key_padding: Option<Tensor<2, Bool>>,
) -> Tensor<4, Int> {
    let (x, rotations) = (x.inner(), rotations.inner());
    let [batch, n_heads, n, d_head] = x.dims();
    let [n_rotated, rounds, _, columns] = rotations.dims();
    let used = match chunk {
        Some(chunk) => (n / chunk.max(1)).clamp(1, columns),
        None => columns,
    };
    let rotations = rotations
        .slice([0..n_rotated, 0..rounds, 0..d_head, 0..used])
        .swap_dims(1, 2)
        .reshape([1, n_rotated, d_head, rounds * used])
        .cast(x.dtype());
    let rotated = x.matmul(rotations);
    let rotated = rotated.reshape([batch, n_heads, n, rounds, used]);
    let both = |rotated: Tensor<5>, unused: Option<Tensor<5, Bool>>| {
        let sides = [rotated.clone(), rotated.neg()];
        let sides = sides.map(|side| match &unused {
            Some(unused) => side.mask_fill(unused.clone(), HIDDEN),
            None => side,
        });
        Tensor::cat(sides.to_vec(), 4)
            .argmax(4)
            .reshape([batch, n_heads, n, rounds])
    };
    let buckets = match (chunk, key_padding) {
        (Some(chunk), Some(padding)) => {
            let used_by: Tensor<2, Int> = padding
                .bool_not()
                .int()
                .sum_dim(1)
                .div_scalar(chunk.max(1) as i64)
                .clamp(1, used as i64);
            let column = Tensor::<1, Int>::arange(0..used as i64, &used_by.device());
            let all = [batch, n_heads, n, rounds, used];
            let unused = column
                .reshape([1, 1, 1, 1, used])
                .expand(all)
                .greater_equal(used_by.clone().reshape([batch, 1, 1, 1, 1]).expand(all));
            let found = both(rotated, Some(unused));
            // Negative sides are counted on from the last column used.
            let is_negative = found.clone().greater_equal_elem(used as i64);
            let used_by = used_by.reshape([batch, 1, 1, 1]);
            let moved = found.clone().sub_scalar(used as i64) + used_by.expand(found.dims());
            found.mask_where(is_negative, moved)
        }
        (_, _) => both(rotated, None),
    };
    buckets.permute([0, 1, 3, 2])
}
