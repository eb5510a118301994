//! The sizes of a BERT.

use burn::config::Config;
use burn::nn::DropoutConfig;
use burn::prelude::*;
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::StaticPattern;

use super::{
    Bert, BertClassifier, BertEmbeddings, BertMaskedLm, BertSpanFinder, MaskedLmHead, Pooling,
};
use crate::check::{check, check_dropout, check_size};
use crate::error::ModelError;
use crate::layer::parameter::{normal, zeros};
use crate::layer::{
    Abilities, Activation, AttentionBlockConfig, EncoderLayerConfig, FeedForwardConfig, HeadShape,
    MechanismConfig, MultiHeadAttentionConfig, NormalizerConfig, WeightInit,
};

/// Configuration of [`Bert`] and of the networks with a head on it.
///
/// # Source
/// Devlin et al. 2019; names and sizes as in the published `config.json` files, which
/// [`crate::import::bert_config`] reads.
#[derive(Config, Debug, PartialEq)]
pub struct BertConfig {
    /// Number of word pieces.
    pub vocab_size: usize,
    /// Size of the vectors between layers (`hidden_size`).
    pub d_model: usize,
    /// Attention heads of a layer (`num_attention_heads`).
    pub n_heads: usize,
    /// Size of the feed-forward network (`intermediate_size`).
    pub d_ff: usize,
    /// Number of layers (`num_hidden_layers`).
    pub n_layers: usize,
    /// The longest sequence (`max_position_embeddings`).
    #[config(default = 512)]
    pub max_len: usize,
    /// Kinds of segments (`type_vocab_size`).
    #[config(default = 2)]
    pub n_token_types: usize,
    /// Dropout probability of values (`hidden_dropout_prob`), also before a classifier.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Dropout probability of attention weights (`attention_probs_dropout_prob`).
    #[config(default = 0.1)]
    pub attention_dropout: f64,
    /// The attention mechanism of every layer.
    #[config(default = "MechanismConfig::SOFTMAX")]
    pub mechanism: MechanismConfig,
    /// From which vectors a classifier judges a sequence.
    #[config(default = "Pooling::First")]
    pub pooling: Pooling,
    /// What layer normalisation adds to the variance (`layer_norm_eps`).
    #[config(default = 1e-12)]
    pub norm_epsilon: f64,
    /// Which implementation computes attention.
    #[config(default = "Implementation::Auto")]
    pub implementation: Implementation,
    /// Standard deviation of random weights (`initializer_range`).
    #[config(default = 0.02)]
    pub init_std: f64,
}

impl BertConfig {
    /// What the network needs of its attention mechanism.
    pub fn needed_abilities(&self) -> Abilities {
        Abilities {
            bidirectional: true,
            key_padding: true,
            dropout: self.attention_dropout > 0.0,
            fused: self.implementation == Implementation::Fused,
            ..Abilities::NONE
        }
    }

    /// The static pattern of visible cells that every layer has, if there is one: the mechanism's, with the first
    /// position visible, which stands for the sequence.
    pub fn static_pattern(&self) -> Option<StaticPattern> {
        self.mechanism.with_first_visible().static_pattern()
    }

    /// Dot-product attention with this row normaliser as the mechanism.
    pub fn with_normalizer(self, normalizer: NormalizerConfig) -> Self {
        self.with_mechanism(normalizer.into())
    }

    /// BERT-base uncased: 12 layers of 768, 110 M parameters.
    pub fn base_uncased() -> Self {
        Self::new(30522, 768, 12, 3072, 12)
    }

    /// BERT-base cased: 12 layers of 768, 108 M parameters.
    pub fn base_cased() -> Self {
        Self::new(28996, 768, 12, 3072, 12)
    }

    /// MiniLM of width 384 (Wang et al. 2020): `n_layers` is 12, 6 or, for one that was cut, 3.
    pub fn mini_lm(n_layers: usize) -> Self {
        Self::new(30522, 384, 12, 1536, n_layers)
    }

