//! Interpolated Kneser–Ney smoothing.

use super::counts::{Counts, pack};
use super::{NgramModel, check_stream};
use crate::error::Result;

/// Number of tokens an n-gram model looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Two: the last token and the next.
    Bigram,
    /// Three: the last two tokens and the next.
    Trigram,
}

impl Order {
    /// The number itself.
    pub fn n(self) -> usize {
        match self {
            Self::Bigram => 2,
            Self::Trigram => 3,
        }
    }
}

/// Interpolated Kneser–Ney model with one absolute discount per order.
///
/// With `h` the context and `h'` the context without its oldest token,
///
/// `p(w | h) = max(c(h w) − D, 0) / c(h •) + D · N1+(h •) / c(h •) · p(w | h')`.
///
/// The highest order uses plain counts, every lower one continuation counts `c(h w) = N1+(• h w)`:
/// in how many different contexts the n-gram was seen. Below the unigrams stands the uniform
/// distribution `1 / V`. An unseen context passes its whole mass on. `D = n1 / (n1 + 2 n2)` of the
/// counts of that order.
///
/// # Source
/// Kneser and Ney (1995), in the interpolated form of Chen and Goodman (1999), section 3.
///
/// ```
/// use sparta_datasets::baseline::ngram::{KneserNey, NgramModel, Order};
/// let model = KneserNey::count(&[0, 1, 0, 1, 0, 2], 3, Order::Bigram)?;
/// let sum: f64 = (0..3).map(|w| model.probability(&[0], w)).sum();
/// assert!((sum - 1.0).abs() < 1e-12);
/// assert!(model.probability(&[0], 1) > model.probability(&[0], 2));
/// # Ok::<(), sparta_datasets::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct KneserNey {
    /// `levels[k]` counts n-grams of order k + 1.
    levels: Vec<Counts>,
    vocab_size: usize,
}

impl KneserNey {
    /// Counts the n-grams of `train` over a vocabulary of `vocab_size` ids.
    ///
    /// # Errors
    /// Fewer tokens than the order, an id outside the vocabulary, or a vocabulary that is empty or
    /// too large.
    pub fn count(train: &[u32], vocab_size: usize, order: Order) -> Result<Self> {
        check_stream(train, vocab_size, order.n())?;
        let mut levels = vec![Counts::of_stream(train, order.n())];
        for n in (2..=order.n() as u32).rev() {
            let lower = levels[levels.len() - 1].continuations(n);
            levels.push(lower);
        }
        levels.reverse();
        Ok(Self { levels, vocab_size })
    }
}

impl NgramModel for KneserNey {
    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn probability(&self, context: &[u32], token: u32) -> f64 {
        let mut probability = 1.0 / self.vocab_size as f64;
        for (n_context, level) in self.levels.iter().enumerate().take(context.len() + 1) {
            let packed = pack(context, n_context);
            // An unseen context leaves the lower order as it is; so will every longer one.
            let Some(seen) = level.context(packed) else {
                break;
            };
            let discounted = (level.count(packed, token) as f64 - level.discount).max(0.0);
            let left_over = level.discount * seen.types as f64;
            probability = (discounted + left_over * probability) / seen.total as f64;
        }
        probability
    }
}
