//! Tokenizers as they are published with models: `tokenizer.json`, and BERT's `vocab.txt`.
//!
//! The `tokenizers` crate, which those files are the format of, cuts the texts: WordPiece (Wu et al.
//! 2016; Devlin et al. 2019), byte-level BPE (Radford et al. 2019, RoBERTa) and Unigram (Kudo 2018,
//! ALBERT and XLM-R), with the tokens that users add. Here is what models read of it: one or two
//! texts between special tokens, cut to a length, with the bytes that each token stands for.

mod config;
mod encoding;
mod file;
mod frame;
mod hash;
mod special;
mod vocab_txt;

pub use encoding::{Encoding, Pieces, Sequence};
pub use special::SpecialIds;
pub use vocab_txt::Casing;

use std::collections::BTreeMap;

use frame::Frame;

use crate::{Error, Result};

/// A published tokenizer of an encoder.
///
/// ```
/// use sparta_datasets::tokenize::pretrained::{Casing, Tokenizer};
/// let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\ncat\n##s\n.\n";
/// let tokenizer = Tokenizer::from_vocab(vocab, Casing::Lower, "example")?;
/// let encoding = tokenizer.encode("The cats.", None, 16)?;
/// assert_eq!(encoding.ids, [2, 4, 5, 6, 7, 3]); // [CLS] the cat ##s . [SEP]
/// assert_eq!(encoding.offsets[3], (7, 8));
/// # Ok::<(), sparta_datasets::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The token of each id; an id between others may be nobody's.
    tokens: BTreeMap<u32, String>,
    special: SpecialIds,
    /// Ids that no text is cut into, ascending.
    special_ids: Vec<u32>,
    /// Special tokens around one text and around two.
    frames: [Frame; 2],
    hash: String,
    /// Where it came from, for errors.
    origin: String,
}

impl Tokenizer {
    /// One more than the greatest id.
    pub fn vocab_size(&self) -> usize {
        let greatest = self.tokens.last_key_value();
        greatest.map_or(0, |(&id, _)| id as usize + 1)
    }

    /// Ids of the special tokens.
    pub fn special(&self) -> SpecialIds {
        self.special
    }

    /// The id of the mask token.
    ///
    /// # Errors
    /// [`Error::NoSpecialToken`].
    pub fn mask(&self) -> Result<u32> {
        self.special.mask.ok_or_else(|| Error::NoSpecialToken {
            origin: self.origin.clone(),
            role: "mask",
            needed_by: "masked language modelling",
        })
    }

    /// Whether an id is a token with a meaning of its own: those of [`Tokenizer::special`], and added
    /// tokens that their file calls special.
    pub fn is_special(&self, id: u32) -> bool {
        self.special_ids.binary_search(&id).is_ok()
    }

    /// The token of an id, as the vocabulary writes it: `##s`, `Ġcat`, `▁cat`.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(&id).map(String::as_str)
    }

    /// The id of a token, as [`Tokenizer::token`] gives it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// sha256 in hexadecimal of what decides how texts are cut; models are tied to it.
    pub fn hash(&self) -> String {
        self.hash.clone()
    }

    /// Cuts one text into pieces, without special tokens around it. Offsets are bytes of the text.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] for a text that the tokenizer's rules cannot cut, such as an unknown
    /// character where the file names no token for it.
    pub fn pieces(&self, text: &str) -> Result<Pieces> {
        let encoding = file::guarded(|| self.inner.encode(text, false)).map_err(|problem| {
            file::bad(
                &self.origin,
                format!("it cannot cut `{}`: {problem}", start_of(text)),
            )
        })?;
        Ok(Pieces {
            ids: encoding.get_ids().to_vec(),
            offsets: encoding.get_offsets().to_vec(),
        })
    }
}

/// The first characters of a text, for an error.
fn start_of(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
