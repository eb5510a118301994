//! The question answering sets that a recipe can name.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Article, SquadForm, n_questions, read_articles};
use crate::classification::PartCount;
use crate::source::{Archive, Listener, Origin, Origins, refused};
use crate::{Error, Result, embedded};

/// A set of articles to train on and one to report on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SquadSet {
    /// SQuAD v1.1 from the published files.
    V1_1,
    /// SQuAD v2.0 from the published files: a third of its training questions has no answer.
    V2_0,
    /// Shipped inside the program: trained on SQuADShifts' new-Wikipedia set, reported on SQuAD
    /// v1.1 dev. Their articles differ.
    Shipped,
}

/// A set as read, and how its files compare with the published ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SquadCorpus {
    /// Short name, as in a score's signature.
    pub name: Cow<'static, str>,
    /// Training articles.
    pub train: Vec<Article>,
    /// Articles that training is watched on, where those that are reported on are not; else none.
    pub valid: Vec<Article>,
    /// Articles that are reported on.
    pub dev: Vec<Article>,
    /// One for each published file (examples are questions); none for the shipped set.
    pub counts: Vec<PartCount>,
}

impl SquadCorpus {
    /// Whether some of its questions have no answer, so that it is scored as SQuAD v2.0 is.
    pub fn has_impossible(&self) -> bool {
        let articles = self.train.iter().chain(&self.valid).chain(&self.dev);
        let mut paragraphs = articles.flat_map(|article| &article.paragraphs);
        paragraphs.any(|paragraph| paragraph.questions.iter().any(|of| of.is_impossible))
    }
}

/// The files of a published version.
struct Published {
    title: &'static str,
    form: SquadForm,
    /// Folder in the cache, or in that of the user.
    folder: &'static str,
    /// Name of the part, its file, and its questions.
    files: [(&'static str, Archive, usize); 2],
}

/// As `datasets/data/README.md` and the card of `rajpurkar/squad_v2` on the Hugging Face hub have it.
const LICENCE: &str = "CC BY-SA 4.0";

const V1_1: Published = Published {
    title: "SQuAD v1.1",
    form: SquadForm::V1_1,
    folder: "squad",
    files: [
        (
            "train",
            Archive {
                file: "train-v1.1.json",
                mirrors: &["https://rajpurkar.github.io/SQuAD-explorer/dataset/train-v1.1.json"],
                sha256: Some("3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955"),
                licence: LICENCE,
            },
            87_599,
        ),
        (
            "dev",
            Archive {
                file: "dev-v1.1.json",
                mirrors: &["https://rajpurkar.github.io/SQuAD-explorer/dataset/dev-v1.1.json"],
                sha256: Some("95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9"),
                licence: LICENCE,
            },
            10_570,
        ),
    ],
};

/// The sha256 are those that ParlAI publishes (`RESOURCES` in parlai/tasks/squad2/build.py); the sizes are those of table 2 of
/// Rajpurkar, Jia and Liang (2018).
const V2_0: Published = Published {
    title: "SQuAD v2.0",
    form: SquadForm::V2_0,
    folder: "squad-v2.0",
    files: [
        (
            "train",
            Archive {
                file: "train-v2.0.json",
                mirrors: &["https://rajpurkar.github.io/SQuAD-explorer/dataset/train-v2.0.json"],
                sha256: Some("68dcfbb971bd3e96d5b46c7177b16c1a4e7d4bdef19fb204502738552dede002"),
                licence: LICENCE,
            },
            130_319,
        ),
        (
            "dev",
            Archive {
                file: "dev-v2.0.json",
                mirrors: &["https://rajpurkar.github.io/SQuAD-explorer/dataset/dev-v2.0.json"],
                sha256: Some("80a5225e94905956a6446d296ca1093975c4d3b3260f1d6c8f68bc2ab77182d8"),
                licence: LICENCE,
            },
            11_873,
        ),
    ],
};

impl SquadSet {
    /// Every set.
    pub const ALL: [Self; 3] = [Self::V1_1, Self::V2_0, Self::Shipped];

    /// The published files; none of the shipped set.
    const fn published(self) -> Option<&'static Published> {
        match self {
            Self::V1_1 => Some(&V1_1),
            Self::V2_0 => Some(&V2_0),
            Self::Shipped => None,
        }
    }

    /// The spelling in recipes and signatures: `squad-v1.1`, `squad-v2.0`, `new-wiki-to-squad-dev`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_1 => "squad-v1.1",
            Self::V2_0 => "squad-v2.0",
            Self::Shipped => "new-wiki-to-squad-dev",
        }
    }

    /// The name for people: `SQuAD v1.1`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::V1_1 => V1_1.title,
            Self::V2_0 => V2_0.title,
            Self::Shipped => "new-Wikipedia set and SQuAD dev",
        }
    }

    /// The folder with the files, in `from` or in the cache; none for the shipped set. Nothing is read or
    /// downloaded.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says where was looked.
    pub fn locate(self, from: Option<&Path>, cache: &Path) -> Result<Option<PathBuf>> {
        self.published()
            .map(|of| of.locate(from, cache))
            .transpose()
    }

    /// That a folder which the user names has the published files; always so of the shipped set, which needs none.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says what was looked for.
    pub fn check_given(self, dir: &Path) -> Result<()> {
        match self.published() {
            Some(of) if of.given(dir).is_none() => Err(of.missing(dir)),
            Some(_) | None => Ok(()),
        }
    }

    /// The articles: decoded from the program, or read from `from` (the user's `--from DIR`, or
    /// `DIR/squad`, of v2.0 `DIR/squad-v2.0`) or from the cache. Nothing is downloaded.
    ///
    /// Files of the published names need not be the published bytes: their number of questions is
    /// compared and reported.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which names the command to type; those of [`read_articles`].
    pub fn load(self, from: Option<&Path>, cache: &Path) -> Result<SquadCorpus> {
        let mut corpus = SquadCorpus {
            name: self.name().into(),
            train: Vec::new(),
            valid: Vec::new(),
            dev: Vec::new(),
            counts: Vec::new(),
        };
        match self.published() {
            None => {
                corpus.train = embedded::new_wiki()?;
                corpus.dev = embedded::squad_dev()?;
            }
            Some(of) => {
                let dir = of.locate(from, cache)?;
                let mut read = |(part, archive, published): &(&'static str, Archive, usize)| {
                    let path = dir.join(archive.file);
                    let articles = read_articles(&path, of.form)?;
                    corpus.counts.push(PartCount {
                        part,
                        path,
                        published: *published,
                        found: n_questions(&articles),
                        n_skipped: 0,
                    });
                    Ok::<_, Error>(articles)
                };
                let [train, dev] = &of.files;
                (corpus.train, corpus.dev) = (read(train)?, read(dev)?);
            }
        }
        Ok(corpus)
    }

    /// The files that [`SquadSet::load`] reads, by their sha256; of the shipped set its packed files. Nothing is downloaded.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says where was looked; [`Error::Io`].
    pub fn origins(self, from: Option<&Path>, cache: &Path) -> Result<Origins> {
        let Some(of) = self.published() else {
            return Ok(embedded::question_origins());
        };
        let dir = of.locate(from, cache)?;
        let origin = |(_, archive, _): &(&str, Archive, usize)| {
            Origin::known(&dir.join(archive.file), archive.file.to_owned())
        };
        let origins = of.files.iter().map(origin);
        origins.collect::<Result<_>>().map(Origins)
    }

    /// Makes the set available on this machine, downloading it when that is needed and allowed (which
    /// `listener` is told of), and reads it once.
    ///
    /// # Errors
    /// As [`SquadSet::load`]; [`Error::DownloadFailed`], [`Error::DownloadNotCompiled`].
    pub fn prepare(
        self,
        from: Option<&Path>,
        cache: &Path,
        listener: Listener<'_>,
    ) -> Result<SquadCorpus> {
        if let Some(of) = self.published()
            && from.is_none()
            && of.locate(None, cache).is_err()
        {
            for (_, archive, _) in &of.files {
                download(of.title, archive, &cache.join(of.folder), listener)?;
            }
        }
        let loaded = self.load(from, cache);
        match (self.published(), self.locate(from, cache)) {
            (Some(of), Ok(Some(dir))) if dir == cache.join(of.folder) => refused(loaded, &dir),
            (_, Ok(_) | Err(_)) => loaded,
        }
    }
}

