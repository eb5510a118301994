//! What was published, where it can be had, and how each corpus is prepared.

mod iwslt;
mod wmt;

use super::clean::Cleaning;
use super::{TranslationCorpus, markup::Format};
use crate::Split;
#[cfg(feature = "download")]
use crate::source::Remote;
use crate::tokenize::Language;
use crate::tokenize::moses::{Release, TokenizerOptions};

/// A published corpus.
#[derive(Debug)]
pub(in crate::translation) struct Published {
    pub(in crate::translation) name: &'static str,
    pub(in crate::translation) title: &'static str,
    pub(in crate::translation) source: Language,
    pub(in crate::translation) target: Language,
    /// Of every archive, or where that is said.
    #[cfg_attr(
        not(feature = "download"),
        expect(dead_code, reason = "it is told of downloads")
    )]
    pub(in crate::translation) licence: &'static str,
    pub(in crate::translation) archives: &'static [Archive],
    /// Texts in the order in which they are put together.
    pub(in crate::translation) parts: &'static [Part],
    pub(in crate::translation) steps: Steps,
    /// Published numbers of pairs that preparation must arrive at.
    pub(in crate::translation) sizes: &'static [(Split, usize)],
}

/// A file to download: an archive, or a compressed text.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "download"),
    expect(dead_code, reason = "addresses are for downloads")
)]
pub(in crate::translation) struct Archive {
    /// Where it lies below the user's folder.
    pub(in crate::translation) file: &'static str,
    pub(in crate::translation) mirrors: &'static [&'static str],
    pub(in crate::translation) sha256: Option<&'static str>,
}

#[cfg(feature = "download")]
impl Archive {
    /// What is downloaded.
    pub(in crate::translation) const fn remote(&self, licence: &'static str) -> Remote<'static> {
        Remote {
            mirrors: self.mirrors,
            sha256: self.sha256,
            licence,
        }
    }
}

/// One text in both languages; of several spellings of a path the first that is there counts.
#[derive(Debug)]
pub(in crate::translation) struct Part {
    pub(in crate::translation) split: Split,
    pub(in crate::translation) source: &'static [&'static str],
    pub(in crate::translation) target: &'static [&'static str],
    pub(in crate::translation) format: Format,
}

/// The preparation, in this order.
#[derive(Debug)]
pub(in crate::translation) struct Steps {
    pub(in crate::translation) lowercase_first: bool,
    /// Plain punctuation in these splits.
    pub(in crate::translation) normalize: &'static [Split],
    /// No control characters, in the splits that are normalised.
    pub(in crate::translation) drop_unprintable: bool,
    /// State of Moses' scripts, for the normaliser (the tokeniser's is among its options).
    pub(in crate::translation) release: Release,
    /// Moses' tokeniser; `None` for texts published tokenised.
    pub(in crate::translation) tokenize: Option<TokenizerOptions>,
    /// On training pairs.
    pub(in crate::translation) clean: Option<Cleaning>,
    pub(in crate::translation) lowercase: bool,
    /// Every n-th training pair becomes a validation pair.
    pub(in crate::translation) hold_out: Option<usize>,
    /// Left to do when words are cut into pieces.
    pub(in crate::translation) clean_pieces: Option<Cleaning>,
}

const PLAIN: Option<TokenizerOptions> = Some(TokenizerOptions {
    aggressive_hyphens: false,
    escape: true,
    release: Release::Y2019,
});
const KEEP: Steps = Steps {
    lowercase_first: false,
    normalize: &[],
    drop_unprintable: false,
    release: Release::Y2019,
    tokenize: None,
    clean: None,
    lowercase: false,
    hold_out: None,
    clean_pieces: None,
};
/// Of the shipped corpora.
pub(super) static SHIPPED: Steps = Steps {
    tokenize: PLAIN,
    lowercase: true,
    ..KEEP
};

