//! Scores that need no network.

use std::fmt;

/// A score that needs no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Baseline {
    /// A unigram model.
    Unigram,
    /// A Kneser–Ney bigram model.
    Bigram,
    /// A Kneser–Ney trigram model.
    Trigram,
    /// The source sentence as its own translation.
    CopySource,
    /// Every word replaced by its most frequent translation.
    WordTranslation,
    /// The most frequent class for every example.
    Majority,
    /// A threshold on the fraction of a question's words that the sentence has.
    WordOverlap,
}

impl Baseline {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 7] = [
        Self::Unigram,
        Self::Bigram,
        Self::Trigram,
        Self::CopySource,
        Self::WordTranslation,
        Self::Majority,
        Self::WordOverlap,
    ];

    /// The word in records and in names of files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unigram => "unigram",
            Self::Bigram => "bigram",
            Self::Trigram => "trigram",
            Self::CopySource => "copy-source",
            Self::WordTranslation => "word-translation",
            Self::Majority => "majority",
            Self::WordOverlap => "word-overlap",
        }
    }

    /// What it is, in a table's words.
    pub fn description(self) -> &'static str {
        match self {
            Self::Unigram => "unigram, add one",
            Self::Bigram => "bigram, Kneser–Ney",
            Self::Trigram => "trigram, Kneser–Ney",
            Self::CopySource => "the source, copied",
            Self::WordTranslation => "most frequent translation of each word",
            Self::Majority => "the most frequent class",
            Self::WordOverlap => "word overlap, threshold of train",
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
