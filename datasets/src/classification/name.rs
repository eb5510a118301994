//! The tasks that a recipe can name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::LoadedTask;
use crate::glue::{self, GlueTask};
use crate::source::{Listener, Origins, refused};
use crate::{Error, Result, Split, embedded};

/// A corpus of labelled texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClassificationTask {
    /// Question–sentence pairs, shipped inside the program ([`crate::question_sentence`]).
    QuestionSentence,
    /// A task of GLUE from the published files.
    Glue(GlueTask),
}

impl ClassificationTask {
    /// Every task: the shipped one, then GLUE's.
    pub fn all() -> impl Iterator<Item = Self> {
        let glue = GlueTask::ALL.into_iter().map(Self::Glue);
        std::iter::once(Self::QuestionSentence).chain(glue)
    }

    /// The spelling in recipes and signatures: `question-sentence`, `cola`, `sst2`, ….
    pub const fn name(self) -> &'static str {
        match self {
            Self::QuestionSentence => "question-sentence",
            Self::Glue(task) => task.name(),
        }
    }

    /// The name for people: `GLUE RTE`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::QuestionSentence => "question–sentence pairs",
            Self::Glue(task) => task.title(),
        }
    }

    /// The folder with the task's files, in `from` or in the cache; none for the shipped task. Nothing is
    /// read or downloaded.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says where was looked.
    pub fn locate(self, from: Option<&Path>, cache: &Path) -> Result<Option<PathBuf>> {
        match self {
            Self::QuestionSentence => Ok(None),
            Self::Glue(task) => glue::locate(task, from, cache).map(Some),
        }
    }

    /// That a folder which the user names has the published files, unpacked or as an archive; always so of the shipped task,
    /// which needs none.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says what was looked for.
    pub fn check_given(self, dir: &Path) -> Result<()> {
        match self {
            Self::QuestionSentence => Ok(()),
            Self::Glue(task) => glue::check_given(task, dir),
        }
    }

    /// The files that [`ClassificationTask::load`] reads, by their sha256; of the shipped task its packed files. Nothing is
    /// downloaded.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says where was looked; [`Error::Io`].
    pub fn origins(self, from: Option<&Path>, cache: &Path) -> Result<Origins> {
        match self {
            Self::QuestionSentence => Ok(embedded::question_origins()),
            Self::Glue(task) => glue::origins(task, &glue::locate(task, from, cache)?),
        }
    }

    /// The parts that a table reports: `test` of the shipped task, GLUE's dev parts.
    pub fn reported_parts(self) -> Vec<&'static str> {
        match self {
            Self::QuestionSentence => vec![Split::Test.name()],
            Self::Glue(task) => task.dev_parts(),
        }
    }

    /// The examples: decoded from the program, or read from `from` (the user's `--from DIR`) or
    /// from the cache. Nothing is downloaded. The counts compare GLUE's files with the published
    /// ones and are empty for the shipped task.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which names the command to type; those of [`glue::read_task`].
    pub fn load(self, from: Option<&Path>, cache: &Path) -> Result<LoadedTask> {
        match self {
            Self::QuestionSentence => {
                let corpus = embedded::question_sentence()?;
                let counts = Vec::new();
                Ok(LoadedTask { corpus, counts })
            }
            Self::Glue(task) => glue::read_task(task, &glue::locate(task, from, cache)?),
        }
    }

    /// Makes the corpus available on this machine, downloading it when that is needed and allowed
    /// (which `listener` is told of), and reads it once.
    ///
    /// # Errors
    /// Those of [`glue::prepare`] and [`glue::read_task`]; never for the shipped task.
    pub fn prepare(
        self,
        from: Option<&Path>,
        cache: &Path,
        listener: Listener<'_>,
    ) -> Result<LoadedTask> {
        match self {
            Self::QuestionSentence => self.load(from, cache),
            Self::Glue(task) => {
                let dir = glue::prepare(task, from, cache, listener)?;
                let loaded = glue::read_task(task, &dir);
                match dir == glue::cached(task, cache) {
                    true => refused(loaded, &dir),
                    false => loaded,
                }
            }
        }
    }
}

impl fmt::Display for ClassificationTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ClassificationTask {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::all()
            .find(|task| task.name() == name)
            .ok_or_else(|| Error::UnknownCorpus {
                name: name.to_owned(),
                known: Self::all().map(Self::name).collect::<Vec<_>>().join(", "),
            })
    }
}
