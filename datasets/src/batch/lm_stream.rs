//! Contiguous language-model batches: each column goes on where it stopped in the batch before,
//! so that a model can carry its memory (Dai et al. 2019, `LMOrderedIterator`).

use crate::{Error, Result};

/// Target of a padded position: not to be scored.
pub const IGNORE: i32 = -1;

/// One batch, row-major `[batch_size, len]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LmBatch {
    /// Input ids; `0` at padded positions.
    pub input: Vec<i32>,
    /// The id that follows each input in its column; [`IGNORE`] at padded positions.
    pub target: Vec<i32>,
    /// Number of columns of the text, which are the rows here.
    pub batch_size: usize,
    /// Positions of this batch: `tgt_len`, less in the last batch.
    pub len: usize,
    /// Number of this batch in the stream.
    pub index: usize,
}

impl LmBatch {
    /// Number of targets to be scored.
    pub fn n_targets(&self) -> usize {
        self.target
            .iter()
            .filter(|&&target| target != IGNORE)
            .count()
    }
}

/// A token sequence cut into `batch_size` columns, read `tgt_len` positions at a time.
///
/// Column `c` of `n` inputs holds the inputs `tokens[c·stride ..]`, its targets are one further.
/// Ids must be below 2³¹.
#[derive(Debug, Clone, Copy)]
pub struct LmStream<'a> {
    tokens: &'a [u32],
    batch_size: usize,
    tgt_len: usize,
    /// Tokens between the starts of neighbouring columns.
    stride: usize,
    /// Input positions of a column.
    column_len: usize,
}

impl<'a> LmStream<'a> {
    /// The training stream of Transformer-XL: `tokens` cut to a multiple of `batch_size`, reshaped
    /// to columns.
    ///
    /// At most `batch_size − 1` tokens at the end are unused, and the first token of each column is
    /// context only: `batch_size · (⌊n / batch_size⌋ − 1)` targets.
    ///
    /// # Errors
    /// [`Error::BadStream`] when a size is 0 or a column would have fewer than two tokens.
    pub fn new(tokens: &'a [u32], batch_size: usize, tgt_len: usize) -> Result<Self> {
        let stride = tokens.len().checked_div(batch_size).unwrap_or(0);
        let column_len = stride.saturating_sub(1);
        Self {
            tokens,
            batch_size,
            tgt_len,
            stride,
            column_len,
        }
        .checked()
    }

    /// The evaluation stream: every token but the first is a target exactly once.
    ///
    /// Neighbouring columns share one token (the last target of one is the first input of the
    /// next), each column has `⌈(n − 1) / batch_size⌉` positions, and what the last columns lack
    /// is padded with [`IGNORE`]. A column starts without memory of the one before it: with
    /// `batch_size` 1 every target but the first sees all the memory it can.
    ///
    /// # Errors
    /// [`Error::BadStream`] when a size is 0 or there are fewer than two tokens.
    pub fn for_eval(tokens: &'a [u32], batch_size: usize, tgt_len: usize) -> Result<Self> {
        let n_targets = tokens.len().saturating_sub(1);
        let column_len = if batch_size == 0 {
            0
        } else {
            n_targets.div_ceil(batch_size)
        };
        Self {
            tokens,
            batch_size,
            tgt_len,
            stride: column_len,
            column_len,
        }
        .checked()
    }

    fn checked(self) -> Result<Self> {
        let Self {
            tokens,
            batch_size,
            tgt_len,
            column_len,
            ..
        } = self;
        let next = if batch_size == 0 || tgt_len == 0 {
            "both sizes must be at least 1".to_owned()
        } else if column_len == 0 {
            format!(
                "use a batch size of at most {} or a longer text",
                tokens.len() / 2
            )
        } else {
            return Ok(self);
        };
        Err(Error::BadStream {
            batch_size,
            tgt_len,
            n_tokens: tokens.len(),
            next,
        })
    }

    /// Number of batches.
    pub fn n_batches(&self) -> usize {
        self.column_len.div_ceil(self.tgt_len)
    }

    /// Number of targets that are scored in one pass.
    pub fn n_targets(&self) -> usize {
        let per_column = |column: usize| {
            self.column_len
                .min(self.tokens.len().saturating_sub(column * self.stride + 1))
        };
        (0..self.batch_size).map(per_column).sum()
    }

    /// Number of columns.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Batch `index`, or `None` past the end; the last may be shorter than `tgt_len`.
    pub fn get(&self, index: usize) -> Option<LmBatch> {
        let start = index
            .checked_mul(self.tgt_len)
            .filter(|&start| start < self.column_len)?;
        let len = self.tgt_len.min(self.column_len - start);
        let mut input = Vec::with_capacity(self.batch_size * len);
        let mut target = Vec::with_capacity(self.batch_size * len);
        for column in 0..self.batch_size {
            let first = column * self.stride + start;
            for at in first..first + len {
                let next = self.tokens.get(at + 1);
                target.push(next.map_or(IGNORE, |&id| id as i32));
                input.push(next.map_or(0, |_| self.tokens[at] as i32));
            }
        }
        Some(LmBatch {
            input,
            target,
            batch_size: self.batch_size,
            len,
            index,
        })
    }

    /// All batches in order.
    pub fn iter(&self) -> impl Iterator<Item = LmBatch> + '_ {
        (0..self.n_batches()).map_while(|index| self.get(index))
    }
}
