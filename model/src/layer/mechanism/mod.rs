//! How queries read values, between the linear maps of a layer.
//!
//! A mechanism is a file here with its module, its settings and its [`Abilities`], a variant of
//! [`Mechanism`] and of [`MechanismConfig`], and a line in `model/tests/it/mechanism.rs`, which tests
//! every ability that it claims; CONTRIBUTING.md, "Add an attention mechanism", goes step by step.

mod abilities;
mod arguments;
mod by_type;
mod config;
mod dot_product;
mod empty;
mod favor;
mod linformer;
mod lsh;
mod normalizer;
mod nystrom;
pub(crate) mod observe;
mod parts;
mod random;
mod rfa;
mod state;
mod upkeep;
mod words;

use burn::prelude::*;
use burn::tensor::DType;
use sparta_ops::attention::{AttentionOptions, AttentionOutput, RelativeTerm};

pub use abilities::Abilities;
pub use by_type::MechanismsByType;
pub(crate) use config::MechanismSettings;
pub use config::{HeadShape, MechanismConfig};
pub use dot_product::{DotProduct, DotProductConfig};
pub use favor::{Favor, FavorConfig, FavorKernel};
pub use linformer::{Linformer, LinformerConfig, ProjectionSharing};
pub use lsh::{Lsh, LshConfig};
pub use normalizer::{EntmaxAlpha, NormalizerConfig, RowNormalizer};
pub(crate) use nystrom::beside_pretrained;
pub use nystrom::{Nystrom, NystromConfig};
pub use observe::{Observable, Readings, watch};
use parts::visible_keys;
pub use parts::{AdaptiveSpan, GateConfig, HeadGate, SpanConfig, SpanStart};
pub use parts::{Nape, RowScale, ScaleConfig, Slopes};
pub(crate) use parts::{Place, StaticMasks};
pub use random::redraw;
pub use rfa::{Rfa, RfaConfig};
pub use state::{Continued, MechanismState, ShiftedSums};
use upkeep::MOST_LOG_ODDS;
pub use upkeep::{bound, own_rate, settle_gates};
pub(super) use words::split_argument;

use crate::layer::placed::LearnedName;
use crate::masks::{Hidden, LayerMask, hide};
use crate::precision::widen;
use observe::ObservedCall;

/// How the queries of one attention layer read its values, with the parameters that takes. Made by
/// [`MechanismConfig`].
#[derive(Module, Debug)]
// One a layer, beside tensors: a box would only stand between them and the module.
#[allow(clippy::large_enum_variant)]
pub enum Mechanism {
    /// Every query scores every key.
    DotProduct(DotProduct),
    /// Softmax's or another kernel, by random features.
    Favor(Favor),
    /// The Gaussian kernel by random features, on queries and keys of length 1.
    Rfa(Rfa),
    /// Projected keys, or a memory of slots.
    Linformer(Linformer),
    /// Landmarks.
    Nystrom(Nystrom),
    /// Softmax over the keys that hash near a query.
    Lsh(Lsh),
}

/// What each mechanism is.
pub(crate) trait Attend {
    /// As [`Mechanism::attend`], for options within the abilities.
    fn attend(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        options: AttentionOptions,
    ) -> AttentionOutput;

    /// As [`Mechanism::attend_from`]; none without the ability.
    fn attend_from(
        &self,
        _query: Tensor<4>,
        _key: Tensor<4>,
        _value: Tensor<4>,
        _state: Option<MechanismState>,
        _options: AttentionOptions,
    ) -> Option<Continued> {
        None
    }

    /// As [`Mechanism::unpack`].
    fn unpack(&self, packed: Tensor<3>, d_value: usize) -> MechanismState {
        MechanismState::unpacked_sums(packed, d_value)
    }

    /// What can be asked of it.
    fn abilities(&self) -> Abilities;

    /// What is watched of it in a call, which tables show beside the score: at least one quantity of a call without a
    /// state.
    fn observe(&self, call: &ObservedCall<'_>) -> Vec<Observable>;
}

impl Mechanism {
    fn as_attend(&self) -> &dyn Attend {
        match self {
            Self::DotProduct(mechanism) => mechanism,
            Self::Favor(mechanism) => mechanism,
            Self::Rfa(mechanism) => mechanism,
            Self::Linformer(mechanism) => mechanism,
            Self::Nystrom(mechanism) => mechanism,
            Self::Lsh(mechanism) => mechanism,
        }
    }

