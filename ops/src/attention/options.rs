//! What attention can be asked for.

use burn::tensor::{Bool, DType, Int, Tensor};

use super::error::{AttentionError, expect};
use super::span::of_type;
use super::{BlockMask, Implementation, Packing, Span};
use crate::entmax::{Mapping, check_lambda};
use crate::primitive::hidden_at;

/// How a row of scores becomes a row of weights.
#[derive(Clone, Debug)]
// Made, moved once and taken apart: a box would only hide the tensor from its user.
#[allow(clippy::large_enum_variant)]
pub enum Normalizer {
    /// α = 1: every visible key gets weight.
    Softmax,
    /// α = 2.
    Sparsemax,
    /// α = 1.5.
    Entmax15,
    /// One α per head, `[n_heads]`, with gradient.
    Entmax(Tensor<1>),
    /// [`crate::fusedmax`] along the visible keys: equal weights for runs of neighbours.
    Fusedmax {
        /// Strength λ ≥ 0 of the penalty.
        lambda: f64,
    },
    /// [`crate::oscarmax`] of the visible keys: equal weights for scores that are close.
    Oscarmax {
        /// Strength λ ≥ 0 of the penalty.
        lambda: f64,
    },
}

impl Normalizer {
    /// The mapping of the fused kernels, which of an α per head read that; or the name of a normaliser that has
    /// no kernels: its rows cannot be solved tile by tile.
    pub(super) fn fused_mapping(&self) -> Result<Mapping, &'static str> {
        match self {
            Self::Softmax => Ok(Mapping::Softmax),
            Self::Sparsemax => Ok(Mapping::Sparsemax),
            Self::Entmax15 | Self::Entmax(_) => Ok(Mapping::Entmax15),
            Self::Fusedmax { .. } => Err("fusedmax"),
            Self::Oscarmax { .. } => Err("oscarmax"),
        }
    }
}

/// The term of a score that depends on the distance of a key: adds `scale · query_i · positions_t`
/// with `t = j + seq_q − 1 − i`, that is, row t belongs to the distance `seq_kv − 1 − t` from key to query
/// when the last query is aligned with the last key (Dai et al. 2019, section 3.3, terms b and d).
#[derive(Clone, Debug)]
pub struct RelativeTerm {
    /// `q_i + v`, `[batch, n_heads, seq_q, d_head]`.
    pub query: Tensor<4>,
    /// `r` of the distances `seq_kv − 1, seq_kv − 2, …`, `[n_heads, n_positions, d_head]`: at least
    /// `seq_kv + 1` under a causal mask, which hides the negative distances, and `seq_kv + seq_q`
    /// otherwise.
    pub positions: Tensor<3>,
}

/// Options of [`super::sparse_attention`]; masks are `true` where hidden.
#[derive(Clone, Debug)]
pub struct AttentionOptions {
    /// The row normaliser.
    pub normalizer: Normalizer,
    /// Hide keys after the query, aligned bottom right.
    pub causal: bool,
    /// Padding keys, `[batch, seq_kv]`.
    pub key_padding: Option<Tensor<2, Bool>>,
    /// The number of keys of each example, `[batch]`: those behind are hidden.
    pub key_lengths: Option<Tensor<1, Int>>,
    /// Several sequences in one row of the batch, each of which sees only itself.
    pub packing: Option<Packing>,
    /// A mask shared by the batch, `[n_heads or 1, seq_q, seq_kv]`.
    pub global_mask: Option<Tensor<3, Bool>>,
    /// A mask shared by the batch, as blocks.
    pub block_mask: Option<BlockMask>,
    /// A mask shared by batch and heads, `[seq_q, seq_kv]`.
    pub extra_mask: Option<Tensor<2, Bool>>,
    /// Added to the scaled scores, `[batch or 1, n_heads, seq_q, seq_kv]`; what hides a score hides its cell: −1e30 and
    /// below, and in f16 the type's minimum.
    pub bias: Option<Tensor<4>>,
    /// Added to the scores by distance.
    pub relative: Option<RelativeTerm>,
    /// Limits how far away the keys of a head may be.
    pub span: Option<Span>,
    /// Multiplies query·keyᵀ; `1/√d_head` unless given.
    pub scale: Option<f64>,
    /// Probability of dropping a weight, the others being scaled by `1/(1 − dropout)`.
    pub dropout: f64,
    /// What decides which weights are dropped; drawn from the device's generator unless given.
    pub dropout_seed: Option<u64>,
    /// Also return the weights (before dropout).
    pub return_weights: bool,
    /// The attention implementation.
    pub implementation: Implementation,
}

impl Default for AttentionOptions {
    fn default() -> Self {
        Self::new(Normalizer::Softmax)
    }
}

