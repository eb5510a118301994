//! Scores: their names, their values and the signatures that say under which protocol they were taken.

pub mod ngram;
mod perplexity;

pub use perplexity::{Perplexity, PerplexitySignature};

use serde::{Deserialize, Serialize};

/// Name of a score; a new one makes the compiler point at every place that must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// `exp` of the mean negative log-likelihood of a token, see [`Perplexity`].
    Perplexity,
}

impl Metric {
    /// The name as it stands in records and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Perplexity => "perplexity",
        }
    }

    /// `↓` if less is better, `↑` if more is better.
    pub fn arrow(self) -> &'static str {
        match self {
            Self::Perplexity => "↓",
        }
    }

    /// Decimal places in tables for people.
    pub fn decimals(self) -> usize {
        match self {
            Self::Perplexity => 3,
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
