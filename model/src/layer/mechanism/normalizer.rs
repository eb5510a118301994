//! Which map turns a row of attention scores into weights.

use std::fmt;

use burn::module::Param;
use burn::prelude::*;
use sparta_ops::attention::Normalizer;
use sparta_ops::module::AlphaEntmax;

use super::observe::{Observable, groups};
use crate::check::check;
use crate::error::ModelError;
use crate::layer::parameter::normal;

/// The row normaliser of an attention layer: softmax, a member of the α-entmax family, or sparsemax with a
/// penalty that makes weights equal.
///
/// α-entmax(z) = argmax over the simplex of pᵀz + Hᵀ_α(p); α = 1 is softmax, α = 2 is sparsemax,
/// and every α > 1 can give weights of exactly zero. Fusedmax and oscarmax are sparsemax less λ times a
/// penalty: [`sparta_ops::fusedmax`], [`sparta_ops::oscarmax`].
///
/// # Source
/// Peters, Niculae, Martins 2019; Correia, Niculae, Martins 2019; Niculae, Blondel 2017.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NormalizerConfig {
    /// Dense attention.
    Softmax,
    /// Euclidean projection onto the simplex (α = 2).
    Sparsemax,
    /// 1.5-entmax.
    Entmax15,
    /// α-entmax with a fixed α ≥ 1.
    Entmax {
        /// The same α for every head.
        alpha: f64,
    },
    /// α-entmax with one learned α per head, α = 1 + sigmoid(a), a drawn from N(0, 1).
    AlphaEntmax {
        /// Lower bound: α is clamped to `[alpha_min, 2]`; below it the gradient in a is zero. The
        /// authors' code uses 1.01; our entmax is exact down to α = 1 and needs no bound.
        alpha_min: Option<f64>,
    },
    /// Equal weights for runs of neighbouring keys.
    Fusedmax {
        /// Strength λ ≥ 0 of the penalty, on the scale of the scores.
        lambda: f64,
    },
    /// Equal weights for keys of close scores.
    Oscarmax {
        /// Strength λ ≥ 0 of the penalty, on the scale of the scores.
        lambda: f64,
    },
}

/// The α of an α-entmax attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EntmaxAlpha {
    /// The same for every head; 1 is softmax.
    Fixed(f64),
    /// One for each head, 1 + sigmoid(a) with a learned a.
    Learned {
        /// What α is not below.
        min: Option<f64>,
    },
}

impl EntmaxAlpha {
    /// Softmax's.
    pub const SOFTMAX: Self = Self::Fixed(1.0);
}

impl NormalizerConfig {
    /// The normaliser that a word with its argument stands for.
    pub(super) fn of(word: &str, argument: Option<&str>) -> Option<Self> {
        match (word, argument) {
            ("softmax", None) => Some(Self::Softmax),
            ("sparsemax", None) => Some(Self::Sparsemax),
            ("entmax15", None) => Some(Self::Entmax15),
            ("entmax", Some(alpha)) => alpha.parse().ok().map(|alpha| Self::Entmax { alpha }),
            ("fusedmax", Some(lambda)) => {
                lambda.parse().ok().map(|lambda| Self::Fusedmax { lambda })
            }
            ("oscarmax", Some(lambda)) => {
                lambda.parse().ok().map(|lambda| Self::Oscarmax { lambda })
            }
            ("alpha_entmax", None) => Some(Self::alpha_entmax()),
            ("alpha_entmax", Some(argument)) => {
                let min = argument.strip_prefix("alpha_min")?.trim_start();
                let min = min.strip_prefix('=')?.trim_start().parse().ok()?;
                Some(Self::AlphaEntmax {
                    alpha_min: Some(min),
                })
            }
            _ => None,
        }
    }

    /// That α, its bound or λ is one for which the map is defined; `field` is where it is from.
    pub(super) fn check(&self, field: &str) -> Result<(), ModelError> {
        match *self {
            Self::Softmax
            | Self::Sparsemax
            | Self::Entmax15
            | Self::AlphaEntmax { alpha_min: None } => Ok(()),
            Self::Entmax { alpha } => check(
                alpha >= 1.0 && alpha.is_finite(),
                &format!("{field}.alpha"),
                &alpha,
                "at least 1 and finite",
            ),
            Self::AlphaEntmax {
                alpha_min: Some(min),
            } => {
                let ok = (1.0..=2.0).contains(&min);
                check(ok, &format!("{field}.alpha_min"), &min, "in [1, 2]")
            }
            Self::Fusedmax { lambda } | Self::Oscarmax { lambda } => check(
                lambda >= 0.0 && lambda.is_finite(),
                &format!("{field}.lambda"),
                &lambda,
                "at least 0 and finite",
            ),
        }
    }

