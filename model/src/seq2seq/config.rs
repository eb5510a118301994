//! The settings of an encoder–decoder.

use burn::config::Config;
use burn::nn::DropoutConfig;
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::AttentionType;

use super::{DecoderLayerConfig, Seq2Seq};
use crate::check::{check, check_dropout, check_size};
use crate::error::ModelError;
use crate::layer::parameter::normal;
use crate::layer::sinusoids::Sinusoids;
use crate::layer::{
    Abilities, Activation, AttentionBlockConfig, EncoderLayerConfig, FeedForwardConfig, HeadShape,
    LayerNormConfig, MechanismConfig, MechanismsByType, MultiHeadAttentionConfig, NormalizerConfig,
    OutputMap, WeightInit,
};

/// Which tables of word embeddings are one and the same; serde's spelling is that of recipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sharing {
    /// Source words, target words and output map have one each.
    #[serde(rename = "nothing")]
    None,
    /// Target words and output map share one: the IWSLT recipe.
    #[serde(rename = "decoder")]
    DecoderInputOutput,
    /// One for all three, with a joint vocabulary: the WMT recipe.
    #[serde(rename = "all")]
    All,
}

/// Configuration of [`Seq2Seq`]; defaults are those of fairseq's `transformer`.
///
/// ```
/// use sparta_model::seq2seq::Seq2SeqConfig;
/// // fairseq's `transformer_iwslt_de_en` with the recipe's vocabularies
/// let config = Seq2SeqConfig::new(8848, 6632, 512, 4, 1024, 6, 6);
/// assert_eq!(config.n_params(), 39_469_056);
/// ```
#[derive(Config, Debug)]
pub struct Seq2SeqConfig {
    /// Number of source tokens.
    pub source_vocab_size: usize,
    /// Number of target tokens.
    pub target_vocab_size: usize,
    /// Size of the vectors between layers; even.
    pub d_model: usize,
    /// Attention heads of a layer; divides `d_model`.
    pub n_heads: usize,
    /// Size of the feed-forward layers' hidden vectors.
    pub d_ff: usize,
    /// Layers of the encoder.
    pub n_encoder_layers: usize,
    /// Layers of the decoder.
    pub n_decoder_layers: usize,
    /// Dropout probability of word embeddings and of each layer's output.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Dropout probability of attention weights.
    #[config(default = 0.0)]
    pub attention_dropout: f64,
    /// Dropout probability of the feed-forward layers' hidden vectors.
    #[config(default = 0.0)]
    pub activation_dropout: f64,
    /// Normalise the layers' inputs and the last outputs instead of the layers' outputs.
    #[config(default = false)]
    pub pre_norm: bool,
    /// Which word embeddings are shared.
    #[config(default = "Sharing::DecoderInputOutput")]
    pub sharing: Sharing,
    /// Longest sentence, source or target, in tokens.
    #[config(default = 1024)]
    pub max_len: usize,
    /// Number of the first position: in fairseq the padding token's id plus 1.
    #[config(default = 2)]
    pub first_position: usize,
    /// Mechanisms of the three attentions; that of the decoder to itself is a causal one that can write token
    /// after token.
    #[config(default = "MechanismsByType::SOFTMAX")]
    pub mechanisms: MechanismsByType,
    /// From scores to probabilities of the next token.
    #[config(default = "OutputMap::Softmax")]
    pub output: OutputMap,
    /// Which implementation computes attention.
    #[config(default = "Implementation::Auto")]
    pub implementation: Implementation,
}

impl Seq2SeqConfig {
    /// The same mechanism in all three attentions.
    pub fn with_mechanism(self, mechanism: MechanismConfig) -> Self {
        self.with_mechanisms(mechanism.into())
    }

    /// Another mechanism for the encoder's self-attention.
    pub fn with_encoder_self(self, mechanism: MechanismConfig) -> Self {
        self.with_mechanism_of(AttentionType::EncoderSelf, mechanism)
    }

