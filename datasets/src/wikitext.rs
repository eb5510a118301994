//! WikiText-2 and WikiText-103, word level, as published (Merity et al. 2017).
//!
//! A folder holds `wiki.train.tokens`, `wiki.valid.tokens` and `wiki.test.tokens`; every line is
//! its words and an `<eos>`, blank lines and headings included, which gives the token counts that
//! papers report.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::source::{Origin, Origins, read_utf8};
use crate::{Corpus, CorpusName, Error, Result, Split};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WikiText {
    /// WikiText-2: 2.1 M training tokens, 33,278 types.
    Two,
    /// WikiText-103: 103 M training tokens, 267,735 types.
    OneHundredThree,
}

impl WikiText {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Two, Self::OneHundredThree];

    /// The published name: `WikiText-2`, `WikiText-103`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Two => "WikiText-2",
            Self::OneHundredThree => "WikiText-103",
        }
    }

    /// The folder inside the published archive: `wikitext-2`, `wikitext-103`.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Two => "wikitext-2",
            Self::OneHundredThree => "wikitext-103",
        }
    }

    /// The name in recipes.
    pub const fn corpus_name(self) -> CorpusName {
        match self {
            Self::Two => CorpusName::WikiText2,
            Self::OneHundredThree => CorpusName::WikiText103,
        }
    }

    /// Published number of tokens of a split, `<eos>` included.
    pub const fn n_tokens(self, split: Split) -> u64 {
        match (self, split) {
            (Self::Two, Split::Train) => 2_088_628,
            (Self::OneHundredThree, Split::Train) => 103_227_021,
            (Self::Two | Self::OneHundredThree, Split::Valid) => 217_646,
            (Self::Two | Self::OneHundredThree, Split::Test) => 245_569,
        }
    }
}

/// Published file name of a split: `wiki.train.tokens`, ….
pub fn file_name(split: Split) -> String {
    format!("wiki.{split}.tokens")
}

/// Reads the three published files of a folder and checks their token counts.
///
/// # Errors
/// [`Error::MissingCorpus`] when a file is not there, [`Error::WrongFile`] when one has another
/// number of tokens than the published file or is not UTF-8, [`Error::Io`].
pub fn open(dir: &Path, which: WikiText) -> Result<Corpus> {
    let read = |split| {
        let path = existing_file(dir, which, split)?;
        let text = read_utf8(&path, || advice(which))?;
        check_count(&path, which, split, crate::tokenize::count_tokens(&text))?;
        Ok(text)
    };
    Ok(Corpus {
        name: which.corpus_name().name().to_owned(),
        train: read(Split::Train)?,
        valid: read(Split::Valid)?,
        test: read(Split::Test)?,
    })
}

/// Checks the three files as [`open`] does, without holding their text.
///
/// # Errors
/// As [`open`], less the check of the encoding.
pub fn check(dir: &Path, which: WikiText) -> Result<()> {
    for split in Split::ALL {
        let path = existing_file(dir, which, split)?;
        let file = File::open(&path).map_err(Error::io("read", &path))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let (mut line, mut n_tokens) = (Vec::new(), 0);
        while reader
            .read_until(b'\n', &mut line)
            .map_err(Error::io("read", &path))?
            > 0
        {
            let words = line
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty());
            n_tokens += words.count() as u64 + 1;
            line.clear();
        }
        check_count(&path, which, split, n_tokens)?;
    }
    Ok(())
}

/// What the three files of a folder are.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn origins(dir: &Path) -> Result<Origins> {
    let origin = |split| {
        let name = file_name(split);
        Origin::known(&dir.join(&name), name)
    };
    let origins = Split::ALL.into_iter().map(origin);
    origins.collect::<Result<_>>().map(Origins)
}

/// Whether all three files are in a folder (their content is not looked at).
pub(crate) fn is_unpacked(dir: &Path) -> bool {
    Split::ALL
        .into_iter()
        .all(|split| dir.join(file_name(split)).is_file())
}

/// What to do when the files are not right.
pub(crate) fn advice(which: WikiText) -> String {
    let folder = which.folder();
    format!(
        "get the word-level archive {folder}-v1.zip and run `prepare --from DIR` on the folder that holds it"
    )
}

fn existing_file(dir: &Path, which: WikiText, split: Split) -> Result<PathBuf> {
    let path = dir.join(file_name(split));
    if path.is_file() {
        return Ok(path);
    }
    let raw = dir.join(format!("wiki.{split}.raw"));
    let found = if raw.is_file() {
        format!(
            "{} is missing; wiki.{split}.raw is the raw-text edition",
            file_name(split)
        )
    } else {
        format!("{} is missing", file_name(split))
    };
    let (corpus, next) = (which.title(), advice(which));
    Err(Error::MissingCorpus {
        corpus,
        dir: dir.to_owned(),
        found,
        next,
    })
}

fn check_count(path: &Path, which: WikiText, split: Split, found: u64) -> Result<()> {
    let expected = which.n_tokens(split);
    if found == expected {
        return Ok(());
    }
    let other = WikiText::ALL
        .into_iter()
        .find(|other| other.n_tokens(split) == found);
    let owner = other
        .map(|other| format!(", the file of {}", other.title()))
        .unwrap_or_default();
    Err(Error::WrongFile {
        path: path.to_owned(),
        expected: format!("{expected} tokens with <eos> ({} {split})", which.title()),
        found: format!("{found} tokens{owner}"),
        next: advice(which),
    })
}
