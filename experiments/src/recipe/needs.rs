//! What a recipe reads that is not in it: corpora, and pretrained weights.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sparta_datasets::classification::ClassificationTask;
use sparta_datasets::squad::SquadSet;
use sparta_datasets::translation::TranslationCorpus;
use sparta_datasets::{CorpusName, Result, source};

use super::encoder::NetworkName;

/// A corpus of any task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyCorpus {
    /// Running text.
    Text(CorpusName),
    /// Pairs of sentences.
    Pairs(TranslationCorpus),
    /// Labelled texts.
    Labelled(ClassificationTask),
    /// Paragraphs with questions.
    Paragraphs(SquadSet),
}

impl AnyCorpus {
    /// The name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Text(corpus) => corpus.title(),
            Self::Pairs(corpus) => corpus.title(),
            Self::Labelled(task) => task.title(),
            Self::Paragraphs(set) => set.title(),
        }
    }

    /// The folder it is in; none if it ships with the program.
    ///
    /// # Errors
    /// If it is not in the cache.
    pub fn locate(self, cache: &Path) -> Result<Option<PathBuf>> {
        match self {
            Self::Text(corpus) => corpus.locate(None, cache),
            Self::Pairs(corpus) => corpus.locate(cache),
            Self::Labelled(task) => task.locate(None, cache),
            Self::Paragraphs(set) => set.locate(None, cache),
        }
    }

    /// Whether it ships with the program.
    #[must_use]
    pub fn ships(self) -> bool {
        matches!(self.locate(Path::new("")), Ok(None))
    }

    /// Whether it is a task of labelled texts, which recipes have a list of.
    #[must_use]
    pub fn is_labelled(self) -> bool {
        match self {
            Self::Labelled(_) => true,
            Self::Text(_) | Self::Pairs(_) | Self::Paragraphs(_) => false,
        }
    }

    /// That a folder which the user names has its published files.
    ///
    /// # Errors
    /// What was looked for there.
    pub fn check_given(self, dir: &Path) -> Result<()> {
        match self {
            Self::Text(corpus) => corpus.check_given(dir),
            Self::Pairs(corpus) => corpus.check_given(dir),
            Self::Labelled(task) => task.check_given(dir),
            Self::Paragraphs(set) => set.check_given(dir),
        }
    }

    /// The corpora of its kind that are read from published files, as they are chosen on a command line.
    #[must_use]
    pub fn published_choices(self) -> String {
        fn names<C: Copy>(
            all: impl IntoIterator<Item = C>,
            any: fn(C) -> AnyCorpus,
            name: impl Fn(C) -> String,
        ) -> String {
            let published = all.into_iter().filter(|&corpus| !any(corpus).ships());
            published.map(name).collect::<Vec<_>>().join(" | ")
        }
        /// As recipes spell it.
        fn spelled(corpus: impl Serialize) -> String {
            let word = serde_json::to_value(corpus).unwrap_or_default();
            word.as_str().unwrap_or_default().to_owned()
        }
        let (option, names) = match self {
            Self::Text(_) => (
                "--set data.corpus=",
                names(CorpusName::ALL, Self::Text, spelled),
            ),
            Self::Pairs(_) => (
                "--set data.corpus=",
                names(TranslationCorpus::ALL, Self::Pairs, spelled),
            ),
            Self::Labelled(_) => (
                "--tasks ",
                names(ClassificationTask::all(), Self::Labelled, |of| {
                    of.to_string()
                }),
            ),
            Self::Paragraphs(_) => (
                "--set data.corpus=",
                names(SquadSet::ALL, Self::Paragraphs, |of| of.to_string()),
            ),
        };
        format!("`{option}{names}`")
    }

    /// The folder that it is looked for in and downloaded to. What ships with the program needs none, and no variable
    /// has to name one.
    ///
    /// # Errors
    /// That of [`source::cache_dir`] for a corpus that does not ship.
    pub fn cache_dir(self) -> Result<PathBuf> {
        match source::cache_dir() {
            Err(_) if self.ships() => Ok(PathBuf::new()),
            found => found,
        }
    }
}

/// What a recipe reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Its corpora.
    pub corpora: Vec<AnyCorpus>,
    /// Whose pretrained weights it starts from, if it does.
    pub network: Option<NetworkName>,
}
