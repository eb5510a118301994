//! Root finding: Newton's method, in a bracket, for the threshold of several rows at once. While one row
//! waits for its sums, the processor works on the next.

use std::slice;

use super::compress::{compress, expand};
use super::float::Float;
use super::mapping::{MappingKernel, Shift};
use super::simd::{LANES, Simd, lane_sums, lane_sums_of_pairs, replace, scaled, totals_of};
use super::workspace::Workspace;

/// Which scores of a row are summed.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Stage {
    /// All of them.
    Whole,
    /// The largest of each lane.
    ByLane,
    /// Those of [`RowRoot::choose_candidates`].
    Candidates,
}

/// The bracket of a root, and the iterate in it.
#[derive(Clone, Copy)]
pub(crate) struct Bracket {
    pub s: f64,
    /// s lies between these.
    pub low: f64,
    pub high: f64,
    pub last_step: f64,
    pub is_done: bool,
}

impl Bracket {
    /// At the bottom.
    pub const START: Self = Self {
        s: 0.0,
        low: 0.0,
        high: f64::INFINITY,
        last_step: f64::INFINITY,
        is_done: false,
    };

    /// After one step on `(Fᵋ − 1)/ε = 0`, of [`MappingKernel::residual`] over `Σp^{1−ε}`; there, if F is 1 within
    /// the type's precision.
    ///
    /// For α ≤ 2, above which [`super::large_alpha`] solves, this function of s is convex (an ℓ_{1/ε} norm; for ε < 0
    /// its reciprocal), and linear where scores are tied: s rises to the root without overshooting, and a bracket guards
    /// against rounding. A start need not be near the root, but must be below.
    #[inline(always)]
    pub fn next<T: Float>(self, sum: f64, step: f64) -> Self {
        let excess = sum - 1.0;
        // Near the root only rounding keeps a step from being smaller than the one before.
        let is_near = excess.abs() < 64.0 * T::EPSILON;
        let is_rounding = is_near & (step.abs() >= self.last_step);
        let is_root = excess.abs() <= 2.0 * T::EPSILON;
        let is_nan = excess.is_nan();
        let is_done = self.is_done | is_root | is_rounding | is_nan;
        let is_below = excess > 0.0;
        let low = if is_below & (self.s > self.low) {
            self.s
        } else {
            self.low
        };
        let high = if !is_below & (self.s < self.high) {
            self.s
        } else {
            self.high
        };
        let next = self.s + step;
        let converges = (high == f64::INFINITY) | (step.abs() < 0.5 * self.last_step);
        let is_inside = (next >= low) & (next <= high) & converges;
        let s = if is_inside { next } else { 0.5 * (low + high) };
        Self {
            s: if is_done { self.s } else { s },
            low,
            high,
            last_step: step.abs(),
            is_done,
        }
    }
}

/// The root s of a row, `F(s) = Σp = 1`, while it is sought.
#[derive(Clone, Copy)]
pub(crate) struct RowRoot<T, P> {
    power: P,
    largest: T,
    by_lane: Simd<T>,
    n_candidates: Option<usize>,
    bracket: Bracket,
    /// `Σp` and `Σp^{1−ε}` at s, by lane.
    sums: [Simd<f64>; 2],
}

impl<T: Float, P: MappingKernel<T>> RowRoot<T, P> {
    #[inline(always)]
    pub fn new(power: P, largest: T, by_lane: Simd<T>) -> Self {
        Self {
            power,
            largest,
            by_lane,
            n_candidates: None,
            bracket: Bracket::START,
            sums: [Simd::splat(0.0); 2],
        }
    }

    /// The shift that is subtracted from scores.
    #[inline(always)]
    fn shift(&self) -> Shift<T> {
        Shift::new(self.largest.to_f64() - self.power.depth(), self.bracket.s)
    }

    /// Compresses the scores above the boundary of the support that belongs to s, or a little below: the others
    /// have no weight. Few enough are worth it.
    #[inline(always)]
    pub fn choose_candidates(&mut self, work: &mut Workspace<T>) {
        const MARGIN: f64 = 0.01;
        let epsilon = self.power.epsilon();
        if epsilon > 0.0 {
            let below = self.largest.to_f64() + self.bracket.s - (1.0 + MARGIN) / epsilon;
            let (row, compressed) = (&work.row.vectors, &mut work.compressed.vectors);
            let (below, lowest) = (T::from_f64(below), T::LOWEST);
            self.n_candidates = compress(row, below, compressed, lowest, &mut work.places);
        }
        // From here on upwards, whatever was thought to be above.
        let Bracket { s, low, .. } = self.bracket;
        self.bracket = Bracket {
            s,
            low,
            ..Bracket::START
        };
    }

