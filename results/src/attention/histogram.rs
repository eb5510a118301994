//! Values sorted into equal bins, as `numpy.histogram` does.

use serde::{Deserialize, Serialize};

use crate::{Result, ResultsError};

/// `count` bins of equal width from `lower` to `upper`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bins {
    /// The lower edge of the first bin.
    pub lower: f64,
    /// The upper edge of the last bin.
    pub upper: f64,
    /// Number of bins.
    pub count: usize,
}

impl Bins {
    /// The lower edge of bin `index`; `edge(count)` is the upper edge of the last.
    pub fn edge(&self, index: usize) -> f64 {
        if index >= self.count {
            return self.upper;
        }
        index as f64 * ((self.upper - self.lower) / self.count as f64) + self.lower
    }

    /// The bin of a value: each contains its lower edge and not its upper one, the last contains both. `None`
    /// for a value outside, or that is no number.
    pub fn index(&self, value: f64) -> Option<usize> {
        if !(self.lower..=self.upper).contains(&value) {
            return None;
        }
        let share = (value - self.lower) / (self.upper - self.lower);
        let mut index = ((share * self.count as f64) as usize).min(self.count - 1);
        // The edges decide, not the rounding of the quotient.
        if value < self.edge(index) {
            index -= 1;
        } else if index + 1 < self.count && value >= self.edge(index + 1) {
            index += 1;
        }
        Some(index)
    }
}

/// How many values fell into each bin.
///
/// Values outside the range are in no bin, as in `numpy.histogram`, and are counted apart: nothing is lost, and the
/// outer bins do not lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// The bins.
    pub bins: Bins,
    /// Values in each bin.
    pub counts: Vec<u64>,
    /// Values in no bin.
    pub n_outside: u64,
}

impl Histogram {
    /// Empty bins.
    ///
    /// # Panics
    /// Without a bin or a width.
    pub fn new(bins: Bins) -> Self {
        assert!(bins.count > 0 && bins.lower < bins.upper, "{bins:?}");
        Self {
            bins,
            counts: vec![0; bins.count],
            n_outside: 0,
        }
    }

    /// The histogram of `values`.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn of(bins: Bins, values: impl IntoIterator<Item = f64>) -> Self {
        let mut histogram = Self::new(bins);
        values.into_iter().for_each(|value| histogram.add(value));
        histogram
    }

    /// Counts one value.
    pub fn add(&mut self, value: f64) {
        match self.bins.index(value) {
            Some(index) => self.counts[index] += 1,
            None => self.n_outside += 1,
        }
    }

    /// Adds the counts of another histogram, for instance of another layer.
    ///
    /// # Errors
    /// [`ResultsError::Attention`] if its bins are others.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.bins != other.bins || self.counts.len() != other.counts.len() {
            let (ours, theirs) = (self.bins, other.bins);
            return Err(ResultsError::Attention(format!(
                "histograms of {ours:?} and {theirs:?} cannot be added; use the same bins"
            )));
        }
        for (mine, more) in self.counts.iter_mut().zip(&other.counts) {
            *mine += more;
        }
        self.n_outside += other.n_outside;
        Ok(())
    }

    /// Values in all bins together.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_belong_to_the_bin_above_and_the_last_to_the_last() {
        let bins = Bins {
            lower: 0.0,
            upper: 1.0,
            count: 4,
        };
        let values = [0.0, 0.24, 0.25, 0.5, 0.74, 0.75, 1.0];
        let histogram = Histogram::of(bins, values);
        assert_eq!(histogram.counts, [2, 1, 2, 2]);
        assert_eq!((histogram.total(), histogram.n_outside), (7, 0));
    }

    #[test]
    fn every_edge_falls_into_its_own_bin() {
        for (lower, upper, count) in [(0.0, 1.0, 15), (1.0, 2.0, 15), (-0.3, 0.7, 49)] {
            let bins = Bins {
                lower,
                upper,
                count,
            };
            for index in 0..count {
                assert_eq!(bins.index(bins.edge(index)), Some(index), "{bins:?}");
                let below = f64::from_bits(bins.edge(index + 1).to_bits() - 1);
                if below > 0.0 && index + 1 < count {
                    assert_eq!(bins.index(below), Some(index), "{bins:?}");
                }
            }
            assert_eq!(bins.index(upper), Some(count - 1));
        }
    }

    #[test]
    fn values_outside_are_counted_apart() {
        let bins = Bins {
            lower: 1.0,
            upper: 2.0,
            count: 2,
        };
        let mut histogram = Histogram::of(bins, [0.99, 1.2, 2.0, 2.01, f64::NAN, f64::INFINITY]);
        assert_eq!(
            (histogram.counts.clone(), histogram.n_outside),
            (vec![1, 1], 4)
        );
        histogram.merge(&Histogram::of(bins, [1.1, 3.0])).unwrap();
        assert_eq!(
            (histogram.counts.clone(), histogram.n_outside),
            (vec![2, 1], 5)
        );
        let other = Bins { count: 3, ..bins };
        assert!(histogram.merge(&Histogram::new(other)).is_err());
    }
}
