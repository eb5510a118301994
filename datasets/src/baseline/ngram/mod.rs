//! N-gram language models.
//!
//! They are counted on the training token ids and scored on exactly the target tokens of the model:
//! the first token of the stream is context only, every other one is a target, `<unk>` included.

mod counts;
mod kneser_ney;
mod unigram;

pub use kneser_ney::{KneserNey, Order};
pub use unigram::Unigram;

use crate::error::{Error, Result};

/// Largest vocabulary of an n-gram model: three ids share one u64.
pub const MAX_VOCABULARY: usize = 1 << counts::TOKEN_BITS;

/// A model of the next token given the tokens before it.
pub trait NgramModel {
    /// Number of token ids the probabilities are spread over.
    fn vocab_size(&self) -> usize;

    /// `p(token | context)`; only the last tokens of `context` that the order can use are looked
    /// at.
    fn probability(&self, context: &[u32], token: u32) -> f64;

    /// Scores every token of `stream` but the first.
    ///
    /// # Errors
    /// [`Error::TooFewTokens`] below two tokens, [`Error::TokenOutOfVocabulary`] for an unknown id.
    fn score(&self, stream: &[u32]) -> Result<StreamScore> {
        check_stream(stream, self.vocab_size(), 2)?;
        let nll = |target| -self.probability(&stream[..target], stream[target]).ln();
        Ok(StreamScore {
            nll_sum: (1..stream.len()).map(nll).sum(),
            n_tokens: stream.len() as u64 - 1,
        })
    }
}

/// How well a model predicts a stream: `exp(nll_sum / n_tokens)` is its perplexity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamScore {
    /// Sum of the negative natural log-likelihoods of the target tokens, in nats.
    pub nll_sum: f64,
    /// Number of target tokens.
    pub n_tokens: u64,
}

impl StreamScore {
    /// The perplexity `exp(nll_sum / n_tokens)`.
    pub fn ppl(&self) -> f64 {
        (self.nll_sum / self.n_tokens as f64).exp()
    }
}

/// Counts unigram, Kneser–Ney bigram and Kneser–Ney trigram on `train` and scores them on `test`, in
/// this order.
///
/// # Errors
/// As [`Unigram::count`], [`KneserNey::count`] and [`NgramModel::score`].
///
/// ```
/// use sparta_datasets::baseline::ngram;
/// let train: Vec<u32> = (0..300).map(|i| i % 3).collect();
/// let [unigram, bigram, _] = ngram::scores(&train, &[0, 1, 2, 0], 3)?;
/// assert!((unigram.ppl() - 3.0).abs() < 1e-9);
/// assert!(bigram.ppl() < 1.1);
/// # Ok::<(), sparta_datasets::Error>(())
/// ```
pub fn scores(train: &[u32], test: &[u32], vocab_size: usize) -> Result<[StreamScore; 3]> {
    Ok([
        Unigram::count(train, vocab_size)?.score(test)?,
        KneserNey::count(train, vocab_size, Order::Bigram)?.score(test)?,
        KneserNey::count(train, vocab_size, Order::Trigram)?.score(test)?,
    ])
}

/// Refuses a vocabulary that cannot be packed, a stream that is too short and ids outside the
/// vocabulary.
fn check_stream(stream: &[u32], vocab_size: usize, needed: usize) -> Result<()> {
    if vocab_size == 0 || vocab_size > MAX_VOCABULARY {
        return Err(Error::VocabularySize {
            found: vocab_size,
            max: MAX_VOCABULARY,
        });
    }
    if stream.len() < needed {
        return Err(Error::TooFewTokens {
            found: stream.len(),
            needed,
        });
    }
    match stream.iter().position(|&id| id as usize >= vocab_size) {
        Some(position) => Err(Error::TokenOutOfVocabulary {
            id: stream[position],
            position,
            vocab_size,
        }),
        None => Ok(()),
    }
}
