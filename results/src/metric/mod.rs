//! Scores: their names, their values and the signatures that say under which protocol they were
//! taken.

pub mod bleu;
pub mod bootstrap;
pub mod chrf;
pub mod classes;
mod corpus;
pub mod correlation;
pub mod glue;
mod outcomes;
mod perplexity;
mod signature;
pub mod squad;
pub mod squad_v2;

pub use corpus::{CorpusMetric, ReferenceCount, Statistics};
pub use outcomes::{Outcomes, Statistic};
pub use perplexity::{Perplexity, PerplexitySignature};
pub use signature::{ScoreSignature, TaskSignature};

use serde::{Deserialize, Serialize};

/// Name of a score; a new one makes the compiler point at every place that must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// `exp` of the mean negative log-likelihood of a token, 1 or more, see [`Perplexity`].
    Perplexity,
    /// `exp` of the mean negative log-likelihood of a hidden token given all others, see [`Perplexity`]
    /// (Salazar et al. 2020, equation 3).
    PseudoPerplexity,
    /// N-gram precision of a translation, 0 to 100, see [`bleu`].
    Bleu,
    /// Character n-gram F score of a translation, 0 to 100, see [`chrf`].
    Chrf,
    /// Percentage of right classes, see [`classes::accuracy`].
    Accuracy,
    /// F1 of class 1, 0 to 100, see [`classes::f1`].
    F1,
    /// Matthews correlation, −100 to 100, see [`classes::matthews`].
    Matthews,
    /// Pearson's correlation, −100 to 100, see [`correlation::pearson`].
    Pearson,
    /// Spearman's correlation, −100 to 100, see [`correlation::spearman`].
    Spearman,
    /// Mean of Pearson's and Spearman's correlations, −100 to 100, GLUE's score of STS-B.
    PearsonSpearman,
    /// Mean squared error of a predicted number, see [`correlation::mean_squared_error`].
    MeanSquaredError,
    /// Percentage of answers that are right to the word, see [`squad`].
    ExactMatch,
    /// Mean F1 of the words of answers, 0 to 100, see [`squad`].
    AnswerF1,
    /// Percentage of the questions with an answer that are answered right to the word, see [`squad_v2`].
    HasAnswerExact,
    /// Mean F1 over the questions with an answer, 0 to 100.
    HasAnswerF1,
    /// Percentage of the questions without an answer that get none; F1 over them is the same.
    NoAnswerExact,
    /// Exact match at the best threshold of no answer.
    BestExact,
    /// That threshold.
    BestExactThreshold,
    /// F1 at the best threshold of no answer.
    BestF1,
    /// That threshold.
    BestF1Threshold,
    /// Time taken, in seconds.
    Seconds,
    /// Memory taken at most, in 10⁹ bytes.
    Gigabytes,
}

/// How two values of a score are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// In percent of the value compared with.
    Relative,
    /// In points, for scores that are percentages themselves.
    Points,
}

