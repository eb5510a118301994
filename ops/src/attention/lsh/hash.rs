//! Buckets by random rotations.

use burn::tensor::{Bool, Int, IntDType, Tensor};

use crate::primitive::HIDDEN;

/// Pairs of buckets that one argmax finds; more are found as two numbers, as huggingface/transformers does for more buckets
/// than chunks have keys.
const DIRECT: usize = 64;

/// Columns of R for so many pairs of buckets, of which there are `⌊n/m⌋` for n keys in chunks of m.
///
/// Up to 64 pairs have a column each. Above that, `p` pairs are `2b₁ · 2b₂` buckets of `b₁ = ⌈√(p/2)⌉` and `b₂ = ⌈p/2b₁⌉` columns,
/// so that hashing n keys takes `n^{3/2}` steps and not n².
pub fn lsh_columns(pairs: usize) -> usize {
    match factors(pairs) {
        [first, 0] => first,
        [first, second] => DIRECT.max(first + second),
    }
}

/// b₁ and b₂; b₂ = 0 where one argmax finds all.
fn factors(pairs: usize) -> [usize; 2] {
    if pairs <= DIRECT {
        return [pairs, 0];
    }
    let first = (pairs as f64 / 2.0).sqrt().ceil() as usize;
    [first, pairs.div_ceil(2 * first)]
}

/// `h(x) = argmax([xR; −xR])` in each round: vectors of a small angle are likely to share a bucket. It does not depend on the length
/// of x, and has no gradient.
///
/// R has as many columns as [`lsh_columns`] says of the most pairs of buckets there may be. With a chunk of m keys, an example with n
/// keys that are not padding has `max(1, ⌊n/m⌋)` pairs, or one for each column if R has fewer than 64: `2n/m` buckets of m/2 keys on
/// average, from the first columns of R. Above 64 pairs (as far as there are columns), `h = h₁ + 2b₁h₂` with h₁ from the first b₁ columns and h₂ from the b₂ after
/// them. So an example has the same buckets however far it is padded. Without a chunk all columns are used, for one argmax.
///
/// # Shapes
/// - x: `[batch, n_heads, n, d_head]`, padding: `[batch, n]`, `true` where padded
/// - rotations: `[n_heads or 1, rounds, d_head, columns]`, from N(0, 1)
/// - output: `[batch, n_heads, rounds, n]`, each below twice the number of pairs, or `4b₁b₂`
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
    let [batch, n_heads, n, _] = x.dims();
    let [n_rotated, rounds, d_head, columns] = rotations.dims();
    if [batch, n_heads, n].contains(&0) {
        return Tensor::zeros([batch, n_heads, rounds, n], &x.device());
    }
    let parts = |pairs: usize| -> [usize; 2] {
        let [first, second] = match chunk {
            Some(_) => factors(pairs),
            None => [pairs, 0],
        };
        // Of R with fewer columns than so many pairs need, each part has its half.
        let first = match second {
            0 => first,
            _ => first.min(columns.div_ceil(2)),
        };
        [first, second.min(columns - first)]
    };
    let most = match chunk {
        Some(chunk) if columns < DIRECT => (n / chunk.max(1)).clamp(1, columns),
        Some(chunk) => (n / chunk.max(1)).max(1),
        None => columns,
    };
    let hash = Hash {
        x,
        rotations,
        of_heads: [n_rotated, rounds, d_head],
    };
    let buckets = match (chunk, key_padding) {
        (Some(chunk), Some(padding)) => {
            let pairs = padding.bool_not().int().sum_dim(1);
            let pairs = pairs.div_scalar(chunk.max(1) as i64);
            let pairs = pairs.clamp(1, most as i64).squeeze_dim::<1>(1);
            hash.by_example(pairs, &(0..=most).map(parts).collect::<Vec<_>>())
        }
        (_, _) => {
            let [first, second] = parts(most);
            let low = hash.most_of(0..first);
            match second {
                0 => low,
                _ => {
                    hash.most_of(first..first + second)
                        .mul_scalar((2 * first) as i64)
                        + low
                }
            }
        }
    };
    buckets.permute([0, 1, 3, 2])
}

