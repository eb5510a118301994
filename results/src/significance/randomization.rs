//! Approximate randomisation.

use crate::error::{Result, ResultsError};
use crate::metric::Outcomes;
use crate::metric::bootstrap::{NumpyRandom, rounding};

/// The paired test by approximate randomisation (Noreen, 1989; of translations: Riezler and Maxwell,
/// 2005): if two systems were the same, their outcomes on any unit could change places.
///
/// The coins are those that sacreBLEU throws with the same seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Randomization {
    /// How often the units change places, each with probability 1/2.
    pub n_trials: usize,
    /// Seed of the coins.
    pub seed: u64,
}

impl Default for Randomization {
    /// sacreBLEU's: 10,000 trials, seed 12345.
    fn default() -> Self {
        Self {
            n_trials: 10_000,
            seed: 12345,
        }
    }
}

impl Randomization {
    /// `(1 + #{trials with |Δ*| ≥ |Δ|}) / (1 + n_trials)`, Δ being the difference and Δ* that of a
    /// trial.
    ///
    /// sacreBLEU counts `|Δ*| > |Δ|`, so that systems which differ in one sentence alone, where every
    /// trial has |Δ*| = |Δ|, get the smallest p there is; with ≥ it is 1. Without ties both agree.
    ///
    /// # Errors
    /// [`ResultsError::Units`] for outcomes that do not go together, [`ResultsError::MetricSetting`]
    /// without trials.
    pub fn p_value(&self, baseline: &Outcomes, system: &Outcomes) -> Result<f64> {
        baseline.check_pair(system)?;
        if self.n_trials == 0 {
            return Err(ResultsError::MetricSetting {
                what: "randomisation",
                found: "0 trials".into(),
                expected: "at least one, in general 10000",
            });
        }
        let (a, b) = (baseline.score(), system.score());
        let least = (b - a).abs() - rounding(a, b);
        let mut random = NumpyRandom::new(self.seed);
        let n = baseline.n_units();
        let mut is_kept = vec![true; n];
        let mut n_as_large = 0;
        for _ in 0..self.n_trials {
            is_kept.fill_with(|| random.flip());
            let difference =
                shuffled(system, baseline, &is_kept) - shuffled(baseline, system, &is_kept);
            n_as_large += usize::from(difference.abs() >= least);
        }
        Ok((n_as_large + 1) as f64 / (self.n_trials + 1) as f64)
    }
}

/// The score with the rows of `kept` where a unit keeps its place, and those of `other` elsewhere.
fn shuffled(kept: &Outcomes, other: &Outcomes, is_kept: &[bool]) -> f64 {
    let row = |(unit, &is_kept): (usize, &bool)| match is_kept {
        true => kept.row(unit),
        false => other.row(unit),
    };
    kept.score_of(is_kept.iter().enumerate().map(row))
}
