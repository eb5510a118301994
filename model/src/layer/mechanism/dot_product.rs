//! Scaled dot-product attention: every query scores every key.

use std::fmt;

use burn::prelude::*;
use sparta_ops::attention::{AttentionOptions, AttentionOutput, sparse_attention};

use super::observe::{Observable, ObservedCall};
use super::{Abilities, Attend, HeadShape, Mechanism, MechanismSettings};
use super::{NormalizerConfig, RowNormalizer, split_argument};
use crate::error::ModelError;

/// π(query·keyᵀ/√d_head)·value with a row normaliser π: softmax, one of the α-entmax family, fusedmax or
/// oscarmax.
///
/// It can do everything that may be asked of a mechanism but go on without the keys, and but for fusedmax and
/// oscarmax by fused attention.
///
/// # Source
/// Vaswani et al. 2017, section 3.2; Correia, Niculae, Martins 2019 and Niculae, Blondel 2017 for π.
#[derive(Module, Debug)]
pub struct DotProduct {
    /// From a row of scores to a row of weights.
    pub normalizer: RowNormalizer,
}

/// Everything but a state of fixed size: it keeps the keys.
const ABILITIES: Abilities = Abilities {
    state: false,
    ..Abilities::ALL
};

impl Attend for DotProduct {
    fn attend(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        mut options: AttentionOptions,
    ) -> AttentionOutput {
        options.normalizer = self.normalizer.normalizer(&query.device());
        sparse_attention(query, key, value, options)
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            fused: self.normalizer.is_fused(),
            ..ABILITIES
        }
    }

    /// How many keys have weight, and what the normaliser says of the weights.
    fn observe(&self, call: &ObservedCall<'_>) -> Vec<Observable> {
        let Some(weights) = call.weights(self) else {
            return Vec::new();
        };
        let mut found = call.support(&weights);
        found.extend(self.normalizer.observe(&weights, || call.visible(true)));
        found
    }
}

/// Settings of [`DotProduct`], in the words of recipes: a row normaliser, then its parts, each after a `+`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DotProductConfig {
    /// From a row of scores to a row of weights.
    pub normalizer: NormalizerConfig,
}

impl From<NormalizerConfig> for DotProductConfig {
    fn from(normalizer: NormalizerConfig) -> Self {
        Self::new(normalizer)
    }
}

impl DotProductConfig {
    /// A row normaliser without parts.
    pub const fn new(normalizer: NormalizerConfig) -> Self {
        Self { normalizer }
    }

    /// The settings that words stand for.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut words = text.split('+').map(split_argument);
        let (word, argument) = words.next()??;
        let config = Self::from(NormalizerConfig::of(word, argument)?);
        words.try_fold(config, |config, part| {
            let (word, argument) = part?;
            config.with_part(word, argument)
        })
    }

    /// The same with one more part, of which each is taken once.
    fn with_part(self, _word: &str, _argument: Option<&str>) -> Option<Self> {
        None
    }
}

impl fmt::Display for DotProductConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.normalizer.fmt(f)
    }
}

impl MechanismSettings for DotProductConfig {
    fn init(&self, shape: HeadShape, device: &Device) -> Mechanism {
        Mechanism::DotProduct(DotProduct {
            normalizer: self.normalizer.init(shape.n_heads, device),
        })
    }

    fn n_params(&self, shape: HeadShape) -> usize {
        self.normalizer.n_params(shape.n_heads)
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            fused: self.normalizer.is_fused(),
            ..ABILITIES
        }
    }

    fn label(&self) -> String {
        match self.normalizer {
            NormalizerConfig::Softmax | NormalizerConfig::Sparsemax => self.to_string(),
            NormalizerConfig::Entmax15 => "1.5-entmax".to_owned(),
            NormalizerConfig::Entmax { alpha } => format!("{alpha}-entmax"),
            NormalizerConfig::AlphaEntmax { .. } => "alpha-entmax".to_owned(),
            NormalizerConfig::Fusedmax { .. } | NormalizerConfig::Oscarmax { .. } => {
                self.to_string()
            }
        }
    }

    fn check(&self, field: &str) -> Result<(), ModelError> {
        self.normalizer.check(field)
    }
}
