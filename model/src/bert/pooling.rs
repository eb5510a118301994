//! One vector for a sequence, or for a pair of them.

use burn::prelude::*;
use burn::tensor::assert_shape;
use serde::{Deserialize, Serialize};

/// From which vectors a classifier judges a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// `tanh(W·h₀ + b)` of the first token: BERT's own, for encoders that were pretrained to put the
    /// meaning of the sequence there.
    First,
    /// `[u, v, |u − v|, u∗v]`, u and v being the mean vectors of the two segments: for encoders of
    /// sentences, whose means were pretrained to be alike for texts that are. A second segment that is
    /// not there has the mean 0.
    ///
    /// # Source
    /// Conneau et al. 2017 (InferSent), section 3.1; Reimers and Gurevych 2019 (Sentence-BERT), section 3.
    Segments,
}

impl Pooling {
    /// The size of the vector.
    pub fn width(self, d_model: usize) -> usize {
        match self {
            Self::First => d_model,
            Self::Segments => 4 * d_model,
        }
    }
}

/// `[u, v, |u − v|, u∗v]` of hidden states.
///
/// # Shapes
/// - hidden: `[batch, seq, d_model]`, output: `[batch, 4·d_model]`
/// - token_types: `[batch, seq]`, 0 or 1; all 0 if not given
/// - padding: `[batch, seq]`, true for tokens that do not count; none if not given
pub(super) fn segments(
    hidden: Tensor<3>,
    token_types: Option<Tensor<2, Int>>,
    padding: Option<Tensor<2, Bool>>,
) -> Tensor<2> {
    let [batch, seq, d_model] = hidden.dims();
    let device = hidden.device();
    if let Some(token_types) = &token_types {
        assert_shape!(token_types, [batch, seq]);
    }
    if let Some(padding) = &padding {
        assert_shape!(padding, [batch, seq]);
    }
    let types = token_types.unwrap_or_else(|| Tensor::zeros([batch, seq], &device));
    let mean = |segment: i64| -> Tensor<2> {
        let other = types.clone().not_equal_elem(segment);
        let hidden_tokens = match &padding {
            Some(padding) => other.bool_or(padding.clone()),
            None => other,
        };
        let counts = hidden_tokens.bool_not().float();
        let n = counts.clone().sum_dim(1).clamp_min(1.0);
        let sum = (hidden.clone() * counts.reshape([batch, seq, 1])).sum_dim(1);
        sum.reshape([batch, d_model]) / n
    };
    let (u, v) = (mean(0), mean(1));
    let apart = (u.clone() - v.clone()).abs();
    Tensor::cat(vec![u.clone(), v.clone(), apart, u * v], 1)
}
