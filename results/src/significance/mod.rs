//! Whether two systems differ by more than the choice of the test set explains.
//!
//! | score | test of the difference |
//! |---|---|
//! | BLEU, chrF, F1, Matthews, correlations, F1 of answers | [`Randomization`] over sentences, examples or questions |
//! | accuracy, exact match | [`mcnemar`], exact |
//! | perplexity | the block bootstrap: [`Bootstrap`] over segments of text (of each summed loss and tokens) |
//!
//! Every difference has the 95 % interval of the paired [`Bootstrap`] beside it. Where one system is
//! compared with several, p-values are adjusted by [`holm`].
//!
//! All of them ask what another test set of the same kind would have given for *these* models; what
//! other seeds would have given is the spread of the tables.

mod mcnemar;
mod print;
mod randomization;

pub use mcnemar::mcnemar;
pub use randomization::Randomization;

use serde::Serialize;

use crate::error::{Result, ResultsError};
use crate::metric::bootstrap::{Bootstrap, Estimate};
use crate::metric::{Metric, Outcomes, Statistic};

/// p-values below it say that systems differ.
pub const LEVEL: f64 = 0.05;

/// Numbers of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tests {
    /// Samples of the bootstrap.
    pub n_samples: usize,
    /// Trials of the randomisation.
    pub n_trials: usize,
    /// Seed of both.
    pub seed: u64,
}

impl Default for Tests {
    /// Those of sacreBLEU: 1,000 samples, 10,000 trials, seed 12345.
    fn default() -> Self {
        let Randomization { n_trials, seed } = Randomization::default();
        Self {
            n_samples: Bootstrap::default().n_samples,
            n_trials,
            seed,
        }
    }
}

/// A system under one score.
#[derive(Debug, Clone, Copy)]
pub struct System<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What each unit of the test set adds to its score.
    pub outcomes: &'a Outcomes,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Score {
    /// Which score.
    pub metric: Metric,
    /// Its protocol, the same for every system.
    pub signature: String,
    /// What the test set consists of: `sentences`, `segments of 64 words`.
    pub units: String,
}

/// Systems compared with one of them, under one score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The score.
    #[serde(flatten)]
    pub score: Score,
    /// Number of units of the test set.
    pub n_units: usize,
    /// The numbers of the tests.
    pub tests: Tests,
    /// What the others are compared with.
    pub baseline: String,
    /// Its score.
    pub baseline_score: f64,
    /// Half its 95 % interval.
    pub baseline_ci: f64,
    /// The others.
    pub systems: Vec<Compared>,
}

/// One system compared with the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// What it is called.
    pub name: String,
    /// Its score.
    pub score: f64,
    /// Half its 95 % interval.
    pub ci: f64,
    /// Its score less the baseline's.
    pub difference: f64,
    /// The 95 % interval of the difference, by the paired bootstrap.
    pub interval: [f64; 2],
    /// Which test `p` is of.
    pub test: Test,
    /// How often a difference as large comes from chance alone.
    pub p: f64,
    /// The same, adjusted for all systems of the comparison ([`holm`]).
    pub p_holm: f64,
    /// By the paired bootstrap.
    pub p_bootstrap: f64,
    /// By the paired bootstrap as `sacrebleu --paired-bs` has it; of BLEU and chrF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_sacrebleu_bootstrap: Option<f64>,
    /// Units that one system alone got right: the baseline, this one; of accuracy and exact match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discordant: Option<[u64; 2]>,
    /// What follows.
    pub verdict: Decision,
}

/// A test of one difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Paired approximate randomisation.
    Randomization,
    /// McNemar's, exact.
    Mcnemar,
    /// The paired bootstrap over blocks of text.
    BlockBootstrap,
}

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Every unit of the test set has the same outcome.
    Same,
    /// The interval covers 0, or chance explains the difference.
    NoDifference,
    /// Better than the baseline.
    Better,
    /// Worse than the baseline.
    Worse,
}

