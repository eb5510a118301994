//! What attention can be asked for, and the errors of asking wrongly.

use burn::tensor::{Bool, Tensor};

/// How a row of scores becomes a row of weights.
#[derive(Clone, Debug)]
// Made, moved once and taken apart: a box would only hide the tensor from its user.
#[allow(clippy::large_enum_variant)]
pub enum Normalizer {
    /// α = 1: every visible key gets weight.
    Softmax,
    /// α = 2.
    Sparsemax,
    /// α = 1.5.
    Entmax15,
    /// One α per head, `[n_heads]`, with gradient.
    Entmax(Tensor<1>),
}

/// Options of [`super::sparse_attention`]; masks are `true` where hidden.
#[derive(Clone, Debug)]
pub struct AttentionOptions {
    /// The row normaliser.
    pub normalizer: Normalizer,
    /// Hide keys after the query, aligned bottom right.
    pub causal: bool,
    /// Padding keys, `[batch, seq_kv]`.
    pub key_padding: Option<Tensor<2, Bool>>,
    /// A mask shared by the batch, `[n_heads or 1, seq_q, seq_kv]`.
    pub global_mask: Option<Tensor<3, Bool>>,
    /// A mask shared by batch and heads, `[seq_q, seq_kv]`.
    pub extra_mask: Option<Tensor<2, Bool>>,
    /// Added to the scaled scores, `[batch or 1, n_heads, seq_q, seq_kv]`.
    pub bias: Option<Tensor<4>>,
    /// Multiplies query·keyᵀ; `1/√d_head` unless given.
    pub scale: Option<f64>,
    /// Share of weights dropped at random, the others scaled by `1/(1 − dropout)`.
    pub dropout: f64,
    /// Also return the weights (before dropout).
    pub return_weights: bool,
}

impl Default for AttentionOptions {
    fn default() -> Self {
        Self::new(Normalizer::Softmax)
    }
}

impl AttentionOptions {
    /// Attention with a normaliser, no mask, no dropout.
    pub fn new(normalizer: Normalizer) -> Self {
        Self {
            normalizer,
            causal: false,
            key_padding: None,
            global_mask: None,
            extra_mask: None,
            bias: None,
            scale: None,
            dropout: 0.0,
            return_weights: false,
        }
    }

    /// Hides keys after the query.
    pub fn causal(mut self) -> Self {
        self.causal = true;
        self
    }

    /// Hides padding keys, `[batch, seq_kv]`.
    pub fn key_padding(mut self, mask: Tensor<2, Bool>) -> Self {
        self.key_padding = Some(mask);
        self
    }

    /// Hides the cells of a global mask, `[n_heads or 1, seq_q, seq_kv]`.
    pub fn global_mask(mut self, mask: Tensor<3, Bool>) -> Self {
        self.global_mask = Some(mask);
        self
    }

    /// Hides cells for every head, `[seq_q, seq_kv]`.
    pub fn extra_mask(mut self, mask: Tensor<2, Bool>) -> Self {
        self.extra_mask = Some(mask);
        self
    }

    /// Adds a bias to the scaled scores, `[batch or 1, n_heads, seq_q, seq_kv]`.
    pub fn bias(mut self, bias: Tensor<4>) -> Self {
        self.bias = Some(bias);
        self
    }

    /// Replaces the factor `1/√d_head`.
    pub fn scale(mut self, scale: f64) -> Self {
        self.scale = Some(scale);
        self
    }

    /// Drops a share of the weights.
    pub fn dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// Returns the weights too.
    pub fn return_weights(mut self) -> Self {
        self.return_weights = true;
        self
    }

    pub(super) fn check(
        &self,
        query: [usize; 4],
        key: [usize; 4],
        value: [usize; 4],
    ) -> Result<(), AttentionError> {
        let [batch, n_heads, seq_q, d_head] = query;
        let seq_kv = key[2];
        expect("key", &key, &[batch, n_heads, seq_kv, d_head])?;
        expect("value", &value, &[batch, n_heads, seq_kv, value[3]])?;
        if let Normalizer::Entmax(alpha) = &self.normalizer {
            expect("alpha", &alpha.dims(), &[n_heads])?;
        }
        if let Some(mask) = &self.key_padding {
            expect("key_padding", &mask.dims(), &[batch, seq_kv])?;
        }
        if let Some(mask) = &self.global_mask {
            let heads = if mask.dims()[0] == 1 { 1 } else { n_heads };
            expect("global_mask", &mask.dims(), &[heads, seq_q, seq_kv])?;
        }
        if let Some(mask) = &self.extra_mask {
            expect("extra_mask", &mask.dims(), &[seq_q, seq_kv])?;
        }
        if let Some(bias) = &self.bias {
            let rows = if bias.dims()[0] == 1 { 1 } else { batch };
            expect("bias", &bias.dims(), &[rows, n_heads, seq_q, seq_kv])?;
        }
        match (0.0..1.0).contains(&self.dropout) {
            true => Ok(()),
            false => Err(AttentionError::Dropout(self.dropout)),
        }
    }
}

/// What attention gives.
#[derive(Clone, Debug)]
pub struct AttentionOutput {
    /// `[batch, n_heads, seq_q, d_value]`.
    pub context: Tensor<4>,
    /// `[batch, n_heads, seq_q, seq_kv]`, if asked for.
    pub weights: Option<Tensor<4>>,
}

/// What is wrong with the arguments of attention.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AttentionError {
    /// A tensor does not fit the query's and key's shapes.
    #[error("{argument} has shape {found:?}; this query and key need {expected:?}")]
    Shape {
        /// The argument's name.
        argument: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// What fits.
        expected: Vec<usize>,
    },
    /// Dropout outside [0, 1).
    #[error("dropout = {0}: it is a share in [0, 1)")]
    Dropout(f64),
}

fn expect(
    argument: &'static str,
    found: &[usize],
    expected: &[usize],
) -> Result<(), AttentionError> {
    match found == expected {
        true => Ok(()),
        false => Err(AttentionError::Shape {
            argument,
            found: found.to_vec(),
            expected: expected.to_vec(),
        }),
    }
}
