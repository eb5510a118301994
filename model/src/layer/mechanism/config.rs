//! Which mechanism a layer has, before it is made.

use std::fmt;

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use sparta_ops::pruning::StaticPattern;

use super::parts::SpanConfig;
use super::{
    Abilities, DotProductConfig, EntmaxAlpha, FavorConfig, LinformerConfig, LshConfig, Mechanism,
    NormalizerConfig, NystromConfig, RfaConfig,
};
use crate::check::check;
use crate::error::ModelError;

/// The attention layer that a mechanism is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadShape {
    /// Size of the layer's input.
    pub d_model: usize,
    /// Number of heads.
    pub n_heads: usize,
    /// Size of a head's queries and keys.
    pub d_head: usize,
    /// The most keys of a query, where that is known: for mechanisms with parameters per position.
    pub max_len: Option<usize>,
}

/// Which mechanism an attention layer has, in the words of recipes: `softmax`, `sparsemax`, `entmax15`,
/// `entmax(1.3)`, `alpha_entmax`, `fusedmax(0.1)`, `oscarmax(0.01)`, `favor(m=64)`,
/// `favor_relu(m=64,redraw=0)`, `rfa(m=64,tau=0.7)`, `rfa_gate(m=64)`, `linformer(k=64,sharing=key_value)`,
/// `linformer_slots(k=64)`, `nystrom(m=32,conv=33)`, `lsh(m=32,rounds=8)`. A row normaliser may have parts after a `+`:
/// `softmax+local(w=16)`, `entmax15+fixed(l=16,c=2)`, `softmax+span(s=128)+gate(lambda=0.01)`, `entmax15+scale`
/// (`asentmax`), `entmax15+scale+nape` (`asentmax_nape`).
///
/// ```
/// use sparta_model::layer::{MechanismConfig, NormalizerConfig};
/// let config: MechanismConfig = "entmax(1.3)".parse().unwrap();
/// assert_eq!(config, NormalizerConfig::Entmax { alpha: 1.3 }.into());
/// assert_eq!(config.to_string(), "entmax(1.3)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MechanismConfig {
    /// [`DotProduct`](super::DotProduct) with these settings.
    DotProduct(DotProductConfig),
    /// [`Favor`](super::Favor) with these settings.
    Favor(FavorConfig),
    /// [`Rfa`](super::Rfa) with these settings.
    Rfa(RfaConfig),
    /// [`Linformer`](super::Linformer) with these settings.
    Linformer(LinformerConfig),
    /// [`Nystrom`](super::Nystrom) with these settings.
    Nystrom(NystromConfig),
    /// [`Lsh`](super::Lsh) with these settings.
    Lsh(LshConfig),
}

/// What the settings of each mechanism are.
pub(crate) trait MechanismSettings: fmt::Display {
    /// Makes the mechanism of one layer, of settings that were checked.
    fn init(&self, shape: HeadShape, device: &Device) -> Mechanism;

    /// Number of parameters that this makes.
    fn n_params(&self, shape: HeadShape) -> usize;

    /// What can be asked of it.
    fn abilities(&self) -> Abilities;

    /// Whether keys are the queries, so that a layer has no key map.
    fn shares_keys(&self) -> bool {
        false
    }

    /// The name in tables.
    fn label(&self) -> String {
        self.to_string()
    }

    /// That the settings are in range, `field` being where they are from.
    fn check(&self, field: &str) -> Result<(), ModelError>;
}

impl MechanismConfig {
    /// Softmax attention.
    pub const SOFTMAX: Self = Self::DotProduct(DotProductConfig::new(NormalizerConfig::Softmax));

    fn settings(&self) -> &dyn MechanismSettings {
        match self {
            Self::DotProduct(settings) => settings,
            Self::Favor(settings) => settings,
            Self::Rfa(settings) => settings,
            Self::Linformer(settings) => settings,
            Self::Nystrom(settings) => settings,
            Self::Lsh(settings) => settings,
        }
    }

    /// Optimiser steps between two draws of random features in training; 0 where they are drawn once, or
    /// there are none.
    pub fn redraw_every(&self) -> u64 {
        match self {
            Self::DotProduct(_) | Self::Rfa(_) | Self::Linformer(_) | Self::Nystrom(_) => 0,
            Self::Favor(settings) => settings.redraw,
            Self::Lsh(settings) => settings.redraw,
        }
    }

    /// Makes the mechanism of one layer.
    ///
    /// # Panics
    /// With the message of [`Self::check`], if a setting is out of range, and if a layer of so few heads cannot have its
    /// static pattern; without [`HeadShape::max_len`], for Linformer and for a span without its largest.
    pub fn init(&self, shape: HeadShape, device: &Device) -> Mechanism {
        let field = "mechanism";
        let checked = (self.check(field, Abilities::NONE))
            .and_then(|()| self.check_layer(field, shape.n_heads, None));
        if let Err(error) = checked {
            panic!("{error}");
        }
        self.settings().init(shape, device)
    }

