//! Scores of a row to weights: the threshold by Newton's method from a good start, on the few scores
//! that can have weight.

use std::slice;

use super::float::Float;
use super::isa;
use super::pack::{Pack, larger, largest_by_lane, sums, sums_of_replaced};
use super::power::{Entmax15, FromEdge, FromTop, Power, Sparsemax};
use super::rows::Work;
use crate::entmax::Mapping;

/// From this ε on, weights are measured from the edge of the support.
const EDGE: f64 = 0.25;

/// Turns scores into weights; a row whose α is none becomes NaN.
pub(crate) fn forward<T: Float>(work: &mut Work<T>, hidden: T, mapping: Mapping) {
    isa::dispatch(
        #[inline(always)]
        || match mapping {
            Mapping::Softmax | Mapping::Alpha(1.0) => softmax(work, hidden),
            Mapping::Sparsemax => threshold(work, hidden, Sparsemax),
            Mapping::Entmax15 => threshold(work, hidden, Entmax15),
            Mapping::Alpha(alpha) => {
                let epsilon = alpha - 1.0;
                // False for NaN too.
                let is_alpha = alpha > 0.0 && alpha < f64::INFINITY;
                if !is_alpha {
                    work.row.fill(T::from_f64(f64::NAN));
                } else if epsilon >= EDGE {
                    threshold(work, hidden, FromEdge { epsilon });
                } else {
                    threshold(work, hidden, FromTop { epsilon, hidden });
                }
            }
        },
    );
}

#[inline(always)]
fn softmax<T: Float>(work: &mut Work<T>, hidden: T) {
    let row = &mut work.row.packs;
    let largest = largest_by_lane(row).across(larger);
    if no_score_above(largest, hidden) {
        return invisible(row);
    }
    let [sum] = sums_of_replaced(
        row,
        #[inline(always)]
        |z| {
            *z = (*z - largest).map(T::exp);
            [*z]
        },
    );
    let scale = T::from_f64(1.0 / sum);
    for pack in row {
        *pack = *pack * scale;
    }
}

/// Whether every score is hidden or NaN.
#[inline(always)]
fn no_score_above<T: Float>(largest: T, hidden: T) -> bool {
    largest.partial_cmp(&hidden) != Some(std::cmp::Ordering::Greater)
}

/// A row without a score that can be seen: zeros, or NaN where a score is.
#[cold]
fn invisible<T: Float>(row: &mut [Pack<T>]) {
    let is_nan = row.iter().any(|pack| pack.0.iter().any(|z| z.is_nan()));
    row.fill(Pack::splat(if is_nan {
        T::from_f64(f64::NAN)
    } else {
        T::ZERO
    }));
}

/// The weights of a mapping with a threshold.
///
/// The largest scores of the lanes are a row of its own whose threshold is at or below that of the whole,
/// and near it: it is where the search begins, and what is below it is left out.
#[inline(always)]
fn threshold<T: Float, P: Power<T>>(work: &mut Work<T>, hidden: T, power: P) {
    let n = work.row.len();
    let row = &mut work.row.packs;
    let by_lane = largest_by_lane(row);
    let largest = by_lane.across(larger);
    if no_score_above(largest, hidden) {
        return invisible(row);
    }
    let search = Search { power, largest };
    let by_lane = slice::from_ref(&by_lane);
    let is_long = row.len() >= P::LONG;
    let mut candidates = if is_long { by_lane } else { &row[..] };
    let (mut s, mut sum) = (0.0, 0.0);
    // A loop, so that the search is compiled once.
    for stage in 0..1 + usize::from(is_long) {
        if stage == 1 {
            candidates = search.candidates(row, &mut work.other.packs, s);
        }
        (s, sum) = search.run(candidates, n, s);
    }
    let origin = search.power.origin(largest, s);
    let scale = T::from_f64(1.0 / sum);
    for pack in row {
        *pack = search.power.weights(*pack, origin)[0] * scale;
    }
}

/// The search for s with `Σp = 1` in a row with this largest score.
struct Search<T, P> {
    power: P,
    largest: T,
}

impl<T: Float, P: Power<T>> Search<T, P> {
    /// Packs with a score above the edge that belongs to s, or a little below.
    #[inline(always)]
    fn candidates<'a>(&self, row: &[Pack<T>], other: &'a mut [Pack<T>], s: f64) -> &'a [Pack<T>] {
        const MARGIN: f64 = 0.01;
        let epsilon = self.power.epsilon();
        let below = match epsilon > 0.0 {
            true => T::from_f64(self.largest.to_f64() + s - (1.0 + MARGIN) / epsilon),
            false => T::from_f64(f64::NEG_INFINITY),
        };
        let mut n_packs = 0;
        for pack in row {
            other[n_packs] = *pack;
            n_packs += usize::from(pack.reaches(below));
        }
        &other[..n_packs]
    }

    /// s and the `Σp` that belongs to it, by Newton's method on `(Fᵋ − 1)/ε = 0`, `F = Σp`.
    ///
    /// For α ≤ 2 this function of s is convex (an ℓ_{1/ε} norm; for ε < 0 its reciprocal), and linear
    /// where scores are tied: s rises to the root without overshooting. For α > 2 a bracket guards
    /// it.
    #[inline(always)]
    fn run(&self, row: &[Pack<T>], n: usize, start: f64) -> (f64, f64) {
        let epsilon = self.power.epsilon();
        let (mut s, mut low) = (start, 0.0f64);
        let mut high = -(-epsilon * (n as f64).ln()).exp_m1() / epsilon;
        let mut last_step = f64::INFINITY;
        let mut overshot = false;
        let mut n_iter = 0;
        loop {
            let origin = self.power.origin(self.largest, s);
            let [sum, slope] = sums(
                row,
                #[inline(always)]
                |z| self.power.weights(z, origin),
            );
            let excess = sum - 1.0;
            // Near the root only rounding keeps a step from being smaller than the one before.
            let step = self.rise(sum) / slope;
            let is_rounding = excess.abs() < 64.0 * T::EPSILON && step.abs() >= last_step;
            n_iter += 1;
            // Only above α = 2 the sum may have no value near 1.
            if excess.abs() <= 2.0 * T::EPSILON || is_rounding || sum.is_nan() || n_iter == 100 {
                return (s, sum);
            }
            match excess > 0.0 {
                true => low = low.max(s),
                false => (high, overshot) = (high.min(s), true),
            }
            let next = s + step;
            let converges = !overshot || step.abs() < 0.5 * last_step;
            s = match next >= low && next <= high && converges {
                true => next,
                false => 0.5 * (low + high),
            };
            last_step = step.abs();
        }
    }

    /// `(F − F^{1−ε})/ε`; near 1 by its series, where the difference would cancel.
    #[inline(always)]
    fn rise(&self, sum: f64) -> f64 {
        let (y, a) = (sum - 1.0, 1.0 - self.power.epsilon());
        match y.abs() < 0.1 {
            true => y * (1.0 + a * y * (0.5 + (a - 2.0) * y / 6.0)),
            false => self.power.rise(sum),
        }
    }
}
