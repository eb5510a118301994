//! Sentence pairs padded to rectangles, with the decoder's input shifted by one.

use super::IGNORE;
use serde::{Deserialize, Serialize};

use crate::tokenize::Dictionary;

/// The side of a source sentence that padding goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddingSide {
    /// Before the sentence, as fairseq does by default.
    Left,
    /// After the sentence.
    Right,
}

/// One batch, arrays row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairBatch {
    /// Source ids with `</s>`, `[batch_size, source_len]`; [`Dictionary::PAD`] where padded.
    pub source: Vec<i32>,
    /// The decoder's input, `[batch_size, target_len]`: `</s>`, then the target without its last
    /// token; [`Dictionary::PAD`] after it.
    pub target_input: Vec<i32>,
    /// The token that follows each of the input, `[batch_size, target_len]`; [`IGNORE`] where
    /// padded.
    pub target_output: Vec<i32>,
    /// Tokens of each source, `</s>` included.
    pub source_lengths: Vec<usize>,
    /// Tokens of each target, `</s>` included.
    pub target_lengths: Vec<usize>,
    /// Number of pairs.
    pub batch_size: usize,
    /// Tokens of the longest source.
    pub source_len: usize,
    /// Tokens of the longest target.
    pub target_len: usize,
    /// Where the padding of sources is; targets are padded on the right.
    pub padding: PaddingSide,
}

impl PairBatch {
    /// Pads pairs of ids, each side ending in [`Dictionary::EOS`]. To translate, the target side
    /// can be that one token.
    pub fn new(pairs: &[(&[u32], &[u32])], padding: PaddingSide) -> Self {
        let source_lengths: Vec<usize> = pairs.iter().map(|pair| pair.0.len()).collect();
        let target_lengths: Vec<usize> = pairs.iter().map(|pair| pair.1.len()).collect();
        let source_len = source_lengths.iter().copied().max().unwrap_or(0);
        let target_len = target_lengths.iter().copied().max().unwrap_or(0);
        let pad = Dictionary::PAD as i32;
        let mut source = Vec::with_capacity(pairs.len() * source_len);
        let mut target_input = Vec::with_capacity(pairs.len() * target_len);
        let mut target_output = Vec::with_capacity(pairs.len() * target_len);
        for (from, to) in pairs {
            let ids = from.iter().map(|&id| id as i32);
            let fill = std::iter::repeat_n(pad, source_len - from.len());
            match padding {
                PaddingSide::Left => source.extend(fill.chain(ids)),
                PaddingSide::Right => source.extend(ids.chain(fill)),
            }
            let fill = target_len - to.len();
            let shifted = to.split_last().map_or(&[][..], |(_, before)| before);
            let start = (!to.is_empty()).then_some(Dictionary::EOS as i32);
            target_input.extend(start);
            target_input.extend(shifted.iter().map(|&id| id as i32));
            target_input.extend(std::iter::repeat_n(pad, fill));
            target_output.extend(to.iter().map(|&id| id as i32));
            target_output.extend(std::iter::repeat_n(IGNORE, fill));
        }
        Self {
            source,
            target_input,
            target_output,
            source_lengths,
            target_lengths,
            batch_size: pairs.len(),
            source_len,
            target_len,
            padding,
        }
    }

    /// `true` where a source position is padding, `[batch_size, source_len]`.
    pub fn source_padding(&self) -> Vec<bool> {
        let row = |&length: &usize| {
            let fill = self.source_len - length;
            (0..self.source_len).map(move |at| match self.padding {
                PaddingSide::Left => at < fill,
                PaddingSide::Right => at >= length,
            })
        };
        self.source_lengths.iter().flat_map(row).collect()
    }

    /// Number of target tokens to be scored.
    pub fn n_targets(&self) -> usize {
        self.target_lengths.iter().sum()
    }
}