    /// Attends, with shapes, masks and queries without a key as in
    /// [`sparta_ops::attention::sparse_attention`]. `options.normalizer` is not read: a mechanism has its own, or none.
    ///
    /// # Shapes
    /// - query: `[batch, n_heads, seq_q, d_head]`
    /// - key: `[batch, n_heads, seq_kv, d_head]`, value: `[batch, n_heads, seq_kv, d_value]`
    /// - context: `[batch, n_heads, seq_q, d_value]`
    /// - weights, if asked for: `[batch, n_heads, seq_q, seq_kv]`
    ///
    /// # Panics
    /// If a shape does not fit the others, or the options need an ability that the mechanism lacks, or ask for what it cannot
    /// have besides: a bias, a span, a scale or packed sequences where it has no scores of single keys, a span
    /// beside its own, packed sequences where it counts positions.
    pub fn attend(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        options: AttentionOptions,
    ) -> AttentionOutput {
        self.attend_in(query, key, value, options, Surroundings::default())
    }

    /// [`Mechanism::attend`] of a layer whose input at the queries is `source`, which a scale of rows is made of.
    ///
    /// # Shapes
    /// As there; source: `[batch, seq_q, d_model]`.
    ///
    /// # Panics
    /// As there.
    pub fn attend_of(
        &self,
        source: Tensor<3>,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        options: AttentionOptions,
    ) -> AttentionOutput {
        let surroundings = Surroundings {
            source: Some(source),
            ..Surroundings::default()
        };
        self.attend_in(query, key, value, options, surroundings)
    }

    /// [`Mechanism::attend`] with what a layer knows of the call.
    ///
    /// # Panics
    /// As there.
    pub(crate) fn attend_in(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        mut options: AttentionOptions,
        surroundings: Surroundings,
    ) -> AttentionOutput {
        let [mut query, key, value] = match self.computes_in_half(&options) {
            true => [query, key, value],
            false => [query, key, value].map(widen),
        };
        let Surroundings {
            global,
            place,
            source,
        } = surroundings;
        let mut needed = Abilities::needed_by(&options);
        needed.global_mask |= global.is_some();
        self.must_have(needed);
        if empty::has_no_cell(&query, &key) {
            return empty::of_no_cell(query, key, value, options.return_weights);
        }
        let [_, n_heads, seq_q, _] = query.dims();
        let seq_kv = key.dims()[2];
        let device = query.device();
        let part =
            |masks: &StaticMasks| masks.part(&options, place, [n_heads, seq_q, seq_kv], &device);
        let pattern = self.static_masks().map(|masks| (part(masks), masks));
        let hidden = Hidden { global, pattern };
        let sizes = [seq_q, seq_kv];
        let mut factor = None;
        if let Some(scale) = self.row_scale() {
            let source = source.unwrap_or_else(|| {
                panic!(
                    "scores are scaled by the layer's input: call `attend_of` with it, or a layer"
                )
            });
            let visible = visible_keys(&options, &hidden, sizes, &device);
            let of_rows = scale.of(source, visible, n_heads);
            let of_type = of_rows.clone().cast(query.dtype());
            query = query * of_type.clone();
            options.relative = (options.relative).map(|term| RelativeTerm {
                query: term.query * of_type,
                positions: term.positions,
            });
            factor = Some(of_rows);
        }
        if query.dtype() == DType::F32 {
            options.relative = options.relative.map(|term| RelativeTerm {
                query: widen(term.query),
                positions: widen(term.positions),
            });
        }
        let mut abilities = self.abilities();
        // Of the spans that are given kernels know softmax's.
        abilities.fused &=
            options.span.is_none() || (self.normalizer()).is_none_or(RowNormalizer::is_softmax);
        hide(&mut options, hidden, abilities, &device, sizes);
        let call = ObservedCall {
            query: &query,
            key: &key,
            value: &value,
            options: &options,
            state: None,
            factor: factor.as_ref(),
        };
        observe::note(self.as_attend(), &call);
        self.as_attend().attend(query, key, value, options)
    }

    /// Whether a call that is in a half type stays in it; see [`crate::Precision`].
    fn computes_in_half(&self, options: &AttentionOptions) -> bool {
        match self {
            Self::DotProduct(_) => !options.return_weights && !observe::is_watched(),
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => false,
        }
    }

    /// The adaptive scale of scores, where it has one.
    pub fn row_scale(&self) -> Option<&RowScale> {
        match self {
            Self::DotProduct(mechanism) => mechanism.scale.as_ref(),
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => None,
        }
    }

    /// [`MechanismConfig::biases_distances`].
    pub(crate) fn biases_distances(&self) -> bool {
        match self {
            Self::DotProduct(mechanism) => mechanism.nape.is_some(),
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => false,
        }
    }

