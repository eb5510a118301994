//! The encoder–decoder for translation.

mod config;
mod input;
mod layers;
mod loss;
mod masks;
mod state;
mod support;

use burn::module::Param;
use burn::nn::Dropout;
use burn::prelude::*;
use burn::tensor::assert_shape;
use burn::tensor::module::embedding;
use sparta_ops::pruning::AttentionType;

pub use config::{Seq2SeqConfig, Sharing};
pub use input::{Seq2SeqInput, Seq2SeqOutput, Seq2SeqWeights};
pub use layers::{DecoderLayer, DecoderLayerConfig};
pub use loss::Seq2SeqLoss;
pub use masks::{MaskRows, Seq2SeqMasks};
pub use state::{DecoderState, DecoderStep};
pub use support::TargetSupport;

use crate::error::ModelError;
use crate::layer::dropout::drop_values;
use crate::layer::sinusoids::Sinusoids;
pub use crate::layer::{AttentionBlock, AttentionBlockConfig, EncoderLayer, EncoderLayerConfig};
use crate::layer::{LayerNorm, Mechanism, OutputMap, PlacedMechanism};
use crate::precision::scores;

/// Transformer encoder–decoder (Vaswani et al. 2017) whose three attentions may each be sparse and may
/// each have a global mask.
///
/// # Source
/// `TransformerModel` of facebookresearch/fairseq, with the same parameters, initial values and places
/// of dropout.
///
/// ```
/// use burn::prelude::*;
/// use sparta_model::layer::NormalizerConfig;
/// use sparta_model::seq2seq::{Seq2SeqConfig, Seq2SeqInput};
///
/// let device = Device::flex();
/// let config = Seq2SeqConfig::new(10, 12, 16, 2, 32, 1, 1).with_cross(NormalizerConfig::alpha_entmax().into());
/// let model = config.init(&device);
/// let source = Tensor::<2, Int>::from_ints([[4, 5, 6, 2]], &device);
/// let target = Tensor::<2, Int>::from_ints([[2, 7, 8]], &device); // what has been written so far
/// let output = model.forward(Seq2SeqInput::new(source, target));
/// assert_eq!(model.logits(output.hidden).dims(), [1, 3, 12]);
/// ```
#[derive(Module, Debug)]
pub struct Seq2Seq {
    /// Word embeddings of the source, `[source_vocab_size, d_model]`; the target's with
    /// [`Sharing::All`].
    pub source_embedding: Option<Param<Tensor<2>>>,
    /// Word embeddings of the target, `[target_vocab_size, d_model]`.
    pub target_embedding: Param<Tensor<2>>,
    /// Output map, `[target_vocab_size, d_model]`; the target's word embeddings unless [`Sharing::None`].
    pub output_weight: Option<Param<Tensor<2>>>,
    /// From the words up.
    pub encoder: Vec<EncoderLayer>,
    /// From the words up.
    pub decoder: Vec<DecoderLayer>,
    /// With `pre_norm`, normalisation of the encoder's output.
    pub encoder_norm: Option<LayerNorm>,
    /// With `pre_norm`, normalisation of the decoder's output.
    pub decoder_norm: Option<LayerNorm>,
    /// On word embeddings with positions.
    pub dropout: Dropout,
    #[module(skip)]
    positions: Sinusoids,
    #[module(skip)]
    output_map: OutputMap,
}

/// What the encoder makes of source sentences.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// `[batch, source_len, d_model]`.
    pub memory: Tensor<3>,
    /// `[batch, source_len]`, `true` where hidden.
    pub padding: Option<Tensor<2, Bool>>,
    /// The encoder's attention weights, one tensor per layer; empty unless asked for, and of a mechanism without weights.
    pub weights: Vec<Tensor<4>>,
}

impl Seq2Seq {
    /// From scores to probabilities of the next token.
    pub fn output_map(&self) -> OutputMap {
        self.output_map
    }

    /// The longest sentence, source or target, in tokens.
    pub fn max_len(&self) -> usize {
        self.positions.n_rows()
    }

