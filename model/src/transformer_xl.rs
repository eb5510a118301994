//! The Transformer-XL language model.

mod config;

use burn::module::Param;
use burn::nn::Dropout;
use burn::prelude::*;
use sparta_ops::pruning::AttentionType;

pub use config::TransformerXlConfig;

use crate::check::{check, check_size};
use crate::error::ModelError;
use crate::layer::dropout::drop_values;
use crate::layer::{
    AdaptiveEmbedding, AdaptiveSoftmax, FeedForward, MechanismState, Past, PlacedMechanism,
    RelativeAttention, RelativeAttentionInput, relative_positions,
};
use crate::masks::LayerMask;

/// Transformer-XL (Dai et al. 2019): causal relative attention over the current segment and a memory
/// of the layer's earlier inputs, adaptive embedding and softmax.
///
/// With a mechanism that carries a state ([`crate::layer::MechanismConfig::carries_state`]), which has no scores to
/// add distances to, words have the sinusoids of their positions in the segment added, and each layer's state
/// after a segment goes on into the next in place of the memory, unless `mem_len` is 0. With one that has keys and no
/// distances, the sinusoids of positions from the start of the segment (those of the memory are negative) are added to what
/// queries and keys are made of ([`RelativeAttention`]), so that a memory has none of an earlier segment.
///
/// # Source
/// `MemTransformerLM` (attention type 0) of kimiyoung/transformer-xl at 44781ed, with the same
/// parameters, initial values and places of dropout; `tests/parity/transformer_xl.py` runs it. Its `nll` comes sorted by
/// cluster, ours in the order of the words.
#[derive(Module, Debug)]
pub struct TransformerXl {
    /// Word embeddings.
    pub embedding: AdaptiveEmbedding,
    /// Next-word probabilities.
    pub softmax: AdaptiveSoftmax,
    /// The layers, from the words up.
    pub layers: Vec<TransformerXlLayer>,
    /// u, `[n_heads, d_head]`, shared by the layers; none where positions are absolute.
    pub content_bias: Option<Param<Tensor<2>>>,
    /// v, `[n_heads, d_head]`, shared by the layers; none where positions are absolute.
    pub position_bias: Option<Param<Tensor<2>>>,
    /// On word embeddings, positions and the final output.
    pub dropout: Dropout,
    n_heads: usize,
    d_head: usize,
    #[module(skip)]
    lengths: Lengths,
}

/// Relative attention and feed-forward.
#[derive(Module, Debug)]
pub struct TransformerXlLayer {
    /// The attention.
    pub attention: RelativeAttention,
    /// The feed-forward network.
    pub feed_forward: FeedForward,
}

/// How far a model looks; it may differ between training and evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Longest segment.
    pub tgt_len: usize,
    /// Positions of the past that are kept.
    pub mem_len: usize,
    /// Distances beyond this look alike.
    pub clamp_len: Option<usize>,
    /// Whether every query sees equally many keys.
    pub same_length: bool,
}

impl Lengths {
    /// `same_length` leaves `mem_len` keys, the query's own among them: at least that one.
    fn check_same_length(&self) -> Result<(), ModelError> {
        check(
            !self.same_length || self.mem_len > 0,
            "mem_len",
            &self.mem_len,
            "at least 1 with same_length, which leaves so many keys to every query",
        )
    }
}

/// The memory: every layer's input at the last positions, `[batch, mlen, d_model]` with
/// `mlen ≤ mem_len`, or with a mechanism that carries a state [`MechanismState::packed`], without gradient. Empty
/// before the first segment and where `mem_len` is 0.
pub type Mems = Vec<Tensor<3>>;

/// What [`TransformerXl::forward`] works on.
#[derive(Debug, Clone)]
pub struct TransformerXlInput {
    /// The segment's words, `[batch, seq_q]` with `seq_q ≤ tgt_len`.
    pub tokens: Tensor<2, Int>,
    /// The memory that the previous segment returned.
    pub mems: Option<Mems>,
    /// A global mask per layer, `[n_heads, tgt_len, mem_len + tgt_len]`, `true` = hidden. The last
    /// `tgt_len` columns are the current segment, also while the memory is still short.
    pub masks: Option<Vec<LayerMask>>,
    /// Whether to return the attention weights.
    pub return_weights: bool,
}

