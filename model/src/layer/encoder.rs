//! A layer of an encoder, and the attention with what surrounds it.

use burn::config::Config;
use burn::nn::{Dropout, DropoutConfig};
use burn::prelude::*;
use sparta_ops::pruning::AttentionType;

use super::dropout::drop_values;
use super::mechanism::observe::within;
use super::{
    AttentionInput, FeedForward, FeedForwardConfig, LayerNorm, LayerNormConfig, MultiHeadAttention,
    MultiHeadAttentionConfig, MultiHeadAttentionOutput, WeightInit,
};
use crate::masks::LayerMask;

/// Configuration of [`AttentionBlock`].
#[derive(Config, Debug)]
pub struct AttentionBlockConfig {
    /// The attention.
    pub attention: MultiHeadAttentionConfig,
    /// Dropout probability of values after the attention; that of attention weights is the attention's.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Normalise the input of the attention instead of the sum that leaves the block.
    #[config(default = false)]
    pub pre_norm: bool,
    /// The weights at the start; if not given, those of the attention's own initializer, and scales of 1.
    pub weight_init: Option<WeightInit>,
    /// What layer normalisation adds to the variance.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
}

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
    pre_norm: bool,
}

/// Configuration of [`EncoderLayer`].
#[derive(Config, Debug)]
pub struct EncoderLayerConfig {
    /// Attention of the sequence to itself.
    pub self_attention: AttentionBlockConfig,
    /// The feed-forward network.
    pub feed_forward: FeedForwardConfig,
}

/// Self-attention and feed-forward.
///
/// # Source
/// Vaswani et al. 2017, section 3.1.
///
/// ```
/// use burn::prelude::*;
/// use sparta_model::layer::{AttentionBlockConfig, EncoderLayerConfig, FeedForwardConfig};
/// use sparta_model::layer::{MultiHeadAttentionConfig, NormalizerConfig};
///
/// let device = Device::flex();
/// let attention = MultiHeadAttentionConfig::new(16, 2).with_normalizer(NormalizerConfig::Entmax15);
/// let attention = AttentionBlockConfig::new(attention).with_pre_norm(true);
/// let feed_forward = FeedForwardConfig::new(16, 64).with_pre_norm(true);
/// let layer = EncoderLayerConfig::new(attention, feed_forward).init(&device);
/// let output = layer.forward(Tensor::ones([3, 7, 16], &device), None, None, true);
/// assert_eq!(output.context.dims(), [3, 7, 16]);
/// assert_eq!(output.weights.unwrap().dims(), [3, 2, 7, 7]);
/// ```
#[derive(Module, Debug)]
pub struct EncoderLayer {
    /// Attention of the sequence to itself.
    pub self_attention: AttentionBlock,
    /// The feed-forward network.
    pub feed_forward: FeedForward,
}

impl AttentionBlockConfig {
    /// Makes the block.
    ///
    /// # Panics
    /// As [`MultiHeadAttentionConfig::init`].
    pub fn init(&self, device: &Device) -> AttentionBlock {
        let (d_model, epsilon) = (self.attention.d_model, self.norm_epsilon);
        let (attention, norm) = match self.weight_init {
            Some(weights) => (
                self.attention.init_with(weights, device),
                weights.layer_norm(d_model, epsilon, device),
            ),
            None => (
                self.attention.init(device),
                LayerNormConfig::new(d_model)
                    .with_epsilon(epsilon)
                    .init(device),
            ),
        };
        AttentionBlock {
            attention,
            norm,
            dropout: DropoutConfig::new(self.dropout).init(),
            pre_norm: self.pre_norm,
        }
    }
}

impl EncoderLayerConfig {
    /// Makes the layer.
    ///
    /// # Panics
    /// As [`AttentionBlockConfig::init`].
    pub fn init(&self, device: &Device) -> EncoderLayer {
        EncoderLayer {
            self_attention: self.self_attention.init(device),
            feed_forward: self.feed_forward.init(device),
        }
    }
}

impl AttentionBlock {
    /// The block around what `attend` makes of the attention and of the (normalised) input that queries are made of.
    ///
    /// # Shapes
    /// - hidden, context: `[batch, seq_q, d_model]`; weights: as `attend` gives them
    ///
    /// # Panics
    /// If the input is of another width than the block, and as `attend`.
    pub fn around(
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
    /// Self-attention, then feed-forward: the layer's output is called context.
    ///
    /// # Shapes
    /// - hidden, context: `[batch, seq, d_model]`, padding: `[batch, seq]`
    /// - mask: `[n_heads, rows, columns]`, at least `seq` rows and columns
    /// - weights, if asked for: `[batch, n_heads, seq, seq]`
    ///
    /// # Panics
    /// As [`MultiHeadAttention::forward`], and if the feed-forward network is of another width.
    ///
    /// # Source
    /// Vaswani et al. 2017, section 3.1.
    pub fn forward(
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