impl AttentionOptions {
    /// Attention with a normaliser, no mask, no dropout.
    pub fn new(normalizer: Normalizer) -> Self {
        Self {
            normalizer,
            causal: false,
            key_padding: None,
            key_lengths: None,
            packing: None,
            global_mask: None,
            block_mask: None,
            extra_mask: None,
            bias: None,
            relative: None,
            span: None,
            scale: None,
            dropout: 0.0,
            dropout_seed: None,
            return_weights: false,
            implementation: Implementation::Auto,
        }
    }

    /// Hides keys after the query.
    pub fn causal(mut self) -> Self {
        self.causal = true;
        self
    }

    /// Hides padding keys, `[batch, seq_kv]`.
    pub fn key_padding(mut self, mask: Tensor<2, Bool>) -> Self {
        self.key_padding = Some(mask);
        self
    }

    /// Hides the keys from a length on, `[batch]`.
    pub fn key_lengths(mut self, lengths: Tensor<1, Int>) -> Self {
        self.key_lengths = Some(lengths);
        self
    }

    /// Hides from each packed sequence the keys of the others.
    pub fn packing(mut self, packing: Packing) -> Self {
        self.packing = Some(packing);
        self
    }

    /// Hides the cells of a mask of blocks.
    pub fn block_mask(mut self, mask: BlockMask) -> Self {
        self.block_mask = Some(mask);
        self
    }

    /// Hides the cells of a global mask, `[n_heads or 1, seq_q, seq_kv]`.
    pub fn global_mask(mut self, mask: Tensor<3, Bool>) -> Self {
        self.global_mask = Some(mask);
        self
    }

    /// Hides cells for every head, `[seq_q, seq_kv]`.
    pub fn extra_mask(mut self, mask: Tensor<2, Bool>) -> Self {
        self.extra_mask = Some(mask);
        self
    }

    /// Adds a bias to the scaled scores, `[batch or 1, n_heads, seq_q, seq_kv]`.
    pub fn bias(mut self, bias: Tensor<4>) -> Self {
        self.bias = Some(bias);
        self
    }

    /// Adds a term that depends on distance.
    pub fn relative(mut self, term: RelativeTerm) -> Self {
        self.relative = Some(term);
        self
    }

