//! N-gram language models: the baselines that a dense model must beat before its table means
//! anything.
//!
//! They are counted on the training token ids and scored on exactly the target tokens of the model:
//! the first token of the stream is context only, every other one is a target, `<unk>` included.

mod counts;
mod kneser_ney;
mod unigram;

pub use kneser_ney::{KneserNey, Order};
pub use unigram::Unigram;

use crate::condition::Baseline;
use crate::error::{Result, ResultsError};
use crate::metric::Perplexity;

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
    /// [`ResultsError::TooFewTokens`] below two tokens, [`ResultsError::TokenOutOfVocabulary`] for
    /// an unknown id.
    fn score(&self, stream: &[u32]) -> Result<Perplexity> {
        check_stream(stream, self.vocab_size(), 2)?;
        let mut sum = Perplexity::default();
        for target in 1..stream.len() {
            sum.add(-self.probability(&stream[..target], stream[target]).ln(), 1);
        }
        Ok(sum)
    }
}

/// Counts unigram, Kneser–Ney bigram and Kneser–Ney trigram on `train` and scores them on `test`.
///
/// # Errors
/// As [`Unigram::count`], [`KneserNey::count`] and [`NgramModel::score`].
///
/// ```
/// use sparta_results::metric::ngram;
/// let train: Vec<u32> = (0..300).map(|i| i % 3).collect();
/// let [(_, unigram), (_, bigram), _] = ngram::baselines(&train, &[0, 1, 2, 0], 3)?;
/// assert!((unigram.ppl() - 3.0).abs() < 1e-9);
/// assert!(bigram.ppl() < 1.1);
/// # Ok::<(), sparta_results::ResultsError>(())
/// ```
pub fn baselines(
    train: &[u32],
    test: &[u32],
    vocab_size: usize,
) -> Result<[(Baseline, Perplexity); 3]> {
    let unigram = Unigram::count(train, vocab_size)?.score(test)?;
    let bigram = KneserNey::count(train, vocab_size, Order::Bigram)?.score(test)?;
    let trigram = KneserNey::count(train, vocab_size, Order::Trigram)?.score(test)?;
    Ok([
        (Baseline::Unigram, unigram),
        (Baseline::Bigram, bigram),
        (Baseline::Trigram, trigram),
    ])
}

/// Refuses a vocabulary that cannot be packed, a stream that is too short and ids outside the
/// vocabulary.
fn check_stream(stream: &[u32], vocab_size: usize, needed: usize) -> Result<()> {
    if vocab_size == 0 || vocab_size > MAX_VOCABULARY {
        return Err(ResultsError::VocabularySize {
            found: vocab_size,
            max: MAX_VOCABULARY,
        });
    }
    if stream.len() < needed {
        return Err(ResultsError::TooFewTokens {
            found: stream.len(),
            needed,
        });
    }
    match stream.iter().position(|&id| id as usize >= vocab_size) {
        Some(position) => Err(ResultsError::TokenOutOfVocabulary {
            id: stream[position],
            position,
            vocab_size,
        }),
        None => Ok(()),
    }
}
