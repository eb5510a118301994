//! Encoded texts → rectangles with padding, in an order drawn from (seed, epoch).

use super::rectangle::Rectangle;
use crate::classification::{Label, TextExample};
use crate::shuffle::Shuffler;
use crate::tokenize::pretrained::{Encoding, Tokenizer};
use crate::{Error, Result};

/// An example as a model reads it, not padded.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedExample {
    /// Its tokens.
    pub encoding: Encoding,
    /// Its label, if that is known.
    pub label: Option<Label>,
}

impl EncodedExample {
    /// Encodes examples in at most `max_len` tokens each, cut as [`Tokenizer::encode`] cuts.
    ///
    /// # Errors
    /// [`Error::TooShortForSpecial`].
    pub fn encode_all(
        examples: &[TextExample],
        tokenizer: &Tokenizer,
        max_len: usize,
    ) -> Result<Vec<Self>> {
        let encode = |example: &TextExample| {
            Ok(Self {
                encoding: tokenizer.encode(&example.first, example.second.as_deref(), max_len)?,
                label: example.label,
            })
        };
        examples.iter().map(encode).collect()
    }
}

impl AsRef<Encoding> for EncodedExample {
    fn as_ref(&self) -> &Encoding {
        &self.encoding
    }
}

/// How wide a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaddingStrategy {
    /// Every batch as wide as this, 128 in the paper: a position means the same cell of a global
    /// mask in every batch, and most cells are padding.
    Fixed(usize),
    /// As wide as the longest example of the batch.
    Dynamic,
}

/// The labels of a batch, all of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// A class for each example.
    Classes(Vec<i32>),
    /// A score for each example.
    Scores(Vec<f32>),
    /// At least one example has no label, or they are of both kinds.
    Unknown,
}

/// One batch, arrays row-major `[batch_size, len]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassificationBatch {
    /// Token ids; `[PAD]` where padded.
    pub ids: Vec<i32>,
    /// 0 for the first text, 1 for the second; 0 where padded.
    pub token_types: Vec<i32>,
    /// `true` where a position is padding, to be hidden from attention.
    pub padding: Vec<bool>,
    /// Labels, `[batch_size]`.
    pub targets: Targets,
    /// Place of each example in the list that the batch was drawn from, `[batch_size]`.
    pub indices: Vec<u32>,
    /// Number of examples.
    pub batch_size: usize,
    /// Positions of each example.
    pub len: usize,
}

impl ClassificationBatch {
    /// Pads the examples at `indices` on the right with the id `pad`.
    ///
    /// # Errors
    /// [`Error::BadExamples`] for an example longer than a fixed width.
    ///
    /// # Panics
    /// When an index is not below `examples.len()`; those of [`ExampleOrder`] are.
    pub fn new(
        examples: &[EncodedExample],
        indices: &[u32],
        padding: PaddingStrategy,
        pad: u32,
    ) -> Result<Self> {
        let chosen = || indices.iter().map(|&index| &examples[index as usize]);
        let encodings: Vec<&Encoding> = chosen().map(AsRef::as_ref).collect();
        let Rectangle {
            ids,
            token_types,
            padding,
            len,
        } = Rectangle::new(&encodings, padding, pad)?;
        Ok(Self {
            ids,
            token_types,
            padding,
            targets: targets(chosen().map(|example| example.label)),
            indices: indices.to_vec(),
            batch_size: indices.len(),
            len,
        })
    }
}

fn targets(labels: impl Iterator<Item = Option<Label>> + Clone) -> Targets {
    let class = |label: Option<Label>| match label {
        Some(Label::Class(class)) => i32::try_from(class).ok(),
        Some(Label::Score(_)) | None => None,
    };
    let score = |label: Option<Label>| match label {
        Some(Label::Score(score)) => Some(score),
        Some(Label::Class(_)) | None => None,
    };
    if let Some(classes) = labels.clone().map(class).collect() {
        Targets::Classes(classes)
    } else if let Some(scores) = labels.map(score).collect() {
        Targets::Scores(scores)
    } else {
        Targets::Unknown
    }
}

/// Which examples share a batch, in which order; the last batch may be smaller, none is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleOrder {
    order: Vec<u32>,
    batch_size: usize,
}

impl ExampleOrder {
    /// One training epoch: every example once, in an order drawn from `(seed, epoch)`.
    ///
    /// # Errors
    /// [`Error::BadExamples`] for a batch size of 0.
    pub fn shuffled(n_examples: usize, batch_size: usize, seed: u64, epoch: u64) -> Result<Self> {
        let mut order = Self::in_order(n_examples, batch_size)?;
        Shuffler::new(&[seed, epoch]).shuffle(&mut order.order);
        Ok(order)
    }

    /// Evaluation: the examples as they stand.
    ///
    /// # Errors
    /// As [`ExampleOrder::shuffled`].
    pub fn in_order(n_examples: usize, batch_size: usize) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::BadExamples {
                batch_size,
                max_len: 0,
                next: "use a batch_size of at least 1".to_owned(),
            });
        }
        let order = (0..n_examples as u32).collect();
        Ok(Self { order, batch_size })
    }

    /// Number of batches.
    pub fn n_batches(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// The examples of batch `index`, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<&[u32]> {
        self.order.chunks(self.batch_size).nth(index)
    }

    /// All batches in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.order.chunks(self.batch_size)
    }

    /// How much of the batches is padding, of [`EncodedExample`]s or of windows
    /// ([`crate::squad::Window`]).
    ///
    /// # Panics
    /// When there are fewer examples than the order was made for.
    pub fn padding(
        &self,
        examples: &[impl AsRef<Encoding>],
        padding: PaddingStrategy,
    ) -> PaddingFraction {
        let length = |&index: &u32| examples[index as usize].as_ref().len();
        let mut fraction = PaddingFraction::default();
        for batch in self.iter() {
            let len = match padding {
                PaddingStrategy::Fixed(len) => len,
                PaddingStrategy::Dynamic => batch.iter().map(length).max().unwrap_or(0),
            };
            fraction.n_positions += batch.len() * len;
            fraction.n_cells += batch.len() * len * len;
            for n in batch.iter().map(length) {
                fraction.n_tokens += n;
                fraction.n_token_cells += n * n;
            }
        }
        fraction
    }
}

/// What padding takes of the batches of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PaddingFraction {
    /// Positions of all batches.
    pub n_positions: usize,
    /// Positions with a token.
    pub n_tokens: usize,
    /// Attention cells (query × key) of all batches, of one head.
    pub n_cells: usize,
    /// Attention cells where both are tokens.
    pub n_token_cells: usize,
}
