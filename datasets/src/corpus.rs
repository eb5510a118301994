//! A corpus is three texts under a name; [`CorpusName`] lists the ones the programs know.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::source::{Listener, Origins};
use crate::tokenize::{Language, count_tokens};
use crate::wikitext::WikiText;
use crate::{Error, Result, Split, embedded, source, wikitext};

/// Text of a corpus, word level: words separated by white space, one unit (paragraph) per line.
///
/// Each line stands for its words followed by `<eos>`, blank lines included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    /// Short name, as in a score's signature: `sotu`, `wikitext2`, `wikitext103`.
    pub name: String,
    /// Training text.
    pub train: String,
    /// Validation text.
    pub valid: String,
    /// Test text.
    pub test: String,
}

impl Corpus {
    /// The text of one split.
    pub fn text(&self, split: Split) -> &str {
        match split {
            Split::Train => &self.train,
            Split::Valid => &self.valid,
            Split::Test => &self.test,
        }
    }

    /// Number of tokens of one split: its words and one `<eos>` per line.
    pub fn n_tokens(&self, split: Split) -> u64 {
        count_tokens(self.text(split))
    }
}

/// The corpora that a recipe can name; serde's spelling is that of recipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CorpusName {
    /// State of the Union addresses, shipped inside the program.
    #[serde(rename = "state_of_the_union")]
    StateOfTheUnion,
    /// WikiText-2, word level.
    #[serde(rename = "wikitext2")]
    WikiText2,
    /// WikiText-103, word level.
    #[serde(rename = "wikitext103")]
    WikiText103,
}

impl CorpusName {
    /// Every corpus.
    pub const ALL: [Self; 3] = [Self::StateOfTheUnion, Self::WikiText2, Self::WikiText103];

    /// The spelling in signatures: `sotu`, `wikitext2`, `wikitext103`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StateOfTheUnion => "sotu",
            Self::WikiText2 => "wikitext2",
            Self::WikiText103 => "wikitext103",
        }
    }

    /// What it is written in.
    pub const fn language(self) -> Language {
        match self {
            Self::StateOfTheUnion | Self::WikiText2 | Self::WikiText103 => Language::En,
        }
    }

    /// The corpus as text: decoded from the program, or prepared ([`source::prepare`]) and opened.
    ///
    /// `from` is the user's `--from DIR`, `cache` the folder of [`source::cache_dir`]; both are
    /// unused for the shipped corpus. Nothing is downloaded: a corpus that is neither in `from`
    /// nor in `cache` is an error that names the command to type.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`] or [`Error::WrongFile`] when files are absent or not the
    /// published ones.
    pub fn load(self, from: Option<&Path>, cache: &Path) -> Result<Corpus> {
        match self.wikitext() {
            None => embedded::state_of_the_union(),
            Some(which) => wikitext::open(&source::locate(which, from, cache)?, which),
        }
    }

    /// The folder with the corpus files, in `from` or in the cache; none for the shipped corpus. Nothing is
    /// read or downloaded.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says where was looked.
    pub fn locate(self, from: Option<&Path>, cache: &Path) -> Result<Option<PathBuf>> {
        let locate = |which| source::locate(which, from, cache);
        self.wikitext().map(locate).transpose()
    }

    /// That a folder which the user names has the published files, unpacked or as an archive; always so of the shipped
    /// corpus, which needs none.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says what was looked for.
    pub fn check_given(self, dir: &Path) -> Result<()> {
        let check = |which| source::check_given(which, dir);
        self.wikitext().map_or(Ok(()), check)
    }

    /// The files that [`CorpusName::load`] reads, by their sha256; of the shipped corpus its packed file. Nothing is
    /// downloaded.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says where was looked; [`Error::Io`].
    pub fn origins(self, from: Option<&Path>, cache: &Path) -> Result<Origins> {
        match self.wikitext() {
            None => Ok(embedded::state_of_the_union_origins()),
            Some(which) => wikitext::origins(&source::locate(which, from, cache)?),
        }
    }

    /// The name for people: `WikiText-2`.
    pub fn title(self) -> &'static str {
        self.wikitext()
            .map_or("State of the Union", WikiText::title)
    }

    /// Makes the corpus available on this machine, downloading it when that is needed and allowed;
    /// `listener` is told of that.
    ///
    /// # Errors
    /// Those of [`source::prepare`]; never for the shipped corpus.
    pub fn prepare(self, from: Option<&Path>, cache: &Path, listener: Listener<'_>) -> Result<()> {
        match self.wikitext() {
            None => Ok(()),
            Some(which) => source::prepare(which, from, cache, listener).map(|_| ()),
        }
    }

    const fn wikitext(self) -> Option<WikiText> {
        match self {
            Self::StateOfTheUnion => None,
            Self::WikiText2 => Some(WikiText::Two),
            Self::WikiText103 => Some(WikiText::OneHundredThree),
        }
    }
}

impl fmt::Display for CorpusName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CorpusName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|corpus| corpus.name() == name)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::name).join(", ");
                Error::UnknownCorpus {
                    name: name.to_owned(),
                    known,
                }
            })
    }
}