impl Published {
    /// Whether a folder has both files.
    fn is_whole(&self, dir: &Path) -> bool {
        let mut files = self.files.iter();
        files.all(|(_, archive, _)| dir.join(archive.file).is_file())
    }

    /// The folder with both files that the user's folder is, or has.
    fn given(&self, dir: &Path) -> Option<PathBuf> {
        let places = [dir.to_owned(), dir.join(self.folder)];
        places.into_iter().find(|dir| self.is_whole(dir))
    }

    /// The folder with both files.
    fn locate(&self, from: Option<&Path>, cache: &Path) -> Result<PathBuf> {
        let given = from.and_then(|dir| self.given(dir));
        let cached = || Some(cache.join(self.folder)).filter(|dir| self.is_whole(dir));
        let found = given.or_else(cached);
        found.ok_or_else(|| self.missing(from.unwrap_or(cache)))
    }

    fn missing(&self, dir: &Path) -> Error {
        let [train, dev] = self.files.each_ref().map(|(_, archive, _)| archive.file);
        Error::MissingCorpus {
            corpus: self.title,
            dir: dir.to_owned(),
            found: format!("no {train} with {dev}"),
            next: "run `prepare`, or `prepare --from DIR` with a folder that holds both".to_owned(),
        }
    }
}

#[cfg(feature = "download")]
fn download(_: &'static str, archive: &Archive, dir: &Path, listener: Listener<'_>) -> Result<()> {
    let path = dir.join(archive.file);
    crate::source::fetch(&archive.remote(), &path, listener)
}

#[cfg(not(feature = "download"))]
fn download(
    corpus: &'static str,
    _archive: &Archive,
    dir: &Path,
    _listener: Listener<'_>,
) -> Result<()> {
    Err(Error::DownloadNotCompiled {
        corpus,
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
