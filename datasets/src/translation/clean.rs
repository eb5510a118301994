//! Leaving out pairs that are empty, too long or too unlike in length.

use crate::Split;
use crate::pairs::{ParallelCorpus, SentencePair};

/// `clean-corpus-n.perl -ratio R … MIN MAX`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cleaning {
    /// The longer side may have this many times the words of the shorter one.
    pub ratio: f64,
    /// Words of a side, at least.
    pub min: usize,
    /// Words of a side, at most.
    pub max: usize,
}

/// A pair with a longer word is left out.
const MAX_CHARACTERS: usize = 1000;

impl Cleaning {
    /// Whether a pair of word counts stays.
    pub fn keeps(&self, n_source: usize, n_target: usize) -> bool {
        let within = |n: usize| n > 0 && (self.min..=self.max).contains(&n);
        within(n_source)
            && within(n_target)
            && n_source as f64 / n_target as f64 <= self.ratio
            && n_target as f64 / n_source as f64 <= self.ratio
    }

    /// The pair with single spaces and without `|`, or `None` when it does not stay.
    pub(super) fn apply(&self, (source, target): SentencePair) -> Option<SentencePair> {
        let tidy = |side: &str| -> Option<(String, usize)> {
            let bare = side.replace('|', "");
            let words: Vec<&str> = bare.split_whitespace().collect();
            let too_long = words
                .iter()
                .any(|word| word.chars().count() > MAX_CHARACTERS);
            (!too_long).then(|| (words.join(" "), words.len()))
        };
        let (source, n_source) = tidy(&source)?;
        let (target, n_target) = tidy(&target)?;
        self.keeps(n_source, n_target).then_some((source, target))
    }
}

impl ParallelCorpus {
    /// Leaves out training and validation pairs by the number of pieces that `n_source` and
    /// `n_target` count; test stays whole.
    pub fn cleaned(
        mut self,
        cleaning: &Cleaning,
        n_source: impl Fn(&str) -> usize,
        n_target: impl Fn(&str) -> usize,
    ) -> Self {
        for split in [Split::Train, Split::Valid] {
            self.split_mut(split)
                .retain(|(source, target)| cleaning.keeps(n_source(source), n_target(target)));
        }
        self
    }
}
