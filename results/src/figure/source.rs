//! What several figures share.

use serde::{Deserialize, Serialize};

/// What the numbers of a figure were measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The run, such as `iwslt-small`, with its seed where one was measured.
    pub run: String,
    /// Corpus and split, such as `Multi30k de-en, valid`; the published panels name theirs.
    pub corpus: String,
    /// How many sequences (sentences, pairs, windows) were read; none where only parameters were.
    pub n_sequences: Option<u64>,
}

/// Shares of values in bins of equal width. The last bin includes its upper end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// Lower end of the first bin.
    pub low: f64,
    /// Upper end of the last bin.
    pub high: f64,
    /// Share of the values in each bin; they sum to 1.
    pub shares: Vec<f64>,
    /// How many values were counted, where that is known.
    pub n: Option<u64>,
}

impl Histogram {
    /// The shares of `counts` on `low..high`.
    pub fn of_counts(low: f64, high: f64, counts: &[u64]) -> Self {
        let n: u64 = counts.iter().sum();
        let share = |&count: &u64| count as f64 / n.max(1) as f64;
        Self {
            low,
            high,
            shares: counts.iter().map(share).collect(),
            n: Some(n),
        }
    }
}
