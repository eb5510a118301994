//! Row mappings from scores to weights: softmax, sparsemax, 1.5-entmax, α-entmax, normmax, budget,
//! fusedmax, oscarmax.
//!
//! `entmax_α(z) = argmax_{p ∈ Δ} pᵀz + H_α(p)` with the Tsallis entropy
//! `H_α(p) = (1 − Σpᵅ)/(α(α−1))` (Shannon at α = 1), that is `p = [(α−1)z − τ]₊^{1/(α−1)}`.
//! α = 1 is softmax, α = 2 sparsemax; above 1 low scores get exactly zero weight, below 1 every
//! weight is positive and tails are heavier than softmax's.
//!
//! - Scores ≤ −1e30 are hidden: they get zero weight, and a row of them gives zeros.
//! - Finite scores may be as wide as their type: a weight that is certainly 0 is 0, and nothing overflows.
//! - A row with a NaN or a +∞ gives a row of NaN, whatever the mapping: finding one would cost a synchronisation with
//!   the device. The `try_` functions pay it, and report the first one's place and value as an error.
//! - Weights are differentiable in the scores, and in α or the budget where that is a tensor.

mod argument;
pub(crate) mod autodiff;
mod bisection;
mod error;
pub(crate) mod reference;
mod rows;
mod structured;

use burn::backend::Dispatch;
use burn::tensor::{AsIndex, Int, Tensor};

pub use argument::PerRow;
pub use bisection::{
    Bisection, budget_bisect, entmax_bisect, normmax_bisect, sparsemax_bisect, try_budget_bisect,
    try_entmax_bisect, try_normmax_bisect, try_sparsemax_bisect,
};
pub use error::EntmaxError;
pub use structured::{StructuredMapping, fusedmax, oscarmax, try_fusedmax, try_oscarmax};

pub(crate) use argument::{ALPHA_MIN, ENTMAX_ALPHA, NORMMAX_ALPHA, check_scores};
pub(crate) use rows::{by_rows, dimension};
pub(crate) use structured::{
    backward as structured_backward, check_lambda, forward as structured_forward,
    gradients as structured_gradients, solve as structured_solve,
};

use crate::backend::SpartaBackend;

/// Above this α the power 1/(α − 1) magnifies what rounding does to small weights, and the solvers measure scores from
/// the smallest one of the support.
pub(crate) const LARGE_ALPHA: f64 = 2.0;

/// A mapping of the entmax family with one α for all rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mapping {
    /// α = 1.
    Softmax,
    /// α = 2, exact.
    Sparsemax,
    /// α = 1.5, exact.
    Entmax15,
    /// Any finite α > 0.
    Alpha(f64),
}

impl Mapping {
    /// The mapping of an α: those of 1, 1.5 and 2 have their own exact algorithms.
    pub(crate) fn of(alpha: f64) -> Self {
        match alpha {
            1.0 => Self::Softmax,
            1.5 => Self::Entmax15,
            2.0 => Self::Sparsemax,
            _ => Self::Alpha(alpha),
        }
    }
}

/// α-entmax of `scores` along `dim` (negative dimensions count from the end).
///
/// Weights are within 1e-12 of the exact ones in f64 and within 2e-6 in f32 (2e-5 for α < 1.25) for α from 1 to 20, those of
/// small weights too. Gradients in the scores above α = 2 are within 1e-10 and 1e-5 of the row's largest, or of 1; on
/// devices without f64 within (α − 1)·3e-7/p_min more, p_min being the smallest weight above 0.
///
/// # Shapes
/// - scores, result: any; the result sums to 1 along `dim` (to 0 where every score is hidden)
/// - α: a number, or a tensor of size 1 along `dim` and 1 or the scores' size elsewhere; a row whose
///   α in a tensor is not > 0 is NaN
///
/// # Panics
/// With [`EntmaxError`]'s message if the number α is not > 0 and finite, a shape does not fit or the
/// dimension does not exist.
///
/// # Source
/// Peters, Niculae & Martins 2019; gradient in α: Correia, Niculae & Martins 2019, Proposition 1.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// let scores = Tensor::<2>::from_floats([[-1.0, 0.0, 0.5], [1.0, 2.0, 3.5]], &Device::flex());
/// let weights = sparta_ops::entmax(scores, 1.33, 1).into_data().try_to_vec::<f32>().unwrap();
/// assert!((weights[0] - 0.0460).abs() < 1e-4 && (weights[5] - 0.8963).abs() < 1e-4);
/// ```
pub fn entmax<const D: usize>(
    scores: Tensor<D>,
    alpha: impl Into<PerRow<D>>,
    dim: impl AsIndex,
) -> Tensor<D> {
    entmax_of(scores, alpha.into(), dim).unwrap_or_else(|error| panic!("entmax: {error}"))
}

