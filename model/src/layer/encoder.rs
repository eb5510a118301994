//! A layer of an encoder, and the attention with what surrounds it.

use burn::nn::Dropout;
use burn::prelude::*;
use sparta_ops::pruning::AttentionType;

use super::dropout::drop_values;
use super::mechanism::observe::within;
use super::{AttentionInput, FeedForward, LayerNorm, MultiHeadAttention, MultiHeadAttentionOutput};
use crate::masks::LayerMask;

/// Attention with residual connection and layer normalisation: norm(x + attention(x)), or
/// x + attention(norm(x)) with `pre_norm`; dropout after the attention.
///
/// # Source
/// Vaswani et al. 2017, section 3.1; with `pre_norm` Xiong et al. 2020, figure 1b.
#[derive(Module, Debug)]
pub struct AttentionBlock {
    /// The attention.
    pub attention: MultiHeadAttention,
    /// Normalisation of the sum, or of the input with `pre_norm`.
    pub norm: LayerNorm,
    /// After the attention.
    pub dropout: Dropout,
    pub(crate) pre_norm: bool,
}

/// Self-attention and feed-forward.
///
/// # Source
/// Vaswani et al. 2017, section 3.1.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    /// Attention of the sequence to itself.
    pub self_attention: AttentionBlock,
    /// The feed-forward network.
    pub feed_forward: FeedForward,
}

impl AttentionBlock {
    /// `attend` is called with the attention and the (normalised) input that makes the queries.
    ///
    /// # Shapes
    /// - hidden, context: `[batch, seq_q, d_model]`
    pub(crate) fn around(
        &self,
        hidden: Tensor<3>,
        attend: impl FnOnce(&MultiHeadAttention, Tensor<3>) -> MultiHeadAttentionOutput,
    ) -> MultiHeadAttentionOutput {
        let query = match self.pre_norm {
            true => self.norm.forward(hidden.clone()),
            false => hidden.clone(),
        };
        let MultiHeadAttentionOutput { context, weights } = attend(&self.attention, query);
        let dtype = hidden.dtype();
        let sum = hidden + drop_values(&self.dropout, context).cast(dtype);
        let context = match self.pre_norm {
            true => sum,
            false => self.norm.forward(sum),
        };
        MultiHeadAttentionOutput { context, weights }
    }

    /// Whether weights can be asked for.
    pub(crate) fn has_weights(&self) -> bool {
        self.attention.mechanism.abilities().weights
    }
}

impl EncoderLayer {
    /// Self-attention, then feed-forward.
    ///
    /// # Shapes
    /// - hidden, context: `[batch, seq, d_model]`, padding: `[batch, seq]`
    /// - mask: `[n_heads, rows, columns]`, at least `seq` rows and columns
    ///
    /// # Panics
    /// As [`MultiHeadAttention::forward`].
    pub(crate) fn forward(
        &self,
        hidden: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
        mask: Option<LayerMask>,
        return_weights: bool,
    ) -> MultiHeadAttentionOutput {
        let MultiHeadAttentionOutput { context, weights } =
            self.self_attention.around(hidden, |attention, query| {
                let input = AttentionInput::self_attention(query);
                let input = input.hiding(padding, mask, return_weights);
                within(AttentionType::EncoderSelf, || attention.forward(input))
            });
        MultiHeadAttentionOutput {
            context: self.feed_forward.forward(context),
            weights,
        }
    }
}