/// What [`TransformerXl::forward`] gives.
#[derive(Debug, Clone)]
pub struct TransformerXlOutput {
    /// `[batch, seq_q, d_model]`, to hand to [`TransformerXl::nll`].
    pub hidden: Tensor<3>,
    /// For the next segment.
    pub mems: Mems,
    /// If asked for, the attention weights of every layer, `[batch, n_heads, seq_q, mlen + seq_q]`.
    pub weights: Option<Vec<Tensor<4>>>,
}

impl TransformerXlInput {
    /// The first segment of a text: no memory, no masks.
    pub fn new(tokens: Tensor<2, Int>) -> Self {
        Self {
            tokens,
            mems: None,
            masks: None,
            return_weights: false,
        }
    }

    /// Continues after the segment that returned `mems`.
    pub fn mems(mut self, mems: Mems) -> Self {
        self.mems = Some(mems);
        self
    }

    /// Hides cells of every layer.
    pub fn masks(mut self, masks: Vec<LayerMask>) -> Self {
        self.masks = Some(masks);
        self
    }

    /// Asks for the attention weights.
    pub fn return_weights(mut self) -> Self {
        self.return_weights = true;
        self
    }
}

impl TransformerXl {
    /// How far the model looks.
    pub fn lengths(&self) -> Lengths {
        self.lengths
    }

    /// The same network with other lengths, for instance longer memory and `same_length` in
    /// evaluation. Masks must then have the new shape.
    ///
    /// # Panics
    /// With the message of [`TransformerXl::check_lengths`], if that fails.
    pub fn with_lengths(mut self, lengths: Lengths) -> Self {
        if let Err(error) = self.check_lengths(lengths) {
            panic!("{error}");
        }
        self.lengths = lengths;
        self
    }

    /// Checks that the network can look so far.
    ///
    /// # Errors
    /// [`ModelError::Config`] for the first length that [`TransformerXlConfig::validate`] would refuse for this network.
    pub fn check_lengths(&self, lengths: Lengths) -> Result<(), ModelError> {
        check_size("tgt_len", lengths.tgt_len)?;
        lengths.check_same_length()?;
        let Some(layer) = self.layers.first() else {
            return Ok(());
        };
        let mechanism = &layer.attention.mechanism;
        check(
            !lengths.same_length || mechanism.abilities().global_mask,
            "same_length",
            &lengths.same_length,
            "false: the layers' attention mechanism has no mask",
        )?;
        check(
            lengths.clamp_len.is_none() || self.has_distances(),
            "clamp_len",
            &lengths.clamp_len,
            "not given: the layers' attention mechanism knows no distances that could be clamped",
        )?;
        let period = mechanism.period().unwrap_or(1);
        let expected = format!(
            "a multiple of l = {period}: the columns of the layers' static pattern would not stay in place from segment to \
             segment"
        );
        check(
            lengths.tgt_len.is_multiple_of(period),
            "tgt_len",
            &lengths.tgt_len,
            &expected,
        )
    }