impl Metric {
    /// The name as it stands in records and csv.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Perplexity => "perplexity",
            Self::PseudoPerplexity => "pseudo-perplexity",
            Self::Bleu => "bleu",
            Self::Chrf => "chrf",
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::Matthews => "matthews",
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
            Self::PearsonSpearman => "pearson-spearman",
            Self::MeanSquaredError => "mean-squared-error",
            Self::ExactMatch => "exact-match",
            Self::AnswerF1 => "answer-f1",
            Self::HasAnswerExact => "has-answer-exact",
            Self::HasAnswerF1 => "has-answer-f1",
            Self::NoAnswerExact => "no-answer-exact",
            Self::BestExact => "best-exact",
            Self::BestExactThreshold => "best-exact-threshold",
            Self::BestF1 => "best-f1",
            Self::BestF1Threshold => "best-f1-threshold",
            Self::Seconds => "seconds",
            Self::Gigabytes => "gigabytes",
        }
    }

    /// The name as people write it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Perplexity => "perplexity",
            Self::PseudoPerplexity => "pseudo-perplexity",
            Self::Bleu => "BLEU",
            Self::Chrf => "chrF",
            Self::Accuracy => "accuracy",
            Self::F1 => "F1",
            Self::Matthews => "Matthews correlation",
            Self::Pearson => "Pearson correlation",
            Self::Spearman => "Spearman correlation",
            Self::PearsonSpearman => "mean of Pearson and Spearman correlation",
            Self::MeanSquaredError => "mean squared error",
            Self::ExactMatch => "exact match",
            Self::AnswerF1 => "F1 of answers",
            Self::HasAnswerExact => "exact match, has answer",
            Self::HasAnswerF1 => "F1, has answer",
            Self::NoAnswerExact => "exact match, no answer",
            Self::BestExact => "best exact match",
            Self::BestExactThreshold => "threshold of best exact match",
            Self::BestF1 => "best F1",
            Self::BestF1Threshold => "threshold of best F1",
            Self::Seconds => "time (s)",
            Self::Gigabytes => "memory (GB)",
        }
    }

    /// Whether more is better; of a threshold neither is.
    pub fn is_higher_better(self) -> bool {
        match self {
            Self::Perplexity | Self::PseudoPerplexity => false,
            Self::MeanSquaredError | Self::Seconds | Self::Gigabytes => false,
            Self::BestExactThreshold | Self::BestF1Threshold => false,
            Self::Bleu | Self::Chrf | Self::ExactMatch | Self::AnswerF1 => true,
            Self::HasAnswerExact | Self::HasAnswerF1 | Self::NoAnswerExact => true,
            Self::BestExact | Self::BestF1 => true,
            Self::Accuracy | Self::F1 | Self::Matthews => true,
            Self::Pearson | Self::Spearman | Self::PearsonSpearman => true,
        }
    }

    /// Place among several scores of one model, the one that stands for it first; none of what it costs and of thresholds.
    pub fn precedence(self) -> Option<u8> {
        match self {
            Self::Perplexity | Self::PseudoPerplexity | Self::Bleu | Self::AnswerF1 => Some(0),
            // As GLUE has them, before the accuracy and correlations beside them.
            Self::F1 | Self::Matthews | Self::PearsonSpearman => Some(0),
            Self::Accuracy | Self::ExactMatch | Self::Chrf => Some(1),
            Self::Pearson | Self::Spearman | Self::MeanSquaredError => Some(1),
            Self::HasAnswerExact | Self::HasAnswerF1 | Self::NoAnswerExact => Some(2),
            Self::BestExact | Self::BestF1 => Some(2),
            Self::BestExactThreshold | Self::BestF1Threshold => None,
            Self::Seconds | Self::Gigabytes => None,
        }
    }

    /// `↓` if less is better, `↑` if more is better, `=` of a threshold.
    pub fn arrow(self) -> &'static str {
        let is_threshold = matches!(self, Self::BestExactThreshold | Self::BestF1Threshold);
        match (is_threshold, self.is_higher_better()) {
            (true, _) => "=",
            (false, true) => "↑",
            (false, false) => "↓",
        }
    }

    /// Decimal places in tables for people.
    pub fn decimals(self) -> usize {
        match self {
            Self::Perplexity | Self::PseudoPerplexity | Self::MeanSquaredError => 3,
            Self::Bleu | Self::Chrf | Self::ExactMatch | Self::AnswerF1 => 2,
            Self::HasAnswerExact | Self::HasAnswerF1 | Self::NoAnswerExact => 2,
            Self::BestExact | Self::BestF1 => 2,
            Self::BestExactThreshold | Self::BestF1Threshold => 3,
            Self::Accuracy | Self::F1 | Self::Matthews => 2,
            Self::Pearson | Self::Spearman | Self::PearsonSpearman => 2,
            Self::Seconds | Self::Gigabytes => 2,
        }
    }

    /// How tables show a change.
    pub fn difference(self) -> Difference {
        match self {
            Self::Perplexity | Self::PseudoPerplexity => Difference::Relative,
            Self::MeanSquaredError => Difference::Relative,
            Self::Seconds | Self::Gigabytes => Difference::Relative,
            Self::Bleu | Self::Chrf | Self::ExactMatch | Self::AnswerF1 => Difference::Points,
            Self::HasAnswerExact | Self::HasAnswerF1 | Self::NoAnswerExact => Difference::Points,
            Self::BestExact | Self::BestF1 => Difference::Points,
            Self::BestExactThreshold | Self::BestF1Threshold => Difference::Points,
            Self::Accuracy | Self::F1 | Self::Matthews => Difference::Points,
            Self::Pearson | Self::Spearman | Self::PearsonSpearman => Difference::Points,
        }
    }

    /// The values that are possible.
    pub fn range(self) -> std::ops::RangeInclusive<f64> {
        match self {
            // A score that overflowed is kept out of tables, not out of records.
            Self::Perplexity | Self::PseudoPerplexity => 0.0..=f64::INFINITY,
            Self::MeanSquaredError => 0.0..=f64::INFINITY,
            Self::Seconds | Self::Gigabytes => 0.0..=f64::INFINITY,
            Self::Bleu | Self::Chrf | Self::ExactMatch | Self::AnswerF1 => 0.0..=100.0,
            Self::HasAnswerExact | Self::HasAnswerF1 | Self::NoAnswerExact => 0.0..=100.0,
            Self::BestExact | Self::BestF1 => 0.0..=100.0,
            Self::BestExactThreshold | Self::BestF1Threshold => f64::MIN..=f64::MAX,
            Self::Accuracy | Self::F1 => 0.0..=100.0,
            Self::Matthews | Self::Pearson | Self::Spearman => -100.0..=100.0,
            Self::PearsonSpearman => -100.0..=100.0,
        }
    }
}

/// Rounding error that a value may have beyond a bound of its range, relative to the bound.
const ROUNDING: f64 = 1e-9;

/// A value of `range`, where one that lies beyond a bound by rounding error alone is the bound: the BLEU of
/// perfect translations is computed as 100.00000000000004. Any other value is left as it is.
pub(crate) fn without_rounding(range: &std::ops::RangeInclusive<f64>, value: f64) -> f64 {
    let nearest = value.clamp(*range.start(), *range.end());
    let size = range.start().abs().max(range.end().abs());
    let is_rounding = size.is_finite() && (value - nearest).abs() <= ROUNDING * size;
    if is_rounding { nearest } else { value }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
