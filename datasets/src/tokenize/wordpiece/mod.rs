//! WordPiece, as BERT and its kin use it (Wu et al. 2016; Devlin et al. 2019).
//!
//! Text is cleaned and, for uncased models, lower-cased and stripped of accents ([`Casing`]); it is
//! cut at white space and around punctuation; and each word is cut from the left into the longest
//! pieces that the vocabulary holds, pieces inside of a word being written `##piece`. A word that
//! cannot be cut becomes `[UNK]` as a whole. Ids and offsets are those of the published tokenizers
//! (`datasets/tests/parity/wordpiece.py`).

mod basic;
mod encoding;
mod file;

use std::collections::HashMap;

pub use encoding::{Encoding, Pieces, Sequence};

use crate::source::Sha256Hex;
use crate::{Error, Result};

/// What happens to upper case before words are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Casing {
    /// Lower case without accents: the `uncased` models.
    Lower,
    /// As written: the `cased` models.
    Keep,
}

/// How a text is cleaned before it is cut into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cleaning {
    clean_text: bool,
    chinese_chars: bool,
    strip_accents: bool,
    lowercase: bool,
}

impl Cleaning {
    const fn of(casing: Casing) -> Self {
        let lowercase = match casing {
            Casing::Lower => true,
            Casing::Keep => false,
        };
        Self {
            clean_text: true,
            chinese_chars: true,
            strip_accents: lowercase,
            lowercase,
        }
    }
}

/// Ids of the tokens that have a meaning of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialIds {
    /// `[PAD]`.
    pub pad: u32,
    /// `[CLS]`, the first token.
    pub cls: u32,
    /// `[SEP]`, after each text.
    pub sep: u32,
    /// `[UNK]`, a word that cannot be cut into pieces; byte-level tokenizers have none.
    pub unk: Option<u32>,
    /// `[MASK]`, in the place of a hidden token.
    pub mask: Option<u32>,
}

/// A WordPiece vocabulary with the rules its texts are cut by.
///
/// ```
/// use sparta_datasets::tokenize::wordpiece::{Casing, WordPiece};
/// let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\ncat\n##s\n.\n";
/// let wordpiece = WordPiece::from_vocab(vocab, Casing::Lower, "example")?;
/// let encoding = wordpiece.encode("The cats.", None, 16)?;
/// assert_eq!(encoding.ids, [2, 4, 5, 6, 7, 3]); // [CLS] the cat ##s . [SEP]
/// assert_eq!(encoding.offsets[3], (7, 8));
/// # Ok::<(), sparta_datasets::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct WordPiece {
    tokens: Vec<String>,
    /// Pieces that start a word.
    starts: HashMap<String, u32>,
    /// Pieces inside of a word, without their prefix.
    insides: HashMap<String, u32>,
    cleaning: Cleaning,
    special: SpecialIds,
    /// Tokens that are recognised in running text before it is cleaned, such as `[SEP]`.
    literal: Vec<(String, u32)>,
    max_word_chars: usize,
    /// Where it came from, for errors.
    origin: String,
}

impl WordPiece {
    fn new(
        tokens: Vec<String>,
        cleaning: Cleaning,
        literal: Vec<(String, u32)>,
        prefix: &str,
        max_word_chars: usize,
        origin: &str,
    ) -> Result<Self> {
        let mut starts = HashMap::with_capacity(tokens.len());
        let mut insides = HashMap::with_capacity(tokens.len() / 4);
        for (token, id) in tokens.iter().zip(0..) {
            starts.insert(token.clone(), id);
            if let Some(inside) = token.strip_prefix(prefix) {
                insides.insert(inside.to_owned(), id);
            }
        }
        let id = |token: &str| {
            starts
                .get(token)
                .copied()
                .ok_or_else(|| Error::BadTokenizer {
                    origin: origin.to_owned(),
                    problem: format!("it has no token {token}"),
                })
        };
        let special = SpecialIds {
            pad: id("[PAD]")?,
            cls: id("[CLS]")?,
            sep: id("[SEP]")?,
            unk: Some(id("[UNK]")?),
            mask: starts.get("[MASK]").copied(),
        };
        Ok(Self {
            starts,
            insides,
            cleaning,
            special,
            literal,
            max_word_chars,
            tokens,
            origin: origin.to_owned(),
        })
    }

