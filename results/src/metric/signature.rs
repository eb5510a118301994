//! Signatures of corpus scores in run records.

use std::fmt;

use crate::error::{Result, ResultsError};

/// The protocol under which a corpus was scored: what was translated, and how the score is defined.
///
/// Printed as `BLEU|corpus:iwslt14-de-en|split:test|n:6750|nrefs:1|case:mixed|…|version:…`: name,
/// corpus and further keys, number of sentences, then the signature of the score itself. Two scores
/// compare only if their signatures are equal strings. How a model decodes (beam size, length
/// penalty) is part of the recipe, not of the score.
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

/// The protocol under which a task's predictions were scored, or its cost was measured.
///
/// Printed as `accuracy|task:rte|split:dev|n:277`: the score, the task, the split, further keys,
/// the number of examples.
///
/// ```
/// use sparta_results::metric::{Metric, TaskSignature};
/// let signature = TaskSignature::new(Metric::Matthews, "cola", "dev", 1043)?.with("len", 128)?;
/// assert_eq!(signature.to_string(), "matthews|task:cola|split:dev|len:128|n:1043");
/// # Ok::<(), sparta_results::ResultsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSignature {
    metric: super::Metric,
    task: String,
    split: String,
    further: Vec<(String, String)>,
    n_examples: u64,
}

impl TaskSignature {
    /// Signature of a score over `n_examples` examples of a split.
    ///
    /// # Errors
    /// [`ResultsError::SignaturePart`] if a name holds a separator.
    pub fn new(metric: super::Metric, task: &str, split: &str, n_examples: u64) -> Result<Self> {
        Ok(Self {
            metric,
            task: part(task)?,
            split: part(split)?,
            further: Vec::new(),
            n_examples,
        })
    }

    /// Adds one more key of the protocol, such as `len:128`.
    ///
    /// # Errors
    /// [`ResultsError::SignaturePart`] if key or value holds a separator.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Result<Self> {
        self.further.push((part(key)?, part(&value.to_string())?));
        Ok(self)
    }
}

impl fmt::Display for TaskSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|task:{}|split:{}", self.metric, self.task, self.split)?;
        for (key, value) in &self.further {
            write!(f, "|{key}:{value}")?;
        }
        write!(f, "|n:{}", self.n_examples)
    }
}

/// A part of a signature, if it can be told apart again after printing.
pub(super) fn part(text: &str) -> Result<String> {
    if text.is_empty() || text.contains(|c: char| c == '|' || c == ':' || c.is_whitespace()) {
        return Err(ResultsError::SignaturePart(text.to_string()));
    }
    Ok(text.to_string())
}
