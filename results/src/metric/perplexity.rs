//! Perplexity of a language model and its signature.

use std::fmt;
use std::ops::AddAssign;

use crate::error::Result;
use crate::metric::signature::part;

/// Perplexity as a sum that can still be added to: `PPL = exp(Σ −ln p(token | past) / n_tokens)`.
///
/// Sums are kept in f64, so that batches of f32 losses can be added in any number.
///
/// ```
/// use sparta_results::Perplexity;
/// let mut uniform = Perplexity::default();
/// for _ in 0..10 {
///     uniform.add(50.0_f64.ln(), 1);
/// }
/// assert!((uniform.ppl() - 50.0).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Perplexity {
    /// Sum of the negative natural log-likelihoods of the target tokens.
    pub nll_sum: f64,
    /// Number of target tokens in the sum.
    pub n_tokens: u64,
}

impl Perplexity {
    /// Adds the summed negative log-likelihood of `n_tokens` more target tokens.
    pub fn add(&mut self, nll_sum: f64, n_tokens: u64) {
        self.nll_sum += nll_sum;
        self.n_tokens += n_tokens;
    }

    /// Mean negative log-likelihood of a token in nats; NaN when nothing was scored.
    pub fn nll(&self) -> f64 {
        self.nll_sum / self.n_tokens as f64
    }

    /// The perplexity `exp(nll)`; NaN when nothing was scored.
    pub fn ppl(&self) -> f64 {
        self.nll().exp()
    }
}

impl AddAssign for Perplexity {
    fn add_assign(&mut self, other: Self) {
        self.add(other.nll_sum, other.n_tokens);
    }
}

/// The protocol under which a perplexity was taken; two perplexities compare only if their
/// signatures are equal strings.
///
/// Printed as `PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:123456`.
/// Unknown words are always counted as targets; further keys of [`PerplexitySignature::with`]
/// follow in the order they were given.
///
/// ```
/// use sparta_results::PerplexitySignature;
/// let signature = PerplexitySignature::word("sotu", "test", 64, 64, 4000, 123_456)?;
/// assert_eq!(
///     signature.to_string(),
///     "PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:123456"
/// );
/// # Ok::<(), sparta_results::ResultsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerplexitySignature {
    corpus: String,
    split: String,
    tgt_len: usize,
    mem_len: usize,
    vocab_size: usize,
    n_tokens: u64,
    further: Vec<(String, String)>,
}

impl PerplexitySignature {
    /// Signature of a word-level perplexity over `n_tokens` target tokens, read in segments of
    /// `tgt_len` with a memory of `mem_len`.
    ///
    /// # Errors
    /// [`crate::ResultsError::SignaturePart`] if a name holds a separator.
    pub fn word(
        corpus: &str,
        split: &str,
        tgt_len: usize,
        mem_len: usize,
        vocab_size: usize,
        n_tokens: u64,
    ) -> Result<Self> {
        Ok(Self {
            corpus: part(corpus)?,
            split: part(split)?,
            tgt_len,
            mem_len,
            vocab_size,
            n_tokens,
            further: Vec::new(),
        })
    }

    /// Adds one more key of the protocol, such as `clamp:400`.
    ///
    /// # Errors
    /// [`crate::ResultsError::SignaturePart`] if key or value holds a separator.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Result<Self> {
        self.further.push((part(key)?, part(&value.to_string())?));
        Ok(self)
    }
}

impl fmt::Display for PerplexitySignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            corpus,
            split,
            tgt_len,
            mem_len,
            vocab_size,
            n_tokens,
            further,
        } = self;
        write!(
            f,
            "PPL|unit:word|corpus:{corpus}|split:{split}|tgt:{tgt_len}|mem:{mem_len}|vocab:{vocab_size}"
        )?;
        for (key, value) in further {
            write!(f, "|{key}:{value}")?;
        }
        write!(f, "|unk:counted|n:{n_tokens}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole() {
        let mut sum = Perplexity {
            nll_sum: 12.0,
            n_tokens: 4,
        };
        sum += Perplexity {
            nll_sum: 3.0,
            n_tokens: 1,
        };
        assert_eq!(sum.nll(), 3.0);
        assert!((sum.ppl() - 3f64.exp()).abs() < 1e-12);
        assert!(Perplexity::default().ppl().is_nan());
    }

    #[test]
    fn further_keys_and_separators() {
        let signature = PerplexitySignature::word("wt2", "test", 150, 150, 33278, 9).unwrap();
        let text = signature.clone().with("clamp", 400).unwrap().to_string();
        assert!(
            text.contains("|vocab:33278|clamp:400|unk:counted|n:9"),
            "{text}"
        );
        assert!(signature.with("mask", "a|b").is_err());
        assert!(PerplexitySignature::word("", "test", 1, 1, 1, 1).is_err());
    }
}
