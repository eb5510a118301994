//! Token ids as people read them: pieces, and the words that they are pieces of.

use std::ops::Range;

use anyhow::{Context, Result};
use sparta_datasets::tokenize::bpe::BpeVocabulary;
use sparta_datasets::tokenize::pretrained::Tokenizer;
use sparta_datasets::tokenize::{Dictionary, EOS, Vocabulary};

/// Ends a piece of subword-nmt's BPE whose word goes on.
const GOES_ON: &str = "@@";
/// Starts a piece of WordPiece that goes on with its word.
const CONTINUES: &str = "##";
/// Starts a piece of byte-level BPE after a space.
const BYTE_SPACE: char = 'Ġ';
/// Starts a piece of Unigram after a space.
const META_SPACE: char = '▁';

/// The tokens of one sequence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Each token as it is displayed, marks of its tokenizer included: `Druck@@`, `##ing`.
    pub pieces: Vec<String>,
    /// Each token without those marks: `Druck`, `ing`.
    pub texts: Vec<String>,
    /// Whether each token is a special one, such as `</s>` or `[CLS]`.
    pub specials: Vec<bool>,
    /// The places of the pieces that make one word, in order; every piece is in one.
    pub words: Vec<Range<usize>>,
}

impl Tokens {
    /// Tokens of subword-nmt's BPE: a piece that ends in `@@` is followed by another of its word.
    ///
    /// # Errors
    /// An id outside the dictionary.
    pub fn of_bpe(vocabulary: &BpeVocabulary, ids: &[u32]) -> Result<Self> {
        let dictionary = vocabulary.dictionary();
        let mut tokens = Self::default();
        let mut goes_on = false;
        for &id in ids {
            let symbol = dictionary
                .symbol(id)
                .with_context(|| format!("the dictionary has no token {id}"))?;
            let stem = symbol.strip_suffix(GOES_ON).filter(|stem| {
                // `@@` alone, and special symbols, are words.
                !stem.is_empty() && id > Dictionary::UNK
            });
            // `<unk>` stands for a word.
            let is_special = id < Dictionary::UNK;
            tokens.push(symbol, stem.unwrap_or(symbol), (!goes_on, is_special));
            goes_on = stem.is_some();
        }
        Ok(tokens)
    }

    /// Tokens that are words already.
    ///
    /// # Errors
    /// An id outside the vocabulary.
    pub fn of_words(vocabulary: &Vocabulary, ids: &[u32]) -> Result<Self> {
        let mut tokens = Self::default();
        for &id in ids {
            let word = vocabulary
                .word(id)
                .with_context(|| format!("the vocabulary has no word {id}"))?;
            let is_special = id == EOS;
            tokens.push(word, word, (true, is_special));
        }
        Ok(tokens)
    }

    /// Tokens of a published tokenizer: WordPiece (`##` goes on), byte-level BPE and Unigram (`Ġ` and `▁` start a
    /// word). Special tokens are words.
    ///
    /// # Errors
    /// An id outside the vocabulary.
    pub fn of_pretrained(tokenizer: &Tokenizer, ids: &[u32]) -> Result<Self> {
        let style = Style::of(tokenizer);
        let mut tokens = Self::default();
        let mut after_special = true;
        for &id in ids {
            let token = tokenizer
                .token(id)
                .with_context(|| format!("the tokenizer has no token {id}"))?;
            let is_special = tokenizer.is_special(id);
            let (text, starts) = match is_special {
                true => (token.to_owned(), true),
                false => style.read(token),
            };
            let piece = match style {
                Style::ByteLevel if !is_special => text.as_str(),
                Style::ByteLevel | Style::WordPiece | Style::Unigram => token,
            };
            tokens.push(piece, &text, (starts || after_special, is_special));
            after_special = is_special;
        }
        Ok(tokens)
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The text of a word, or of any other places.
    #[must_use]
    pub fn text(&self, places: Range<usize>) -> String {
        self.texts.get(places).unwrap_or_default().concat()
    }

    fn push(&mut self, piece: &str, text: &str, (starts, is_special): (bool, bool)) {
        let at = self.pieces.len();
        match self.words.last_mut().filter(|_| !starts) {
            Some(word) => word.end = at + 1,
            None => self.words.push(at..at + 1),
        }
        self.pieces.push(piece.to_owned());
        self.texts.push(text.to_owned());
        self.specials.push(is_special);
    }
}

/// How a published tokenizer marks words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    WordPiece,
    ByteLevel,
    Unigram,
}

