//! The settings of a Transformer-XL.

use burn::config::Config;
use burn::nn::DropoutConfig;
use burn::prelude::*;
use sparta_ops::attention::Implementation;

use super::{Lengths, TransformerXl, TransformerXlLayer};
use crate::check::{check, check_dropout, check_size};
use crate::error::ModelError;
use crate::layer::{
    Abilities, Activation, AdaptiveConfig, FeedForwardConfig, MechanismConfig, NormalizerConfig,
    RelativeAttentionConfig, WeightInit, parameter,
};

/// Configuration of [`TransformerXl`]; the defaults are those of the published WikiText-103 base
/// recipe where it has one.
///
/// ```
/// use sparta_model::transformer_xl::TransformerXlConfig;
/// let config = TransformerXlConfig::new(267_735, 16, 410, 10, 41, 2100, 150, 150)
///     .with_cutoffs(vec![20_000, 40_000, 200_000]);
/// assert_eq!(config.n_params(), 151_107_538); // as the original prints
/// ```
#[derive(Config, Debug)]
pub struct TransformerXlConfig {
    /// Number of words, sorted by falling frequency if there are cutoffs.
    pub vocab_size: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// Size of the vectors between layers; even.
    pub d_model: usize,
    /// Attention heads of a layer.
    pub n_heads: usize,
    /// Size of a head's queries, keys and values.
    pub d_head: usize,
    /// Size of the feed-forward layers' hidden vectors.
    pub d_ff: usize,
    /// Longest segment, in tokens.
    pub tgt_len: usize,
    /// Positions of every layer's input kept for the next segment.
    pub mem_len: usize,
    /// Distances beyond this look alike.
    pub clamp_len: Option<usize>,
    /// Let every query see exactly `mem_len` keys (itself included) once the memory is full, as the
    /// original does in its evaluation, instead of everything before it.
    #[config(default = false)]
    pub same_length: bool,
    /// Where the tail clusters of embedding and softmax start.
    #[config(default = "Vec::new()")]
    pub cutoffs: Vec<usize>,
    /// Factor by which word embeddings shrink from cluster to cluster.
    #[config(default = 1)]
    pub div_val: usize,
    /// Size of the word embeddings of the head cluster; `d_model` if not given.
    pub d_embed: Option<usize>,
    /// Use the word embeddings as the softmax's weights.
    #[config(default = true)]
    pub tie_weights: bool,
    /// Use the word embeddings' projections in the softmax's tail clusters.
    #[config(default = true)]
    pub tie_projections: bool,
    /// The attention mechanism of every layer: one that can be causal. It takes a relative term, or carries a state in
    /// place of the memory, or reads the memory by positions, or by
    /// a bias of its own.
    #[config(default = "MechanismConfig::SOFTMAX")]
    pub mechanism: MechanismConfig,
    /// Dropout probability of word embeddings, positions, layer outputs and the final output.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Dropout probability of attention weights.
    #[config(default = 0.0)]
    pub dropatt: f64,
    /// Normalise the layers' inputs instead of their outputs.
    #[config(default = false)]
    pub pre_norm: bool,
    /// Standard deviation of weights, word embeddings, u, v and (around 1) normalisation scales at the
    /// start.
    #[config(default = 0.02)]
    pub init_std: f64,
    /// Standard deviation of projections of word embeddings at the start.
    #[config(default = 0.01)]
    pub projection_std: f64,
    /// Which implementation computes attention.
    #[config(default = "Implementation::Auto")]
    pub implementation: Implementation,
}

impl TransformerXlConfig {
    /// Dot-product attention with this row normaliser as the mechanism.
    pub fn with_normalizer(self, normalizer: NormalizerConfig) -> Self {
        self.with_mechanism(normalizer.into())
    }

    /// What the network needs of its attention mechanism.
    pub fn needed_abilities(&self) -> Abilities {
        Abilities {
            causal: true,
            relative: self.mechanism.has_distances(),
            state: self.mechanism.carries_state(),
            global_mask: self.same_length,
            dropout: self.dropatt > 0.0,
            fused: self.implementation == Implementation::Fused,
            ..Abilities::NONE
        }
    }

