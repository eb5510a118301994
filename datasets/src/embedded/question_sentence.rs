//! Two question answering sets in SQuAD's format, and the question–sentence pairs made from them.

use std::path::Path;

use crate::classification::ClassificationCorpus;
use crate::source::{Origin, Origins};
use crate::squad::{Article, SquadForm, articles_from_json};
use crate::{Error, Result, question_sentence};

const DEV: &str = "squaddev_v1.1.json.xz";
static DEV_COMPRESSED: &[u8] = include_bytes!("../../data/squaddev_v1.1.json.xz");
const WIKI: &str = "new_wiki_v1.0.json.xz";
static WIKI_COMPRESSED: &[u8] = include_bytes!("../../data/new_wiki_v1.0.json.xz");

/// SQuAD v1.1 dev without five of its questions: 48 articles, 10,565 questions.
///
/// # Errors
/// [`Error::DamagedBuiltin`] when the compiled-in file does not decode, which a sound build
/// never shows.
pub fn squad_dev() -> Result<Vec<Article>> {
    articles(DEV, DEV_COMPRESSED)
}

/// The new-Wikipedia set of SQuADShifts (Miller et al. 2020): 48 articles, 7,936 questions.
///
/// # Errors
/// As [`squad_dev`].
pub fn new_wiki() -> Result<Vec<Article>> {
    articles(WIKI, WIKI_COMPRESSED)
}

/// The shipped question–sentence pairs: [`question_sentence::from_articles`] of [`squad_dev`] and
/// [`new_wiki`].
///
/// # Errors
/// As [`squad_dev`].
pub fn question_sentence() -> Result<ClassificationCorpus> {
    let mut articles = squad_dev()?;
    articles.extend(new_wiki()?);
    Ok(question_sentence::from_articles(&articles))
}

/// The shipped files of both sets.
pub(crate) fn question_origins() -> Origins {
    let files = [(DEV, DEV_COMPRESSED), (WIKI, WIKI_COMPRESSED)];
    let origins = files.map(|(name, packed)| Origin::shipped(name, packed));
    Origins(origins.to_vec())
}

fn articles(name: &'static str, compressed: &[u8]) -> Result<Vec<Article>> {
    let json = super::decode(name, compressed, 9 << 20)?;
    articles_from_json(&json, Path::new(name), SquadForm::V1_1).map_err(|error| {
        Error::DamagedBuiltin {
            name,
            cause: error.to_string(),
        }
    })
}
