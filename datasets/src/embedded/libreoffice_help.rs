//! LibreOffice's help in German and English, for translation.

use std::collections::HashSet;

use crate::pairs::{ParallelCorpus, SentencePair};
use crate::source::{Origin, Origins, Sha256Hex};
use crate::tokenize::Language;
use crate::{Error, Result, Split};

const FILE: &str = "libreoffice_help.de-en.tsv.xz";
static COMPRESSED: &[u8] = include_bytes!("../../data/libreoffice_help.de-en.tsv.xz");

/// The shipped file, decoded: `German TAB English` lines.
///
/// # Errors
/// As [`libreoffice_help`].
pub fn libreoffice_help_text() -> Result<String> {
    super::decode(FILE, COMPRESSED, 6 << 20)
}

/// The help texts of LibreOffice, German to English, as written: not tokenised, case kept.
///
/// A pair's split follows from a hash of its English side, lower-cased and without spaces and
/// punctuation: 4 % test, 4 % valid. So no English sentence of one split is in another, however it
/// is set. Beyond that, a pair that repeats another (compared in the same way) is left out; valid
/// and test have each English sentence once; and train has no German sentence of valid or test,
/// valid none of test.
///
/// # Errors
/// [`Error::DamagedBuiltin`] when the compiled-in file does not decode, which a sound build
/// never shows.
pub fn libreoffice_help() -> Result<ParallelCorpus> {
    let text = libreoffice_help_text()?;
    let mut corpus = ParallelCorpus::empty("libreoffice-help", Language::De, Language::En);
    let mut pairs_seen = HashSet::new();
    let mut evaluated = HashSet::new();
    for (line, number) in text.lines().zip(1..) {
        let (german, english) = line.split_once('\t').ok_or_else(|| Error::DamagedBuiltin {
            name: FILE,
            cause: format!("line {number} has no tab"),
        })?;
        let (german_key, english_key) = (key(german), key(english));
        let split = split_of(&english_key);
        let is_new = pairs_seen.insert((german_key, english_key.clone()));
        if is_new && (split == Split::Train || evaluated.insert(english_key)) {
            corpus
                .split_mut(split)
                .push((german.to_owned(), english.to_owned()));
        }
    }
    let german = |pair: &SentencePair| key(&pair.0);
    let test: HashSet<String> = corpus.test.iter().map(german).collect();
    corpus.valid.retain(|pair| !test.contains(&german(pair)));
    let valid: HashSet<String> = corpus.valid.iter().map(german).collect();
    corpus.train.retain(|pair| {
        let german = german(pair);
        !test.contains(&german) && !valid.contains(&german)
    });
    Ok(corpus)
}

/// The shipped file.
pub(crate) fn libreoffice_help_origins() -> Origins {
    Origins(vec![Origin::shipped(FILE, COMPRESSED)])
}

/// What two sentences are compared by: letters and digits in lower case, or all of it when there
/// are none.
fn key(sentence: &str) -> String {
    let lower = sentence.to_lowercase();
    let key: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
    if key.is_empty() { lower } else { key }
}

/// The first byte of sha256, 0..=255: below 10 test, below 20 valid.
fn split_of(key: &str) -> Split {
    let mut hasher = Sha256Hex::new();
    hasher.update(key.as_bytes());
    match hasher.finish_bytes()[0] {
        0..10 => Split::Test,
        10..20 => Split::Valid,
        20..=255 => Split::Train,
    }
}