    /// Checks that a network can be built from the settings.
    ///
    /// # Errors
    /// [`ModelError::Config`] for the first setting that is out of range.
    pub fn validate(&self) -> Result<(), ModelError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("n_layers", self.n_layers),
            ("n_heads", self.n_heads),
            ("d_head", self.d_head),
            ("d_ff", self.d_ff),
            ("tgt_len", self.tgt_len),
            ("div_val", self.div_val),
        ];
        sizes
            .into_iter()
            .try_for_each(|(field, size)| check_size(field, size))?;
        let even = self.d_model > 0 && self.d_model.is_multiple_of(2);
        check(even, "d_model", &self.d_model, "even and at least 2")?;
        check_dropout("dropout", self.dropout)?;
        check_dropout("dropatt", self.dropatt)?;
        self.lengths().check_same_length()?;
        self.mechanism.check("mechanism", self.needed_abilities())?;
        let tgt_len = Some(self.tgt_len);
        (self.mechanism).check_layer("mechanism", self.n_heads, tgt_len)?;
        if let Some(clamp_len) = self.clamp_len {
            let expected = format!(
                "not given: {} knows no distances that could be clamped",
                self.mechanism
            );
            let known = self.mechanism.has_distances();
            check(known, "clamp_len", &clamp_len, &expected)?;
        }
        let clusters = self.adaptive();
        let rising = clusters.bounds().is_sorted_by(|a, b| a < b);
        let expected = format!(
            "rising and between 1 and vocab_size − 1 = {}",
            self.vocab_size - 1
        );
        check(rising, "cutoffs", &self.cutoffs, &expected)?;
        let smallest = u32::try_from(self.cutoffs.len())
            .ok()
            .and_then(|tails| self.div_val.checked_pow(tails))
            .map_or(0, |factor| self.d_embed.unwrap_or(self.d_model) / factor);
        check(
            smallest > 0,
            "div_val",
            &self.div_val,
            "small enough that d_embed / div_val^(number of cutoffs) is at least 1",
        )
    }

    /// Makes the network with random weights.
    ///
    /// # Panics
    /// With the message of [`TransformerXlConfig::validate`], if that fails.
    pub fn init(&self, device: &Device) -> TransformerXl {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let adaptive = self.adaptive();
        let bias = || {
            let shape = [self.n_heads, self.d_head];
            let bias = || parameter::normal(shape, 0.0, self.init_std, device);
            (self.mechanism.has_distances()).then(bias)
        };
        TransformerXl {
            embedding: adaptive.init_embedding(device),
            softmax: adaptive.init_softmax(device),
            layers: (0..self.n_layers)
                .map(|_| TransformerXlLayer {
                    attention: self.attention().init(device),
                    feed_forward: self.feed_forward().init(device),
                })
                .collect(),
            content_bias: bias(),
            position_bias: bias(),
            dropout: DropoutConfig::new(self.dropout).init(),
            n_heads: self.n_heads,
            d_head: self.d_head,
            lengths: self.lengths(),
        }
    }

    fn lengths(&self) -> Lengths {
        Lengths {
            tgt_len: self.tgt_len,
            mem_len: self.mem_len,
            clamp_len: self.clamp_len,
            same_length: self.same_length,
        }
    }

    /// Number of parameters, without making them.
    pub fn n_params(&self) -> usize {
        let layer = self.attention().n_params() + self.feed_forward().n_params();
        let biases = match self.mechanism.has_distances() {
            true => 2 * self.n_heads * self.d_head,
            false => 0,
        };
        self.adaptive().n_params() + self.n_layers * layer + biases
    }

    fn adaptive(&self) -> AdaptiveConfig {
        AdaptiveConfig {
            vocab_size: self.vocab_size,
            d_model: self.d_model,
            d_embed: self.d_embed,
            cutoffs: self.cutoffs.clone(),
            div_val: self.div_val,
            tie_weights: self.tie_weights,
            tie_projections: self.tie_projections,
            init_std: self.init_std,
            projection_std: self.projection_std,
        }
    }

    fn attention(&self) -> RelativeAttentionConfig {
        RelativeAttentionConfig {
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_head: self.d_head,
            mechanism: self.mechanism,
            dropout: self.dropout,
            dropatt: self.dropatt,
            pre_norm: self.pre_norm,
            init_std: self.init_std,
            implementation: self.implementation,
            max_len: Some(self.mem_len + self.tgt_len),
        }
    }

    fn feed_forward(&self) -> FeedForwardConfig {
        FeedForwardConfig {
            d_model: self.d_model,
            d_ff: self.d_ff,
            dropout: self.dropout,
            activation_dropout: None,
            pre_norm: self.pre_norm,
            weight_init: WeightInit::Normal { std: self.init_std },
            activation: Activation::Relu,
            norm_epsilon: 1e-5,
        }
    }
}
