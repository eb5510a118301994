//! Parallel text: sentences and their translations.

mod store;
mod vocabulary;

use std::ops::RangeInclusive;

pub use store::PairStore;
pub use vocabulary::{PairVocabulary, PairVocabularyOptions};

use crate::Split;
use crate::tokenize::Language;
use crate::tokenize::moses::MosesTokenizer;

/// A sentence and its translation.
pub type SentencePair = (String, String);

/// Sentence pairs in three splits under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParallelCorpus {
    /// Short name, as in a score's signature and a store's file name.
    pub name: String,
    /// Language that is translated from.
    pub source: Language,
    /// Language that is translated to.
    pub target: Language,
    /// Training pairs.
    pub train: Vec<SentencePair>,
    /// Validation pairs.
    pub valid: Vec<SentencePair>,
    /// Test pairs.
    pub test: Vec<SentencePair>,
}

impl ParallelCorpus {
    /// A corpus without sentences yet.
    pub fn empty(name: &str, source: Language, target: Language) -> Self {
        Self {
            name: name.to_owned(),
            source,
            target,
            train: Vec::new(),
            valid: Vec::new(),
            test: Vec::new(),
        }
    }

    /// The pairs of one split.
    pub fn pairs(&self, split: Split) -> &[SentencePair] {
        match split {
            Split::Train => &self.train,
            Split::Valid => &self.valid,
            Split::Test => &self.test,
        }
    }

    /// The pairs of one split, to change.
    pub fn split_mut(&mut self, split: Split) -> &mut Vec<SentencePair> {
        match split {
            Split::Train => &mut self.train,
            Split::Valid => &mut self.valid,
            Split::Test => &mut self.test,
        }
    }

    /// Applies a function to every source and one to every target sentence.
    pub fn map(mut self, source: impl Fn(&str) -> String, target: impl Fn(&str) -> String) -> Self {
        for split in Split::ALL {
            for pair in self.split_mut(split) {
                *pair = (source(&pair.0), target(&pair.1));
            }
        }
        self
    }

    /// Both sides cut by Moses' rules ([`MosesTokenizer`]) and, if asked, in lower case.
    pub fn tokenized(self, lowercase: bool) -> Self {
        let side = |language: Language| {
            let tokenizer = MosesTokenizer::new(language);
            move |line: &str| {
                let tokens = tokenizer.tokenize(line);
                let tokens = tokens.split_whitespace().collect::<Vec<_>>().join(" ");
                if lowercase { to_lower(&tokens) } else { tokens }
            }
        };
        let (source, target) = (side(self.source), side(self.target));
        self.map(source, target)
    }

    /// Keeps the pairs whose target side has that many words, in all splits; the name gets
    /// `-3to12`, or `-3up` without an upper limit.
    pub fn with_target_words(mut self, words: RangeInclusive<usize>) -> Self {
        for split in Split::ALL {
            self.split_mut(split)
                .retain(|pair| words.contains(&pair.1.split_whitespace().count()));
        }
        let (least, most) = words.into_inner();
        self.name.push_str(&match most {
            usize::MAX => format!("-{least}up"),
            most => format!("-{least}to{most}"),
        });
        self
    }
}

/// Lower case character by character, as `lowercase.perl`: a sigma at the end of a word is `σ` too.
pub(crate) fn to_lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}
