//! Scaled dot-product attention: every query scores every key.

use std::fmt;

use burn::prelude::*;
use sparta_ops::attention::{AttentionOptions, AttentionOutput, sparse_attention};
use sparta_ops::pruning::{PruningError, StaticPattern};

use super::observe::{Observable, ObservedCall};
use super::{Abilities, Attend, HeadShape, Mechanism, MechanismSettings};
use super::{NormalizerConfig, RowNormalizer, StaticMasks, split_argument};
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
    /// Which cells there are.
    #[module(skip)]
    pub(super) pattern: Option<StaticMasks>,
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
            cross: self.pattern.is_none(),
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
    /// Which cells there are: `+fixed(l=16,c=2)`, `+strided(l=16)`, `+local(w=16)`, `+random(keep=0.25,seed=1)`.
    pub pattern: Option<StaticPattern>,
}

impl From<NormalizerConfig> for DotProductConfig {
    fn from(normalizer: NormalizerConfig) -> Self {
        Self::new(normalizer)
    }
}

impl DotProductConfig {
    /// A row normaliser without parts.
    pub const fn new(normalizer: NormalizerConfig) -> Self {
        Self {
            normalizer,
            pattern: None,
        }
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

    fn write_parts(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match &self.pattern {
            Some(pattern) => write!(f, "+{pattern}"),
            None => Ok(()),
        }
    }

    /// The same with one more part, of which each is taken once.
    fn with_part(mut self, word: &str, argument: Option<&str>) -> Option<Self> {
        let is_new = match word {
            "fixed" | "strided" | "local" | "random" => {
                let pattern = format!("{word}({})", argument?).parse().ok()?;
                self.pattern.replace(pattern).is_none()
            }
            _ => false,
        };
        is_new.then_some(self)
    }
}

impl fmt::Display for DotProductConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.normalizer.fmt(f)?;
        self.write_parts(f)
    }
}

fn of_pattern(error: PruningError, field: &str) -> ModelError {
    match error {
        PruningError::StaticPattern {
            field: name,
            found,
            expected,
        } => ModelError::Config {
            field: format!("{field}.{name}"),
            found,
            expected,
        },
        other => ModelError::Config {
            field: field.to_owned(),
            found: other.to_string(),
            expected: "a static pattern in range".to_owned(),
        },
    }
}

impl MechanismSettings for DotProductConfig {
    fn init(&self, shape: HeadShape, device: &Device) -> Mechanism {
        Mechanism::DotProduct(DotProduct {
            normalizer: self.normalizer.init(shape.n_heads, device),
            pattern: self.pattern.map(StaticMasks::from),
        })
    }

    fn n_params(&self, shape: HeadShape) -> usize {
        self.normalizer.n_params(shape.n_heads)
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            fused: self.normalizer.is_fused(),
            cross: self.pattern.is_none(),
            ..ABILITIES
        }
    }

    fn label(&self) -> String {
        let mut label = match self.normalizer {
            NormalizerConfig::Softmax
            | NormalizerConfig::Sparsemax
            | NormalizerConfig::Fusedmax { .. }
            | NormalizerConfig::Oscarmax { .. } => self.normalizer.to_string(),
            NormalizerConfig::Entmax15 => "1.5-entmax".to_owned(),
            NormalizerConfig::Entmax { alpha } => format!("{alpha}-entmax"),
            NormalizerConfig::AlphaEntmax { .. } => "alpha-entmax".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = self.write_parts(&mut label);
        label
    }

    fn check(&self, field: &str) -> Result<(), ModelError> {
        self.normalizer.check(field)?;
        match self.pattern.map(|pattern| pattern.check()) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(of_pattern(error, field)),
        }
    }
}
