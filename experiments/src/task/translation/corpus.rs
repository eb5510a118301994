//! The recipe's corpus as tokenised text, and text as it is typed in the same form.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use sparta_datasets::files::{OwnPairs, PairRule, Words};
use sparta_datasets::pairs::ParallelCorpus;
use sparta_datasets::source::Origins;
use sparta_datasets::tokenize::Language;
use sparta_datasets::tokenize::moses::{MosesDetokenizer, MosesTokenizer};
use sparta_datasets::translation::{Cleaning, SentencePreparer, TranslationCorpus};
use sparta_datasets::{Error, Split, embedded};

use crate::download::Shown;
use crate::recipe::translation::DataRecipe;
use crate::recipe::{AnyCorpus, Recipe, Source, TranslationRecipe};
use crate::task::own_files;

/// Text as it is typed → text as the corpus has it.
pub(super) struct Preparer {
    sentence: Sentence,
    lowercase: bool,
}

enum Sentence {
    /// The shipped corpus and own files, which are tokenised here.
    Moses(MosesTokenizer),
    Published(SentencePreparer),
    /// Own files whose words stand between white space.
    Words,
}

impl Preparer {
    pub(super) fn new(recipe: &DataRecipe, language: Language) -> Self {
        let sentence = match (recipe.corpus, words(recipe)) {
            (Source::Published(TranslationCorpus::LibreofficeHelp), _)
            | (Source::Files, Words::Moses) => Sentence::Moses(MosesTokenizer::new(language)),
            (Source::Files, Words::Spaces) => Sentence::Words,
            (
                Source::Published(
                    corpus @ (TranslationCorpus::Multi30kDeEn
                    | TranslationCorpus::Iwslt14DeEn
                    | TranslationCorpus::Iwslt17DeEn
                    | TranslationCorpus::Wmt14EnDe
                    | TranslationCorpus::Wmt16RoEn
                    | TranslationCorpus::Wmt17EnDe
                    | TranslationCorpus::KfttJaEn),
                ),
                _,
            ) => Sentence::Published(corpus.preparer(language)),
        };
        Self {
            sentence,
            lowercase: recipe.lowercase,
        }
    }

    pub(super) fn prepare(&self, line: &str) -> String {
        let line = match &self.sentence {
            Sentence::Moses(tokenizer) => between_spaces(&tokenizer.tokenize(line)),
            Sentence::Words => between_spaces(line),
            Sentence::Published(preparer) => preparer.prepare(line),
        };
        match self.lowercase {
            true => to_lower(&line),
            false => line,
        }
    }
}

fn between_spaces(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Character by character, as the corpora are prepared.
fn to_lower(line: &str) -> String {
    line.chars().flat_map(char::to_lowercase).collect()
}

/// What the words of a corpus are.
fn words(recipe: &DataRecipe) -> Words {
    let files = recipe.files.as_ref();
    files.map_or(Words::Moses, |files| files.words)
}

/// Text as the corpus has it → text as it is written.
pub(super) fn detokenizer(language: Language) -> MosesDetokenizer {
    MosesDetokenizer::new(language)
}

/// A translation as people get it: put together again, or the words of own files that stand between white space as they are.
pub(super) fn as_printed(recipe: &DataRecipe, language: Language, line: String) -> String {
    match words(recipe) {
        Words::Moses => detokenizer(language).detokenize(&line),
        Words::Spaces => line,
    }
}

/// What the data crate calls `prepare` is a stage of this program.
fn how(error: Error) -> anyhow::Error {
    anyhow!("{error}\n(`prepare` is `cargo run --release --bin iwslt -- prepare --recipe RECIPE`)")
}

/// Makes the corpus available: from the user's folder, or downloaded.
///
/// # Errors
/// What is missing, and where to get it.
pub(super) fn fetch(recipe: &DataRecipe, from: Option<&Path>, quiet: bool) -> Result<()> {
    match recipe.corpus {
        Source::Published(name) => {
            let cache = AnyCorpus::Pairs(name).cache_dir()?;
            let mut shown = Shown::new(quiet);
            let prepared = name.prepare(from, &cache, &mut |event| shown.hear(event));
            prepared.map(|_| ()).map_err(how)
        }
        Source::Files => own(recipe, from).map(|_| ()),
    }
}

/// Where own files are, and how they are read.
fn own<'a>(recipe: &DataRecipe, from: Option<&'a Path>) -> Result<(&'a Path, PairRule)> {
    let what = "FILE.tsv with a tab between the sides of each line, the beginning of FILE.de and FILE.en, or a folder with such files for \
                train, valid and test";
    let path = own_files::given(from, TranslationRecipe::PROGRAM, what)?;
    let files = recipe
        .files
        .as_ref()
        .context("the recipe has no section `data.files`")?;
    Ok((path, files.rule(recipe.lowercase)))
}

