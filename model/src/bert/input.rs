//! What a BERT works on and what it gives.

use burn::prelude::*;

use crate::masks::LayerMask;

/// What [`super::Bert::forward`] works on; masks are `true` where hidden.
#[derive(Debug, Clone)]
pub struct BertInput {
    /// Word pieces, `[batch, seq]`, the first one being the start mark.
    pub tokens: Tensor<2, Int>,
    /// Which segment each is of, `[batch, seq]`; all of the first if not given.
    pub token_types: Option<Tensor<2, Int>>,
    /// Which are padding, `[batch, seq]`, on the right.
    pub padding: Option<Tensor<2, Bool>>,
    /// Global masks, `[n_heads, rows, columns]` for each layer with at least `seq` rows and columns, of
    /// which the top left corner is used.
    pub masks: Option<Vec<LayerMask>>,
    /// Whether to return the attention weights.
    pub return_weights: bool,
}

impl BertInput {
    /// Sequences of one segment without padding, masks or weights.
    pub fn new(tokens: Tensor<2, Int>) -> Self {
        Self {
            tokens,
            token_types: None,
            padding: None,
            masks: None,
            return_weights: false,
        }
    }

    /// Says which segment each word piece is of.
    pub fn token_types(mut self, token_types: Tensor<2, Int>) -> Self {
        self.token_types = Some(token_types);
        self
    }

    /// Hides padding.
    pub fn padding(mut self, padding: Tensor<2, Bool>) -> Self {
        self.padding = Some(padding);
        self
    }

    /// Hides cells of the attention, or none of them.
    pub fn masks(mut self, masks: Option<Vec<LayerMask>>) -> Self {
        self.masks = masks;
        self
    }

    /// Asks for the attention weights.
    pub fn return_weights(mut self) -> Self {
        self.return_weights = true;
        self
    }
}

/// What [`super::Bert::forward`] gives.
#[derive(Debug, Clone)]
pub struct BertOutput {
    /// `[batch, seq, d_model]`.
    pub hidden: Tensor<3>,
    /// The attention weights of every layer before dropout, `[batch, n_heads, seq, seq]`; empty
    /// unless asked for.
    pub weights: Vec<Tensor<4>>,
}