    /// The attention mechanism of each layer.
    pub fn mechanisms(&self) -> Vec<PlacedMechanism<'_>> {
        let layers = self.layers.iter().map(|layer| &layer.attention.mechanism);
        PlacedMechanism::of(AttentionType::DecoderSelf, layers).collect()
    }

    /// Checks that global masks fit the network: one per layer, `[n_heads, tgt_len, mem_len + tgt_len]`.
    ///
    /// # Errors
    /// [`ModelError::MaskCount`] or, for the first mask that does not fit, [`ModelError::MaskShape`].
    pub fn check_masks(&self, masks: &[LayerMask]) -> Result<(), ModelError> {
        if masks.len() != self.layers.len() {
            return Err(ModelError::MaskCount {
                expected: self.layers.len(),
                found: masks.len(),
            });
        }
        let Lengths {
            tgt_len, mem_len, ..
        } = self.lengths;
        let expected = [self.n_heads, tgt_len, mem_len + tgt_len];
        match masks.iter().position(|mask| mask.dims() != expected) {
            Some(layer) => Err(ModelError::MaskShape {
                layer,
                expected,
                found: masks[layer].dims(),
            }),
            None => Ok(()),
        }
    }

    /// Reads one segment.
    ///
    /// # Shapes
    /// With `seq_q ≤ tgt_len` and memories of `mlen ≤ mem_len`:
    /// - tokens: `[batch, seq_q]`, words as [`AdaptiveEmbedding::forward`] takes them
    /// - mems: `[batch, mlen, d_model]` per layer
    /// - masks: `[n_heads, tgt_len, mem_len + tgt_len]` per layer
    /// - hidden: `[batch, seq_q, d_model]`, weights: `[batch, n_heads, seq_q, mlen + seq_q]` per layer
    ///
    /// # Panics
    /// If the segment is longer than `tgt_len`, the memory longer than `mem_len` or of another batch
    /// size, or the masks fail [`TransformerXl::check_masks`].
    ///
    /// # Source
    /// Dai et al. 2019, sections 3.2 and 3.3.
    pub fn forward(&self, input: TransformerXlInput) -> TransformerXlOutput {
        let [batch, seq_q] = input.tokens.dims();
        let device = input.tokens.device();
        let mems = input.mems.unwrap_or_default();
        let mlen = match self.carries_state() {
            true => 0,
            false => mems.first().map_or(0, |memory| memory.dims()[1]),
        };
        self.check_input(batch, seq_q, mlen, &mems, input.masks.as_deref());
        let seq_kv = mlen + seq_q;

        let mut hidden = self.embedding.forward(input.tokens);
        let d_model = hidden.dims()[2];
        let clamp_len = self.lengths.clamp_len;
        // The distances to the first word of the segment are the positions in it.
        let from_start = |n| relative_positions(seq_q - 1, n, d_model, None, &device).flip([0]);
        let positions = match (self.has_distances(), self.carries_state()) {
            (true, _) => {
                hidden = drop_values(&self.dropout, hidden);
                let of = relative_positions(seq_kv - 1, seq_kv + 1, d_model, clamp_len, &device);
                Some(drop_values(&self.dropout, of))
            }
            (false, true) => {
                let of = from_start(seq_q);
                hidden = drop_values(&self.dropout, hidden + of.unsqueeze_dim(0));
                None
            }
            (false, false) => {
                hidden = drop_values(&self.dropout, hidden);
                let is_absolute = !self.biases_distances();
                is_absolute.then(|| drop_values(&self.dropout, from_start(seq_kv)))
            }
        };
        let extra_mask = self.same_length_mask(seq_q, mlen, &device);

        let mut new_mems = Vec::with_capacity(self.layers.len());
        let mut weights = Vec::with_capacity(self.layers.len());
        for (i, layer) in self.layers.iter().enumerate() {
            let memory = mems.get(i).cloned();
            let biases = self.content_bias.as_ref().zip(self.position_bias.as_ref());
            let past = match (self.carries_state(), &positions, biases) {
                (false, Some(positions), Some((content_bias, position_bias))) => {
                    new_mems.extend(self.remember(memory.clone(), &hidden));
                    Past::Memory {
                        memory,
                        positions: positions.clone(),
                        content_bias: content_bias.val(),
                        position_bias: position_bias.val(),
                    }
                }
                (false, positions, None) | (false, positions @ None, Some(_)) => {
                    new_mems.extend(self.remember(memory.clone(), &hidden));
                    Past::Window {
                        memory,
                        positions: positions.clone(),
                    }
                }
                (true, _, _) => {
                    let mechanism = &layer.attention.mechanism;
                    Past::State(memory.map(|packed| mechanism.unpack(packed, self.d_head)))
                }
            };
            let attended = layer.attention.forward(RelativeAttentionInput {
                hidden,
                past,
                mem_len: self.lengths.mem_len,
                global_mask: (input.masks.as_ref()).map(|masks| self.align(&masks[i], seq_q, mlen)),
                extra_mask: extra_mask.clone(),
                return_weights: input.return_weights,
            });
            if self.lengths.mem_len > 0 {
                new_mems.extend(attended.state.map(MechanismState::packed));
            }
            weights.extend(attended.weights);
            hidden = layer.feed_forward.forward(attended.hidden);
        }
        TransformerXlOutput {
            hidden: drop_values(&self.dropout, hidden),
            mems: new_mems,
            weights: input.return_weights.then_some(weights),
        }
    }

    /// Negative log-likelihood of each next word in nats; 0 where the target is negative (ignored).
    ///
    /// Targets stay on the host, row by row: the adaptive softmax then knows which rows a tail
    /// cluster needs without reading from the device.
    ///
    /// # Shapes
    /// - hidden: `[batch, seq_q, d_model]`, targets: `batch · seq_q` words
    /// - output: `[batch, seq_q]`
    ///
    /// # Panics
    /// If there is not one target per position, or a target is `vocab_size` or above.
    pub fn nll(&self, hidden: Tensor<3>, targets: &[i32]) -> Tensor<2> {
        let [batch, seq_q, d_model] = hidden.dims();
        let rows = hidden.reshape([batch * seq_q, d_model]);
        self.softmax
            .nll(rows, targets, &self.embedding)
            .reshape([batch, seq_q])
    }

    /// log p of every word as the next one.
    ///
    /// # Shapes
    /// - hidden: `[batch, seq_q, d_model]`, output: `[batch, seq_q, vocab_size]`
    ///
    /// # Panics
    /// If the hidden states are of another width than the network's.
    pub fn log_probabilities(&self, hidden: Tensor<3>) -> Tensor<3> {
        let [batch, seq_q, d_model] = hidden.dims();
        let rows = hidden.reshape([batch * seq_q, d_model]);
        let log_p = self.softmax.log_probabilities(rows, &self.embedding);
        let vocab_size = log_p.dims()[1];
        log_p.reshape([batch, seq_q, vocab_size])
    }

    /// Whether scores depend on distances; otherwise positions are absolute.
    fn has_distances(&self) -> bool {
        self.content_bias.is_some()
    }

    /// Whether layers bias scores by distance themselves.
    fn biases_distances(&self) -> bool {
        (self.layers.first()).is_some_and(|layer| layer.attention.mechanism.biases_distances())
    }

    /// Whether layers go on from a state in place of a memory.
    fn carries_state(&self) -> bool {
        (self.layers.first()).is_some_and(|layer| layer.attention.mechanism.carries_state())
    }

    /// The last `mem_len` positions of memory and segment; nothing where `mem_len` is 0.
    fn remember(&self, memory: Option<Tensor<3>>, hidden: &Tensor<3>) -> Option<Tensor<3>> {
        let mem_len = self.lengths.mem_len;
        let [batch, seq_q, d_model] = hidden.dims();
        let hidden = hidden.clone().detach();
        let all = match memory {
            Some(memory) if seq_q < mem_len => Tensor::cat(vec![memory, hidden], 1),
            Some(_) | None => hidden,
        };
        let n = all.dims()[1];
        match (mem_len, n <= mem_len) {
            (0, _) => None,
            (_, true) => Some(all),
            (_, false) => Some(all.slice([0..batch, n - mem_len..n, 0..d_model])),
        }
    }

    /// The rows and columns of a global mask that a segment with a memory of `mlen` uses.
    fn align(&self, mask: &LayerMask, seq_q: usize, mlen: usize) -> LayerMask {
        let mem_len = self.lengths.mem_len;
        mask.part(0..seq_q, mem_len - mlen..mem_len + seq_q)
    }

    /// With `same_length`, hides from query i the keys at column `j ≤ i − shift`, where
    /// shift = mem_len − mlen limited to `seq_q`: `mem_len` keys are left once the memory is full.
    fn same_length_mask(
        &self,
        seq_q: usize,
        mlen: usize,
        device: &Device,
    ) -> Option<Tensor<2, Bool>> {
        let shift = (self.lengths.mem_len - mlen).min(seq_q);
        self.lengths.same_length.then(|| {
            // tril_mask is true strictly above the diagonal: what it does not name is hidden.
            let diagonal = -(shift as i64);
            Tensor::<2, Bool>::tril_mask([seq_q, mlen + seq_q], diagonal, device).bool_not()
        })
    }

    fn check_input(
        &self,
        batch: usize,
        seq_q: usize,
        mlen: usize,
        mems: &[Tensor<3>],
        masks: Option<&[LayerMask]>,
    ) {
        let Lengths {
            tgt_len, mem_len, ..
        } = self.lengths;
        assert!(
            (1..=tgt_len).contains(&seq_q),
            "the segment has {seq_q} tokens, but the model's tgt_len is {tgt_len}"
        );
        assert!(
            mems.is_empty() || mems.len() == self.layers.len(),
            "the memory has {} layers, the model {}",
            mems.len(),
            self.layers.len()
        );
        assert!(
            mlen <= mem_len,
            "the memory has {mlen} positions, but the model's mem_len is {mem_len}"
        );
        let rows = match self.carries_state() {
            true => [batch, self.n_heads],
            false => [batch, mlen],
        };
        assert!(
            mems.iter().all(|memory| memory.dims()[..2] == rows),
            "the memory was made with another batch size than {batch}, or its layers differ in length"
        );
        if let Some(Err(error)) = masks.map(|masks| self.check_masks(masks)) {
            panic!("{error}");
        }
    }
}
