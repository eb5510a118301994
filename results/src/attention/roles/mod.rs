//! Roles of heads: what a head attends to whatever the sentence says.
//!
//! No code was released for these; the formulas are ours from the wording of AST, section 5.2.

mod interrogation;
mod merging;
mod positional;
mod score;

pub use interrogation::{
    ENGLISH_INTERROGATIVES, GERMAN_INTERROGATIVES, INTERROGATION_BAR, Interrogation, Question,
    interrogation_score,
};
pub use merging::{MERGING_BAR, Merging, join_hyphenated, merging_score, within_cluster};
pub use positional::{POSITIONAL_BAR, Positional, positional_confidence};
pub use score::{HeadScore, best_head, median_score, passing_heads, ranked_heads};

use crate::Result;

/// A mean for each head: the same number of values for all of them.
#[derive(Debug, Clone, PartialEq)]
struct HeadMeans {
    sums: Vec<f64>,
    n: u64,
}

impl HeadMeans {
    fn new(n_heads: usize) -> Self {
        Self {
            sums: vec![0.0; n_heads],
            n: 0,
        }
    }

    const fn n_heads(&self) -> usize {
        self.sums.len()
    }

    /// Adds the mean of `n` further values of each head; nothing where one of them is an error.
    fn add(&mut self, n: usize, mean_of: impl Fn(usize) -> Result<Option<f64>>) -> Result<()> {
        let means: Vec<Option<f64>> = (0..self.n_heads()).map(mean_of).collect::<Result<_>>()?;
        for (sum, mean) in self.sums.iter_mut().zip(means) {
            *sum += mean.map_or(0.0, |mean| mean * n as f64);
        }
        self.n += n as u64;
        Ok(())
    }

    /// Empty before the first value.
    fn means(&self) -> Vec<f64> {
        match self.n {
            0 => Vec::new(),
            n => self.sums.iter().map(|sum| sum / n as f64).collect(),
        }
    }
}