impl Style {
    fn of(tokenizer: &Tokenizer) -> Self {
        // Vocabularies have the mark alone, or before their most frequent word.
        let has = |mark: char| {
            ["", "the", "a", "e"].iter().any(|word| {
                let token = format!("{mark}{word}");
                tokenizer.id(&token).is_some()
            })
        };
        if has(BYTE_SPACE) {
            Self::ByteLevel
        } else if has(META_SPACE) {
            Self::Unigram
        } else {
            Self::WordPiece
        }
    }

    /// A token without its mark, and whether it starts a word.
    fn read(self, token: &str) -> (String, bool) {
        match self {
            Self::WordPiece => match token.strip_prefix(CONTINUES) {
                Some(rest) if !rest.is_empty() => (rest.to_owned(), false),
                Some(_) | None => (token.to_owned(), true),
            },
            Self::ByteLevel => (byte_text(token), token.starts_with(BYTE_SPACE)),
            Self::Unigram => match token.strip_prefix(META_SPACE) {
                Some(rest) => (rest.to_owned(), true),
                None => (token.to_owned(), false),
            },
        }
    }
}

/// The text of a byte-level token, which writes each byte as a character that can be printed (Radford et al. 2019,
/// `bytes_to_unicode`), without the space it starts with; bytes that are no character alone stand as `<C3>`.
fn byte_text(token: &str) -> String {
    let bytes: Option<Vec<u8>> = token.chars().map(byte_of).collect();
    let Some(bytes) = bytes else {
        return token.to_owned();
    };
    let bytes = bytes.strip_prefix(b" ").unwrap_or(&bytes);
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("<{byte:02X}>"));
        }
    }
    text
}

/// The byte that a character of a byte-level vocabulary stands for.
fn byte_of(character: char) -> Option<u8> {
    let is_printed = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    match u32::from(character) {
        code @ 0..=255 => u8::try_from(code).ok().filter(is_printed),
        code => {
            let index = usize::try_from(code - 256).ok()?;
            (0..=255).filter(|byte| !is_printed(byte)).nth(index)
        }
    }
}

#[cfg(test)]
mod tests {
    use sparta_datasets::tokenize::DictionaryOptions;
    use sparta_datasets::tokenize::bpe::BpeCodes;
    use sparta_datasets::tokenize::pretrained::Casing;

    use super::*;

    fn words(tokens: &Tokens) -> Vec<String> {
        let text = |word: &Range<usize>| tokens.text(word.clone());
        tokens.words.iter().map(text).collect()
    }

    #[test]
    fn pieces_of_bpe_are_joined_and_the_end_is_a_word() {
        let line = "dru@@ ck@@ en ist @@ ein@@ fach .";
        let dictionary = Dictionary::build([line], &DictionaryOptions::default()).unwrap();
        let codes = BpeCodes::parse("#version: 0.2\n", "test").unwrap();
        let ids = dictionary.encode_line(line);
        let tokens = Tokens::of_bpe(&BpeVocabulary::new(codes, dictionary), &ids).unwrap();
        let expected = ["drucken", "ist", "@@", "einfach", ".", "</s>"];
        assert_eq!(words(&tokens), expected);
        assert_eq!(tokens.words[0], 0..3);
        assert_eq!(tokens.pieces[0], "dru@@");
        assert_eq!(tokens.len(), ids.len());
    }

    #[test]
    fn pieces_of_wordpiece_are_joined_and_special_tokens_are_words() {
        let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\ncat\n##s\n.\n";
        let tokenizer = Tokenizer::from_vocab(vocab, Casing::Lower, "test").unwrap();
        let encoding = tokenizer.encode("The cats.", None, 16).unwrap();
        let tokens = Tokens::of_pretrained(&tokenizer, &encoding.ids).unwrap();
        assert_eq!(words(&tokens), ["[CLS]", "the", "cats", ".", "[SEP]"]);
        assert_eq!(tokens.pieces[3], "##s");
    }

    #[test]
    fn words_stand_for_themselves() {
        let vocabulary = Vocabulary::from_text("a state owned bank\n", None, 1).unwrap();
        let ids = vocabulary.encode_text("a state owned bank\n");
        let tokens = Tokens::of_words(&vocabulary, &ids).unwrap();
        assert_eq!(words(&tokens), ["a", "state", "owned", "bank", "<eos>"]);
        assert!(Tokens::of_words(&vocabulary, &[99]).is_err());
    }

    #[test]
    fn byte_level_tokens_are_read_as_text() {
        for (token, text, starts) in [
            ("Ġcat", "cat", true),
            ("s", "s", false),
            ("ĠÃ¼ber", "über", true),
            ("Ã", "<C3>", false),
            ("Ċ", "\n", false),
        ] {
            assert_eq!(Style::ByteLevel.read(token), (text.to_owned(), starts));
        }
    }
}