    /// The mechanism of each attention and layer.
    pub fn mechanisms(&self) -> Vec<PlacedMechanism<'_>> {
        fn of(block: &AttentionBlock) -> &Mechanism {
            &block.attention.mechanism
        }
        let (encoder, decoder) = (self.encoder.iter(), self.decoder.iter());
        let in_encoder = encoder.map(|layer| of(&layer.self_attention));
        let in_decoder = decoder.clone().map(|layer| of(&layer.self_attention));
        let cross = decoder.map(|layer| of(&layer.cross_attention));
        PlacedMechanism::of(AttentionType::EncoderSelf, in_encoder)
            .chain(PlacedMechanism::of(AttentionType::DecoderSelf, in_decoder))
            .chain(PlacedMechanism::of(AttentionType::Cross, cross))
            .collect()
    }

    /// Checks that global masks fit the network and are large enough for these lengths.
    ///
    /// # Errors
    /// [`ModelError::AttentionMaskCount`] or, for the first mask that does not fit,
    /// [`ModelError::AttentionMaskShape`].
    pub fn check_masks(
        &self,
        masks: &Seq2SeqMasks,
        source_len: usize,
        target_len: usize,
    ) -> Result<(), ModelError> {
        let first = |block: Option<&AttentionBlock>| block.map_or(0, |b| b.attention.n_heads());
        let layers = [
            (
                AttentionType::EncoderSelf,
                self.encoder.len(),
                first(self.encoder.first().map(|layer| &layer.self_attention)),
            ),
            (
                AttentionType::DecoderSelf,
                self.decoder.len(),
                first(self.decoder.first().map(|layer| &layer.self_attention)),
            ),
            (
                AttentionType::Cross,
                self.decoder.len(),
                first(self.decoder.first().map(|layer| &layer.cross_attention)),
            ),
        ];
        layers
            .into_iter()
            .try_for_each(|(kind, n_layers, n_heads)| {
                masks.check(kind, n_layers, n_heads, source_len, target_len)
            })
    }

    /// Reads source sentences and the target before each token to be predicted.
    ///
    /// # Shapes
    /// - source and its padding: `[batch, source_len]`, target and its padding: `[batch, target_len]`
    /// - masks: `[n_heads, rows, columns]` per layer, at least as long as the sentences
    /// - hidden: `[batch, target_len, d_model]`, weights: `[batch, n_heads, seq_q, seq_kv]` per layer
    ///
    /// # Panics
    /// If a sentence is longer than `max_len`, a shape does not fit the others, or the masks fail
    /// [`Seq2Seq::check_masks`].
    ///
    /// # Source
    /// Vaswani et al. 2017, section 3; `TransformerModel` of facebookresearch/fairseq.
    pub fn forward(&self, input: Seq2SeqInput) -> Seq2SeqOutput {
        let masks = input.masks.unwrap_or_default();
        let [batch, source_len] = input.source.dims();
        let [_, target_len] = input.target.dims();
        assert_shape!(input.target, [batch, _]);
        if let Err(error) = self.check_masks(&masks, source_len, target_len) {
            panic!("{error}");
        }
        let return_weights = input.return_weights;
        let mut encoded = self.encode(input.source, input.source_padding, &masks, return_weights);
        let encoder_self = std::mem::take(&mut encoded.weights);
        let decoded = self.decode(
            encoded,
            input.target,
            input.target_padding,
            &masks,
            return_weights,
        );
        Seq2SeqOutput {
            hidden: decoded.hidden,
            weights: return_weights.then_some(Seq2SeqWeights {
                encoder_self,
                decoder_self: decoded.decoder_self,
                cross: decoded.cross,
            }),
        }
    }

    /// Reads source sentences.
    ///
    /// # Shapes
    /// - source, padding: `[batch, source_len]`
    /// - memory: `[batch, source_len, d_model]`, weights: `[batch, n_heads, source_len, source_len]` per
    ///   layer
    ///
    /// # Panics
    /// As [`Seq2Seq::forward`].
    pub fn encode(
        &self,
        source: Tensor<2, Int>,
        padding: Option<Tensor<2, Bool>>,
        masks: &Seq2SeqMasks,
        return_weights: bool,
    ) -> Encoded {
        let source_len = source.dims()[1];
        let table = self
            .source_embedding
            .as_ref()
            .unwrap_or(&self.target_embedding);
        let mut hidden = self.embed(table.val(), source, padding.as_ref());
        let mut weights = Vec::new();
        for (i, layer) in self.encoder.iter().enumerate() {
            let mask = masks.corner(AttentionType::EncoderSelf, i, source_len, source_len);
            let return_weights = return_weights && layer.self_attention.has_weights();
            let output = layer.forward(hidden, padding.clone(), mask, return_weights);
            hidden = output.context;
            weights.extend(output.weights);
        }
        Encoded {
            memory: normalize(&self.encoder_norm, hidden),
            padding,
            weights,
        }
    }

    /// The decoder over whole targets: [`Seq2Seq::forward`]'s second half.
    pub(crate) fn decode(
        &self,
        encoded: Encoded,
        target: Tensor<2, Int>,
        padding: Option<Tensor<2, Bool>>,
        masks: &Seq2SeqMasks,
        return_weights: bool,
    ) -> Decoded {
        let target_len = target.dims()[1];
        let source_len = encoded.memory.dims()[1];
        let mut hidden = self.embed(self.target_embedding.val(), target, padding.as_ref());
        let (mut decoder_self, mut cross) = (Vec::new(), Vec::new());
        for (i, layer) in self.decoder.iter().enumerate() {
            let own = masks.corner(AttentionType::DecoderSelf, i, target_len, target_len);
            let own_weights = return_weights && layer.self_attention.has_weights();
            let output = layer.attend_to_target(hidden, padding.clone(), own, own_weights);
            decoder_self.extend(output.weights);
            let mask = masks.corner(AttentionType::Cross, i, target_len, source_len);
            let return_weights = return_weights && layer.cross_attention.has_weights();
            let output = layer.attend_to_source(output.context, &encoded, mask, return_weights);
            cross.extend(output.weights);
            hidden = layer.feed_forward.forward(output.context);
        }
        Decoded {
            hidden: normalize(&self.decoder_norm, hidden),
            decoder_self,
            cross,
        }
    }

    /// Scores of every token as the next one.
    ///
    /// # Shapes
    /// - hidden: `[batch, target_len, d_model]`, result: `[batch, target_len, target_vocab_size]`
    ///
    /// # Panics
    /// If the hidden states are of another width than the network's.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        assert_shape!(hidden, [_, _, self.target_embedding.dims()[1]]);
        let [batch, target_len, d_model] = hidden.dims();
        let logits = self.scores(hidden.reshape([batch * target_len, d_model]));
        let vocab_size = logits.dims()[1];
        logits.reshape([batch, target_len, vocab_size])
    }

    /// `[rows, d_model]` to `[rows, target_vocab_size]`.
    pub(crate) fn scores(&self, rows: Tensor<2>) -> Tensor<2> {
        scores(rows, self.output_weights().transpose(), None)
    }

    fn output_weights(&self) -> Tensor<2> {
        self.output_weight
            .as_ref()
            .unwrap_or(&self.target_embedding)
            .val()
    }

    /// √d_model · word embedding + position, with dropout. Positions count the tokens that are not padding,
    /// so that padding moves nothing.
    fn embed(
        &self,
        table: Tensor<2>,
        tokens: Tensor<2, Int>,
        padding: Option<&Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let [batch, seq] = tokens.dims();
        if let Some(padding) = padding {
            assert_shape!(padding, [batch, seq]);
        }
        let d_model = table.dims()[1];
        let positions = self.positions.rows(0, seq, &tokens.device());
        let vectors = embedding(table, tokens).mul_scalar((d_model as f64).sqrt());
        let positions = match padding {
            None => positions.reshape([1, seq, d_model]),
            Some(padding) => {
                let count = padding.clone().bool_not().int().cumsum(1);
                embedding(positions, count.sub_scalar(1).clamp_min(0))
            }
        };
        drop_values(&self.dropout, vectors + positions)
    }
}

/// What [`Seq2Seq::decode`] gives.
pub(crate) struct Decoded {
    pub(crate) hidden: Tensor<3>,
    pub(crate) decoder_self: Vec<Tensor<4>>,
    pub(crate) cross: Vec<Tensor<4>>,
}

fn normalize(norm: &Option<LayerNorm>, hidden: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(hidden),
        None => hidden,
    }
}
