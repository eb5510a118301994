//! What a recipe reads that is not in it: corpora, and pretrained weights.

use std::path::{Path, PathBuf};

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

    /// The folder that it is looked for in and downloaded to. What ships with the program needs none, and no variable
    /// has to name one.
    ///
    /// # Errors
    /// That of [`source::cache_dir`] for a corpus that does not ship.
    pub fn cache_dir(self) -> Result<PathBuf> {
        match source::cache_dir() {
            Err(_) if matches!(self.locate(Path::new("")), Ok(None)) => Ok(PathBuf::new()),
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