    /// Another mechanism for the decoder's self-attention.
    pub fn with_decoder_self(self, mechanism: MechanismConfig) -> Self {
        self.with_mechanism_of(AttentionType::DecoderSelf, mechanism)
    }

    /// Another mechanism for the decoder's attention to the encoder.
    pub fn with_cross(self, mechanism: MechanismConfig) -> Self {
        self.with_mechanism_of(AttentionType::Cross, mechanism)
    }

    fn with_mechanism_of(self, kind: AttentionType, mechanism: MechanismConfig) -> Self {
        let mechanisms = self.mechanisms.with(kind, mechanism);
        self.with_mechanisms(mechanisms)
    }

    /// Dot-product attention with the same row normaliser in all three attentions.
    pub fn with_normalizer(self, normalizer: NormalizerConfig) -> Self {
        self.with_mechanism(normalizer.into())
    }

    /// What the network needs of the mechanism of a type of attention.
    pub fn needed_abilities(&self, attention_type: AttentionType) -> Abilities {
        let any = Abilities {
            dropout: self.attention_dropout > 0.0,
            fused: self.implementation == Implementation::Fused,
            ..Abilities::NONE
        };
        match attention_type {
            AttentionType::EncoderSelf => Abilities {
                bidirectional: true,
                key_padding: true,
                ..any
            },
            AttentionType::DecoderSelf => Abilities {
                causal: true,
                incremental: true,
                ..any
            },
            AttentionType::Cross => Abilities {
                cross: true,
                key_padding: true,
                ..any
            },
        }
    }

    /// Checks that a network can be built from the settings.
    ///
    /// # Errors
    /// [`ModelError::Config`] for the first setting that is out of range.
    pub fn validate(&self) -> Result<(), ModelError> {
        let sizes = [
            ("source_vocab_size", self.source_vocab_size),
            ("target_vocab_size", self.target_vocab_size),
            ("n_heads", self.n_heads),
            ("d_ff", self.d_ff),
            ("n_encoder_layers", self.n_encoder_layers),
            ("n_decoder_layers", self.n_decoder_layers),
            ("max_len", self.max_len),
        ];
        sizes
            .into_iter()
            .try_for_each(|(field, size)| check_size(field, size))?;
        let even = self.d_model > 0 && self.d_model.is_multiple_of(2);
        check(even, "d_model", &self.d_model, "even and at least 2")?;
        let expected = format!("a divisor of d_model = {}", self.d_model);
        let divides = self.d_model.is_multiple_of(self.n_heads);
        check(divides, "n_heads", &self.n_heads, &expected)?;
        check_dropout("dropout", self.dropout)?;
        check_dropout("attention_dropout", self.attention_dropout)?;
        check_dropout("activation_dropout", self.activation_dropout)?;
        self.mechanisms.check(|kind| self.needed_abilities(kind))?;
        self.mechanisms.check_layers(self.n_heads)?;
        if let OutputMap::Entmax { alpha } = self.output {
            let is_in_range = (1.0..f64::INFINITY).contains(&alpha);
            check(is_in_range, "output.alpha", &alpha, "finite and at least 1")?;
        }
        let joint = self.source_vocab_size == self.target_vocab_size;
        let expected = format!(
            "source_vocab_size = {} where the word embeddings are shared (sharing = All)",
            self.source_vocab_size
        );
        check(
            joint || self.sharing != Sharing::All,
            "target_vocab_size",
            &self.target_vocab_size,
            &expected,
        )
    }

