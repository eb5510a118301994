//! The recipe's corpus as tokenised text, and text as it is typed in the same form.

use std::path::Path;

use anyhow::{Result, anyhow};
use sparta_datasets::embedded;
use sparta_datasets::pairs::ParallelCorpus;
use sparta_datasets::tokenize::Language;
use sparta_datasets::tokenize::moses::{MosesDetokenizer, MosesTokenizer};
use sparta_datasets::translation::{Cleaning, SentencePreparer, TranslationCorpus};

use crate::recipe::translation::DataRecipe;

/// Text as it is typed → text as the corpus has it.
pub(super) struct Preparer {
    sentence: Sentence,
    lowercase: bool,
}

enum Sentence {
    /// The shipped corpus, which is tokenised here.
    Shipped(MosesTokenizer),
    Published(SentencePreparer),
}

impl Preparer {
    pub(super) fn new(recipe: &DataRecipe, language: Language) -> Self {
        let sentence = match recipe.corpus {
            TranslationCorpus::LibreofficeHelp | TranslationCorpus::LibreofficeHelpShort => {
                Sentence::Shipped(MosesTokenizer::new(language))
            }
            TranslationCorpus::Multi30kDeEn
            | TranslationCorpus::Iwslt14DeEn
            | TranslationCorpus::Iwslt17DeEn
            | TranslationCorpus::Wmt14EnDe
            | TranslationCorpus::Wmt16RoEn
            | TranslationCorpus::Wmt17EnDe
            | TranslationCorpus::KfttJaEn => Sentence::Published(recipe.corpus.preparer(language)),
        };
        Self {
            sentence,
            lowercase: recipe.lowercase,
        }
    }

    pub(super) fn prepare(&self, line: &str) -> String {
        let line = match &self.sentence {
            Sentence::Shipped(tokenizer) => {
                let tokens = tokenizer.tokenize(line);
                tokens.split_whitespace().collect::<Vec<_>>().join(" ")
            }
            Sentence::Published(preparer) => preparer.prepare(line),
        };
        match self.lowercase {
            true => to_lower(&line),
            false => line,
        }
    }
}

/// Character by character, as the corpora are prepared.
fn to_lower(line: &str) -> String {
    line.chars().flat_map(char::to_lowercase).collect()
}

/// Text as the corpus has it → text as it is written.
pub(super) fn detokenizer(language: Language) -> MosesDetokenizer {
    MosesDetokenizer::new(language)
}

/// What the data crate calls `prepare` is a stage of this program.
fn how(error: sparta_datasets::Error) -> anyhow::Error {
    anyhow!("{error}\n(`prepare` is `cargo run --release --bin iwslt -- prepare --recipe RECIPE`)")
}

/// Makes the corpus available: from the user's folder, or downloaded.
///
/// # Errors
/// What is missing, and where to get it.
pub(super) fn fetch(recipe: &DataRecipe, from: Option<&Path>, cache: &Path) -> Result<()> {
    let name = recipe.corpus;
    name.prepare(from, cache).map(|_| ()).map_err(how)
}

/// The corpus as tokenised text, pairs of the recipe's lengths only. Nothing is downloaded.
///
/// # Errors
/// A corpus that is not at hand, and how to get it.
pub(super) fn load(
    recipe: &DataRecipe,
    from: Option<&Path>,
    cache: &Path,
) -> Result<ParallelCorpus> {
    let corpus = match recipe.corpus {
        TranslationCorpus::LibreofficeHelp => embedded::libreoffice_help()
            .map_err(how)?
            .tokenized(recipe.lowercase),
        TranslationCorpus::LibreofficeHelpShort
        | TranslationCorpus::Multi30kDeEn
        | TranslationCorpus::Iwslt14DeEn
        | TranslationCorpus::Iwslt17DeEn
        | TranslationCorpus::Wmt14EnDe
        | TranslationCorpus::Wmt16RoEn
        | TranslationCorpus::Wmt17EnDe
        | TranslationCorpus::KfttJaEn => {
            let corpus = recipe.corpus.load(from, cache).map_err(how)?;
            match recipe.lowercase {
                true => corpus.map(to_lower, to_lower),
                false => corpus,
            }
        }
    };
    let (least, most) = (recipe.min_target_words, recipe.max_target_words);
    Ok(match (least, most) {
        (0 | 1, 0) => corpus,
        (_, 0) => corpus.with_target_words(least..=usize::MAX),
        (_, _) => corpus.with_target_words(least..=most),
    })
}

/// Cleaning of the training pairs that counts pieces, where the published preparation has it.
pub(super) fn cleaning(recipe: &DataRecipe) -> Option<Cleaning> {
    recipe.corpus.cleaning_by_pieces()
}

/// About how large the dictionaries are, for when the corpus is not at hand.
pub(super) fn usual_sizes(recipe: &DataRecipe) -> (usize, usize) {
    match recipe.corpus {
        // As fairseq's preparation prints.
        TranslationCorpus::Iwslt14DeEn if !recipe.joined_dictionary => (8848, 6632),
        TranslationCorpus::LibreofficeHelp
        | TranslationCorpus::LibreofficeHelpShort
        | TranslationCorpus::Multi30kDeEn
        | TranslationCorpus::Iwslt14DeEn
        | TranslationCorpus::Iwslt17DeEn
        | TranslationCorpus::Wmt14EnDe
        | TranslationCorpus::Wmt16RoEn
        | TranslationCorpus::Wmt17EnDe
        | TranslationCorpus::KfttJaEn => (recipe.bpe_merges, recipe.bpe_merges),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Recipe, TranslationRecipe};

    #[test]
    fn what_is_typed_becomes_what_the_corpus_has() {
        let recipe = TranslationRecipe::load("small/iwslt", &[]).unwrap().data;
        let preparer = Preparer::new(&recipe, Language::De);
        let raw = embedded::libreoffice_help().unwrap();
        let tokenised = embedded::libreoffice_help().unwrap().tokenized(true);
        for (raw, tokenised) in raw.test.iter().zip(&tokenised.test) {
            assert_eq!(preparer.prepare(&raw.0), tokenised.0);
        }
    }
}
