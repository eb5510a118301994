//! How sure a score is: bootstrap resampling of the units of the test set (Efron, 1979; of the
//! sentences of a translation: Koehn, 2004), with the samples of sacreBLEU.

mod random;

pub(crate) use random::NumpyRandom;

use crate::error::{Result, ResultsError};
use crate::metric::outcomes::Outcomes;

/// Resampling of the test set. The samples are those that sacreBLEU draws with the same seed: the
/// generator is numpy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// Number of samples, each as long as the test set.
    pub n_samples: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// sacreBLEU's: 1000 samples, seed 12345.
    fn default() -> Self {
        Self {
            n_samples: 1000,
            seed: 12345,
        }
    }
}

/// A score with the spread that the choice of test units gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Score of the whole test set.
    pub score: f64,
    /// Mean score of the samples.
    pub mean: f64,
    /// Half the width of the interval that holds 95 % of the samples' scores.
    pub ci: f64,
}

impl std::fmt::Display for Estimate {
    /// `48.89 (μ = 48.71 ± 1.02)`, as sacreBLEU prints it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let decimals = f.precision().unwrap_or(2);
        let Self { score, mean, ci } = self;
        write!(
            f,
            "{score:.decimals$} (μ = {mean:.decimals$} ± {ci:.decimals$})"
        )
    }
}

/// The difference of two systems on the same test set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedBootstrap {
    /// The system compared with.
    pub baseline: Estimate,
    /// The other one.
    pub system: Estimate,
    /// Score of the system less that of the baseline.
    pub difference: f64,
    /// The interval that holds 95 % of the samples' differences.
    pub interval: [f64; 2],
    /// How often a difference as large as the real one comes from the choice of units alone, in
    /// either direction: `(1 + #{|Δ* − mean Δ*| ≥ |Δ|}) / (1 + n_samples)`.
    pub p_value: f64,
    /// The same as sacreBLEU has it: `(1 + #{|Δ*| − mean |Δ*| > |Δ|}) / (1 + n_samples)`. It is about
    /// half of the other one for systems that differ, and not 1 for systems that are the same.
    pub sacrebleu_p_value: f64,
}

impl Bootstrap {
    /// Paired test of `system` against `baseline`: both are scored on the same samples.
    ///
    /// Δ is the difference on the whole test set and Δ* that on a sample.
    ///
    /// # Errors
    /// [`ResultsError::Units`] for outcomes that do not go together, [`ResultsError::MetricSetting`]
    /// without samples.
    pub fn paired(&self, baseline: &Outcomes, system: &Outcomes) -> Result<PairedBootstrap> {
        baseline.check_pair(system)?;
        let pairs = self.scores([baseline, system])?;
        let mut differences: Vec<f64> = pairs.iter().map(|[b, s]| s - b).collect();
        let (of_baseline, of_system) = pairs.iter().map(|[b, s]| (*b, *s)).unzip();
        let (baseline, system) = (
            estimate(baseline.score(), of_baseline),
            estimate(system.score(), of_system),
        );
        let difference = system.score - baseline.score;
        let share = |n: usize| (n + 1) as f64 / (self.n_samples + 1) as f64;
        let mean_difference = mean(differences.iter().copied());
        let least = difference.abs() - rounding(baseline.score, system.score);
        let as_large = |of: &&f64| (**of - mean_difference).abs() >= least;
        let p_value = share(differences.iter().filter(as_large).count());
        let mean_size = mean(differences.iter().map(|of| of.abs()));
        let beyond = |of: &&f64| of.abs() - mean_size > difference.abs();
        let sacrebleu_p_value = share(differences.iter().filter(beyond).count());
        differences.sort_by(f64::total_cmp);
        Ok(PairedBootstrap {
            baseline,
            system,
            difference,
            interval: middle(&differences),
            p_value,
            sacrebleu_p_value,
        })
    }

    /// Scores of each sample, all systems on the same units.
    fn scores<const N: usize>(&self, systems: [&Outcomes; N]) -> Result<Vec<[f64; N]>> {
        let n_units = systems.first().map_or(0, |of| of.n_units());
        let range = u32::try_from(n_units).unwrap_or(u32::MAX);
        if self.n_samples == 0 || range == u32::MAX {
            return Err(ResultsError::MetricSetting {
                what: "bootstrap",
                found: format!("{} samples of {n_units} units", self.n_samples),
                expected: "at least one sample, in general 1000, of fewer than 2^32 units",
            });
        }
        let mut random = NumpyRandom::new(self.seed);
        let mut sample = vec![0; n_units];
        let draw = |_| {
            sample.fill_with(|| random.below(range) as usize);
            systems.map(|system| system.score_of(sample.iter().map(|&unit| system.row(unit))))
        };
        Ok((0..self.n_samples).map(draw).collect())
    }
}

/// What two scores that are equal may differ by after sums in another order.
pub(crate) fn rounding(a: f64, b: f64) -> f64 {
    1e-12 * (a.abs() + b.abs())
}

fn estimate(score: f64, mut scores: Vec<f64>) -> Estimate {
    scores.sort_by(f64::total_cmp);
    let [low, high] = middle(&scores);
    Estimate {
        score,
        mean: mean(scores.iter().copied()),
        ci: 0.5 * (high - low),
    }
}

/// The interval that holds 95 % of sorted values, at least one.
fn middle(sorted: &[f64]) -> [f64; 2] {
    let cut = sorted.len() / 40;
    [sorted[cut], sorted[sorted.len() - cut - 1]]
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}