    /// One learned α per head, without a lower bound.
    pub fn alpha_entmax() -> Self {
        Self::AlphaEntmax { alpha_min: None }
    }

    /// Whether each head learns an α.
    pub(super) const fn learns_alpha(&self) -> bool {
        match self {
            Self::AlphaEntmax { .. } => true,
            Self::Softmax
            | Self::Sparsemax
            | Self::Entmax15
            | Self::Entmax { .. }
            | Self::Fusedmax { .. }
            | Self::Oscarmax { .. } => false,
        }
    }

    /// Its α; none for fusedmax and oscarmax.
    pub(super) const fn alpha(&self) -> Option<EntmaxAlpha> {
        match *self {
            Self::Softmax => Some(EntmaxAlpha::Fixed(1.0)),
            Self::Sparsemax => Some(EntmaxAlpha::Fixed(2.0)),
            Self::Entmax15 => Some(EntmaxAlpha::Fixed(1.5)),
            Self::Entmax { alpha } => Some(EntmaxAlpha::Fixed(alpha)),
            Self::AlphaEntmax { alpha_min } => Some(EntmaxAlpha::Learned { min: alpha_min }),
            Self::Fusedmax { .. } | Self::Oscarmax { .. } => None,
        }
    }

    /// Whether it is softmax.
    pub(super) fn is_softmax(&self) -> bool {
        *self == Self::Softmax || *self == Self::Entmax { alpha: 1.0 }
    }

    /// Whether the kernels of fused attention know it.
    pub(super) fn is_fused(&self) -> bool {
        match self {
            Self::Softmax
            | Self::Sparsemax
            | Self::Entmax15
            | Self::Entmax { .. }
            | Self::AlphaEntmax { .. } => true,
            Self::Fusedmax { .. } | Self::Oscarmax { .. } => false,
        }
    }

    /// Number of parameters that the normaliser of a layer of `n_heads` heads has.
    pub fn n_params(&self, n_heads: usize) -> usize {
        match self {
            Self::Softmax
            | Self::Sparsemax
            | Self::Entmax15
            | Self::Entmax { .. }
            | Self::Fusedmax { .. }
            | Self::Oscarmax { .. } => 0,
            Self::AlphaEntmax { .. } => n_heads,
        }
    }

    /// Makes the normaliser of one attention layer.
    ///
    /// # Panics
    /// If α, its bound or λ is out of range.
    pub fn init(&self, n_heads: usize, device: &Device) -> RowNormalizer {
        if let Err(error) = self.check("normalizer") {
            panic!("{error}");
        }
        let fixed = |map| (map, None, None);
        let (map, raw_alpha, alpha_min) = match *self {
            Self::Softmax => fixed(FixedMap::Alpha(1.0)),
            Self::Sparsemax => fixed(FixedMap::Alpha(2.0)),
            Self::Entmax15 => fixed(FixedMap::Alpha(1.5)),
            Self::Entmax { alpha } => fixed(FixedMap::Alpha(alpha)),
            Self::AlphaEntmax { alpha_min } => {
                let raw_alpha = normal([n_heads], 0.0, 1.0, device);
                (FixedMap::Alpha(1.5), Some(raw_alpha), alpha_min)
            }
            Self::Fusedmax { lambda } => fixed(FixedMap::Fusedmax { lambda }),
            Self::Oscarmax { lambda } => fixed(FixedMap::Oscarmax { lambda }),
        };
        RowNormalizer {
            raw_alpha,
            map,
            alpha_min,
            n_heads,
        }
    }
}

