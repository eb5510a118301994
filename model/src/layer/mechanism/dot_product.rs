//! Scaled dot-product attention: every query scores every key.

use std::fmt;

use burn::prelude::*;
use sparta_ops::attention::{AttentionOptions, AttentionOutput, sparse_attention};
use sparta_ops::pruning::{PruningError, StaticPattern};

use super::{Abilities, Attend, HeadShape, Mechanism, MechanismSettings};
use super::{Nape, NormalizerConfig, RowNormalizer, RowScale, ScaleConfig};
use super::{StaticMasks, split_argument};
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
    /// What scores are multiplied by.
    pub scale: Option<RowScale>,
    /// What is added to scores by distance.
    #[module(skip)]
    nape: Option<Nape>,
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
        if let Some(nape) = self.nape {
            let [_, n_heads, seq_q, _] = query.dims();
            let bias = nape.bias([n_heads, seq_q, key.dims()[2]], &query.device());
            let bias = bias.cast(query.dtype());
            options.bias = Some(match options.bias {
                Some(given) => given + bias,
                None => bias,
            });
        }
        sparse_attention(query, key, value, options)
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            fused: self.normalizer.is_fused(),
            cross: self.pattern.is_none() && self.nape.is_none(),
            relative: self.nape.is_none(),
            pretrained: self.nape.is_none(),
            ..ABILITIES
        }
    }
}

/// Settings of [`DotProduct`], in the words of recipes: a row normaliser, then its parts, each after a `+`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DotProductConfig {
    /// From a row of scores to a row of weights.
    pub normalizer: NormalizerConfig,
    /// Which cells there are: `+fixed(l=16,c=2)`, `+strided(l=16)`, `+local(w=16)`, `+random(keep=0.25,seed=1)`.
    pub pattern: Option<StaticPattern>,
    /// `+scale`: scores are multiplied by what grows with the number of keys.
    pub scale: Option<ScaleConfig>,
    /// `+nape`: half of the heads have a bias by distance, half no positions and the scale.
    pub nape: Option<Nape>,
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
            scale: None,
            nape: None,
        }
    }

    /// The settings that words stand for.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut words = text.split('+').map(split_argument);
        let config = match words.next()?? {
            ("asentmax", argument) => Self {
                scale: Some(ScaleConfig::of(argument)?),
                ..Self::new(NormalizerConfig::Entmax15)
            },
            ("asentmax_nape", argument) => Self {
                scale: Some(ScaleConfig::of(argument)?),
                nape: Some(Nape::of(None)?),
                ..Self::new(NormalizerConfig::Entmax15)
            },
            (word, argument) => NormalizerConfig::of(word, argument)?.into(),
        };
        words.try_fold(config, |config, part| {
            let (word, argument) = part?;
            config.with_part(word, argument)
        })
    }

    /// Its parts in words, each after a `+`.
    fn parts(&self) -> String {
        let pattern = self.pattern.map(|pattern| format!("+{pattern}"));
        let scale = self.scale.map(|scale| format!("+{scale}"));
        let nape = self.nape.map(|nape| format!("+{nape}"));
        [pattern, scale, nape].into_iter().flatten().collect()
    }

    /// The same with one more part, of which each is taken once.
    fn with_part(self, word: &str, argument: Option<&str>) -> Option<Self> {
        match word {
            "fixed" | "strided" | "local" | "random" if self.pattern.is_none() => {
                let pattern = Some(format!("{word}({})", argument?).parse().ok()?);
                Some(Self { pattern, ..self })
            }
            "scale" if self.scale.is_none() => {
                let scale = Some(ScaleConfig::of(argument)?);
                Some(Self { scale, ..self })
            }
            "nape" if self.nape.is_none() => {
                let nape = Some(Nape::of(argument)?);
                Some(Self { nape, ..self })
            }
            _ => None,
        }
    }

    /// Heads whose scores are scaled: all, or those without a bias by distance.
    const fn n_scaled(&self, n_heads: usize) -> usize {
        match self.nape {
            Some(_) => n_heads - Nape::n_biased(n_heads),
            None => n_heads,
        }
    }
}

impl fmt::Display for DotProductConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.normalizer, self.parts())
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
            scale: (self.scale)
                .map(|scale| scale.init(shape.d_model, self.n_scaled(shape.n_heads), device)),
            nape: self.nape,
        })
    }

    fn n_params(&self, shape: HeadShape) -> usize {
        let scale = match self.scale {
            Some(_) => 2 * shape.d_model * self.n_scaled(shape.n_heads),
            None => 0,
        };
        self.normalizer.n_params(shape.n_heads) + scale
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            fused: self.normalizer.is_fused(),
            cross: self.pattern.is_none() && self.nape.is_none(),
            relative: self.nape.is_none(),
            pretrained: self.nape.is_none(),
            ..ABILITIES
        }
    }

    fn label(&self) -> String {
        let normalizer = match self.normalizer {
            NormalizerConfig::Softmax
            | NormalizerConfig::Sparsemax
            | NormalizerConfig::Fusedmax { .. }
            | NormalizerConfig::Oscarmax { .. } => self.normalizer.to_string(),
            NormalizerConfig::Entmax15 => "1.5-entmax".to_owned(),
            NormalizerConfig::Entmax { alpha } => format!("{alpha}-entmax"),
            NormalizerConfig::AlphaEntmax { .. } => "alpha-entmax".to_owned(),
        };
        normalizer + &self.parts()
    }

    fn check(&self, field: &str) -> Result<(), ModelError> {
        self.normalizer.check(field)?;
        if let Some(scale) = &self.scale {
            scale.check(field)?;
        }
        match self.pattern.map(|pattern| pattern.check()) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(of_pattern(error, field)),
        }
    }
}