    /// Turns the row's scores into weights.
    #[inline(always)]
    pub fn finish(&self, work: &mut Workspace<T>) {
        if let (_, Some(n)) = self.finish_compressed(work) {
            expand(
                &work.compressed.vectors,
                &work.places[..n],
                &mut work.row.vectors,
            );
        }
    }

    /// Turns the row's scores into weights, where they are or, of so many compressed ones, where those are;
    /// and says what they are made from: the two parts of the shift, and a factor.
    #[inline(always)]
    pub fn finish_compressed(&self, work: &mut Workspace<T>) -> ([f64; 3], Option<usize>) {
        let sum = self.sums[0].sum();
        // Where a score is NaN, so is every weight.
        let gathered = self.n_candidates.filter(|_| !sum.is_nan());
        let scores = match gathered {
            Some(n) => &mut work.compressed.vectors[..n.div_ceil(LANES)],
            None => &mut work.row.vectors[..],
        };
        let scale = T::from_f64(1.0 / sum);
        match P::KEEPS_WEIGHTS {
            true => scaled(scores, &work.kept, Simd::splat(scale)),
            false => {
                let shift = self.shift();
                replace(
                    scores,
                    #[inline(always)]
                    |z| self.power.weights(z, shift)[0] * scale,
                );
            }
        }
        let saved = [self.largest.to_f64(), self.bracket.s, 1.0 / sum];
        (saved, gathered)
    }

    #[inline(always)]
    fn scores<'a>(&'a self, work: &'a Workspace<T>, stage: Stage) -> &'a [Simd<T>] {
        match (stage, self.n_candidates) {
            (Stage::ByLane, _) => slice::from_ref(&self.by_lane),
            (Stage::Candidates, Some(n)) => &work.compressed.vectors[..n.div_ceil(LANES)],
            _ => &work.row.vectors,
        }
    }

    /// The sums over the row or its candidates, whose weights are kept.
    #[inline(always)]
    fn sum_and_keep(&self, work: &mut Workspace<T>, shift: Shift<T>) -> [Simd<f64>; 2] {
        let mut kept = std::mem::take(&mut work.kept);
        kept.resize(work.row.vectors.len(), Simd::splat(T::ZERO));
        let sums = lane_sums_of_pairs(
            &mut kept,
            self.scores(work, Stage::Candidates),
            #[inline(always)]
            |kept, z| {
                let weights = self.power.weights(z, shift);
                *kept = weights[0];
                weights
            },
        );
        work.kept = kept;
        sums
    }

    #[inline(always)]
    fn step(&mut self, stage: Stage) {
        let [sum, slope] = totals_of(self.sums);
        let bracket = self.bracket;
        let is_start = stage == Stage::ByLane && (1.0..1.1).contains(&sum);
        self.bracket = match is_start {
            true => Bracket {
                is_done: true,
                ..bracket
            },
            false => bracket.next::<T>(sum, self.power.residual(sum) / slope),
        };
    }
}

/// Finds s for every row with a score that can be seen.
#[inline(always)]
pub(crate) fn find_roots<T: Float, P: MappingKernel<T>>(
    rows: &mut [Option<RowRoot<T, P>>],
    group: &mut [Workspace<T>],
    stage: Stage,
) {
    // Many more than it takes.
    for _ in 0..100 {
        let mut is_done = true;
        for (row, work) in rows.iter_mut().zip(&mut *group) {
            let Some(row) = row.as_mut().filter(|row| !row.bracket.is_done) else {
                continue;
            };
            is_done = false;
            let shift = row.shift();
            row.sums = match P::KEEPS_WEIGHTS && stage != Stage::ByLane {
                true => row.sum_and_keep(work, shift),
                false => lane_sums(
                    row.scores(work, stage),
                    #[inline(always)]
                    |z| row.power.weights(z, shift),
                ),
            };
        }
        if is_done {
            break;
        }
        for row in rows.iter_mut().flatten().filter(|row| !row.bracket.is_done) {
            row.step(stage);
        }
    }
}