const fn part(
    split: Split,
    source: &'static [&'static str],
    target: &'static [&'static str],
) -> Part {
    Part {
        split,
        source,
        target,
        format: Format::Lines,
    }
}

const fn archive(file: &'static str, mirrors: &'static [&'static str]) -> Archive {
    Archive {
        file,
        mirrors,
        sha256: None,
    }
}

/// What was published of a corpus; `None` for the shipped one.
pub(in crate::translation) fn published(corpus: TranslationCorpus) -> Option<&'static Published> {
    match corpus {
        TranslationCorpus::LibreofficeHelp => None,
        TranslationCorpus::Multi30kDeEn => Some(&MULTI30K),
        TranslationCorpus::Iwslt14DeEn => Some(&iwslt::IWSLT14),
        TranslationCorpus::Iwslt17DeEn => Some(&iwslt::IWSLT17),
        TranslationCorpus::Wmt14EnDe => Some(&wmt::WMT14),
        TranslationCorpus::Wmt17EnDe => Some(&wmt::WMT17),
        TranslationCorpus::Wmt16RoEn => Some(&wmt::WMT16),
        TranslationCorpus::KfttJaEn => Some(&KFTT),
    }
}

macro_rules! multi30k {
    ($file:literal, $sha256:literal) => {
        Archive {
            file: $file,
            mirrors: &[concat!(
                "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/",
                $file
            )],
            sha256: Some($sha256),
        }
    };
}

/// Prepared as its own script does: lower case, plain punctuation, tokens.
static MULTI30K: Published = Published {
    name: "multi30k-de-en",
    title: "Multi30k task 1",
    source: Language::De,
    target: Language::En,
    licence: "see https://github.com/multi30k/dataset",
    archives: &[
        multi30k!(
            "train.de.gz",
            "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"
        ),
        multi30k!(
            "train.en.gz",
            "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"
        ),
        multi30k!(
            "val.de.gz",
            "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"
        ),
        multi30k!(
            "val.en.gz",
            "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"
        ),
        multi30k!(
            "test_2016_flickr.de.gz",
            "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"
        ),
        multi30k!(
            "test_2016_flickr.en.gz",
            "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"
        ),
    ],
    parts: &[
        part(Split::Train, &["raw/train.de"], &["raw/train.en"]),
        part(Split::Valid, &["raw/val.de"], &["raw/val.en"]),
        part(
            Split::Test,
            &["raw/test_2016_flickr.de"],
            &["raw/test_2016_flickr.en"],
        ),
    ],
    steps: Steps {
        lowercase_first: true,
        normalize: &Split::ALL,
        release: Release::Y2017,
        tokenize: Some(TokenizerOptions {
            aggressive_hyphens: false,
            escape: true,
            release: Release::Y2017,
        }),
        ..KEEP
    },
    sizes: &[
        (Split::Train, 29_000),
        (Split::Valid, 1_014),
        (Split::Test, 1_000),
    ],
};

static KFTT: Published = Published {
    name: "kftt-ja-en",
    title: "KFTT 1.0",
    source: Language::Ja,
    target: Language::En,
    licence: "see http://www.phontron.com/kftt/",
    archives: &[archive(
        "kftt-data-1.0.tar.gz",
        &["http://www.phontron.com/kftt/download/kftt-data-1.0.tar.gz"],
    )],
    parts: &[
        part(
            Split::Train,
            &["data/tok/kyoto-train.cln.ja"],
            &["data/tok/kyoto-train.cln.en"],
        ),
        part(
            Split::Valid,
            &["data/tok/kyoto-dev.ja"],
            &["data/tok/kyoto-dev.en"],
        ),
        part(
            Split::Test,
            &["data/tok/kyoto-test.ja"],
            &["data/tok/kyoto-test.en"],
        ),
    ],
    steps: KEEP,
    sizes: &[
        (Split::Train, 329_882),
        (Split::Valid, 1_166),
        (Split::Test, 1_160),
    ],
};
