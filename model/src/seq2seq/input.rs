//! What an encoder–decoder works on and what it gives.

use burn::prelude::*;
use sparta_ops::pruning::AttentionType;

use super::Seq2SeqMasks;

/// What [`super::Seq2Seq::forward`] works on; masks are `true` where hidden.
#[derive(Debug, Clone)]
pub struct Seq2SeqInput {
    /// Source tokens, `[batch, source_len]`.
    pub source: Tensor<2, Int>,
    /// Which source tokens are padding, on whichever side; where attention goes by positions (Linformer's columns, static
    /// patterns), padding ahead moves what it sees.
    pub source_padding: Option<Tensor<2, Bool>>,
    /// Target tokens before the ones to be predicted, `[batch, target_len]`: the start token first.
    pub target: Tensor<2, Int>,
    /// Which target tokens are padding. Padding on the right needs no mention: no earlier token sees it.
    pub target_padding: Option<Tensor<2, Bool>>,
    /// Global masks.
    pub masks: Option<Seq2SeqMasks>,
    /// Whether to return the attention weights of the types whose mechanism has such.
    pub return_weights: bool,
}

/// What [`super::Seq2Seq::forward`] gives.
#[derive(Debug, Clone)]
pub struct Seq2SeqOutput {
    /// `[batch, target_len, d_model]`, to hand to [`super::Seq2Seq::logits`] or [`super::Seq2Seq::loss`].
    pub hidden: Tensor<3>,
    /// The attention weights, if asked for.
    pub weights: Option<Seq2SeqWeights>,
}

/// Attention weights of every layer, `[batch, n_heads, seq_q, seq_kv]`, before dropout.
#[derive(Debug, Clone)]
pub struct Seq2SeqWeights {
    /// The encoder to itself.
    pub encoder_self: Vec<Tensor<4>>,
    /// The decoder to itself.
    pub decoder_self: Vec<Tensor<4>>,
    /// The decoder to the encoder.
    pub cross: Vec<Tensor<4>>,
}

impl Seq2SeqWeights {
    /// The weights of one type of attention, one tensor per layer; none of a mechanism that has no weights.
    pub fn of(&self, attention_type: AttentionType) -> &[Tensor<4>] {
        match attention_type {
            AttentionType::EncoderSelf => &self.encoder_self,
            AttentionType::DecoderSelf => &self.decoder_self,
            AttentionType::Cross => &self.cross,
        }
    }
}

impl Seq2SeqInput {
    /// Sentences without padding, masks or weights.
    pub fn new(source: Tensor<2, Int>, target: Tensor<2, Int>) -> Self {
        Self {
            source,
            source_padding: None,
            target,
            target_padding: None,
            masks: None,
            return_weights: false,
        }
    }

    /// Hides source tokens, `[batch, source_len]`.
    pub fn source_padding(mut self, padding: Tensor<2, Bool>) -> Self {
        self.source_padding = Some(padding);
        self
    }

    /// Hides target tokens, `[batch, target_len]`.
    pub fn target_padding(mut self, padding: Tensor<2, Bool>) -> Self {
        self.target_padding = Some(padding);
        self
    }

    /// Hides cells of attentions.
    pub fn masks(mut self, masks: Seq2SeqMasks) -> Self {
        self.masks = Some(masks);
        self
    }

    /// Asks for the attention weights.
    pub fn return_weights(mut self) -> Self {
        self.return_weights = true;
        self
    }
}
