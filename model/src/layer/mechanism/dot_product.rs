//! Scaled dot-product attention: every query scores every key.

use burn::prelude::*;
use sparta_ops::attention::{AttentionOptions, AttentionOutput, sparse_attention};

use super::{Abilities, Attend, HeadShape, Mechanism, MechanismSettings};
use super::{NormalizerConfig, RowNormalizer};
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
}

impl MechanismSettings for NormalizerConfig {
    fn init(&self, shape: HeadShape, device: &Device) -> Mechanism {
        Mechanism::DotProduct(DotProduct {
            normalizer: self.init(shape.n_heads, device),
        })
    }

    fn n_params(&self, shape: HeadShape) -> usize {
        self.n_params(shape.n_heads)
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            fused: self.is_fused(),
            ..ABILITIES
        }
    }

    fn label(&self) -> String {
        match self {
            Self::Softmax | Self::Sparsemax => self.to_string(),
            Self::Entmax15 => "1.5-entmax".to_owned(),
            Self::Entmax { alpha } => format!("{alpha}-entmax"),
            Self::AlphaEntmax { .. } => "alpha-entmax".to_owned(),
            Self::Fusedmax { .. } | Self::Oscarmax { .. } => self.to_string(),
        }
    }

    fn check(&self, field: &str) -> Result<(), ModelError> {
        self.check(field)
    }
}
