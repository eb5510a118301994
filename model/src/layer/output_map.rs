//! From scores of the vocabulary to probabilities.

use std::fmt;
use std::str::FromStr;

use burn::prelude::*;
use burn::tensor::assert_shape;
use serde::{Deserialize, Serialize};
use sparta_ops::loss::{cross_entropy, entmax_loss, entmax15_loss, sparsemax_loss};
use sparta_ops::{entmax, entmax15, softmax, sparsemax};

use super::mechanism::split_argument;
use crate::error::ModelError;

/// The map from a row of scores to the probabilities of the next token, with its Fenchel–Young loss.
///
/// With all but softmax most tokens get probability 0, so that a beam can hold every hypothesis that
/// the model thinks possible.
///
/// # Source
/// Peters, Niculae & Martins 2019, sparse sequence-to-sequence models.
///
/// ```
/// use sparta_model::layer::OutputMap;
/// let map: OutputMap = "entmax(1.3)".parse().unwrap();
/// assert_eq!(map, OutputMap::Entmax { alpha: 1.3 });
/// assert_eq!(map.to_string(), "entmax(1.3)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
    /// Whether tokens can get probability 0.
    pub fn is_sparse(self) -> bool {
        match self {
            Self::Softmax => false,
            Self::Sparsemax | Self::Entmax15 => true,
            Self::Entmax { alpha } => alpha > 1.0,
        }
    }

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

impl fmt::Display for OutputMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Softmax => f.write_str("softmax"),
            Self::Sparsemax => f.write_str("sparsemax"),
            Self::Entmax15 => f.write_str("entmax15"),
            Self::Entmax { alpha } => write!(f, "entmax({alpha})"),
        }
    }
}

impl FromStr for OutputMap {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let unknown = || ModelError::UnknownOutput {
            found: text.to_owned(),
        };
        match split_argument(text).ok_or_else(unknown)? {
            ("softmax", None) => Ok(Self::Softmax),
            ("sparsemax", None) => Ok(Self::Sparsemax),
            ("entmax15", None) => Ok(Self::Entmax15),
            ("entmax", Some(alpha)) => match alpha.parse() {
                Ok(alpha) => Ok(Self::Entmax { alpha }),
                Err(_) => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for OutputMap {
    type Error = ModelError;

    fn try_from(text: String) -> Result<Self, ModelError> {
        text.parse()
    }
}

impl From<OutputMap> for String {
    fn from(map: OutputMap) -> Self {
        map.to_string()
    }
}
