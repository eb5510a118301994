//! Linformer, and the memory of slots that is its causal form.

use std::fmt;
use std::str::FromStr;

use burn::module::Param;
use burn::prelude::*;
use sparta_ops::attention::linformer::{
    Projections, SlotOptions, linformer_attention, slot_attention,
};
use sparta_ops::attention::{AttentionOptions, AttentionOutput, Normalizer};

use super::arguments::Arguments;
use super::observe::{Observable, ObservedCall};
use super::state::{Continued, MechanismState, key_padding};
use super::{Abilities, Attend, HeadShape, Mechanism, MechanismSettings};
use crate::check::{MOST, check_up_to};
use crate::error::ModelError;
use crate::layer::parameter::normal;

/// Projected keys, unless given.
const RANK: usize = 64;

/// softmax(Q(E K)ᵀ/√d_head)(F V): attention to k projected keys, with learned E and F whose columns are the positions of
/// keys; or with slots, under a causal mask, `E K` and `F V` summed up to each query, a memory that goes on from
/// segment to segment and from token to token.
///
/// A position is the place of a key in its sequence. With slots it is counted on through a text, modulo `max_len`, and
/// with the first the slots start anew: they hold at most `max_len` keys. Without them that is the most keys there can be.
///
/// # Source
/// Wang et al. 2020, "Linformer: Self-Attention with Linear Complexity", section 4, keys and values being projected after
/// their linear maps (lucidrains/linformer; the authors' code in fairseq projects the input of the layer). Slots:
/// Peng et al. 2022, "ABC: Attention with Bounded-memory Control"; that they start anew is ours.
#[derive(Module, Debug)]
pub struct Linformer {
    /// E, `[n_heads or 1, k, max_len]`, from N(0, 1/k).
    pub key_projection: Param<Tensor<3>>,
    /// F, of the same shape and start; none where it is E.
    pub value_projection: Option<Param<Tensor<3>>>,
    slots: bool,
}

/// Which matrices of a [`Linformer`] are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectionSharing {
    /// E and F of each head.
    None,
    /// One E and one F for the heads of a layer.
    Headwise,
    /// One matrix for keys and values of a layer.
    KeyValue,
}

impl ProjectionSharing {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::None, Self::Headwise, Self::KeyValue];

    /// The word in recipes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Headwise => "headwise",
            Self::KeyValue => "key_value",
        }
    }
}

impl FromStr for ProjectionSharing {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let known = Self::ALL.into_iter().find(|one| one.as_str() == word);
        known.ok_or(())
    }
}

/// Settings of [`Linformer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinformerConfig {
    /// Projected keys k.
    pub rank: usize,
    /// Which matrices are one.
    pub sharing: ProjectionSharing,
    /// Whether it is the memory of slots, which can be causal.
    pub slots: bool,
}

impl LinformerConfig {
    /// 64 projected keys, with matrices shared by the heads.
    pub const fn new(slots: bool) -> Self {
        Self {
            rank: RANK,
            sharing: ProjectionSharing::Headwise,
            slots,
        }
    }

    /// Replaces the number of projected keys.
    pub const fn with_rank(self, rank: usize) -> Self {
        Self { rank, ..self }
    }

    /// Replaces which matrices are one.
    pub const fn with_sharing(self, sharing: ProjectionSharing) -> Self {
        Self { sharing, ..self }
    }

    /// The settings that a word with its argument stands for.
    ///
    /// # Errors
    /// [`ModelError::Argument`] for the paper's sharing between layers.
    pub(super) fn of(word: &str, argument: Option<&str>) -> Result<Option<Self>, ModelError> {
        let slots = match word {
            "linformer" => false,
            "linformer_slots" => true,
            _ => return Ok(None),
        };
        let Some(mut arguments) = Arguments::of(argument) else {
            return Ok(None);
        };
        if arguments.has("sharing", "layerwise") {
            return Err(ModelError::Argument {
                mechanism: word.to_owned(),
                argument: "sharing=layerwise".to_owned(),
                reason: "each layer makes its own parameters: take sharing=key_value, headwise or none",
            });
        }
        let mut read = || {
            let mut config = Self::new(slots);
            if let Some(rank) = arguments.take("k")? {
                config.rank = rank;
            }
            if let Some(sharing) = arguments.take("sharing")? {
                config.sharing = sharing;
            }
            arguments.are_all_taken().then_some(config)
        };
        Ok(read())
    }

