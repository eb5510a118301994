//! From scores of the vocabulary to probabilities.

use burn::config::Config;
use burn::prelude::*;
use burn::tensor::assert_shape;
use sparta_ops::loss::{cross_entropy, entmax_loss, entmax15_loss, sparsemax_loss};
use sparta_ops::{entmax, entmax15, softmax, sparsemax};

/// The map from a row of scores to the probabilities of the next token, with its Fenchel–Young loss.
///
/// With all but softmax most tokens get probability 0, so that a beam can hold every hypothesis that
/// the model thinks possible.
///
/// # Source
/// Peters, Niculae & Martins 2019, sparse sequence-to-sequence models.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum OutputMap {
    /// Every token gets probability; the loss is the cross-entropy.
    Softmax,
    /// α = 2.
    Sparsemax,
    /// α = 1.5.
    Entmax15,
    /// α-entmax with a fixed α ≥ 1.
    Entmax {
        /// α.
        alpha: f64,
    },
}

impl OutputMap {
    /// Probabilities of each row.
    ///
    /// # Shapes
    /// - scores, result: `[rows, vocab_size]`
    pub fn probabilities(self, scores: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Softmax => softmax(scores, 1),
            Self::Sparsemax => sparsemax(scores, 1),
            Self::Entmax15 => entmax15(scores, 1),
            Self::Entmax { alpha } => entmax(scores, alpha, 1),
        }
    }

    /// The Fenchel–Young loss of each row in nats, 0 where the target is negative.
    ///
    /// # Shapes
    /// - scores: `[rows, vocab_size]`, targets and result: `[rows]`
    ///
    /// # Panics
    /// If there is not one target per row.
    ///
    /// # Source
    /// Blondel, Martins, Niculae 2020, *Learning with Fenchel–Young losses*.
    pub fn loss(self, scores: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
        assert_shape!(targets, [scores.dims()[0]]);
        match self {
            Self::Softmax => cross_entropy(scores, targets),
            Self::Sparsemax => sparsemax_loss(scores, targets),
            Self::Entmax15 => entmax15_loss(scores, targets),
            Self::Entmax { alpha } => entmax_loss(scores, targets, alpha),
        }
    }
}
