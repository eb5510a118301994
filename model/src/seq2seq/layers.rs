//! The decoder's layers.

use burn::prelude::*;
use sparta_ops::pruning::AttentionType;

use super::Encoded;
use crate::layer::mechanism::observe::within;
use crate::layer::{AttentionBlock, AttentionInput, FeedForward, MultiHeadAttentionOutput};
use crate::masks::LayerMask;

/// Self-attention, attention to the source, and feed-forward.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// Causal attention of the target to itself.
    pub self_attention: AttentionBlock,
    /// Attention of the target to the source.
    pub cross_attention: AttentionBlock,
    /// The feed-forward network.
    pub feed_forward: FeedForward,
}

impl DecoderLayer {
    pub(super) fn attend_to_target(
        &self,
        hidden: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
        mask: Option<LayerMask>,
        return_weights: bool,
    ) -> MultiHeadAttentionOutput {
        self.self_attention.around(hidden, |attention, query| {
            let input = AttentionInput::self_attention(query).causal();
            let input = input.hiding(padding, mask, return_weights);
            within(AttentionType::DecoderSelf, || attention.forward(input))
        })
    }

    pub(super) fn attend_to_source(
        &self,
        hidden: Tensor<3>,
        encoded: &Encoded,
        mask: Option<LayerMask>,
        return_weights: bool,
    ) -> MultiHeadAttentionOutput {
        self.cross_attention.around(hidden, |attention, query| {
            let input = AttentionInput::cross(query, encoded.memory.clone());
            let input = input.hiding(encoded.padding.clone(), mask, return_weights);
            within(AttentionType::Cross, || attention.forward(input))
        })
    }
}