    /// Number of parameters of one layer's mechanism, without making them.
    ///
    /// # Panics
    /// Without [`HeadShape::max_len`], for Linformer.
    pub fn n_params(&self, shape: HeadShape) -> usize {
        self.settings().n_params(shape)
    }

    /// What can be asked of it.
    pub fn abilities(&self) -> Abilities {
        self.settings().abilities()
    }

    /// Whether a stream of segments hands on a state in place of a memory of keys: where it has no scores that
    /// a relative term could be added to.
    pub fn carries_state(&self) -> bool {
        self.abilities().carries_state()
    }

    /// Whether keys are the queries: such a layer has no key map, and attends to nothing but its own sequence.
    pub fn shares_keys(&self) -> bool {
        self.settings().shares_keys()
    }

    /// Whether scores depend on distances, where a stream of segments has them: W_r of Transformer-XL.
    pub fn has_distances(&self) -> bool {
        self.abilities().relative
    }

    /// The name in tables, as the papers have it: `softmax`, `1.5-entmax`, `alpha-entmax`; the words of recipes
    /// where they have none.
    pub fn label(&self) -> String {
        self.settings().label()
    }

    /// Whether each head learns an α.
    pub const fn learns_alpha(&self) -> bool {
        match self {
            Self::DotProduct(settings) => settings.normalizer.learns_alpha(),
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => false,
        }
    }

    /// The α of an attention that is α-entmax of scaled products and nothing else; none for any other.
    pub const fn entmax_alpha(&self) -> Option<EntmaxAlpha> {
        match self {
            Self::DotProduct(DotProductConfig {
                normalizer,
                pattern: None,
                scale: None,
                nape: None,
                span: None,
                gate: None,
            }) => normalizer.alpha(),
            Self::DotProduct(_)
            | Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => None,
        }
    }

    /// Whether it biases scores by distance itself: a stream of segments then needs no positions.
    pub const fn biases_distances(&self) -> bool {
        match self {
            Self::DotProduct(settings) => settings.nape.is_some(),
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => false,
        }
    }

    /// The static pattern of visible cells, where there is one.
    pub const fn static_pattern(&self) -> Option<StaticPattern> {
        match self {
            Self::DotProduct(settings) => settings.pattern,
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => None,
        }
    }

    /// The same with a first position that all queries see and that sees all keys, if it has a static pattern.
    pub(crate) const fn with_first_visible(mut self) -> Self {
        if let Self::DotProduct(settings) = &mut self
            && let Some(pattern) = &mut settings.pattern
        {
            pattern.first_visible = true;
        }
        self
    }

    /// Checks that a layer of `n_heads` heads can have it, in segments of `tgt_len` positions of a stream if it
    /// reads one.
    ///
    /// # Errors
    /// [`ModelError::Config`].
    pub(crate) fn check_layer(
        &self,
        field: &str,
        n_heads: usize,
        tgt_len: Option<usize>,
    ) -> Result<(), ModelError> {
        let Some(pattern) = self.static_pattern() else {
            return Ok(());
        };
        let expected = format!(
            "at least {}: `{field}` is {self}, whose halves of heads see different sets (form=merged has one)",
            pattern.least_heads()
        );
        check(
            n_heads >= pattern.least_heads(),
            "n_heads",
            &n_heads,
            &expected,
        )?;
        let (Some(period), Some(tgt_len)) = (pattern.period(), tgt_len) else {
            return Ok(());
        };
        let expected = format!(
            "a multiple of l = {period}: `{field}` is {self}, whose columns would not stay in place from segment to \
             segment"
        );
        check(
            tgt_len.is_multiple_of(period),
            "tgt_len",
            &tgt_len,
            &expected,
        )
    }

    /// The adaptive span, where there is one.
    const fn span(&self) -> Option<SpanConfig> {
        match self {
            Self::DotProduct(settings) => settings.span,
            Self::Favor(_)
            | Self::Rfa(_)
            | Self::Linformer(_)
            | Self::Nystrom(_)
            | Self::Lsh(_) => None,
        }
    }

    /// Checks that the settings are in range and that the mechanism can do what the setting `field`
    /// of a network needs.
    ///
    /// # Errors
    /// [`ModelError::Config`] for a setting of its own, [`ModelError::Mechanism`] for the first ability
    /// that is lacking.
    pub fn check(&self, field: &str, needed: Abilities) -> Result<(), ModelError> {
        let of_this = |error| match error {
            ModelError::Config {
                field,
                found,
                expected,
            } => ModelError::Config {
                field,
                found: format!("{found} in `{self}`"),
                expected,
            },
            other => other,
        };
        self.settings().check(field).map_err(of_this)?;
        if let (true, Some(span)) = (needed.pretrained, self.span()) {
            span.check_pretrained(field).map_err(of_this)?;
        }
        self.abilities().check(needed, self, field)
    }
}

impl From<NormalizerConfig> for MechanismConfig {
    fn from(normalizer: NormalizerConfig) -> Self {
        Self::DotProduct(normalizer.into())
    }
}

impl fmt::Display for MechanismConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings().fmt(f)
    }
}
