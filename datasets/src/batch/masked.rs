//! Windows of running text with hidden tokens, for masked language models.

use super::masking::{Choice, Masker};
use super::{IGNORE, PaddingStrategy, rectangle::Rectangle};
use crate::Result;
use crate::tokenize::pretrained::{Encoding, Pieces, Tokenizer};

/// How a corpus of words writes a word outside of its vocabulary.
const UNKNOWN_WORD: &str = "<unk>";

/// Cuts text into windows `[CLS] … [SEP]` of at most `max_len` tokens, in the order of the text.
///
/// Each window is filled with whole sentences, up to the one that does not fit, which starts the
/// next window; a sentence longer than a window is cut, and its last part shares a window with
/// those that follow. So every token is in exactly one window. A sentence ends with its line and,
/// as corpora of words are written, after a word `.`, `!` or `?`. There is no second segment and no
/// prediction of the next sentence: FULL-SENTENCES of Liu et al. (2019, section 4.2). A `<unk>` of
/// the text, as WikiText has, is the tokenizer's `[UNK]`.
///
/// Offsets are bytes of `text`.
///
/// # Errors
/// [`crate::Error::TooShortForSpecial`] when a window has no room for a token, and those of
/// [`Tokenizer::pieces`].
pub fn text_windows(text: &str, tokenizer: &Tokenizer, max_len: usize) -> Result<Vec<Encoding>> {
    let n_special = tokenizer.join(Pieces::default(), None, usize::MAX)?.len();
    let room = max_len.saturating_sub(n_special);
    if room == 0 {
        return Err(crate::Error::TooShortForSpecial { max_len, n_special });
    }
    let mut windows = Vec::new();
    let mut window = Pieces::default();
    let mut start = 0;
    for sentence in text.split_inclusive('\n').flat_map(sentences) {
        let mut left = pieces_of(sentence, tokenizer)?.shifted(start);
        start += sentence.len();
        while !left.is_empty() {
            if window.len() + left.len() > room && !window.is_empty() {
                windows.push(tokenizer.join(std::mem::take(&mut window), None, max_len)?);
            }
            let rest = left.split_off(room.min(left.len()));
            window.append(std::mem::replace(&mut left, rest));
        }
    }
    if !window.is_empty() {
        windows.push(tokenizer.join(window, None, max_len)?);
    }
    Ok(windows)
}

/// The sentences of a line, which together are the line.
fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let mut end = 0;
        for word in rest.split_inclusive(char::is_whitespace) {
            end += word.len();
            if [".", "!", "?"].contains(&word.trim_end()) {
                break;
            }
        }
        let (sentence, after) = rest.split_at(end);
        rest = after;
        (!sentence.is_empty()).then_some(sentence)
    })
}

/// The pieces of a sentence, an unknown word of the corpus being one.
fn pieces_of(sentence: &str, tokenizer: &Tokenizer) -> Result<Pieces> {
    let mut pieces = Pieces::default();
    let mut from = 0;
    if let Some(unk) = tokenizer.special().unk {
        for (at, word) in sentence.match_indices(UNKNOWN_WORD) {
            pieces.append(tokenizer.pieces(&sentence[from..at])?.shifted(from));
            from = at + word.len();
            pieces.push(unk, (at, from));
        }
    }
    pieces.append(tokenizer.pieces(&sentence[from..])?.shifted(from));
    Ok(pieces)
}

/// One batch of windows, arrays row-major `[batch_size, len]`; order and padding are those of
/// [`super::ExampleOrder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedBatch {
    /// Token ids as the model sees them, hidden where chosen; `[PAD]` where padded.
    pub ids: Vec<i32>,
    /// 0 everywhere: a window is one segment.
    pub token_types: Vec<i32>,
    /// `true` where a position is padding, to be hidden from attention.
    pub padding: Vec<bool>,
    /// The token that stands there in the text where it was chosen, [`IGNORE`] elsewhere.
    pub labels: Vec<i32>,
    /// Place of each window in the list that the batch was drawn from, `[batch_size]`.
    pub indices: Vec<u32>,
    /// Number of windows.
    pub batch_size: usize,
    /// Positions of each window.
    pub len: usize,
}

impl MaskedBatch {
    /// Hides tokens of the windows at `indices` and pads them on the right with the id `pad`.
    ///
    /// # Errors
    /// [`crate::Error::BadExamples`] for a window longer than a fixed width.
    ///
    /// # Panics
    /// When an index is not below `windows.len()`; those of [`super::ExampleOrder`] are.
    pub fn new(
        windows: &[Encoding],
        indices: &[u32],
        padding: PaddingStrategy,
        pad: u32,
        masker: &Masker,
        choice: Choice,
    ) -> Result<Self> {
        let chosen = || indices.iter().map(|&index| &windows[index as usize]);
        let encodings: Vec<&Encoding> = chosen().collect();
        let Rectangle {
            mut ids,
            token_types,
            padding,
            len,
        } = Rectangle::new(&encodings, padding, pad)?;
        let mut labels = vec![IGNORE; ids.len()];
        for (row, (window, &index)) in chosen().zip(indices).enumerate() {
            let (seen, to_find) = masker.hide(window, index, choice);
            let cells = row * len..row * len + window.len();
            let seen = ids[cells.clone()].iter_mut().zip(seen);
            seen.for_each(|(cell, id)| *cell = id as i32);
            labels[cells].copy_from_slice(&to_find);
        }
        Ok(Self {
            ids,
            token_types,
            padding,
            labels,
            indices: indices.to_vec(),
            batch_size: indices.len(),
            len,
        })
    }

    /// Number of tokens to be found.
    pub fn n_targets(&self) -> usize {
        let is_target = |&&label: &&i32| label != IGNORE;
        self.labels.iter().filter(is_target).count()
    }
}
