//! Unigram model with add-one smoothing.

use super::{NgramModel, check_stream};
use crate::error::Result;

/// `p(w) = (c(w) + 1) / (N + V)`: no token of the vocabulary has probability zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Unigram {
    counts: Vec<u64>,
    total: u64,
}

impl Unigram {
    /// Counts the token ids of `train` over a vocabulary of `vocab_size` ids.
    ///
    /// # Errors
    /// An empty stream, an id outside the vocabulary, or a vocabulary that is empty or too large.
    pub fn count(train: &[u32], vocab_size: usize) -> Result<Self> {
        check_stream(train, vocab_size, 1)?;
        let mut counts = vec![0; vocab_size];
        for &id in train {
            counts[id as usize] += 1;
        }
        Ok(Self {
            counts,
            total: train.len() as u64,
        })
    }
}

impl NgramModel for Unigram {
    fn vocab_size(&self) -> usize {
        self.counts.len()
    }

    fn probability(&self, _context: &[u32], token: u32) -> f64 {
        let count = self.counts.get(token as usize).copied().unwrap_or(0);
        (count + 1) as f64 / (self.total + self.counts.len() as u64) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_one_by_hand() {
        let model = Unigram::count(&[0, 0, 1], 4).unwrap();
        assert_eq!(
            [0, 1, 2, 3].map(|w| model.probability(&[], w)),
            [3.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0, 1.0 / 7.0]
        );
        let score = model.score(&[3, 0, 2]).unwrap();
        assert_eq!(score.n_tokens, 2);
        assert!((score.nll_sum + (3.0f64 / 7.0).ln() + (1.0f64 / 7.0).ln()).abs() < 1e-12);
    }
}
