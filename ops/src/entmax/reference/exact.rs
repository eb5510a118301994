//! Sparsemax and 1.5-entmax from sorted scores.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::read_sync;

use super::rows::Rows;
use crate::entmax::Mapping;
use crate::primitive::Array;

/// Weights, not yet divided by their sum.
pub(super) fn sparsemax<B: Backend>(x: &Array<B>) -> Array<B> {
    let x = x.at_least(-2.0);
    let tau = sparsemax_threshold(&x.sort_descending());
    x.sub(&tau).at_least(0.0)
}

/// Weights, not yet divided by their sum.
pub(super) fn entmax15<B: Backend>(x: &Array<B>) -> Array<B> {
    let x = x.scale(0.5).at_least(-1.5);
    let tau = entmax15_threshold(&x.sort_descending());
    let root = x.sub(&tau).at_least(0.0);
    root.mul(&root)
}

/// Sparsemax or 1.5-entmax from the `k` largest scores of each row, or from 2k, 4k, … if the support
/// of a row may reach beyond them. Other mappings need no sort and take no hint.
pub(crate) fn forward_topk<B: Backend>(
    scores: FloatTensor<B>,
    mapping: Mapping,
    k: usize,
) -> FloatTensor<B> {
    let rows = Rows::<B>::new(scores.clone());
    let p = match mapping {
        Mapping::Sparsemax => {
            let x = rows.x.at_least(-2.0);
            let tau = threshold_from(&x, k, sparsemax_threshold);
            x.sub(&tau).at_least(0.0)
        }
        Mapping::Entmax15 => {
            let x = rows.x.scale(0.5).at_least(-1.5);
            let tau = threshold_from(&x, k, entmax15_threshold);
            let root = x.sub(&tau).at_least(0.0);
            root.mul(&root)
        }
        Mapping::Softmax | Mapping::Alpha(_) => return super::forward::<B>(scores, mapping),
    };
    rows.normalised(p)
}

fn threshold_from<B: Backend>(
    x: &Array<B>,
    mut k: usize,
    threshold: impl Fn(&Array<B>) -> Array<B>,
) -> Array<B> {
    loop {
        let largest = x.largest(k);
        let tau = threshold(&largest);
        if k >= x.shape()[1] {
            return tau;
        }
        // The smallest of the k is outside the support of every row: so is all that was left out.
        let smallest = largest.scale(-1.0).max().scale(-1.0);
        let inside = B::float_max(smallest.sub(&tau).0);
        let inside = read_sync(B::float_into_data(inside)).expect("a number computed just now");
        if inside.iter::<f64>().all(|distance| distance <= 0.0) {
            return tau;
        }
        k *= 2;
    }
}

/// `τ = max_ρ (Σ_{i≤ρ} x_(i) − 1)/ρ` over the sorted scores: every prefix of ρ scores gives a lower
/// bound of τ, and the support attains it (Martins & Astudillo 2016). τ ≥ −1, so lower scores can be
/// raised to −2: no cancellation in the prefix sums.
fn sparsemax_threshold<B: Backend>(sorted: &Array<B>) -> Array<B> {
    let prefix = sorted.cumsum().add_scalar(-1.0);
    prefix.div(&sorted.ranks()).max()
}

/// τ of `p = [x/2 − τ]₊²` from the prefix whose own threshold still admits its last score (Peters,
/// Niculae & Martins 2019, Algorithm 2).
fn entmax15_threshold<B: Backend>(sorted: &Array<B>) -> Array<B> {
    let rank = sorted.ranks();
    let mean = sorted.cumsum().div(&rank);
    let mean_of_squares = sorted.mul(sorted).cumsum().div(&rank);
    let scatter = mean_of_squares.sub(&mean.mul(&mean)).mul(&rank);
    let delta = scatter.scale(-1.0).add_scalar(1.0).div(&rank).at_least(0.0);
    let tau = mean.sub(&delta.sqrt());
    // τ_ρ ≤ x_(ρ) holds on a prefix; its last member is the smallest score in the support.
    let outside = {
        let all = tau.is_at_most_of(sorted);
        sorted.scale(0.0).add_scalar(1.0).zero_where(all)
    };
    let support = outside.scale(-1.0).add_scalar(1.0).sum();
    // |ρ − k| < ½ picks τ_k without a gather.
    let distance = rank.sub(&support);
    let distance = distance.mul(&distance);
    let elsewhere = distance.scale(-1.0).is_at_most(-0.25);
    tau.zero_where(elsewhere).sum()
}

#[cfg(all(test, feature = "flex", feature = "testing"))]
mod tests {
    use burn::backend::Flex;
    use burn::backend::flex::FlexTensor;
    use burn::tensor::TensorData;

    use super::*;
    use crate::testing::normal;

    /// With k below, at and above the support, on tiny, usual, tied and wide rows: the same bits.
    #[test]
    fn top_k_is_exactly_the_full_sort() {
        for (n, scale) in [
            (1, 1.0),
            (7, 0.0),
            (100, 1e-5),
            (100, 0.5),
            (100, 3.0),
            (999, 1e4),
        ] {
            let scores: Vec<f32> = normal(3 * n, 5)
                .iter()
                .map(|z| (z * scale) as f32)
                .collect();
            let scores = || FlexTensor::from_data(TensorData::new(scores.clone(), [3, n]));
            for mapping in [Mapping::Softmax, Mapping::Sparsemax, Mapping::Entmax15] {
                let full = super::super::forward::<Flex>(scores(), mapping).into_data();
                for k in [1, 5, 30, 5000] {
                    let topk = forward_topk::<Flex>(scores(), mapping, k).into_data();
                    assert!(topk == full, "{mapping:?} n {n} scale {scale} k {k}");
                }
            }
        }
    }
}