/// [`entmax`] that reports every bad argument, values included: it waits for the device to look for
/// scores that are NaN or +∞ and for an α that is not > 0.
///
/// # Shapes
/// As [`entmax`].
///
/// # Errors
/// A score that is NaN or +∞, an α that is not finite and > 0, an α that does not broadcast, a dimension that does
/// not exist.
pub fn try_entmax<const D: usize>(
    scores: Tensor<D>,
    alpha: impl Into<PerRow<D>>,
    dim: impl AsIndex,
) -> Result<Tensor<D>, EntmaxError> {
    let alpha = alpha.into();
    alpha.check(ENTMAX_ALPHA, &scores)?;
    check_scores(&scores)?;
    entmax_of(scores, alpha, dim)
}

pub(crate) fn entmax_of<const D: usize>(
    scores: Tensor<D>,
    alpha: PerRow<D>,
    dim: impl AsIndex,
) -> Result<Tensor<D>, EntmaxError> {
    match alpha {
        PerRow::Number(number) => {
            alpha.check(ENTMAX_ALPHA, &scores)?;
            along(scores, dim, Mapping::of(number))
        }
        PerRow::Tensor(_) => {
            let dim = dimension::<D>(dim)?;
            let alpha = alpha.column(ENTMAX_ALPHA, &scores, dim)?;
            Ok(by_rows(scores, dim, |rows| {
                Tensor::from_dispatch(<Dispatch as SpartaBackend>::entmax_rows_forward(
                    rows.into_dispatch(),
                    alpha.into_dispatch(),
                ))
            }))
        }
    }
}

/// Sparsemax along `dim`: the Euclidean projection of the scores onto the simplex, α = 2, exact.
///
/// # Shapes
/// - scores, result: any; the result sums to 1 along `dim` (to 0 where every score is hidden)
///
/// # Panics
/// If the dimension does not exist.
///
/// # Source
/// Martins & Astudillo 2016.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// let scores = Tensor::<1>::from_floats([-2.0, 0.0, 0.5], &Device::flex());
/// let weights = sparta_ops::sparsemax(scores, 0).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(weights, [0.0, 0.25, 0.75]);
/// ```
pub fn sparsemax<const D: usize>(scores: Tensor<D>, dim: impl AsIndex) -> Tensor<D> {
    along(scores, dim, Mapping::Sparsemax).unwrap_or_else(|error| panic!("sparsemax: {error}"))
}

/// [`sparsemax`] that reports every bad argument; it waits for the device to look for NaN and +∞.
///
/// # Shapes
/// As [`sparsemax`].
///
/// # Errors
/// A score that is NaN or +∞, a dimension that does not exist.
pub fn try_sparsemax<const D: usize>(
    scores: Tensor<D>,
    dim: impl AsIndex,
) -> Result<Tensor<D>, EntmaxError> {
    check_scores(&scores)?;
    along(scores, dim, Mapping::Sparsemax)
}

/// 1.5-entmax along `dim`, exact.
///
/// # Shapes
/// - scores, result: any; the result sums to 1 along `dim` (to 0 where every score is hidden)
///
/// # Panics
/// If the dimension does not exist.
///
/// # Source
/// Peters, Niculae & Martins 2019, Algorithm 2.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// let scores = Tensor::<1>::from_floats([-2.0, 0.0, 0.5], &Device::flex());
/// let weights = sparta_ops::entmax15(scores, 0).into_data().try_to_vec::<f32>().unwrap();
/// assert!(weights[0] == 0.0 && (weights[1] - 0.3260).abs() < 1e-4);
/// ```
pub fn entmax15<const D: usize>(scores: Tensor<D>, dim: impl AsIndex) -> Tensor<D> {
    along(scores, dim, Mapping::Entmax15).unwrap_or_else(|error| panic!("entmax15: {error}"))
}

/// [`entmax15`] that reports every bad argument; it waits for the device to look for NaN and +∞.
///
/// # Shapes
/// As [`entmax15`].
///
/// # Errors
/// A score that is NaN or +∞, a dimension that does not exist.
pub fn try_entmax15<const D: usize>(
    scores: Tensor<D>,
    dim: impl AsIndex,
) -> Result<Tensor<D>, EntmaxError> {
    check_scores(&scores)?;
    along(scores, dim, Mapping::Entmax15)
}

