//! How sure a score is: bootstrap resampling of the test sentences (Koehn, 2004), as sacreBLEU does
//! it.

mod random;

use crate::error::{Result, ResultsError};
use crate::metric::corpus::{CorpusMetric, Statistics};
use random::NumpyRandom;

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

/// A score with the spread that the choice of test sentences gives it.
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

/// Two systems on the same test set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The system compared with.
    pub baseline: Estimate,
    /// The other one.
    pub system: Estimate,
    /// How often a difference as large as the real one comes from the choice of sentences alone;
    /// below 0.05 the systems differ.
    pub p_value: f64,
}

impl Bootstrap {
    /// Score of one system with its confidence interval.
    ///
    /// # Errors
    /// See [`CorpusMetric::statistics`]; [`ResultsError::MetricSetting`] without samples.
    pub fn confidence<M: CorpusMetric, H: AsRef<str>, R: AsRef<str>>(
        &self,
        metric: &M,
        hypotheses: &[H],
        references: &[Vec<R>],
    ) -> Result<Estimate> {
        let statistics = metric.statistics(hypotheses, references)?;
        let scores = self.scores(metric, [&statistics])?;
        Ok(estimate(
            metric,
            &statistics,
            scores.into_iter().map(|[score]| score).collect(),
        ))
    }

    /// Paired test of `system` against `baseline`: both are scored on the same samples.
    ///
    /// `p = (1 + #{samples with | |Δ*| − mean |Δ*| > |Δ| }) / (1 + n_samples)`, Δ being the
    /// difference on the whole test set and Δ* that on a sample.
    ///
    /// # Errors
    /// See [`CorpusMetric::statistics`]; [`ResultsError::MetricSetting`] without samples.
    pub fn paired<M: CorpusMetric, B: AsRef<str>, H: AsRef<str>, R: AsRef<str>>(
        &self,
        metric: &M,
        baseline: &[B],
        system: &[H],
        references: &[Vec<R>],
    ) -> Result<Comparison> {
        let baseline = metric.statistics(baseline, references)?;
        let system = metric.statistics(system, references)?;
        let pairs = self.scores(metric, [&baseline, &system])?;
        let (of_baseline, of_system) = pairs.iter().map(|[b, s]| (*b, *s)).unzip();
        let (baseline, system) = (
            estimate(metric, &baseline, of_baseline),
            estimate(metric, &system, of_system),
        );
        let differences: Vec<f64> = pairs.iter().map(|[b, s]| (s - b).abs()).collect();
        let mean = mean(&differences);
        let real = (baseline.score - system.score).abs();
        let n_beyond = differences.iter().filter(|of| **of - mean > real).count();
        let p_value = (n_beyond + 1) as f64 / (self.n_samples + 1) as f64;
        Ok(Comparison {
            baseline,
            system,
            p_value,
        })
    }

    /// Scores of each sample, all systems on the same sentences.
    fn scores<M: CorpusMetric, const N: usize>(
        &self,
        metric: &M,
        systems: [&Statistics; N],
    ) -> Result<Vec<[f64; N]>> {
        let n_sentences = systems.first().map_or(0, |of| of.n_sentences());
        let range = u32::try_from(n_sentences).unwrap_or(u32::MAX);
        if self.n_samples == 0 || range == u32::MAX {
            return Err(ResultsError::MetricSetting {
                what: "bootstrap",
                found: format!("{} samples of {n_sentences} sentences", self.n_samples),
                expected: "at least one sample, in general 1000, of fewer than 2^32 sentences",
            });
        }
        let mut random = NumpyRandom::new(self.seed);
        let mut sample = vec![0; n_sentences];
        let draw = |_| {
            sample.fill_with(|| random.below(range) as usize);
            systems.map(|system| metric.score_of(&system.sum(sample.iter().copied())))
        };
        Ok((0..self.n_samples).map(draw).collect())
    }
}

fn estimate<M: CorpusMetric>(
    metric: &M,
    statistics: &Statistics,
    mut scores: Vec<f64>,
) -> Estimate {
    scores.sort_by(f64::total_cmp);
    let cut = scores.len() / 40;
    Estimate {
        score: metric.score_of(&statistics.total()),
        mean: mean(&scores),
        ci: 0.5 * (scores[scores.len() - cut - 1] - scores[cut]),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
