//! Batches of sentence pairs of similar length, bounded by tokens, as fairseq makes them.

use crate::shuffle::Shuffler;
use crate::{Error, Result};

/// Tokens of a pair's source and target, `</s>` included.
pub type PairLength = (usize, usize);

/// How large a batch may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketOptions {
    /// Sentences × tokens of the longest side of the longest pair, padding included, at most
    /// (`--max-tokens`).
    pub max_tokens: usize,
    /// Sentences at most (`--max-sentences`); no limit when `None`.
    pub max_sentences: Option<usize>,
    /// Batches hold a multiple of this many sentences where they can
    /// (`--required-batch-size-multiple`, 8 in fairseq).
    pub multiple_of: usize,
}

impl BucketOptions {
    /// Bounded by tokens only.
    pub const fn tokens(max_tokens: usize) -> Self {
        Self {
            max_tokens,
            max_sentences: None,
            multiple_of: 1,
        }
    }
}

/// Indices of pairs grouped into batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBucket {
    batches: Vec<Vec<u32>>,
}

impl TokenBucket {
    /// The batches of one training epoch: every pair once, batches in an order drawn from
    /// `(seed, epoch)`.
    ///
    /// Which pairs share a batch follows from `seed` alone: shuffled, then sorted by target and by
    /// source length (both stable), then cut in order.
    ///
    /// # Errors
    /// [`Error::SentenceTooLong`] for a pair that no batch can hold; [`Error::BadBucket`] for a
    /// limit of 0.
    pub fn new(
        lengths: &[PairLength],
        options: &BucketOptions,
        seed: u64,
        epoch: u64,
    ) -> Result<Self> {
        let mut order = indices(lengths);
        Shuffler::new(&[seed]).shuffle(&mut order);
        let mut batches = cut(&sorted(order, lengths), lengths, options)?;
        Shuffler::new(&[seed, epoch]).shuffle(&mut batches);
        Ok(Self { batches })
    }

    /// Batches for evaluation: sorted by length, nothing drawn.
    ///
    /// # Errors
    /// As [`TokenBucket::new`].
    pub fn in_order(lengths: &[PairLength], options: &BucketOptions) -> Result<Self> {
        let batches = cut(&sorted(indices(lengths), lengths), lengths, options)?;
        Ok(Self { batches })
    }

    /// Number of batches.
    pub fn n_batches(&self) -> usize {
        self.batches.len()
    }

    /// The pairs of batch `index`, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<&[u32]> {
        self.batches.get(index).map(Vec::as_slice)
    }

    /// All batches in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.batches.iter().map(Vec::as_slice)
    }
}

fn indices(lengths: &[PairLength]) -> Vec<u32> {
    (0..lengths.len() as u32).collect()
}

/// Sorted by source length, pairs of equal source by target length.
fn sorted(mut order: Vec<u32>, lengths: &[PairLength]) -> Vec<u32> {
    order.sort_by_key(|&index| lengths[index as usize]);
    order
}

fn cut(order: &[u32], lengths: &[PairLength], options: &BucketOptions) -> Result<Vec<Vec<u32>>> {
    let &BucketOptions {
        max_tokens,
        max_sentences,
        multiple_of,
    } = options;
    if max_tokens == 0 || max_sentences == Some(0) || multiple_of == 0 {
        return Err(Error::BadBucket {
            max_tokens,
            max_sentences,
            multiple_of,
        });
    }
    let longer = |index: u32| {
        let (source, target) = lengths[index as usize];
        source.max(target)
    };
    let longest = |batch: &[u32]| batch.iter().map(|&index| longer(index)).max().unwrap_or(0);
    let mut batches = Vec::new();
    let mut batch: Vec<u32> = Vec::new();
    let mut width = 0;
    for &index in order {
        let length = longer(index);
        if length > max_tokens {
            return Err(Error::SentenceTooLong {
                index: index as usize,
                length,
                max_tokens,
            });
        }
        // Twice at most: what a multiple leaves over may not fit with a longer sentence either.
        while !batch.is_empty()
            && (max_sentences == Some(batch.len())
                || (batch.len() + 1) * width.max(length) > max_tokens)
        {
            let multiples = batch.len() / multiple_of * multiple_of;
            let rest = batch.split_off(if multiples == 0 {
                batch.len()
            } else {
                multiples
            });
            batches.push(std::mem::replace(&mut batch, rest));
            width = longest(&batch);
        }
        batch.push(index);
        width = width.max(length);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    Ok(batches)
}