/// What the files are now that were given again, as far as there are any.
///
/// # Errors
/// Own files that are missing.
pub(super) fn origins(recipe: &DataRecipe, from: Option<&Path>) -> Result<Option<Origins>> {
    if from.is_none() {
        return Ok(None);
    }
    match recipe.corpus {
        Source::Files => {
            let (path, rule) = own(recipe, from)?;
            Ok(Some(rule.origins(path)?))
        }
        Source::Published(corpus) => match corpus.origins(&AnyCorpus::Pairs(corpus).cache_dir()?) {
            Ok(origins) => Ok(Some(origins)),
            // It is there as it was published, and not prepared: what the run folder has is enough.
            Err(Error::MissingCorpus { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        },
    }
}

/// Sentence pairs, and the files that they were read from.
pub(super) struct Loaded {
    pub(super) corpus: ParallelCorpus,
    pub(super) origins: Origins,
    /// Pairs that are not among them.
    pub(super) left_out: LeftOut,
}

/// How many pairs of a corpus are not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LeftOut {
    /// For a side without a word.
    n_without_words: usize,
    /// For a target of fewer or more words than the recipe wants.
    n_of_other_lengths: usize,
}

impl LeftOut {
    /// What is said of them, after the rest of a line.
    pub(super) fn words(self, recipe: &DataRecipe) -> String {
        let mut words = String::new();
        if self.n_without_words > 0 {
            let n = self.n_without_words;
            words += &format!("; {n} pairs left out, a side of which has no word");
        }
        if self.n_of_other_lengths > 0 {
            let n = self.n_of_other_lengths;
            let (least, most) = (recipe.min_target_words, recipe.max_target_words);
            let range = match most {
                0 => format!("fewer than {least} words (`data.min_target_words`)"),
                _ => format!(
                    "fewer than {least} or more than {most} words (`data.min_target_words`, `data.max_target_words`)"
                ),
            };
            words += &format!("; {n} pairs left out, whose target has {range}");
        }
        words
    }
}

/// The corpus as tokenised text, pairs of the recipe's lengths only. Nothing is downloaded.
///
/// # Errors
/// A corpus that is not at hand, and how to get it.
pub(super) fn load(recipe: &DataRecipe, from: Option<&Path>) -> Result<Loaded> {
    let mut loaded = match recipe.corpus {
        Source::Published(corpus) => Loaded {
            corpus: published(corpus, recipe.lowercase, from)?,
            origins: corpus.origins(&AnyCorpus::Pairs(corpus).cache_dir()?)?,
            left_out: LeftOut::default(),
        },
        Source::Files => {
            let (path, rule) = own(recipe, from)?;
            let OwnPairs {
                corpus,
                origins,
                n_without_words,
            } = rule.corpus(path)?;
            Loaded {
                corpus,
                origins,
                left_out: LeftOut {
                    n_without_words,
                    ..LeftOut::default()
                },
            }
        }
    };
    let n_all = n_pairs(&loaded.corpus);
    loaded.corpus = of_lengths(recipe, loaded.corpus);
    loaded.left_out.n_of_other_lengths = n_all - n_pairs(&loaded.corpus);
    Ok(loaded)
}

fn published(
    corpus: TranslationCorpus,
    lowercase: bool,
    from: Option<&Path>,
) -> Result<ParallelCorpus> {
    match corpus {
        TranslationCorpus::LibreofficeHelp => Ok(embedded::libreoffice_help()
            .map_err(how)?
            .tokenized(lowercase)),
        TranslationCorpus::Multi30kDeEn
        | TranslationCorpus::Iwslt14DeEn
        | TranslationCorpus::Iwslt17DeEn
        | TranslationCorpus::Wmt14EnDe
        | TranslationCorpus::Wmt16RoEn
        | TranslationCorpus::Wmt17EnDe
        | TranslationCorpus::KfttJaEn => {
            let cache = AnyCorpus::Pairs(corpus).cache_dir()?;
            let corpus = corpus.load(from, &cache).map_err(how)?;
            Ok(match lowercase {
                true => corpus.map(to_lower, to_lower),
                false => corpus,
            })
        }
    }
}

fn n_pairs(corpus: &ParallelCorpus) -> usize {
    Split::ALL
        .map(|split| corpus.pairs(split).len())
        .iter()
        .sum()
}

/// The pairs of the recipe's lengths.
fn of_lengths(recipe: &DataRecipe, corpus: ParallelCorpus) -> ParallelCorpus {
    let (least, most) = (recipe.min_target_words, recipe.max_target_words);
    match (least, most) {
        (0 | 1, 0) => corpus,
        (_, 0) => corpus.with_target_words(least..=usize::MAX),
        (_, _) => corpus.with_target_words(least..=most),
    }
}

/// Cleaning of the training pairs that counts pieces, where the published preparation has it.
pub(super) fn cleaning(recipe: &DataRecipe) -> Option<Cleaning> {
    recipe.corpus.published()?.cleaning_by_pieces()
}

/// About how large the dictionaries are, for when the corpus is not at hand.
pub(super) fn usual_sizes(recipe: &DataRecipe) -> (usize, usize) {
    match recipe.corpus {
        // As fairseq's preparation prints.
        Source::Published(TranslationCorpus::Iwslt14DeEn) if !recipe.joined_dictionary => {
            (8848, 6632)
        }
        Source::Published(_) | Source::Files => (recipe.bpe_merges, recipe.bpe_merges),
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
