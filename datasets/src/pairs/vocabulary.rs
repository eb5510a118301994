//! The tokenizers of both sides, learned from the training pairs.

use std::path::{Path, PathBuf};

use super::SentencePair;
use crate::Result;
use crate::tokenize::bpe::{BpeVocabulary, LearnOptions, learn};
use crate::tokenize::{DictionaryOptions, Language};

/// How both sides' tokenizers are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairVocabularyOptions {
    /// Merges, learned jointly on both sides.
    pub merges: LearnOptions,
    /// One dictionary for both sides (`--joined-dictionary`), which shared embeddings need, or
    /// one for each.
    pub joined: bool,
    /// What to keep of the pieces.
    pub dictionary: DictionaryOptions,
}

/// The tokenizers of the source and the target side; they share their merges.
#[derive(Debug, Clone)]
pub struct PairVocabulary {
    /// Tokenizer of what is translated.
    pub source: BpeVocabulary,
    /// Tokenizer of the translation.
    pub target: BpeVocabulary,
}

impl PairVocabulary {
    /// Learns from tokenised training pairs, as fairseq's scripts do: merges on both sides put
    /// together, dictionaries of the pieces after merging.
    ///
    /// # Errors
    /// [`crate::Error::NothingToLearn`], [`crate::Error::DictionaryTooSmall`].
    pub fn learn(train: &[SentencePair], options: &PairVocabularyOptions) -> Result<Self> {
        let sources = || train.iter().map(|pair| pair.0.as_str());
        let targets = || train.iter().map(|pair| pair.1.as_str());
        let codes = learn(sources().chain(targets()), &options.merges)?;
        let dictionary = &options.dictionary;
        if options.joined {
            let both = BpeVocabulary::from_lines(codes, sources().chain(targets()), dictionary)?;
            Ok(Self {
                source: both.clone(),
                target: both,
            })
        } else {
            Ok(Self {
                source: BpeVocabulary::from_lines(codes.clone(), sources(), dictionary)?,
                target: BpeVocabulary::from_lines(codes, targets(), dictionary)?,
            })
        }
    }

    /// Writes `codes.bpe`, `dict.de.txt` and `dict.en.txt` (for German and English) into a folder.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn save(&self, dir: &Path, source: Language, target: Language) -> Result<()> {
        self.source
            .save(&codes_path(dir), &dict_path(dir, source))?;
        self.target.dictionary().save(&dict_path(dir, target))
    }

    /// Reads what [`PairVocabulary::save`] wrote.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::BadBpeCodes`], [`crate::Error::BadVocabulary`].
    pub fn load(dir: &Path, source: Language, target: Language) -> Result<Self> {
        let side = |language| BpeVocabulary::load(&codes_path(dir), &dict_path(dir, language));
        Ok(Self {
            source: side(source)?,
            target: side(target)?,
        })
    }
}

fn codes_path(dir: &Path) -> PathBuf {
    dir.join("codes.bpe")
}

fn dict_path(dir: &Path, language: Language) -> PathBuf {
    dir.join(format!("dict.{language}.txt"))
}
