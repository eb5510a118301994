//! What several figures share.

use serde::{Deserialize, Serialize};

use super::table::optional;
use crate::attention::Histogram;
use crate::chart::Axis;

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

/// A histogram as shares of the values, as figures are published; the last bin includes its upper
/// end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Lower end of the first bin.
    pub low: f64,
    /// Upper end of the last bin.
    pub high: f64,
    /// Share of the values in each bin; they sum to 1.
    pub shares: Vec<f64>,
    /// How many values were counted, where that is known.
    pub n: Option<u64>,
}

impl Shares {
    /// Lower end, upper end and share of each bin.
    pub(super) fn bins(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        let width = (self.high - self.low) / self.shares.len().max(1) as f64;
        let end = move |at: usize| self.low + width * at as f64;
        let bins = self.shares.iter().enumerate();
        bins.map(move |(at, &share)| (end(at), end(at + 1), share))
    }

    /// Lines of a CSV: lower end, upper end, share, number of all values.
    pub(super) fn lines(&self) -> impl Iterator<Item = [String; 4]> {
        let line = |(low, high, share): (f64, f64, f64)| {
            let ends = [low, high].map(|end| format!("{end:.4}"));
            let [low, high] = ends;
            [low, high, share.to_string(), optional(self.n)]
        };
        self.bins().map(line)
    }

    /// A y axis in percent with room above the highest bin of all.
    pub(super) fn axis<'a>(all: impl Iterator<Item = &'a Self>, name: &str) -> Axis {
        let shares = all.flat_map(|histogram| &histogram.shares);
        let highest = shares.copied().fold(0.01, f64::max);
        Axis::linear(name, 0.0, 115.0 * highest, 4)
    }
}

impl From<&Histogram> for Shares {
    fn from(histogram: &Histogram) -> Self {
        let n: u64 = histogram.counts.iter().sum();
        let share = |&count: &u64| count as f64 / n.max(1) as f64;
        Self {
            low: histogram.bins.lower,
            high: histogram.bins.upper,
            shares: histogram.counts.iter().map(share).collect(),
            n: Some(n),
        }
    }
}
