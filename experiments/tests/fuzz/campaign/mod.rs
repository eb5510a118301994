//! A deterministic fuzzer: files as users have them, altered, are given to the readers of the crates.
//!
//! Input `i` of a target is a function of (seed, target, i) alone, so any of them can be made again. Of each is asked
//! that its reader returns: without a panic, within 5 s, with no more memory at once than 10 times the input and 64 MB,
//! and without a trace outside of the folder it was given. What it returns, a value or an error, is its own affair;
//! but the unaltered files must all be accepted, or the alterations would test nothing.

mod allocator;
mod clock;
mod fence;
mod mutation;
mod random;
mod runner;
mod targets;

pub use mutation::altered;
pub use runner::{Counts, Limits, run};
pub use targets::TARGETS;

use std::path::Path;

/// Reads one input; whether it was accepted.
pub type Reader = Box<dyn FnMut(&[u8]) -> bool>;

/// A reader of outside data.
pub struct Target {
    /// What it is asked for by.
    pub name: &'static str,
    /// The files to alter.
    pub corpus: fn() -> Corpus,
    /// Prepares a folder, which everything is written into, and gives the reader.
    pub open: fn(&Path) -> Reader,
}

/// Files to alter.
#[derive(Default)]
pub struct Corpus {
    /// Files that must be accepted.
    pub good: Vec<Vec<u8>>,
    /// Others, such as those that showed a fault once.
    pub other: Vec<Vec<u8>>,
    /// Words of the format.
    pub words: &'static [&'static str],
}

impl Corpus {
    /// Files that must be accepted.
    pub fn of<T: Into<Vec<u8>>>(good: impl IntoIterator<Item = T>) -> Self {
        Self {
            good: good.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Adds files that need not be accepted.
    #[must_use]
    pub fn and<T: Into<Vec<u8>>>(mut self, other: impl IntoIterator<Item = T>) -> Self {
        self.other.extend(other.into_iter().map(Into::into));
        self
    }

    /// Adds words that mean something in the format.
    #[must_use]
    pub fn with_words(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }
}