    /// What lengths of segments must be a multiple of, lest a static pattern's columns move from one to the next.
    pub(crate) fn period(&self) -> Option<usize> {
        self.static_masks()?.pattern.period()
    }

    /// The static pattern, where it has one.
    fn static_masks(&self) -> Option<&StaticMasks> {
        match self {
            Self::DotProduct(mechanism) => mechanism.pattern.as_ref(),
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => None,
        }
    }

    /// [`Mechanism::attend`] to the keys that a state was made of and to those given: what all of them at
    /// once would give these queries, without keeping any key.
    ///
    /// # Shapes
    /// As there, `seq_kv` being the number of keys that are not in the state: without any the state stays.
    ///
    /// # Panics
    /// As there; without the ability `state`.
    pub fn attend_from(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        state: Option<MechanismState>,
        options: AttentionOptions,
    ) -> Continued {
        let [query, key, value] = [query, key, value].map(widen);
        let needed = Abilities {
            state: true,
            ..Abilities::needed_by(&options)
        };
        self.must_have(needed);
        if query.dims()[0] == 0 {
            return self.of_no_example([query, key, value], state, options.causal);
        }
        let call = ObservedCall {
            query: &query,
            key: &key,
            value: &value,
            options: &options,
            state: state.as_ref(),
            factor: None,
        };
        if !empty::has_no_cell(&query, &key) {
            observe::note(self.as_attend(), &call);
        }
        self.go_on([query, key, value], state, options)
    }

    fn go_on(
        &self,
        [query, key, value]: [Tensor<4>; 3],
        state: Option<MechanismState>,
        options: AttentionOptions,
    ) -> Continued {
        (self
            .as_attend()
            .attend_from(query, key, value, state, options))
        .unwrap_or_else(|| panic!("a mechanism that claims to go on from a state does not"))
    }

    /// The state that [`MechanismState::packed`] made rows of, of values of a size.
    ///
    /// # Shapes
    /// - packed: as there
    ///
    /// # Panics
    /// If the rows are not those of a state of this mechanism.
    pub fn unpack(&self, packed: Tensor<3>, d_value: usize) -> MechanismState {
        self.as_attend().unpack(packed, d_value)
    }

    pub(crate) fn must_have(&self, needed: Abilities) {
        if let Some(lacks) = self.abilities().lacks(needed) {
            panic!("the attention mechanism of this layer cannot {lacks}");
        }
    }

    /// What can be asked of it.
    pub fn abilities(&self) -> Abilities {
        self.as_attend().abilities()
    }

    /// [`MechanismConfig::carries_state`].
    pub fn carries_state(&self) -> bool {
        self.abilities().carries_state()
    }

    /// The α of each head where keys of low scores have a weight of 0 and nothing else has a say in which: α-entmax with
    /// every α > 1, of scaled products without any part that changes scores, cells or weights.
    pub(crate) fn sparse_alpha(&self, device: &Device) -> Option<Vec<f64>> {
        match self {
            Self::DotProduct(DotProduct {
                normalizer,
                pattern: None,
                scale: None,
                nape: None,
                span: None,
                gate: None,
            }) => {
                let alpha = normalizer.alpha(device)?.into_data();
                let alpha: Vec<f64> = alpha.iter::<f64>().collect();
                alpha.iter().all(|alpha| *alpha > 1.0).then_some(alpha)
            }
            Self::DotProduct(_)
            | Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => None,
        }
    }

    /// The row normaliser, where it has one.
    pub fn normalizer(&self) -> Option<&RowNormalizer> {
        match self {
            Self::DotProduct(mechanism) => Some(&mechanism.normalizer),
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => None,
        }
    }
}

impl Mechanism {
    /// What training adds to the loss for it, `[1]`; none where it has no parameter that is penalised.
    ///
    /// # Shapes
    /// - output: `[1]`
    pub fn penalty(&self) -> Option<Tensor<1>> {
        match self {
            Self::DotProduct(mechanism) => mechanism.penalty(),
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => None,
        }
    }

    /// What each head has learned besides weights, `[n_heads]` each.
    pub fn learned(&self) -> Vec<(LearnedName, Tensor<1>)> {
        match self {
            Self::DotProduct(mechanism) => mechanism.learned(),
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => Vec::new(),
        }
    }
}

/// What a layer knows of a call besides queries, keys and values.
#[derive(Default)]
pub(crate) struct Surroundings {
    /// The layer's global mask, `[n_heads, seq_q, seq_kv]`.
    pub(crate) global: Option<LayerMask>,
    /// Where queries and keys are.
    pub(crate) place: Place,
    /// The layer's input at the queries, `[batch, seq_q, d_model]`.
    pub(crate) source: Option<Tensor<3>>,
}