    /// Makes the network with random weights: word embeddings from N(0, 1/d_model), linear maps Xavier
    /// uniform.
    ///
    /// # Panics
    /// With the message of [`Seq2SeqConfig::validate`], if that fails.
    pub fn init(&self, device: &Device) -> Seq2Seq {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let std = (self.d_model as f64).powf(-0.5);
        let table = |vocab_size| normal([vocab_size, self.d_model], 0.0, std, device);
        let (encoder, decoder) = (self.encoder_layer(), self.decoder_layer());
        let last_norm = || {
            self.pre_norm
                .then(|| LayerNormConfig::new(self.d_model).init(device))
        };
        Seq2Seq {
            source_embedding: match self.sharing {
                Sharing::All => None,
                Sharing::None | Sharing::DecoderInputOutput => Some(table(self.source_vocab_size)),
            },
            target_embedding: table(self.target_vocab_size),
            output_weight: match self.sharing {
                Sharing::None => Some(table(self.target_vocab_size)),
                Sharing::All | Sharing::DecoderInputOutput => None,
            },
            encoder: (0..self.n_encoder_layers)
                .map(|_| encoder.init(device))
                .collect(),
            decoder: (0..self.n_decoder_layers)
                .map(|_| decoder.init(device))
                .collect(),
            encoder_norm: last_norm(),
            decoder_norm: last_norm(),
            dropout: DropoutConfig::new(self.dropout).init(),
            positions: Sinusoids::new(self.first_position, self.max_len, self.d_model),
            output_map: self.output,
        }
    }

    /// Number of parameters, without making them.
    pub fn n_params(&self) -> usize {
        let d = self.d_model;
        let shape = HeadShape {
            d_model: d,
            n_heads: self.n_heads,
            d_head: d / self.n_heads,
            max_len: Some(self.max_len),
        };
        let norm = 2 * d;
        let block = |kind| {
            let mechanism = self.mechanisms.of(kind);
            let n_maps = 3 + usize::from(!mechanism.shares_keys());
            n_maps * (d * d + d) + norm + mechanism.n_params(shape)
        };
        let feed_forward = self.feed_forward().n_params();
        let encoder = block(AttentionType::EncoderSelf) + feed_forward;
        let decoder =
            block(AttentionType::DecoderSelf) + block(AttentionType::Cross) + feed_forward;
        let tables = match self.sharing {
            Sharing::None => self.source_vocab_size + 2 * self.target_vocab_size,
            Sharing::DecoderInputOutput => self.source_vocab_size + self.target_vocab_size,
            Sharing::All => self.target_vocab_size,
        };
        let last_norms = if self.pre_norm { 2 * norm } else { 0 };
        tables * d + self.n_encoder_layers * encoder + self.n_decoder_layers * decoder + last_norms
    }

    fn encoder_layer(&self) -> EncoderLayerConfig {
        let self_attention = self.attention(self.mechanisms.encoder_self);
        EncoderLayerConfig::new(self_attention, self.feed_forward())
    }

    fn decoder_layer(&self) -> DecoderLayerConfig {
        let self_attention = self.attention(self.mechanisms.decoder_self);
        let cross_attention = self.attention(self.mechanisms.cross);
        DecoderLayerConfig::new(self_attention, cross_attention, self.feed_forward())
    }

    fn attention(&self, mechanism: MechanismConfig) -> AttentionBlockConfig {
        let attention = MultiHeadAttentionConfig::new(self.d_model, self.n_heads)
            .with_mechanism(mechanism)
            .with_max_len(Some(self.max_len))
            .with_dropout(self.attention_dropout)
            .with_implementation(self.implementation);
        AttentionBlockConfig::new(attention)
            .with_dropout(self.dropout)
            .with_pre_norm(self.pre_norm)
            .with_weight_init(Some(WeightInit::Xavier))
    }

    fn feed_forward(&self) -> FeedForwardConfig {
        FeedForwardConfig {
            d_model: self.d_model,
            d_ff: self.d_ff,
            dropout: self.dropout,
            activation_dropout: Some(self.activation_dropout),
            pre_norm: self.pre_norm,
            weight_init: WeightInit::Xavier,
            activation: Activation::Relu,
            norm_epsilon: 1e-5,
        }
    }
}