    /// The shape of E and of F.
    fn matrix(&self, shape: HeadShape) -> [usize; 3] {
        let n_positions = shape.max_len.unwrap_or_else(|| {
            panic!("{self} has parameters for each position of a key: give the layer its max_len")
        });
        let heads = match self.sharing {
            ProjectionSharing::None => shape.n_heads,
            ProjectionSharing::Headwise | ProjectionSharing::KeyValue => 1,
        };
        [heads, self.rank, n_positions]
    }

    fn is_tied(&self) -> bool {
        match self.sharing {
            ProjectionSharing::KeyValue => true,
            ProjectionSharing::None | ProjectionSharing::Headwise => false,
        }
    }
}

impl fmt::Display for LinformerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.slots {
            false => "linformer",
            true => "linformer_slots",
        };
        let sharing = match self.sharing {
            ProjectionSharing::Headwise => None,
            ProjectionSharing::None | ProjectionSharing::KeyValue => {
                Some(format!("sharing={}", self.sharing.as_str()))
            }
        };
        Arguments::write(f, word, [Some(format!("k={}", self.rank)), sharing])
    }
}

/// What it can do. The weights are those of projected keys: there are none of keys to observe or to hide, but some to
/// drop.
fn abilities(slots: bool) -> Abilities {
    Abilities {
        bidirectional: true,
        key_padding: true,
        cross: true,
        causal: slots,
        incremental: slots,
        state: slots,
        dropout: !slots,
        fused: !slots,
        pretrained: !slots,
        ..Abilities::NONE
    }
}

impl MechanismSettings for LinformerConfig {
    fn init(&self, shape: HeadShape, device: &Device) -> Mechanism {
        let std = (self.rank as f64).powf(-0.5);
        let matrix = || normal(self.matrix(shape), 0.0, std, device);
        Mechanism::Linformer(Linformer {
            key_projection: matrix(),
            value_projection: (!self.is_tied()).then(matrix),
            slots: self.slots,
        })
    }

    fn n_params(&self, shape: HeadShape) -> usize {
        let n_matrices = if self.is_tied() { 1 } else { 2 };
        n_matrices * self.matrix(shape).iter().product::<usize>()
    }

    fn abilities(&self) -> Abilities {
        abilities(self.slots)
    }

    fn check(&self, field: &str) -> Result<(), ModelError> {
        check_up_to(&format!("{field}.k"), self.rank, MOST)
    }
}

impl Attend for Linformer {
    fn attend(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        options: AttentionOptions,
    ) -> AttentionOutput {
        if self.slots {
            return self.go_on(query, key, value, None, options).output;
        }
        let options = AttentionOptions {
            normalizer: Normalizer::Softmax,
            ..options
        };
        linformer_attention(query, key, value, &self.projections(), options)
            .unwrap_or_else(|error| panic!("linformer: {error}"))
    }

    fn attend_from(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        state: Option<MechanismState>,
        options: AttentionOptions,
    ) -> Option<Continued> {
        (self.slots).then(|| self.go_on(query, key, value, state, options))
    }

    fn unpack(&self, packed: Tensor<3>, d_value: usize) -> MechanismState {
        MechanismState::unpacked_slots(packed, self.key_projection.dims()[1], d_value)
    }

    fn abilities(&self) -> Abilities {
        abilities(self.slots)
    }

    fn observe(&self, call: &ObservedCall<'_>) -> Vec<Observable> {
        let rank = self.key_projection.dims()[1];
        let mut found = vec![Observable::of("rank", [rank as f64])];
        found.extend(call.softmax_error(self, || {
            call.softmax(call.query.clone(), call.key.clone(), None)
        }));
        found
    }
}

impl Linformer {
    fn projections(&self) -> Projections {
        let key = self.key_projection.val();
        let value = match &self.value_projection {
            Some(projection) => projection.val(),
            None => key.clone(),
        };
        Projections { key, value }
    }

    fn go_on(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        state: Option<MechanismState>,
        options: AttentionOptions,
    ) -> Continued {
        let slots = SlotOptions {
            causal: options.causal,
            scale: options.scale,
            state: state.map(MechanismState::into_slots),
            implementation: options.implementation,
            key_padding: key_padding(options, key.dims()[2]),
            ..SlotOptions::default()
        };
        let found = slot_attention(query, key, value, &self.projections(), slots)
            .unwrap_or_else(|error| panic!("linformer_slots: {error}"));
        Continued {
            output: AttentionOutput {
                context: found.context,
                weights: None,
                implementation: found.implementation,
            },
            state: MechanismState::Slots(found.state),
        }
    }
}
