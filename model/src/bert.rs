//! BERT (Devlin et al. 2019) and its kin, with any attention mechanism and global masks per layer and head.

mod config;
mod heads;
mod input;
mod masked_lm;
mod pooling;

use burn::module::Param;
use burn::nn::{Dropout, Linear};
use burn::prelude::*;
use burn::tensor::assert_shape;
use burn::tensor::module::embedding;
use sparta_ops::pruning::AttentionType;

pub use config::BertConfig;
pub use heads::{BertClassifier, BertSpanFinder, SpanScores};
pub use input::{BertInput, BertOutput};
pub use masked_lm::{BertMaskedLm, MaskedLmHead, MaskedScores};
pub use pooling::Pooling;

use crate::error::ModelError;
use crate::layer::dropout::drop_values;
use crate::layer::{EncoderLayer, LayerNorm, PlacedMechanism};
use crate::masks::{LayerMask, check_masks};
use crate::precision::linear_in_full;

/// A transformer encoder whose attention may be sparse and may have a global mask: word, position and
/// segment embeddings, layer normalisation after each sum, gelu.
///
/// # Source
/// `BertModel` of huggingface/transformers, with the same parameters, initial values and places of
/// dropout; [`crate::import`] reads its weights. One thing differs: the vector of the padding token is
/// learned like any other there is a loss for (no other token sees it).
///
/// ```
/// use burn::prelude::*;
/// use sparta_model::bert::{BertConfig, BertInput};
/// use sparta_model::layer::NormalizerConfig;
///
/// let device = Device::flex();
/// let config = BertConfig::new(10, 16, 2, 32, 2).with_normalizer(NormalizerConfig::Entmax15);
/// let model = config.init_classifier(3, &device);
/// let tokens = Tensor::<2, Int>::from_ints([[1, 5, 6, 2]], &device);
/// assert_eq!(model.forward(BertInput::new(tokens)).dims(), [1, 3]);
/// ```
#[derive(Module, Debug)]
pub struct Bert {
    /// From word pieces to vectors.
    pub embeddings: BertEmbeddings,
    /// From the words up.
    pub encoder: Vec<EncoderLayer>,
    /// `[d_model, d_model]`, where there is a use for it.
    pub pooler: Option<Linear>,
}

/// Sum of word, position and segment embedding, normalised: dropout(norm(word + position + segment)).
#[derive(Module, Debug)]
pub struct BertEmbeddings {
    /// `[vocab_size, d_model]`.
    pub words: Param<Tensor<2>>,
    /// `[max_len, d_model]`.
    pub positions: Param<Tensor<2>>,
    /// `[n_token_types, d_model]`.
    pub token_types: Param<Tensor<2>>,
    /// Of the sum.
    pub norm: LayerNorm,
    /// On the normalised sum.
    pub dropout: Dropout,
}

impl Bert {
    /// The longest sequence.
    pub fn max_len(&self) -> usize {
        self.embeddings.positions.dims()[0]
    }

    /// The attention mechanism of each layer.
    pub fn mechanisms(&self) -> Vec<PlacedMechanism<'_>> {
        let layers = self.encoder.iter();
        let mechanisms = layers.map(|layer| &layer.self_attention.attention.mechanism);
        PlacedMechanism::of(AttentionType::EncoderSelf, mechanisms).collect()
    }

    /// Checks that global masks fit the network and are large enough for sequences of this length.
    ///
    /// # Errors
    /// [`ModelError::AttentionMaskCount`] or, for the first mask that does not fit,
    /// [`ModelError::AttentionMaskShape`].
    pub fn check_masks(&self, masks: &[LayerMask], seq: usize) -> Result<(), ModelError> {
        let first = self.encoder.first();
        let n_heads = first.map_or(0, |layer| layer.self_attention.attention.n_heads());
        let n_layers = self.encoder.len();
        check_masks(
            AttentionType::EncoderSelf,
            masks,
            n_layers,
            [n_heads, seq, seq],
        )
    }

    /// The hidden states of the last layer and, if asked for, every layer's attention weights.
    ///
    /// # Shapes
    /// - tokens, token_types, padding: `[batch, seq]`
    /// - masks: `[n_heads, rows, columns]` per layer, at least `seq` rows and columns
    /// - hidden: `[batch, seq, d_model]`, weights: `[batch, n_heads, seq, seq]` per layer
    ///
    /// # Panics
    /// If they are longer than `max_len`, a shape does not fit the others, or the masks fail
    /// [`Bert::check_masks`].
    ///
    /// # Source
    /// Devlin et al. 2019, section 3; `BertModel.forward` of huggingface/transformers.
    pub fn forward(&self, input: BertInput) -> BertOutput {
        let [batch, seq] = input.tokens.dims();
        if let Some(token_types) = &input.token_types {
            assert_shape!(token_types, [batch, seq]);
        }
        if let Some(padding) = &input.padding {
            assert_shape!(padding, [batch, seq]);
        }
        if let Some(Err(error)) = input
            .masks
            .as_ref()
            .map(|masks| self.check_masks(masks, seq))
        {
            panic!("{error}");
        }
        let mut hidden = self.embeddings.forward(input.tokens, input.token_types);
        let mut weights = Vec::new();
        for (i, layer) in self.encoder.iter().enumerate() {
            let mask = input.masks.as_ref().map(|masks| masks[i].clone());
            let output = layer.forward(hidden, input.padding.clone(), mask, input.return_weights);
            hidden = output.context;
            weights.extend(output.weights);
        }
        BertOutput { hidden, weights }
    }

    /// `tanh(W·h₀ + b)` of the first token, `[batch, d_model]`; h₀ itself without a pooler.
    ///
    /// # Shapes
    /// - hidden: `[batch, seq, d_model]`, output: `[batch, d_model]`
    ///
    /// # Panics
    /// If the hidden states are of another width than the network's.
    ///
    /// # Source
    /// `BertPooler` of huggingface/transformers.
    pub fn pooled(&self, hidden: Tensor<3>) -> Tensor<2> {
        let [_, width] = self.embeddings.words.dims();
        assert_shape!(hidden, [_, _, width]);
        let [batch, _, d_model] = hidden.dims();
        let first = hidden.slice([0..batch, 0..1, 0..d_model]);
        let first = first.reshape([batch, d_model]);
        match &self.pooler {
            Some(map) => linear_in_full(map, first).tanh(),
            None => first,
        }
    }
}

impl BertEmbeddings {
    fn forward(&self, tokens: Tensor<2, Int>, token_types: Option<Tensor<2, Int>>) -> Tensor<3> {
        let [_, seq] = tokens.dims();
        let [max_len, d_model] = self.positions.dims();
        assert!(
            seq <= max_len,
            "a sequence of {seq} tokens is longer than the {max_len} positions of the model"
        );
        let words = embedding(self.words.val(), tokens);
        let positions = self.positions.val().slice([0..seq, 0..d_model]);
        let positions = positions.reshape([1, seq, d_model]);
        let segments = match token_types {
            Some(token_types) => embedding(self.token_types.val(), token_types),
            None => {
                let first = self.token_types.val().slice([0..1, 0..d_model]);
                first.reshape([1, 1, d_model])
            }
        };
        let sum = words + segments + positions;
        drop_values(&self.dropout, self.norm.forward(sum))
    }
}
