//! Signatures of corpus scores in run records.

use std::fmt;

use crate::error::{Result, ResultsError};

/// The protocol under which a corpus was scored: what was translated, and how the score is defined.
///
/// Printed as `BLEU|corpus:iwslt14-de-en|split:test|n:6750|nrefs:1|case:mixed|…|version:…`: name, corpus and further
/// keys, number of sentences, then the signature of the score itself. Two scores compare only if their signatures are
/// equal strings. How a model decodes (beam size, length penalty) is part of the recipe, not of the score.
///
/// ```
/// use sparta_results::metric::{CorpusMetric, ReferenceCount, ScoreSignature, bleu::Bleu};
/// let signature = ScoreSignature::new(&Bleu::default(), ReferenceCount::Same(1), "iwslt14-de-en", "test", 6750)?;
/// assert!(signature.to_string().starts_with(
///     "BLEU|corpus:iwslt14-de-en|split:test|n:6750|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:"
/// ));
/// # Ok::<(), sparta_results::ResultsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreSignature {
    name: String,
    corpus: String,
    split: String,
    further: Vec<(String, String)>,
    n_sentences: u64,
    score: String,
}

impl ScoreSignature {
    /// Signature of a score over `n_sentences` sentences of a split.
    ///
    /// # Errors
    /// [`ResultsError::SignaturePart`] if a name holds a separator.
    pub fn new<M: super::CorpusMetric>(
        metric: &M,
        n_refs: super::ReferenceCount,
        corpus: &str,
        split: &str,
        n_sentences: u64,
    ) -> Result<Self> {
        Ok(Self {
            name: metric.name(),
            corpus: part(corpus)?,
            split: part(split)?,
            further: Vec::new(),
            n_sentences,
            score: metric.signature(n_refs),
        })
    }

    /// Adds one more key of the protocol, such as `detok:moses`.
    ///
    /// # Errors
    /// [`ResultsError::SignaturePart`] if key or value holds a separator.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Result<Self> {
        self.further.push((part(key)?, part(&value.to_string())?));
        Ok(self)
    }
}

impl fmt::Display for ScoreSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}|corpus:{}|split:{}",
            self.name, self.corpus, self.split
        )?;
        for (key, value) in &self.further {
            write!(f, "|{key}:{value}")?;
        }
        write!(f, "|n:{}|{}", self.n_sentences, self.score)
    }
}

/// A part of a signature, if it can be told apart again after printing.
pub(super) fn part(text: &str) -> Result<String> {
    if text.is_empty() || text.contains(|c: char| c == '|' || c == ':' || c.is_whitespace()) {
        return Err(ResultsError::SignaturePart(text.to_string()));
    }
    Ok(text.to_string())
}
