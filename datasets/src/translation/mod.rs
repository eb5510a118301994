//! The corpora of the translation tables: from the published archives to tokenised sentence pairs.
//!
//! [`TranslationCorpus::prepare`] finds or downloads the published files, applies the preparation
//! that the tables were made with, and keeps the result in the cache as one file for each split
//! and language, one sentence per line. [`TranslationCorpus::load`] reads those.

mod catalog;
mod clean;
mod markup;
mod prepare;
mod raw;
mod sentence;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use clean::Cleaning;
pub use sentence::SentencePreparer;

use crate::pairs::ParallelCorpus;
use crate::source::{Listener, Origins};
use crate::tokenize::Language;
use crate::{Error, Result, embedded};

/// The parallel corpora that a recipe can name; serde's spelling is that of recipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranslationCorpus {
    /// LibreOffice's help, German to English, shipped inside the program: tokenised, lower case.
    LibreofficeHelp,
    /// Multi30k task 1, German to English; test is `test_2016_flickr`.
    Multi30kDeEn,
    /// IWSLT 2014, German to English, as fairseq prepares it.
    Iwslt14DeEn,
    /// IWSLT 2017, German to English; valid is dev2010 and tst2010 to tst2015, test is tst2017.
    Iwslt17DeEn,
    /// WMT 2014, English to German; valid is newstest2013, test newstest2014.
    Wmt14EnDe,
    /// WMT 2017 training data, English to German, as fairseq prepares it: valid is every 100th
    /// pair, test newstest2014.
    Wmt17EnDe,
    /// WMT 2016, Romanian to English; valid is newsdev2016, test newstest2016.
    Wmt16RoEn,
    /// Kyoto Free Translation Task 1.0, Japanese to English, in its published tokenisation.
    KfttJaEn,
}

impl TranslationCorpus {
    /// Every corpus.
    pub const ALL: [Self; 8] = [
        Self::LibreofficeHelp,
        Self::Multi30kDeEn,
        Self::Iwslt14DeEn,
        Self::Iwslt17DeEn,
        Self::Wmt14EnDe,
        Self::Wmt17EnDe,
        Self::Wmt16RoEn,
        Self::KfttJaEn,
    ];

    /// The spelling in signatures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LibreofficeHelp => "libreoffice-help",
            Self::Multi30kDeEn => "multi30k-de-en",
            Self::Iwslt14DeEn => "iwslt14-de-en",
            Self::Iwslt17DeEn => "iwslt17-de-en",
            Self::Wmt14EnDe => "wmt14-en-de",
            Self::Wmt17EnDe => "wmt17-en-de",
            Self::Wmt16RoEn => "wmt16-ro-en",
            Self::KfttJaEn => "kftt-ja-en",
        }
    }

    /// The name for people: `Multi30k`.
    pub fn title(self) -> &'static str {
        catalog::published(self).map_or("LibreOffice help", |published| published.title)
    }

    /// Whether its published preparation is in lower case.
    pub fn is_lower_case(self) -> bool {
        catalog::published(self).is_some_and(|published| published.steps.lowercase)
    }

    /// The folder with the prepared files; none for the shipped corpora. Nothing is read or downloaded.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says where was looked.
    pub fn locate(self, cache: &Path) -> Result<Option<PathBuf>> {
        let locate = |published| prepare::locate(published, cache);
        catalog::published(self).map(locate).transpose()
    }

    /// That a folder which the user names has the published files, unpacked or as archives, or is a cache in which they are
    /// prepared; always so of the shipped corpora, which need none.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which says what was looked for.
    pub fn check_given(self, dir: &Path) -> Result<()> {
        let check = |published| prepare::check_given(published, dir);
        catalog::published(self).map_or(Ok(()), check)
    }

    /// The files that [`TranslationCorpus::load`] reads without a folder of the user, by their sha256: those that
    /// [`TranslationCorpus::prepare`] left in `cache`, of a shipped corpus its packed file.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which names the command to type; [`Error::Io`].
    pub fn origins(self, cache: &Path) -> Result<Origins> {
        match catalog::published(self) {
            None => Ok(embedded::libreoffice_help_origins()),
            Some(published) => prepare::origins(published, cache),
        }
    }

    /// Brings running text of one of its languages into the form that the corpus's sentences
    /// have, for translating what a user types.
    pub fn preparer(self, language: Language) -> SentencePreparer {
        let steps =
            catalog::published(self).map_or(&catalog::SHIPPED, |published| &published.steps);
        SentencePreparer::new(steps, language)
    }

    /// Cleaning to be done after the words are cut into pieces, by counting pieces (fairseq's WMT
    /// script does so); `None` where it is part of the preparation.
    pub fn cleaning_by_pieces(self) -> Option<Cleaning> {
        catalog::published(self).and_then(|published| published.steps.clean_pieces)
    }

    /// The tokenised corpus: decoded from the program, or read from what
    /// [`TranslationCorpus::prepare`] left in `cache`.
    ///
    /// With `from` (the user's `--from DIR`) it is prepared from there when the cache lacks it.
    /// Nothing is downloaded.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], which names the command to type; with `from`, those of
    /// [`TranslationCorpus::prepare`].
    pub fn load(self, from: Option<&Path>, cache: &Path) -> Result<ParallelCorpus> {
        match (catalog::published(self), from) {
            (None, _) => Ok(embedded::libreoffice_help()?.tokenized(true)),
            (Some(published), None) => prepare::load(published, cache),
            (Some(published), Some(_)) => {
                prepare::prepare(published, from, cache, &mut |_| ())?;
                prepare::load(published, cache)
            }
        }
    }

    /// Makes the corpus available: from the user's folder (archives as published, or unpacked), or
    /// downloaded, which `listener` is told of. What was prepared before is left as it is; delete its
    /// folder to do it again.
    ///
    /// Returns the folder with the prepared files, or `None` for the shipped corpora.
    ///
    /// # Errors
    /// [`Error::MissingCorpus`], [`Error::WrongSize`], [`Error::UnmatchedPairs`],
    /// [`Error::BadArchive`], [`Error::DownloadFailed`], [`Error::DownloadNotCompiled`],
    /// [`Error::Io`].
    pub fn prepare(
        self,
        from: Option<&Path>,
        cache: &Path,
        listener: Listener<'_>,
    ) -> Result<Option<PathBuf>> {
        catalog::published(self)
            .map(|published| prepare::prepare(published, from, cache, listener))
            .transpose()
    }
}

impl fmt::Display for TranslationCorpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TranslationCorpus {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|corpus| corpus.name() == name)
            .ok_or_else(|| Error::UnknownCorpus {
                name: name.to_owned(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}
