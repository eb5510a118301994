//! A mapping as a module.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

use crate::entmax::{
    EntmaxError, budget_bisect, entmax, entmax15, fusedmax, normmax_bisect, oscarmax, softmax,
    sparsemax, try_budget_bisect, try_entmax, try_entmax15, try_fusedmax, try_normmax_bisect,
    try_oscarmax, try_softmax, try_sparsemax,
};

/// Which mapping of scores to weights.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum RowMapping {
    /// α = 1.
    Softmax,
    /// α = 2.
    Sparsemax,
    /// α = 1.5.
    Entmax15,
    /// α-entmax.
    Entmax {
        /// Any α > 0.
        alpha: f64,
    },
    /// α-normmax.
    Normmax {
        /// Any α > 1.
        alpha: f64,
    },
    /// Fusedmax: equal weights for runs of neighbours.
    Fusedmax {
        /// Strength λ ≥ 0 of the penalty.
        lambda: f64,
    },
    /// Oscarmax: equal weights for scores that are close.
    Oscarmax {
        /// Strength λ ≥ 0 of the penalty.
        lambda: f64,
    },
    /// Weights in [0, 1] with a given sum.
    Budget {
        /// The sum, ≥ 0.
        budget: f64,
    },
}

/// Makes an [`Entmax`].
#[derive(Config, Debug)]
pub struct EntmaxConfig {
    /// The mapping.
    #[config(default = "RowMapping::Entmax15")]
    pub mapping: RowMapping,
    /// The dimension of the scores that a row runs along; negative ones count from the end.
    #[config(default = -1)]
    pub dim: i64,
}

impl EntmaxConfig {
    /// Makes the module; it has no parameters. For a learned α see [`super::AlphaEntmaxConfig`].
    pub fn init(&self) -> Entmax {
        Entmax {
            mapping: self.mapping,
            dim: self.dim,
        }
    }
}

/// A mapping of scores to weights along one dimension, made by [`EntmaxConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use sparta_ops::module::{EntmaxConfig, RowMapping};
/// let entmax = EntmaxConfig::new().with_mapping(RowMapping::Sparsemax).init();
/// let weights = entmax.forward(Tensor::<1>::from_floats([-2.0, 0.0, 0.5], &Device::flex()));
/// assert_eq!(weights.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.25, 0.75]);
/// ```
#[derive(Module, Debug)]
pub struct Entmax {
    /// The mapping.
    #[module(skip)]
    pub mapping: RowMapping,
    /// The dimension.
    pub dim: i64,
}

impl Entmax {
    /// The weights of scores along `dim`.
    ///
    /// # Shapes
    /// - scores, result: any; a row runs along `dim`
    ///
    /// # Panics
    /// With the message of [`Entmax::try_forward`]'s error, but for NaN and +∞ among scores, which give rows of NaN.
    pub fn forward<const D: usize>(&self, scores: Tensor<D>) -> Tensor<D> {
        let dim = self.dim as isize;
        match self.mapping {
            RowMapping::Softmax => softmax(scores, dim),
            RowMapping::Sparsemax => sparsemax(scores, dim),
            RowMapping::Entmax15 => entmax15(scores, dim),
            RowMapping::Entmax { alpha } => entmax(scores, alpha, dim),
            RowMapping::Normmax { alpha } => normmax_bisect(scores, alpha, dim, None),
            RowMapping::Fusedmax { lambda } => fusedmax(scores, lambda, dim),
            RowMapping::Oscarmax { lambda } => oscarmax(scores, lambda, dim),
            RowMapping::Budget { budget } => budget_bisect(scores, budget, dim, None),
        }
    }

    /// [`Entmax::forward`] that reports every bad argument; it waits for the device to look for NaN and +∞.
    ///
    /// # Shapes
    /// As [`Entmax::forward`].
    ///
    /// # Errors
    /// A score that is NaN or +∞, an α, a λ or a budget outside its range, a dimension that does not exist.
    pub fn try_forward<const D: usize>(&self, scores: Tensor<D>) -> Result<Tensor<D>, EntmaxError> {
        let dim = self.dim as isize;
        match self.mapping {
            RowMapping::Softmax => try_softmax(scores, dim),
            RowMapping::Sparsemax => try_sparsemax(scores, dim),
            RowMapping::Entmax15 => try_entmax15(scores, dim),
            RowMapping::Entmax { alpha } => try_entmax(scores, alpha, dim),
            RowMapping::Normmax { alpha } => try_normmax_bisect(scores, alpha, dim, None),
            RowMapping::Fusedmax { lambda } => try_fusedmax(scores, lambda, dim),
            RowMapping::Oscarmax { lambda } => try_oscarmax(scores, lambda, dim),
            RowMapping::Budget { budget } => try_budget_bisect(scores, budget, dim, None),
        }
    }
}