/// Vectors and their rotations.
struct Hash {
    /// `[batch, n_heads, n, d_head]`
    x: Tensor<4>,
    /// `[n_heads or 1, rounds, d_head, columns]`
    rotations: Tensor<4>,
    of_heads: [usize; 3],
}

impl Hash {
    /// xR, `[batch, n_heads, n, rounds, columns]`, of some columns.
    fn rotated(&self, columns: std::ops::Range<usize>) -> Tensor<5> {
        let [batch, n_heads, n, _] = self.x.dims();
        let [n_rotated, rounds, d_head] = self.of_heads;
        let width = columns.len();
        let rotations = (self.rotations.clone())
            .slice([0..n_rotated, 0..rounds, 0..d_head, columns])
            .swap_dims(1, 2)
            .reshape([1, n_rotated, d_head, rounds * width])
            .cast(self.x.dtype());
        let rotated = self.x.clone().matmul(rotations);
        rotated.reshape([batch, n_heads, n, rounds, width])
    }

    /// `argmax([xR; −xR])` of these columns, `[batch, n_heads, n, rounds]`.
    fn most_of(&self, columns: std::ops::Range<usize>) -> Tensor<4, Int> {
        let rotated = self.rotated(columns);
        let negative = rotated.clone().neg();
        most(Tensor::cat(vec![rotated, negative], 4))
    }

    /// The same of the columns from a to b of each example, `[batch]`; 0 of none.
    fn most_between(&self, width: usize, a: Tensor<1, Int>, b: Tensor<1, Int>) -> Tensor<4, Int> {
        let rotated = self.rotated(0..width);
        let all = rotated.dims();
        let batch = all[0];
        let column = Tensor::<1, Int>::arange(0..width as i64, &a.device());
        let column = column.reshape([1, 1, 1, 1, width]).expand(all);
        let limit = |limit: &Tensor<1, Int>| limit.clone().reshape([batch, 1, 1, 1, 1]).expand(all);
        let before = column.clone().lower(limit(&a));
        let unused = before.bool_or(column.greater_equal(limit(&b)));
        let sides = [rotated.clone(), rotated.neg()]
            .map(|side| side.mask_fill(unused.clone(), HIDDEN))
            .to_vec();
        let found = most(Tensor::cat(sides, 4));
        let [a, b] = [a, b].map(|limit| limit.reshape([batch, 1, 1, 1]).expand(found.dims()));
        // Negative sides are counted on from the last column used.
        let is_negative = found.clone().greater_equal_elem(width as i64);
        let behind = found.clone().sub_scalar(width as i64) + (b.clone() - a.clone());
        let place = found.mask_where(is_negative, behind) - a.clone();
        place.mask_fill(a.equal(b), 0)
    }

    /// The buckets of examples with so many pairs, `[batch]`, for each of which `parts` has b₁ and b₂.
    fn by_example(&self, pairs: Tensor<1, Int>, parts: &[[usize; 2]]) -> Tensor<4, Int> {
        let (device, whole) = (pairs.device(), IntDType::from(pairs.dtype()));
        let of = |which: usize| {
            let numbers: Vec<i64> = parts.iter().map(|part| part[which] as i64).collect();
            let numbers = Tensor::<1, Int>::from_data(numbers.as_slice(), &device);
            numbers.cast(whole).select(0, pairs.clone())
        };
        let [first, second] = [of(0), of(1)];
        let widest = |width: fn(&[usize; 2]) -> usize| parts.iter().map(width).max().unwrap_or(0);
        let start = first.zeros_like();
        let low = self.most_between(widest(|part| part[0]), start, first.clone());
        if widest(|part| part[1]) == 0 {
            return low;
        }
        let width = widest(|[first, second]| if *second == 0 { 0 } else { first + second });
        let high = self.most_between(width, first.clone(), first.clone() + second);
        let times = first.mul_scalar(2).reshape([pairs.dims()[0], 1, 1, 1]);
        let found = low.dims();
        low + high * times.expand(found)
    }
}

/// The argmax of the last axis.
fn most(sides: Tensor<5>) -> Tensor<4, Int> {
    sides.argmax(4).squeeze_dim(4)
}
