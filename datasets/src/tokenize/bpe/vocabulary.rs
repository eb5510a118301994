//! Merges and dictionary in one: tokenised text ↔ ids.

use std::collections::HashMap;
use std::path::Path;

use super::{Bpe, BpeCodes, remove_bpe};
use crate::Result;
use crate::source::Sha256Hex;
use crate::tokenize::{Dictionary, DictionaryOptions};

/// The tokenizer of one side: words separated by spaces → pieces → ids, and back.
#[derive(Debug, Clone)]
pub struct BpeVocabulary {
    bpe: Bpe,
    dictionary: Dictionary,
}

impl BpeVocabulary {
    /// Puts merges and a dictionary of their pieces together.
    pub fn new(codes: BpeCodes, dictionary: Dictionary) -> Self {
        Self {
            bpe: Bpe::new(codes),
            dictionary,
        }
    }

    /// Cuts lines by the merges and counts their pieces: the dictionary of a training text.
    ///
    /// # Errors
    /// Those of [`Dictionary::build`].
    pub fn from_lines<'a>(
        codes: BpeCodes,
        lines: impl IntoIterator<Item = &'a str>,
        options: &DictionaryOptions,
    ) -> Result<Self> {
        let bpe = Bpe::new(codes);
        let mut cache = HashMap::new();
        let pieces: Vec<String> = lines
            .into_iter()
            .map(|line| bpe.segment_cached(line, &mut cache))
            .collect();
        let dictionary = Dictionary::build(pieces.iter().map(String::as_str), options)?;
        Ok(Self { bpe, dictionary })
    }

    /// The merges.
    pub fn bpe(&self) -> &Bpe {
        &self.bpe
    }

    /// The pieces and their ids.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// Number of ids: the width of an embedding.
    pub fn len(&self) -> usize {
        self.dictionary.len()
    }

    /// Whether the dictionary holds no piece.
    pub fn is_empty(&self) -> bool {
        self.dictionary.is_empty()
    }

    /// Ids of a tokenised line, [`Dictionary::EOS`] at the end.
    pub fn encode(&self, line: &str) -> Vec<u32> {
        self.dictionary.encode_line(&self.bpe.segment_line(line))
    }

    /// [`BpeVocabulary::encode`] of many lines, cutting each word once.
    pub fn encode_all<'a>(&self, lines: impl IntoIterator<Item = &'a str>) -> Vec<Vec<u32>> {
        let mut cache = HashMap::new();
        lines
            .into_iter()
            .map(|line| {
                self.dictionary
                    .encode_line(&self.bpe.segment_cached(line, &mut cache))
            })
            .collect()
    }

    /// The tokenised line of ids: pieces joined to words, special symbols left out.
    ///
    /// # Errors
    /// [`crate::Error::UnknownId`] for an id outside the dictionary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(remove_bpe(&self.dictionary.decode(ids)?))
    }

    /// sha256 over merges and symbols in hexadecimal: the same hash gives the same ids.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256Hex::new();
        hasher.update(b"sparta bpe 1\n");
        hasher.update(self.bpe.codes().to_text().as_bytes());
        self.dictionary.hash_into(&mut hasher);
        hasher.finish()
    }

    /// Writes the codes file (subword-nmt's format) and the dictionary (fairseq's).
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn save(&self, codes: &Path, dictionary: &Path) -> Result<()> {
        self.bpe.codes().save(codes)?;
        self.dictionary.save(dictionary)
    }

    /// Reads the two files.
    ///
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::BadBpeCodes`], [`crate::Error::BadVocabulary`].
    pub fn load(codes: &Path, dictionary: &Path) -> Result<Self> {
        Ok(Self::new(
            BpeCodes::load(codes)?,
            Dictionary::load(dictionary)?,
        ))
    }
}
