//! One or two texts as a model reads them: `[CLS] a [SEP]`, `[CLS] a [SEP] b [SEP]`, and as other
//! tokenizers write these.

use std::ops::Range;

use super::Tokenizer;
use crate::{Error, Result};

/// The pieces of one text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pieces {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Bytes of the text that each piece stands for, `start..end`.
    pub offsets: Vec<(usize, usize)>,
}

impl Pieces {
    /// Number of pieces.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Keeps the first `len` pieces.
    pub fn truncate(&mut self, len: usize) {
        self.ids.truncate(len);
        self.offsets.truncate(len);
    }

    pub(crate) fn push(&mut self, id: u32, offset: (usize, usize)) {
        self.ids.push(id);
        self.offsets.push(offset);
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.offsets.extend(other.offsets);
    }

    /// Keeps the first `len` pieces and gives the others.
    pub(crate) fn split_off(&mut self, len: usize) -> Self {
        Self {
            ids: self.ids.split_off(len),
            offsets: self.offsets.split_off(len),
        }
    }

    /// The pieces of a text that starts at byte `by` of another.
    pub(crate) fn shifted(mut self, by: usize) -> Self {
        for (start, end) in &mut self.offsets {
            *start += by;
            *end += by;
        }
        self
    }
}

/// What a token of an [`Encoding`] belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sequence {
    /// None: `[CLS]` or `[SEP]`.
    Special,
    /// The first text.
    First,
    /// The second text.
    Second,
}

/// One example, not padded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// BERT's are 0 up to and including the first `[SEP]` and 1 after it; RoBERTa's are 0.
    pub token_types: Vec<u8>,
    /// Bytes of its text that each token stands for; `(0, 0)` for special tokens.
    pub offsets: Vec<(usize, usize)>,
    /// Tokens of the first text that are left.
    pub n_first: usize,
    /// Tokens of the second text that are left; 0 without one.
    pub n_second: usize,
    /// Tokens that were cut off.
    pub n_cut: usize,
}

impl Encoding {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no tokens, which no tokenizer gives.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Places of the first text.
    pub fn first(&self) -> Range<usize> {
        1..1 + self.n_first
    }

    /// Places of the second text; without one, none.
    pub fn second(&self) -> Range<usize> {
        let end = self.len().saturating_sub(1);
        end.saturating_sub(self.n_second)..end
    }

    /// What the token at `index` belongs to.
    pub fn sequence(&self, index: usize) -> Sequence {
        if self.first().contains(&index) {
            Sequence::First
        } else if self.second().contains(&index) {
            Sequence::Second
        } else {
            Sequence::Special
        }
    }
}

impl Encoding {
    fn push_special(&mut self, tokens: &[(u32, u8)]) {
        for &(id, kind) in tokens {
            self.ids.push(id);
            self.token_types.push(kind);
            self.offsets.push((0, 0));
        }
    }

    fn push_text(&mut self, pieces: Pieces, kind: u8) {
        self.ids.extend(pieces.ids);
        self.offsets.extend(pieces.offsets);
        self.token_types.resize(self.ids.len(), kind);
    }
}

impl AsRef<Self> for Encoding {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Tokenizer {
    /// Encodes one text or a pair in at most `max_len` tokens.
    ///
    /// What does not fit is cut off at the end, from the longer text first: with room for `r`
    /// pieces, the shorter text is kept whole as long as it has at most half of them; else both get
    /// half, and the one more of an odd `r` goes to the longer text. So the published tokenizers'
    /// `longest_first`.
    ///
    /// # Errors
    /// [`Error::TooShortForSpecial`] when `max_len` does not hold the special tokens, and those of
    /// [`Tokenizer::pieces`].
    pub fn encode(&self, first: &str, second: Option<&str>, max_len: usize) -> Result<Encoding> {
        let second = second.map(|text| self.pieces(text)).transpose()?;
        self.join(self.pieces(first)?, second, max_len)
    }

    /// As [`Tokenizer::encode`], of texts that are cut already.
    ///
    /// # Errors
    /// [`Error::TooShortForSpecial`].
    pub fn join(
        &self,
        mut first: Pieces,
        mut second: Option<Pieces>,
        max_len: usize,
    ) -> Result<Encoding> {
        let frame = &self.frames[usize::from(second.is_some())];
        let n_special = frame.n_special();
        let room = max_len
            .checked_sub(n_special)
            .ok_or(Error::TooShortForSpecial { max_len, n_special })?;
        let all = first.len() + second.as_ref().map_or(0, Pieces::len);
        match &mut second {
            Some(second) => {
                let (n_first, n_second) = longest_first(first.len(), second.len(), room);
                first.truncate(n_first);
                second.truncate(n_second);
            }
            None => first.truncate(room),
        }
        let (n_first, n_second) = (first.len(), second.as_ref().map_or(0, Pieces::len));
        let mut encoding = Encoding {
            ids: Vec::with_capacity(n_first + n_second + n_special),
            token_types: Vec::with_capacity(n_first + n_second + n_special),
            offsets: Vec::with_capacity(n_first + n_second + n_special),
            n_first,
            n_second,
            n_cut: all - n_first - n_second,
        };
        encoding.push_special(&frame.before);
        encoding.push_text(first, frame.types[0]);
        if let Some(second) = second {
            encoding.push_special(&frame.between);
            encoding.push_text(second, frame.types[1]);
        }
        encoding.push_special(&frame.after);
        Ok(encoding)
    }

    /// Special tokens around two texts.
    pub(crate) fn n_special_of_pair(&self) -> usize {
        self.frames[1].n_special()
    }
}

/// How many pieces of each text are kept in `room`.
fn longest_first(n_first: usize, n_second: usize, room: usize) -> (usize, usize) {
    if n_first + n_second <= room {
        return (n_first, n_second);
    }
    let shorter = n_first.min(n_second);
    let (short, long) = if 2 * shorter <= room {
        (shorter, room - shorter)
    } else {
        (room / 2, room - room / 2)
    };
    if n_first > n_second {
        (long, short)
    } else {
        (short, long)
    }
}