impl Tests {
    /// Compares every system with `baseline`.
    ///
    /// # Errors
    /// [`ResultsError::Empty`] without a system, [`ResultsError::Units`] for outcomes that do not go
    /// together, [`ResultsError::MetricSetting`] without samples or trials.
    pub fn compare(
        &self,
        score: &Score,
        baseline: System<'_>,
        systems: &[System<'_>],
    ) -> Result<Comparison> {
        let mut compared = Vec::with_capacity(systems.len());
        let mut estimate = None;
        for system in systems {
            let (of_baseline, one) = self.pair(score.metric, baseline, *system)?;
            estimate = Some(of_baseline);
            compared.push(one);
        }
        let estimate = estimate.ok_or(ResultsError::Empty)?;
        let p: Vec<f64> = compared.iter().map(|of| of.p).collect();
        for (of, p_holm) in compared.iter_mut().zip(holm(&p)) {
            of.p_holm = p_holm;
            of.verdict = of.verdict.unless_explained(of.interval, p_holm);
        }
        Ok(Comparison {
            score: score.clone(),
            n_units: baseline.outcomes.n_units(),
            tests: *self,
            baseline: baseline.name.to_owned(),
            baseline_score: estimate.score,
            baseline_ci: estimate.ci,
            systems: compared,
        })
    }

    fn pair(
        &self,
        metric: Metric,
        baseline: System<'_>,
        system: System<'_>,
    ) -> Result<(Estimate, Compared)> {
        let (a, b) = (baseline.outcomes, system.outcomes);
        let bootstrap = Bootstrap {
            n_samples: self.n_samples,
            seed: self.seed,
        }
        .paired(a, b)?;
        let randomization = Randomization {
            n_trials: self.n_trials,
            seed: self.seed,
        };
        let discordant = (a.is_binary() && b.is_binary()).then(|| discordant(a, b));
        let (test, p) = match (a.statistic(), discordant) {
            (_, Some([only_a, only_b])) => (Test::Mcnemar, mcnemar(only_a, only_b)),
            (Statistic::Perplexity, None) => (Test::BlockBootstrap, bootstrap.p_value),
            // Of masked word pieces, of which a window of text has several.
            (Statistic::Percent, None) if metric == Metric::Accuracy => {
                (Test::BlockBootstrap, bootstrap.p_value)
            }
            (
                Statistic::Bleu(_)
                | Statistic::MultiBleu(_)
                | Statistic::Chrf(_)
                | Statistic::Percent
                | Statistic::F1
                | Statistic::Matthews
                | Statistic::Numbers(_),
                None,
            ) => (Test::Randomization, randomization.p_value(a, b)?),
        };
        let is_text = match a.statistic() {
            Statistic::Bleu(_) | Statistic::MultiBleu(_) | Statistic::Chrf(_) => true,
            Statistic::Perplexity | Statistic::Percent => false,
            Statistic::F1 | Statistic::Matthews | Statistic::Numbers(_) => false,
        };
        let is_better = (bootstrap.difference > 0.0) == metric.is_higher_better();
        let verdict = match (a == b, is_better) {
            (true, _) => Decision::Same,
            (false, true) => Decision::Better,
            (false, false) => Decision::Worse,
        };
        let compared = Compared {
            name: system.name.to_owned(),
            score: bootstrap.system.score,
            ci: bootstrap.system.ci,
            difference: bootstrap.difference,
            interval: bootstrap.interval,
            test,
            p,
            p_holm: p,
            p_bootstrap: bootstrap.p_value,
            p_sacrebleu_bootstrap: is_text.then_some(bootstrap.sacrebleu_p_value),
            discordant,
            verdict,
        };
        Ok((bootstrap.baseline, compared))
    }
}

impl Decision {
    /// The same where neither the interval nor the test leave it to chance.
    fn unless_explained(self, [low, high]: [f64; 2], p: f64) -> Self {
        let is_explained = (low <= 0.0 && high >= 0.0) || p >= LEVEL;
        match self {
            Self::Better | Self::Worse if is_explained => Self::NoDifference,
            Self::Same | Self::NoDifference | Self::Better | Self::Worse => self,
        }
    }
}

/// Units that one system alone got right.
fn discordant(a: &Outcomes, b: &Outcomes) -> [u64; 2] {
    let mut only = [0, 0];
    for unit in 0..a.n_units().min(b.n_units()) {
        let right = |of: &Outcomes| of.row(unit)[0] == 1.0;
        match (right(a), right(b)) {
            (true, false) => only[0] += 1,
            (false, true) => only[1] += 1,
            (true, true) | (false, false) => {}
        }
    }
    only
}

/// p-values adjusted for their number: of m in rising order the k-th times m − k + 1, at least the
/// one before and at most 1 (Holm, 1979). Rejecting below a level then rejects any true hypothesis
/// with at most that probability.
///
/// ```
/// assert_eq!(sparta_results::significance::holm(&[0.04, 0.01, 0.03]), [0.06, 0.03, 0.06]);
/// ```
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut most: f64 = 0.0;
    for (k, &at) in order.iter().enumerate() {
        most = most.max((p.len() - k) as f64 * p[at]).min(1.0);
        adjusted[at] = most;
    }
    adjusted
}
