//! The question answering sets that a recipe can name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Article, n_questions, read_articles};
use crate::classification::PartCount;
use crate::source::{Archive, refused};
use crate::{Error, Result, embedded};

/// A set of articles to train on and one to report on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SquadSet {
    /// SQuAD v1.1 from the published files.
    V1_1,
    /// Shipped inside the program: trained on SQuADShifts' new-Wikipedia set, reported on SQuAD
    /// v1.1 dev. Their articles differ.
    Shipped,
}

/// A set as read, and how its files compare with the published ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SquadCorpus {
    /// Short name, as in a score's signature.
    pub name: &'static str,
    /// Training articles.
    pub train: Vec<Article>,
    /// Articles that are reported on.
    pub dev: Vec<Article>,
    /// One for each published file (examples are questions); none for the shipped set.
    pub counts: Vec<PartCount>,
}

const TITLE: &str = "SQuAD v1.1";
const FILES: [(&str, Archive, usize); 2] = [
    (
        "train",
        Archive {
            file: "train-v1.1.json",
            mirrors: &["https://rajpurkar.github.io/SQuAD-explorer/dataset/train-v1.1.json"],
            sha256: Some("3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955"),
        },
        87_599,
    ),
    (
        "dev",
        Archive {
            file: "dev-v1.1.json",
            mirrors: &["https://rajpurkar.github.io/SQuAD-explorer/dataset/dev-v1.1.json"],
            sha256: Some("95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9"),
        },
        10_570,
    ),
];

impl SquadSet {
    /// Every set.
    pub const ALL: [Self; 2] = [Self::V1_1, Self::Shipped];

    /// The spelling in recipes and signatures: `squad-v1.1`, `new-wiki-to-squad-dev`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_1 => "squad-v1.1",
            Self::Shipped => "new-wiki-to-squad-dev",
        }
    }

    /// The name for people: `SQuAD v1.1`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::V1_1 => TITLE,
            Self::Shipped => "new-Wikipedia set and SQuAD dev",
        }
    }

    /// The folder with the files, in `from` or in the cache; none for the shipped set. Nothing is read or
    /// downloaded.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says where was looked.
    pub fn locate(self, from: Option<&Path>, cache: &Path) -> Result<Option<PathBuf>> {
        match self {
            Self::Shipped => Ok(None),
            Self::V1_1 => locate(from, cache).map(Some),
        }
    }

    /// The articles: decoded from the program, or read from `from` (the user's `--from DIR`, or
    /// `DIR/squad`) or from the cache. Nothing is downloaded.
    ///
    /// Files of the published names need not be the published bytes: their number of questions is
    /// compared and reported.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which names the command to type; those of [`read_articles`].
    pub fn load(self, from: Option<&Path>, cache: &Path) -> Result<SquadCorpus> {
        let mut corpus = SquadCorpus {
            name: self.name(),
            train: Vec::new(),
            dev: Vec::new(),
            counts: Vec::new(),
        };
        match self {
            Self::Shipped => {
                corpus.train = embedded::new_wiki()?;
                corpus.dev = embedded::squad_dev()?;
            }
            Self::V1_1 => {
                let dir = locate(from, cache)?;
                let mut read = |(part, archive, published): (_, Archive, _)| {
                    let path = dir.join(archive.file);
                    let articles = read_articles(&path)?;
                    corpus.counts.push(PartCount {
                        part,
                        path,
                        published,
                        found: n_questions(&articles),
                        n_skipped: 0,
                    });
                    Ok::<_, Error>(articles)
                };
                let [train, dev] = FILES;
                (corpus.train, corpus.dev) = (read(train)?, read(dev)?);
            }
        }
        Ok(corpus)
    }

    /// Makes the set available on this machine, downloading it when that is needed and allowed, and
    /// reads it once.
    ///
    /// # Errors
    /// As [`SquadSet::load`]; [`Error::DownloadFailed`], [`Error::DownloadNotCompiled`].
    pub fn prepare(
        self,
        from: Option<&Path>,
        cache: &Path,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<SquadCorpus> {
        match self {
            Self::V1_1 if from.is_none() && locate(None, cache).is_err() => {
                for (_, archive, _) in &FILES {
                    download(archive, &cache.join("squad"), progress)?;
                }
            }
            Self::V1_1 | Self::Shipped => {}
        }
        let loaded = self.load(from, cache);
        let cached = cache.join("squad");
        match self.locate(from, cache) {
            Ok(Some(dir)) if dir == cached => refused(loaded, &cached),
            Ok(_) | Err(_) => loaded,
        }
    }
}

/// The folder with both files.
fn locate(from: Option<&Path>, cache: &Path) -> Result<PathBuf> {
    let cached = cache.join("squad");
    let places = match from {
        Some(dir) => vec![dir.to_owned(), dir.join("squad"), cached],
        None => vec![cached],
    };
    let is_whole = |dir: &PathBuf| {
        FILES
            .iter()
            .all(|(_, archive, _)| dir.join(archive.file).is_file())
    };
    places
        .into_iter()
        .find(is_whole)
        .ok_or_else(|| Error::MissingCorpus {
            corpus: TITLE,
            dir: from.unwrap_or(cache).to_owned(),
            found: "no train-v1.1.json with dev-v1.1.json".to_owned(),
            next: "run `prepare`, or `prepare --from DIR` with a folder that holds both".to_owned(),
        })
}

#[cfg(feature = "download")]
fn download(
    archive: &Archive,
    dir: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<()> {
    let path = dir.join(archive.file);
    crate::source::fetch_with_progress(archive.mirrors, archive.sha256, &path, progress)
}

#[cfg(not(feature = "download"))]
fn download(
    _archive: &Archive,
    dir: &Path,
    _progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<()> {
    Err(Error::DownloadNotCompiled {
        corpus: TITLE,
        cache: dir.to_owned(),
    })
}

impl fmt::Display for SquadSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SquadSet {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|set| set.name() == name)
            .ok_or_else(|| Error::UnknownCorpus {
                name: name.to_owned(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}