impl fmt::Display for NormalizerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Softmax => f.write_str("softmax"),
            Self::Sparsemax => f.write_str("sparsemax"),
            Self::Entmax15 => f.write_str("entmax15"),
            Self::Entmax { alpha } => write!(f, "entmax({alpha})"),
            Self::AlphaEntmax { alpha_min: None } => f.write_str("alpha_entmax"),
            Self::AlphaEntmax {
                alpha_min: Some(min),
            } => write!(f, "alpha_entmax(alpha_min={min})"),
            Self::Fusedmax { lambda } => write!(f, "fusedmax({lambda})"),
            Self::Oscarmax { lambda } => write!(f, "oscarmax({lambda})"),
        }
    }
}

/// The normaliser of one attention layer, with its parameters. Made by [`NormalizerConfig`].
#[derive(Module, Debug)]
pub struct RowNormalizer {
    /// Where α is learned, the a of each head, `[n_heads]`: α = 1 + sigmoid(a).
    pub raw_alpha: Option<Param<Tensor<1>>>,
    #[module(skip)]
    map: FixedMap,
    alpha_min: Option<f64>,
    n_heads: usize,
}

/// What a normaliser is where it learns nothing.
#[derive(Debug, Clone, Copy)]
enum FixedMap {
    /// α-entmax.
    Alpha(f64),
    Fusedmax {
        lambda: f64,
    },
    Oscarmax {
        lambda: f64,
    },
}

impl RowNormalizer {
    /// The α of each head: 1 for softmax, 2 for sparsemax. None for fusedmax and oscarmax, which have no α.
    ///
    /// # Shapes
    /// - output: `[n_heads]`
    pub fn alpha(&self, device: &Device) -> Option<Tensor<1>> {
        self.learned_alpha().or(match self.map {
            FixedMap::Alpha(alpha) => Some(self.same_alpha(alpha, device)),
            FixedMap::Fusedmax { .. } | FixedMap::Oscarmax { .. } => None,
        })
    }

    /// The learned α of each head, `[n_heads]`; none where α is fixed.
    pub fn learned_alpha(&self) -> Option<Tensor<1>> {
        let entmax = AlphaEntmax {
            raw_alpha: self.raw_alpha.clone()?,
            shape: vec![self.n_heads],
            alpha_min: self.alpha_min,
        };
        Some(entmax.alpha())
    }

    /// What to hand to `sparta_ops::attention::sparse_attention`. A fixed α of 1, 1.5 or 2 takes
    /// the exact algorithm for it.
    pub fn normalizer(&self, device: &Device) -> Normalizer {
        match (self.learned_alpha(), self.map) {
            (Some(alpha), _) => Normalizer::Entmax(alpha),
            (None, FixedMap::Alpha(1.0)) => Normalizer::Softmax,
            (None, FixedMap::Alpha(1.5)) => Normalizer::Entmax15,
            (None, FixedMap::Alpha(2.0)) => Normalizer::Sparsemax,
            (None, FixedMap::Alpha(alpha)) => Normalizer::Entmax(self.same_alpha(alpha, device)),
            (None, FixedMap::Fusedmax { lambda }) => Normalizer::Fusedmax { lambda },
            (None, FixedMap::Oscarmax { lambda }) => Normalizer::Oscarmax { lambda },
        }
    }

    /// What is watched of its rows of weights besides how many are not zero.
    pub(super) fn observe(
        &self,
        weights: &Tensor<4>,
        visible: impl FnOnce() -> Tensor<4>,
    ) -> Option<Observable> {
        match self.map {
            FixedMap::Alpha(_) => None,
            FixedMap::Fusedmax { .. } => Some(groups(weights, visible(), true)),
            FixedMap::Oscarmax { .. } => Some(groups(weights, visible(), false)),
        }
    }

    /// Whether the kernels of fused attention know it.
    pub(super) fn is_fused(&self) -> bool {
        match self.map {
            FixedMap::Alpha(_) => true,
            FixedMap::Fusedmax { .. } | FixedMap::Oscarmax { .. } => false,
        }
    }

    /// Whether it is softmax.
    pub(super) fn is_softmax(&self) -> bool {
        match self.map {
            FixedMap::Alpha(alpha) => self.raw_alpha.is_none() && alpha == 1.0,
            FixedMap::Fusedmax { .. } | FixedMap::Oscarmax { .. } => false,
        }
    }

    fn same_alpha(&self, alpha: f64, device: &Device) -> Tensor<1> {
        Tensor::full([self.n_heads], alpha, device)
    }
}