    /// Limits how far away the keys of a head may be.
    pub fn span(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Replaces the factor `1/√d_head`.
    pub fn scale(mut self, scale: f64) -> Self {
        self.scale = Some(scale);
        self
    }

    /// Drops weights with this probability.
    pub fn dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// Fixes which weights are dropped.
    pub fn dropout_seed(mut self, seed: u64) -> Self {
        self.dropout_seed = Some(seed);
        self
    }

    /// Chooses the attention implementation.
    pub fn implementation(mut self, implementation: Implementation) -> Self {
        self.implementation = implementation;
        self
    }

    /// Returns the weights too.
    pub fn return_weights(mut self) -> Self {
        self.return_weights = true;
        self
    }

    pub(super) fn check(
        &self,
        query: [usize; 4],
        key: [usize; 4],
        value: [usize; 4],
    ) -> Result<(), AttentionError> {
        let [batch, n_heads, seq_q, d_head] = query;
        let [_, n_kv_heads, seq_kv, _] = key;
        if n_kv_heads == 0 || !n_heads.is_multiple_of(n_kv_heads) {
            return Err(AttentionError::Groups {
                n_heads,
                n_kv_heads,
            });
        }
        if d_head == 0 {
            return Err(AttentionError::NoWidth(query.to_vec()));
        }
        expect("key", &key, &[batch, n_kv_heads, seq_kv, d_head])?;
        expect("value", &value, &[batch, n_kv_heads, seq_kv, value[3]])?;
        match &self.normalizer {
            Normalizer::Entmax(alpha) => expect("alpha", &alpha.dims(), &[n_heads])?,
            Normalizer::Fusedmax { lambda } | Normalizer::Oscarmax { lambda } => {
                check_lambda(*lambda)?;
            }
            Normalizer::Softmax | Normalizer::Sparsemax | Normalizer::Entmax15 => {}
        }
        if let Some(mask) = &self.key_padding {
            expect("key_padding", &mask.dims(), &[batch, seq_kv])?;
        }
        if let Some(lengths) = &self.key_lengths {
            expect("key_lengths", &lengths.dims(), &[batch])?;
        }
        if let Some(packing) = &self.packing {
            packing.check(batch, seq_q, seq_kv)?;
        }
        if let Some(mask) = &self.global_mask {
            let heads = if mask.dims()[0] == 1 { 1 } else { n_heads };
            expect("global_mask", &mask.dims(), &[heads, seq_q, seq_kv])?;
        }
        if let Some(mask) = &self.block_mask {
            let heads = if mask.shape()[0] == 1 { 1 } else { n_heads };
            expect("block_mask", &mask.shape(), &[heads, seq_q, seq_kv])?;
        }
        if let Some(mask) = &self.extra_mask {
            expect("extra_mask", &mask.dims(), &[seq_q, seq_kv])?;
        }
        if let Some(bias) = &self.bias {
            let rows = if bias.dims()[0] == 1 { 1 } else { batch };
            expect("bias", &bias.dims(), &[rows, n_heads, seq_q, seq_kv])?;
        }
        if let Some(RelativeTerm { query, positions }) = &self.relative {
            expect(
                "relative.query",
                &query.dims(),
                &[batch, n_heads, seq_q, d_head],
            )?;
            let ahead = if self.causal { 1 } else { seq_q };
            let n_positions = positions.dims()[1].max(seq_kv + ahead);
            expect(
                "relative.positions",
                &positions.dims(),
                &[n_heads, n_positions, d_head],
            )?;
            if self.packing.is_some() {
                return Err(AttentionError::PackedDistances);
            }
        }
        if let Some(span) = &self.span {
            span.check(n_heads)?;
            if self.packing.is_some() {
                return Err(AttentionError::PackedSpan);
            }
        }
        match (0.0..1.0).contains(&self.dropout) {
            true => Ok(()),
            false => Err(AttentionError::Dropout(self.dropout)),
        }
    }

    /// Refuses what only a mechanism with a score of each query and key can have.
    pub(super) fn refuse_cells(&self, mechanism: &'static str) -> Result<(), AttentionError> {
        // Every option by name: a new one is decided on here.
        let Self {
            normalizer: _,
            causal,
            key_padding: _,
            key_lengths: _,
            packing,
            global_mask,
            block_mask,
            extra_mask,
            bias,
            relative,
            span,
            scale: _,
            dropout: _,
            dropout_seed: _,
            return_weights,
            implementation: _,
        } = self;
        let request = [
            (*causal, "a causal mask"),
            (packing.is_some(), "packing"),
            (global_mask.is_some(), "a global mask"),
            (block_mask.is_some(), "a block mask"),
            (extra_mask.is_some(), "an extra mask"),
            (bias.is_some(), "a bias"),
            (relative.is_some(), "a relative term"),
            (span.is_some(), "a span"),
            (*return_weights, "returning weights"),
        ]
        .into_iter()
        .find_map(|(is_asked_for, request)| is_asked_for.then_some(request));
        match request {
            None => Ok(()),
            Some(request) => Err(AttentionError::Unserved { mechanism, request }),
        }
    }

    /// Whether a tensor says what is hidden; causality takes none.
    #[cfg(feature = "cube")]
    pub(crate) fn has_mask(&self) -> bool {
        self.key_padding.is_some()
            || self.key_lengths.is_some()
            || self.packing.is_some()
            || self.global_mask.is_some()
            || self.block_mask.is_some()
            || self.extra_mask.is_some()
            || self.span.is_some()
    }

    /// Whether there is a bias, and whether it has a gradient; a span becomes one.
    #[cfg(feature = "cube")]
    pub(crate) fn bias_is_tracked(&self) -> Option<bool> {
        let bias = self.bias.as_ref().map(Tensor::is_tracked);
        let span = (self.span.as_ref()).map(|span| span.length.is_tracked());
        match (bias, span) {
            (None, None) => None,
            (bias, span) => Some(bias.unwrap_or(false) || span.unwrap_or(false)),
        }
    }

    /// Makes f16's minimum in a bias −∞, also in one that queries of f16 read: a score that is added to it may round to a number
    /// above, and in f32 it is no number that hides.
    pub(super) fn hide_by_bias(&mut self, of_queries: DType) {
        let dtype = DType::F16;
        let is_half = |bias: &mut Tensor<4>| [bias.dtype(), of_queries].contains(&dtype);
        if let Some(bias) = self.bias.take_if(is_half) {
            let bias = of_type(bias, dtype);
            let hides = bias.clone().lower_equal_elem(hidden_at(dtype));
            self.bias = Some(bias.mask_fill(hides, f64::NEG_INFINITY));
        }
    }

    /// Turns `key_lengths` into `key_padding`, joined to what is there; those of no key or example are dropped.
    pub fn fold_lengths(&mut self, seq_kv: usize) {
        let Some(lengths) = self.key_lengths.take() else {
            return;
        };
        let device = lengths.device();
        let [batch] = lengths.dims();
        if [batch, seq_kv].contains(&0) {
            return;
        }
        let place = Tensor::<1, Int>::arange(0..seq_kv as i64, &device).reshape([1, seq_kv]);
        let behind = place
            .expand([batch, seq_kv])
            .greater_equal(lengths.reshape([batch, 1]).expand([batch, seq_kv]));
        self.key_padding = Some(match self.key_padding.take() {
            Some(padding) => padding.bool_or(behind),
            None => behind,
        });
    }
}

/// What attention gives.
#[derive(Clone, Debug)]
pub struct AttentionOutput {
    /// `[batch, n_heads, seq_q, d_value]`.
    pub context: Tensor<4>,
    /// `[batch, n_heads, seq_q, seq_kv]`, if asked for.
    pub weights: Option<Tensor<4>>,
    /// The implementation that computed it: `Reference` or `Fused`.
    pub implementation: Implementation,
}