/// Softmax along `dim` under the contract of hidden scores: a row of them gives zeros, not NaN.
///
/// # Shapes
/// - scores, result: any; the result sums to 1 along `dim` (to 0 where every score is hidden)
///
/// # Panics
/// If the dimension does not exist.
///
/// # Source
/// α = 1 of Peters, Niculae & Martins 2019.
pub fn softmax<const D: usize>(scores: Tensor<D>, dim: impl AsIndex) -> Tensor<D> {
    along(scores, dim, Mapping::Softmax).unwrap_or_else(|error| panic!("softmax: {error}"))
}

/// [`softmax`] that reports every bad argument; it waits for the device to look for NaN and +∞.
///
/// # Shapes
/// As [`softmax`].
///
/// # Errors
/// A score that is NaN or +∞, a dimension that does not exist.
pub fn try_softmax<const D: usize>(
    scores: Tensor<D>,
    dim: impl AsIndex,
) -> Result<Tensor<D>, EntmaxError> {
    check_scores(&scores)?;
    along(scores, dim, Mapping::Softmax)
}

/// [`sparsemax`], told that few scores of a row have weight: where it is solved by sorting (libtorch
/// on a GPU), the `k` largest are taken first and 2k, 4k, … only if the support reaches beyond. The
/// result is the same for every k. Kernels need no sort: on every other backend the hint changes
/// nothing.
///
/// # Shapes
/// - scores, result: any; the result sums to 1 along `dim` (to 0 where every score is hidden)
///
/// # Panics
/// If `k` is 0 or the dimension does not exist.
///
/// # Source
/// The argument `k` of deep-spin/entmax.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// let scores = Tensor::<1>::from_floats([-2.0, 0.0, 0.5], &Device::flex());
/// let weights = sparta_ops::entmax::sparsemax_topk(scores, 2, 0).into_data();
/// assert_eq!(weights.try_to_vec::<f32>().unwrap(), [0.0, 0.25, 0.75]);
/// ```
pub fn sparsemax_topk<const D: usize>(scores: Tensor<D>, k: usize, dim: impl AsIndex) -> Tensor<D> {
    along_topk(scores, k, dim, Mapping::Sparsemax)
        .unwrap_or_else(|error| panic!("sparsemax_topk: {error}"))
}

/// [`entmax15`] with the hint of [`sparsemax_topk`].
///
/// # Shapes
/// - scores, result: any; the result sums to 1 along `dim` (to 0 where every score is hidden)
///
/// # Panics
/// If `k` is 0 or the dimension does not exist.
///
/// # Source
/// As [`sparsemax_topk`].
pub fn entmax15_topk<const D: usize>(scores: Tensor<D>, k: usize, dim: impl AsIndex) -> Tensor<D> {
    along_topk(scores, k, dim, Mapping::Entmax15)
        .unwrap_or_else(|error| panic!("entmax15_topk: {error}"))
}

/// Number of weights > 0 along `dim`, of whatever mapping made them.
///
/// # Shapes
/// - weights: any; result: the same with size 1 along `dim`
///
/// # Panics
/// If the dimension does not exist.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use sparta_ops::entmax::{entmax, support_size};
/// let scores = Tensor::<2>::from_floats([[-2.0, 0.0, 0.5]], &Device::flex());
/// let size = support_size(entmax(scores, 1.7, 1), -1);
/// assert_eq!(size.into_scalar::<i64>(), 2);
/// ```
pub fn support_size<const D: usize>(weights: Tensor<D>, dim: impl AsIndex) -> Tensor<D, Int> {
    let dim = dimension::<D>(dim).unwrap_or_else(|error| panic!("support_size: {error}"));
    weights.greater_elem(0.0).int().sum_dim(dim)
}

fn along<const D: usize>(
    scores: Tensor<D>,
    dim: impl AsIndex,
    mapping: Mapping,
) -> Result<Tensor<D>, EntmaxError> {
    let dim = dimension::<D>(dim)?;
    Ok(by_rows(scores, dim, |rows| {
        Tensor::from_dispatch(<Dispatch as SpartaBackend>::entmax_forward(
            rows.into_dispatch(),
            mapping,
        ))
    }))
}

fn along_topk<const D: usize>(
    scores: Tensor<D>,
    k: usize,
    dim: impl AsIndex,
    mapping: Mapping,
) -> Result<Tensor<D>, EntmaxError> {
    if k == 0 {
        return Err(EntmaxError::Zero { argument: "k" });
    }
    let dim = dimension::<D>(dim)?;
    Ok(by_rows(scores, dim, |rows| {
        Tensor::from_dispatch(<Dispatch as SpartaBackend>::entmax_topk_forward(
            rows.into_dispatch(),
            mapping,
            k,
        ))
    }))
}
