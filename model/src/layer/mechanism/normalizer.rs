//! Which map turns a row of attention scores into weights.

use std::fmt;

use burn::module::Param;
use burn::prelude::*;
use sparta_ops::attention::Normalizer;
use sparta_ops::module::AlphaEntmax;

use crate::check::check;
use crate::error::ModelError;
use crate::layer::parameter::normal;

/// The row normaliser of an attention layer: softmax or a member of the α-entmax family.
///
/// α-entmax(z) = argmax over the simplex of pᵀz + Hᵀ_α(p); α = 1 is softmax, α = 2 is sparsemax,
/// and every α > 1 can give weights of exactly zero.
///
/// # Source
/// Peters, Niculae, Martins 2019; Correia, Niculae, Martins 2019.
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
}

impl NormalizerConfig {
    /// The normaliser that a word with its argument stands for.
    pub(super) fn of(word: &str, argument: Option<&str>) -> Option<Self> {
        match (word, argument) {
            ("softmax", None) => Some(Self::Softmax),
            ("sparsemax", None) => Some(Self::Sparsemax),
            ("entmax15", None) => Some(Self::Entmax15),
            ("entmax", Some(alpha)) => alpha.parse().ok().map(|alpha| Self::Entmax { alpha }),
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

    /// That α or its bound is one for which the map is defined; `field` is where it is from.
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
        }
    }

    /// One learned α per head, without a lower bound.
    pub fn alpha_entmax() -> Self {
        Self::AlphaEntmax { alpha_min: None }
    }

    /// Number of parameters that the normaliser of a layer of `n_heads` heads has.
    pub fn n_params(&self, n_heads: usize) -> usize {
        match self {
            Self::Softmax | Self::Sparsemax | Self::Entmax15 | Self::Entmax { .. } => 0,
            Self::AlphaEntmax { .. } => n_heads,
        }
    }

    /// Makes the normaliser of one attention layer.
    pub fn init(&self, n_heads: usize, device: &Device) -> RowNormalizer {
        let fixed = |alpha| (alpha, None, None);
        let (fixed_alpha, raw_alpha, alpha_min) = match *self {
            Self::Softmax => fixed(1.0),
            Self::Sparsemax => fixed(2.0),
            Self::Entmax15 => fixed(1.5),
            Self::Entmax { alpha } => fixed(alpha),
            Self::AlphaEntmax { alpha_min } => {
                (1.5, Some(normal([n_heads], 0.0, 1.0, device)), alpha_min)
            }
        };
        RowNormalizer {
            raw_alpha,
            fixed_alpha,
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
        }
    }
}

/// The normaliser of one attention layer, with its parameters. Made by [`NormalizerConfig`].
#[derive(Module, Debug)]
pub struct RowNormalizer {
    /// Where α is learned, the a of each head, `[n_heads]`: α = 1 + sigmoid(a).
    pub raw_alpha: Option<Param<Tensor<1>>>,
    fixed_alpha: f64,
    alpha_min: Option<f64>,
    n_heads: usize,
}

impl RowNormalizer {
    /// The α of each head: 1 for softmax, 2 for sparsemax.
    ///
    /// # Shapes
    /// - output: `[n_heads]`
    pub fn alpha(&self, device: &Device) -> Tensor<1> {
        let Some(raw) = &self.raw_alpha else {
            return Tensor::full([self.n_heads], self.fixed_alpha, device);
        };
        let entmax = AlphaEntmax {
            raw_alpha: raw.clone(),
            shape: vec![self.n_heads],
            alpha_min: self.alpha_min,
        };
        entmax.alpha()
    }

    /// The learned α of each head, `[n_heads]`; none where α is fixed.
    pub fn learned_alpha(&self) -> Option<Tensor<1>> {
        let raw = self.raw_alpha.as_ref()?;
        Some(self.alpha(&raw.val().device()))
    }

    /// What to hand to `sparta_ops::attention::sparse_attention`. A fixed α of 1, 1.5 or 2 takes
    /// the exact algorithm for it.
    pub fn normalizer(&self, device: &Device) -> Normalizer {
        match (&self.raw_alpha, self.fixed_alpha) {
            (None, 1.0) => Normalizer::Softmax,
            (None, 1.5) => Normalizer::Entmax15,
            (None, 2.0) => Normalizer::Sparsemax,
            (None, _) | (Some(_), _) => Normalizer::Entmax(self.alpha(device)),
        }
    }
}
