//! The decoder's layers.

use burn::config::Config;
use burn::prelude::*;
use sparta_ops::pruning::AttentionType;

use super::Encoded;
use crate::layer::mechanism::observe::within;
use crate::layer::{
    AttentionBlock, AttentionBlockConfig, AttentionInput, FeedForward, FeedForwardConfig,
    MultiHeadAttentionOutput,
};
use crate::masks::LayerMask;

/// Configuration of [`DecoderLayer`].
#[derive(Config, Debug)]
pub struct DecoderLayerConfig {
    /// Causal attention of the target to itself.
    pub self_attention: AttentionBlockConfig,
    /// Attention of the target to the source.
    pub cross_attention: AttentionBlockConfig,
    /// The feed-forward network.
    pub feed_forward: FeedForwardConfig,
}

/// Self-attention, attention to the source, and feed-forward, called in this order.
///
/// # Source
/// Vaswani et al. 2017, section 3.1.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// Causal attention of the target to itself.
    pub self_attention: AttentionBlock,
    /// Attention of the target to the source.
    pub cross_attention: AttentionBlock,
    /// The feed-forward network.
    pub feed_forward: FeedForward,
}

impl DecoderLayerConfig {
    /// Makes the layer.
    ///
    /// # Panics
    /// As [`AttentionBlockConfig::init`].
    pub fn init(&self, device: &Device) -> DecoderLayer {
        DecoderLayer {
            self_attention: self.self_attention.init(device),
            cross_attention: self.cross_attention.init(device),
            feed_forward: self.feed_forward.init(device),
        }
    }
}

impl DecoderLayer {
    /// Causal self-attention.
    ///
    /// # Shapes
    /// - hidden, context: `[batch, target_len, d_model]`, padding: `[batch, target_len]`
    /// - mask: `[n_heads, rows, columns]`, at least `target_len` rows and columns
    /// - weights, if asked for: `[batch, n_heads, target_len, target_len]`
    ///
    /// # Panics
    /// As [`crate::layer::MultiHeadAttention::forward`].
    ///
    /// # Source
    /// Vaswani et al. 2017, section 3.2.3.
    pub fn attend_to_target(
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

    /// Attention to what the encoder made of the source.
    ///
    /// # Shapes
    /// - hidden, context: `[batch, target_len, d_model]`
    /// - memory and padding: as [`Encoded`] has them
    /// - mask: `[n_heads, rows, columns]`, at least `target_len` rows and `source_len` columns
    /// - weights, if asked for: `[batch, n_heads, target_len, source_len]`
    ///
    /// # Panics
    /// As [`crate::layer::MultiHeadAttention::forward`].
    ///
    /// # Source
    /// Vaswani et al. 2017, section 3.2.3.
    pub fn attend_to_source(
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