    /// Number of tokens; ids are below it.
    pub fn vocab_size(&self) -> usize {
        self.tokens.len()
    }

    /// Ids of the special tokens.
    pub fn special(&self) -> SpecialIds {
        self.special
    }

    /// The id of `[MASK]`.
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

    /// Whether an id is a token with a meaning of its own, which no text is cut into.
    pub fn is_special(&self, id: u32) -> bool {
        let special = self.special;
        [special.pad, special.cls, special.sep].contains(&id)
            || special.unk == Some(id)
            || special.mask == Some(id)
            || self.literal.iter().any(|(_, literal)| *literal == id)
    }

    /// The token of an id, `##` included.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str)
    }

    /// The id of a token, `##` included.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.starts.get(token).copied()
    }

    /// sha256 in hexadecimal of vocabulary and rules: equal if and only if texts are cut alike.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256Hex::new();
        let rules = (self.cleaning, &self.literal, self.max_word_chars);
        hasher.update(format!("wordpiece 1 {rules:?}").as_bytes());
        for token in &self.tokens {
            hasher.update(token.as_bytes());
            hasher.update(b"\n");
        }
        hasher.finish()
    }

    /// Cuts one text into pieces, without special tokens around it.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] for a text that the tokenizer's rules cannot cut.
    pub fn pieces(&self, text: &str) -> Result<Pieces> {
        let mut pieces = Pieces::default();
        let mut rest = 0;
        while let Some((at, end, id)) = self.next_literal(text, rest) {
            self.cut_text(text, rest..at, &mut pieces);
            pieces.push(id, (at, end));
            rest = end;
        }
        self.cut_text(text, rest..text.len(), &mut pieces);
        Ok(pieces)
    }

    /// The first special token written out in the text, from a byte on: start, end, id.
    fn next_literal(&self, text: &str, from: usize) -> Option<(usize, usize, u32)> {
        let found = |(token, id): &(String, u32)| {
            let at = from + text[from..].find(token.as_str())?;
            Some((at, at + token.len(), *id))
        };
        // The longest of those that start first.
        let first = |&(at, end, _): &(usize, usize, u32)| (at, std::cmp::Reverse(end));
        self.literal.iter().filter_map(found).min_by_key(first)
    }

    fn cut_text(&self, text: &str, range: std::ops::Range<usize>, pieces: &mut Pieces) {
        let clean = basic::clean(&text[range.clone()], range.start, self.cleaning);
        basic::words(&clean, |word| self.cut_word(word, pieces));
    }

    /// Longest match first, from the left.
    fn cut_word(&self, word: &[basic::Char], pieces: &mut Pieces) {
        let (Some(first), Some(last)) = (word.first(), word.last()) else {
            return;
        };
        let whole = (first.start, last.end);
        if word.len() > self.max_word_chars {
            return pieces.push(self.special.unk.unwrap_or_default(), whole);
        }
        let before = pieces.ids.len();
        let text: String = word.iter().map(|c| c.char).collect();
        let ends: Vec<usize> = text
            .char_indices()
            .map(|(at, c)| at + c.len_utf8())
            .collect();
        let (mut start, mut start_byte) = (0, 0);
        while start < word.len() {
            let table = if start == 0 {
                &self.starts
            } else {
                &self.insides
            };
            let longest = (start..word.len())
                .rev()
                .find_map(|end| Some((end, *table.get(&text[start_byte..ends[end]])?)));
            let Some((end, id)) = longest else {
                pieces.truncate(before);
                return pieces.push(self.special.unk.unwrap_or_default(), whole);
            };
            pieces.push(id, (word[start].start, word[end].end));
            (start, start_byte) = (end + 1, ends[end]);
        }
    }
}
