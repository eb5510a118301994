//! What BLEU and chrF share: counts of each sentence that add up to a corpus.

use std::fmt;

use crate::error::{Result, ResultsError};

/// References of each sentence, as signatures print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceCount {
    /// Every sentence has this many.
    Same(usize),
    /// Sentences differ.
    Varies,
}

impl fmt::Display for ReferenceCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(n) => write!(f, "{n}"),
            Self::Varies => f.write_str("var"),
        }
    }
}

/// Counts of every sentence, from which the score of the corpus and of any sample of it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// Row-major [sentence, count].
    counts: Vec<u64>,
    width: usize,
    /// References of each sentence.
    pub n_refs: ReferenceCount,
}

impl Statistics {
    /// Number of sentences.
    pub fn n_sentences(&self) -> usize {
        self.counts.len() / self.width
    }

    /// Counts of sentence `at`.
    pub fn sentence(&self, at: usize) -> &[u64] {
        &self.counts[at * self.width..(at + 1) * self.width]
    }

    /// Sums over the sentences of `sample`, each counted as often as it is named.
    pub fn sum(&self, sample: impl IntoIterator<Item = usize>) -> Vec<u64> {
        let mut sums = vec![0; self.width];
        for at in sample {
            for (sum, count) in sums.iter_mut().zip(self.sentence(at)) {
                *sum += count;
            }
        }
        sums
    }

    /// Sums over all sentences.
    pub fn total(&self) -> Vec<u64> {
        self.sum(0..self.n_sentences())
    }
}

/// A score of a whole corpus that is a function of summed counts of its sentences.
pub trait CorpusMetric {
    /// Name as it is printed, such as `BLEU` or `chrF2++`.
    fn name(&self) -> String;

    /// Protocol of a score against that many references, as `key:value|…`.
    fn signature(&self, n_refs: ReferenceCount) -> String;

    /// Refuses settings under which no score is defined.
    ///
    /// # Errors
    /// [`ResultsError::MetricSetting`] that names the setting.
    fn check(&self) -> Result<()>;

    /// Number of counts of a sentence.
    fn width(&self) -> usize;

    /// Appends the [`CorpusMetric::width`] counts of one sentence.
    fn count<R: AsRef<str>>(&self, hypothesis: &str, references: &[R], counts: &mut Vec<u64>);

    /// Score, 0 to 100, of summed counts.
    fn score_of(&self, sums: &[u64]) -> f64;

    /// Counts of every sentence; `references[i]` are those of `hypotheses[i]`.
    ///
    /// # Errors
    /// No sentence, a sentence without reference, lists of different lengths, or a setting that
    /// makes no sense.
    fn statistics<H: AsRef<str>, R: AsRef<str>>(
        &self,
        hypotheses: &[H],
        references: &[Vec<R>],
    ) -> Result<Statistics> {
        self.check()?;
        if hypotheses.is_empty() || hypotheses.len() != references.len() {
            return Err(ResultsError::Sentences {
                hypotheses: hypotheses.len(),
                references: references.len(),
            });
        }
        let mut counts = Vec::with_capacity(hypotheses.len() * self.width());
        for (at, (hypothesis, references)) in hypotheses.iter().zip(references).enumerate() {
            if references.is_empty() {
                return Err(ResultsError::NoReference { sentence: at });
            }
            self.count(hypothesis.as_ref(), references, &mut counts);
        }
        let n_refs = match references {
            [first, rest @ ..] if rest.iter().all(|refs| refs.len() == first.len()) => {
                ReferenceCount::Same(first.len())
            }
            _ => ReferenceCount::Varies,
        };
        Ok(Statistics {
            counts,
            width: self.width(),
            n_refs,
        })
    }
}

/// Version part of a signature: our version and the program whose scores these equal.
pub(super) fn version(equals: &str) -> String {
    format!("version:sparta-{}={equals}", env!("CARGO_PKG_VERSION"))
}

/// The release of sacreBLEU that the scores are held to by the tests.
pub(super) const SACREBLEU: &str = "sacrebleu-2.6.0";

/// What Python's `str.split()` and `str.rstrip()` take for white space: Unicode's, and the four
/// ASCII separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The words of `text`, as Python's `str.split()` gives them.
pub(super) fn words(text: &str) -> Vec<&str> {
    text.split(is_space)
        .filter(|word| !word.is_empty())
        .collect()
}
