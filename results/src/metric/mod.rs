//! Scores: their names, their values and the signatures that say under which protocol they were taken.

pub mod bleu;
pub mod bootstrap;
pub mod chrf;
mod corpus;
pub mod ngram;
mod perplexity;
mod signature;

pub use corpus::{CorpusMetric, ReferenceCount, Statistics};
pub use perplexity::{Perplexity, PerplexitySignature};
pub use signature::ScoreSignature;

use serde::{Deserialize, Serialize};

/// Name of a score; a new one makes the compiler point at every place that must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// `exp` of the mean negative log-likelihood of a token, see [`Perplexity`].
    Perplexity,
    /// N-gram precision of a translation, see [`bleu`].
    Bleu,
    /// Character n-gram F score of a translation, see [`chrf`].
    Chrf,
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
            Self::Bleu => "bleu",
            Self::Chrf => "chrf",
        }
    }

    /// The name as people write it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Perplexity => "perplexity",
            Self::Bleu => "BLEU",
            Self::Chrf => "chrF",
        }
    }

    /// Whether more is better.
    pub fn is_higher_better(self) -> bool {
        match self {
            Self::Perplexity => false,
            Self::Bleu | Self::Chrf => true,
        }
    }

    /// `↓` if less is better, `↑` if more is better.
    pub fn arrow(self) -> &'static str {
        if self.is_higher_better() {
            "↑"
        } else {
            "↓"
        }
    }

    /// Decimal places in tables for people.
    pub fn decimals(self) -> usize {
        match self {
            Self::Perplexity => 3,
            Self::Bleu | Self::Chrf => 2,
        }
    }

    /// How tables show a change.
    pub fn difference(self) -> Difference {
        match self {
            Self::Perplexity => Difference::Relative,
            Self::Bleu | Self::Chrf => Difference::Points,
        }
    }

    /// The values that are possible.
    pub fn range(self) -> std::ops::RangeInclusive<f64> {
        match self {
            // A score that overflowed is kept out of tables, not out of records.
            Self::Perplexity => 0.0..=f64::INFINITY,
            Self::Bleu | Self::Chrf => 0.0..=100.0,
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
