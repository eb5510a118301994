//! The special tokens around one text or two, as a tokenizer's post-processor has them.

use tokenizers::{Encoding, Token};

use super::file::{bad, guarded};
use crate::{Error, Result};

/// What stands before, between and after the texts: `[CLS] a [SEP] b [SEP]`, `<s> a </s></s> b </s>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Ids, with their token types.
    pub before: Special,
    /// Empty around one text.
    pub between: Special,
    pub after: Special,
    /// Token type of each text.
    pub types: Vec<u8>,
}

/// Special tokens in a row: id and token type.
type Special = Vec<(u32, u8)>;

impl Frame {
    /// Asks the post-processor for the special tokens around `n_texts` texts, of which each is one
    /// token.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] when there is not exactly one before the texts and one after them,
    /// which is where an encoder's heads look for the first and where texts are cut.
    pub(super) fn of(inner: &tokenizers::Tokenizer, n_texts: usize, origin: &str) -> Result<Self> {
        let text = || Encoding::from_tokens(vec![Token::new(0, "x".to_owned(), (0, 1))], 0);
        let second = (n_texts > 1).then(text);
        let framed = guarded(|| inner.post_process(text(), second, true))
            .map_err(|problem| bad(origin, format!("its post_processor fails: {problem}")))?;
        let types = framed.get_type_ids().iter().map(|&kind| kind as u8);
        let cells: Vec<(u32, u8)> = framed.get_ids().iter().copied().zip(types).collect();
        let is_text = |at: &usize| framed.get_special_tokens_mask()[*at] == 0;
        let texts: Vec<usize> = (0..cells.len()).filter(is_text).collect();
        match (texts.first(), texts.last()) {
            (Some(&first), Some(&last))
                if texts.len() == n_texts && first == 1 && last + 2 == cells.len() =>
            {
                Ok(Self {
                    before: cells[..first].to_vec(),
                    between: cells[(first + 1).min(last)..last].to_vec(),
                    after: cells[last + 1..].to_vec(),
                    types: texts.iter().map(|&at| cells[at].1).collect(),
                })
            }
            _ => Err(Self::refused(inner, &framed, n_texts, origin)),
        }
    }

    fn refused(
        inner: &tokenizers::Tokenizer,
        framed: &Encoding,
        n_texts: usize,
        origin: &str,
    ) -> Error {
        let mask = framed.get_special_tokens_mask();
        let word = |(&id, &special): (&u32, &u32)| match special {
            0 => "text".to_owned(),
            _ => inner.id_to_token(id).unwrap_or_else(|| id.to_string()),
        };
        let found: Vec<String> = framed.get_ids().iter().zip(mask).map(word).collect();
        let expected = ["[CLS] text [SEP]", "[CLS] text [SEP] text [SEP]"][n_texts - 1];
        bad(
            origin,
            format!(
                "it has no cls and sep token in the places of an encoder: {n_texts} text(s) become `{}`, expected such as `{expected}`",
                found.join(" ")
            ),
        )
    }

    /// Ids of all special tokens.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        let all = [&self.before, &self.between, &self.after];
        all.into_iter().flatten().map(|&(id, _)| id)
    }

    /// Number of special tokens.
    pub(super) fn n_special(&self) -> usize {
        self.before.len() + self.between.len() + self.after.len()
    }
}