    /// Whether the network can be built.
    ///
    /// # Errors
    /// [`ModelError::Config`] for the first setting that is out of range.
    pub fn validate(&self) -> Result<(), ModelError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("d_model", self.d_model),
            ("n_heads", self.n_heads),
            ("d_ff", self.d_ff),
            ("n_layers", self.n_layers),
            ("max_len", self.max_len),
            ("n_token_types", self.n_token_types),
        ];
        sizes
            .into_iter()
            .try_for_each(|(field, size)| check_size(field, size))?;
        let expected = format!("a divisor of d_model = {}", self.d_model);
        let divides = self.d_model.is_multiple_of(self.n_heads);
        check(divides, "n_heads", &self.n_heads, &expected)?;
        check_dropout("dropout", self.dropout)?;
        check_dropout("attention_dropout", self.attention_dropout)?;
        self.mechanism.check("mechanism", self.needed_abilities())?;
        (self.mechanism).check_layer("mechanism", self.n_heads, None)
    }

    /// Makes the network with random weights, without a pooler.
    ///
    /// # Panics
    /// With the message of [`BertConfig::validate`], if that fails.
    pub fn init(&self, device: &Device) -> Bert {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let table = |rows| normal([rows, self.d_model], 0.0, self.init_std, device);
        let layer = self.layer();
        Bert {
            embeddings: BertEmbeddings {
                words: table(self.vocab_size),
                positions: table(self.max_len),
                token_types: table(self.n_token_types),
                norm: self
                    .weight_init()
                    .layer_norm(self.d_model, self.norm_epsilon, device),
                dropout: DropoutConfig::new(self.dropout).init(),
            },
            encoder: (0..self.n_layers).map(|_| layer.init(device)).collect(),
            pooler: None,
        }
    }

    /// Makes the network with a pooler, its `tanh(W·h_CLS + b)`.
    ///
    /// # Panics
    /// As [`BertConfig::init`].
    pub fn init_with_pooler(&self, device: &Device) -> Bert {
        let mut bert = self.init(device);
        let (init, d_model) = (self.weight_init(), self.d_model);
        bert.pooler = Some(init.linear(d_model, d_model, device));
        bert
    }

    /// Makes a network that gives each sequence a score for each of `n_labels` labels, or with one
    /// label a number.
    ///
    /// # Panics
    /// As [`BertConfig::init`].
    pub fn init_classifier(&self, n_labels: usize, device: &Device) -> BertClassifier {
        let bert = match self.pooling {
            Pooling::First => self.init_with_pooler(device),
            Pooling::Segments => self.init(device),
        };
        let width = self.pooling.width(self.d_model);
        BertClassifier {
            bert,
            dropout: DropoutConfig::new(self.dropout).init(),
            classifier: self.weight_init().linear(width, n_labels, device),
        }
    }

    /// Makes a network that scores every token as the first and as the last one of an answer.
    ///
    /// # Panics
    /// As [`BertConfig::init`].
    pub fn init_span_finder(&self, device: &Device) -> BertSpanFinder {
        BertSpanFinder {
            bert: self.init(device),
            span_output: self.weight_init().linear(self.d_model, 2, device),
        }
    }

    /// Makes a network that scores every word piece at every position.
    ///
    /// # Panics
    /// As [`BertConfig::init`].
    pub fn init_masked_lm(&self, device: &Device) -> BertMaskedLm {
        let (init, d_model) = (self.weight_init(), self.d_model);
        BertMaskedLm {
            bert: self.init(device),
            head: MaskedLmHead {
                transform: init.linear(d_model, d_model, device),
                norm: init.layer_norm(d_model, self.norm_epsilon, device),
                bias: zeros([self.vocab_size], device),
            },
        }
    }

    /// Number of parameters without pooler and heads, without making them.
    pub fn n_params(&self) -> usize {
        let d = self.d_model;
        let norm = 2 * d;
        let n_maps = 3 + usize::from(!self.mechanism.shares_keys());
        let attention = n_maps * (d * d + d) + norm + self.mechanism.n_params(self.head_shape());
        let layer = attention + self.feed_forward().n_params();
        (self.vocab_size + self.max_len + self.n_token_types) * d + norm + self.n_layers * layer
    }

    /// Number of parameters of [`BertConfig::init_classifier`].
    pub fn n_classifier_params(&self, n_labels: usize) -> usize {
        let d = self.d_model;
        let pooler = match self.pooling {
            Pooling::First => d * d + d,
            Pooling::Segments => 0,
        };
        self.n_params() + pooler + self.pooling.width(d) * n_labels + n_labels
    }

    /// Number of parameters of [`BertConfig::init_span_finder`].
    pub fn n_span_finder_params(&self) -> usize {
        self.n_params() + 2 * self.d_model + 2
    }

    /// Number of parameters of [`BertConfig::init_masked_lm`].
    pub fn n_masked_lm_params(&self) -> usize {
        let d = self.d_model;
        self.n_params() + d * d + d + 2 * d + self.vocab_size
    }

    fn weight_init(&self) -> WeightInit {
        WeightInit::NormalWeights { std: self.init_std }
    }

    fn layer(&self) -> EncoderLayerConfig {
        let attention = MultiHeadAttentionConfig::new(self.d_model, self.n_heads)
            .with_mechanism(self.mechanism.with_first_visible())
            .with_max_len(Some(self.max_len))
            .with_dropout(self.attention_dropout)
            .with_implementation(self.implementation);
        let self_attention = AttentionBlockConfig::new(attention)
            .with_dropout(self.dropout)
            .with_weight_init(Some(self.weight_init()))
            .with_norm_epsilon(self.norm_epsilon);
        EncoderLayerConfig::new(self_attention, self.feed_forward())
    }

    fn head_shape(&self) -> HeadShape {
        HeadShape {
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_head: self.d_model / self.n_heads,
            max_len: Some(self.max_len),
        }
    }

    fn feed_forward(&self) -> FeedForwardConfig {
        FeedForwardConfig {
            d_model: self.d_model,
            d_ff: self.d_ff,
            dropout: self.dropout,
            activation_dropout: Some(0.0),
            pre_norm: false,
            weight_init: self.weight_init(),
            activation: Activation::Gelu,
            norm_epsilon: self.norm_epsilon,
        }
    }
}
