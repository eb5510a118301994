//! The mappings under the names of deep-spin/entmax, with a number of iterations if wanted.

use burn::backend::Dispatch;
use burn::tensor::{AsIndex, Tensor};

use super::argument::BUDGET;
use super::{
    ENTMAX_ALPHA, EntmaxError, NORMMAX_ALPHA, PerRow, by_rows, check_scores, dimension, entmax_of,
};
use crate::backend::SpartaBackend;

/// How long to bisect. `None` and a number of iterations convert into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bisection {
    /// Exactly so many iterations; without a number, as exact as the type allows.
    pub n_iter: Option<usize>,
    /// Divide the weights by their sum, which after few iterations is not yet 1.
    pub ensure_sum_one: bool,
}

impl Default for Bisection {
    fn default() -> Self {
        None.into()
    }
}

impl From<Option<usize>> for Bisection {
    fn from(n_iter: Option<usize>) -> Self {
        Self {
            n_iter,
            ensure_sum_one: true,
        }
    }
}

impl From<usize> for Bisection {
    fn from(n_iter: usize) -> Self {
        Some(n_iter).into()
    }
}

impl Bisection {
    fn check(self) -> Result<(), EntmaxError> {
        iterations(self.n_iter)
    }
}

fn iterations(n_iter: Option<usize>) -> Result<(), EntmaxError> {
    match n_iter {
        Some(0) => Err(EntmaxError::Zero { argument: "n_iter" }),
        Some(_) | None => Ok(()),
    }
}

/// α-entmax by bisection: [`super::entmax`], but for the number of iterations.
///
/// With `None` the two are the same function. With a number the result is that after so many
/// iterations, each a halving of the bracket of the threshold, 24 or so being enough in f32.
///
/// # Shapes
/// As [`super::entmax`].
///
/// # Panics
/// As [`super::entmax`], and if `n_iter` is 0.
///
/// # Source
/// Peters, Niculae & Martins 2019, Algorithm 1 (bisection of the threshold); deep-spin/entmax.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use sparta_ops::entmax::{Bisection, entmax_bisect};
/// let scores = Tensor::<1>::from_floats([-2.0, 0.0, 0.5], &Device::flex());
/// let exact = entmax_bisect(scores.clone(), 1.5, 0, None);
/// let close = entmax_bisect(scores.clone(), 1.5, 0, 24);
/// let rough = Bisection { n_iter: Some(3), ensure_sum_one: false };
/// let rough = entmax_bisect(scores, 1.5, 0, rough).sum().into_scalar::<f32>();
/// assert!((exact - close).abs().max().into_scalar::<f32>() < 1e-6);
/// assert!((rough - 1.0).abs() > 1e-3);
/// ```
pub fn entmax_bisect<const D: usize>(
    scores: Tensor<D>,
    alpha: impl Into<PerRow<D>>,
    dim: impl AsIndex,
    bisection: impl Into<Bisection>,
) -> Tensor<D> {
    entmax_bisect_of(scores, alpha.into(), dim, bisection.into())
        .unwrap_or_else(|error| panic!("entmax_bisect: {error}"))
}

/// [`entmax_bisect`] that reports every bad argument; it waits for the device to look for NaN and +∞.
///
/// # Shapes
/// As [`super::entmax`].
///
/// # Errors
/// Those of [`super::try_entmax`], and `n_iter` = 0.
pub fn try_entmax_bisect<const D: usize>(
    scores: Tensor<D>,
    alpha: impl Into<PerRow<D>>,
    dim: impl AsIndex,
    bisection: impl Into<Bisection>,
) -> Result<Tensor<D>, EntmaxError> {
    let alpha = alpha.into();
    alpha.check(ENTMAX_ALPHA, &scores)?;
    check_scores(&scores)?;
    entmax_bisect_of(scores, alpha, dim, bisection.into())
}

fn entmax_bisect_of<const D: usize>(
    scores: Tensor<D>,
    alpha: PerRow<D>,
    dim: impl AsIndex,
    bisection: Bisection,
) -> Result<Tensor<D>, EntmaxError> {
    bisection.check()?;
    if bisection == Bisection::default() {
        return entmax_of(scores, alpha, dim);
    }
    let dim = dimension::<D>(dim)?;
    let alpha = alpha.column(ENTMAX_ALPHA, &scores, dim)?;
    Ok(by_rows(scores, dim, |rows| {
        Tensor::from_dispatch(<Dispatch as SpartaBackend>::entmax_bisect_forward(
            rows.into_dispatch(),
            alpha.into_dispatch(),
            bisection,
        ))
    }))
}

/// Sparsemax by bisection: [`entmax_bisect`] at α = 2.
///
/// # Shapes
/// As [`super::sparsemax`].
///
/// # Panics
/// As [`super::sparsemax`], and if `n_iter` is 0.
///
/// # Source
/// As [`entmax_bisect`].
pub fn sparsemax_bisect<const D: usize>(
    scores: Tensor<D>,
    dim: impl AsIndex,
    bisection: impl Into<Bisection>,
) -> Tensor<D> {
    entmax_bisect_of(scores, 2.0.into(), dim, bisection.into())
        .unwrap_or_else(|error| panic!("sparsemax_bisect: {error}"))
}

/// [`sparsemax_bisect`] that reports every bad argument; it waits for the device to look for NaN and +∞.
///
/// # Shapes
/// As [`super::sparsemax`].
///
/// # Errors
/// A score that is NaN or +∞, a dimension that does not exist, `n_iter` = 0.
pub fn try_sparsemax_bisect<const D: usize>(
    scores: Tensor<D>,
    dim: impl AsIndex,
    bisection: impl Into<Bisection>,
) -> Result<Tensor<D>, EntmaxError> {
    try_entmax_bisect(scores, 2.0, dim, bisection)
}

/// α-normmax along `dim`, `argmax pᵀz − ‖p‖_α` over the simplex, for α > 1: zero weights like
/// entmax, and for large α nearly equal ones on a small support.
///
/// Differentiable in the scores and in a tensor α. `n_iter` counts iterations; `None` is as exact as
/// the type allows.
///
/// # Shapes
/// As [`super::entmax`]; a row whose α in a tensor is not > 1 is NaN.
///
/// # Panics
/// If the number α is not > 1 and finite, a shape does not fit, the dimension does not exist or
/// `n_iter` is 0.
///
/// # Source
/// Blondel, Martins & Niculae 2020 (norm entropies); deep-spin/entmax.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use sparta_ops::entmax::normmax_bisect;
/// let scores = Tensor::<1>::from_floats([-2.0, 0.0, 0.5], &Device::flex());
/// let weights = normmax_bisect(scores, 2.0, 0, None).into_data().try_to_vec::<f32>().unwrap();
/// assert!((weights[1] - 0.3110).abs() < 1e-4 && (weights[2] - 0.6890).abs() < 1e-4);
/// ```
pub fn normmax_bisect<const D: usize>(
    scores: Tensor<D>,
    alpha: impl Into<PerRow<D>>,
    dim: impl AsIndex,
    n_iter: impl Into<Option<usize>>,
) -> Tensor<D> {
    normmax_of(scores, alpha.into(), dim, n_iter.into())
        .unwrap_or_else(|error| panic!("normmax_bisect: {error}"))
}

/// [`normmax_bisect`] that reports every bad argument; it waits for the device to look for NaN and +∞.
///
/// # Shapes
/// As [`normmax_bisect`].
///
/// # Errors
/// A score that is NaN or +∞, an α that is not finite and > 1, an α that does not broadcast, a dimension that does
/// not exist, `n_iter` = 0.
pub fn try_normmax_bisect<const D: usize>(
    scores: Tensor<D>,
    alpha: impl Into<PerRow<D>>,
    dim: impl AsIndex,
    n_iter: impl Into<Option<usize>>,
) -> Result<Tensor<D>, EntmaxError> {
    let alpha = alpha.into();
    alpha.check(NORMMAX_ALPHA, &scores)?;
    check_scores(&scores)?;
    normmax_of(scores, alpha, dim, n_iter.into())
}

fn normmax_of<const D: usize>(
    scores: Tensor<D>,
    alpha: PerRow<D>,
    dim: impl AsIndex,
    n_iter: Option<usize>,
) -> Result<Tensor<D>, EntmaxError> {
    iterations(n_iter)?;
    let dim = dimension::<D>(dim)?;
    let alpha = alpha.column(NORMMAX_ALPHA, &scores, dim)?;
    Ok(by_rows(scores, dim, |rows| {
        Tensor::from_dispatch(<Dispatch as SpartaBackend>::normmax_forward(
            rows.into_dispatch(),
            alpha.into_dispatch(),
            n_iter,
        ))
    }))
}

/// The budget mapping along `dim`, `argmax pᵀz − ½‖p‖²` over `0 ≤ p ≤ 1`, `Σp = budget`: sparsemax
/// for a budget of 1, a soft choice of the k largest for a budget of k.
///
/// Differentiable in the scores and in a tensor budget; 0 where no weight can move. `n_iter` counts
/// iterations; `None` is as exact as the type allows.
///
/// # Shapes
/// - scores, result: any; the result sums to the budget along `dim`, or to the number of visible
///   scores where the budget is larger
/// - budget: a number ≥ 0, or a tensor of size 1 along `dim` and 1 or the scores' size elsewhere; a
///   row whose budget in a tensor is negative is NaN
///
/// # Panics
/// If the number is negative or not finite, a shape does not fit, the dimension does not exist or
/// `n_iter` is 0.
///
/// # Source
/// deep-spin/entmax.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use sparta_ops::entmax::budget_bisect;
/// let scores = Tensor::<1>::from_floats([0.0, 0.25, 0.5, 0.75, 1.0], &Device::flex());
/// let weights = budget_bisect(scores, 2.0, 0, None).into_data().try_to_vec::<f32>().unwrap();
/// assert!((weights[1] - 0.125).abs() < 1e-6 && (weights[4] - 0.875).abs() < 1e-6);
/// ```
pub fn budget_bisect<const D: usize>(
    scores: Tensor<D>,
    budget: impl Into<PerRow<D>>,
    dim: impl AsIndex,
    n_iter: impl Into<Option<usize>>,
) -> Tensor<D> {
    budget_of(scores, budget.into(), dim, n_iter.into())
        .unwrap_or_else(|error| panic!("budget_bisect: {error}"))
}

/// [`budget_bisect`] that reports every bad argument; it waits for the device to look for NaN and +∞.
///
/// # Shapes
/// As [`budget_bisect`].
///
/// # Errors
/// A score that is NaN or +∞, a budget that is negative or not finite, one that does not broadcast, a dimension
/// that does not exist, `n_iter` = 0.
pub fn try_budget_bisect<const D: usize>(
    scores: Tensor<D>,
    budget: impl Into<PerRow<D>>,
    dim: impl AsIndex,
    n_iter: impl Into<Option<usize>>,
) -> Result<Tensor<D>, EntmaxError> {
    let budget = budget.into();
    budget.check(BUDGET, &scores)?;
    check_scores(&scores)?;
    budget_of(scores, budget, dim, n_iter.into())
}

fn budget_of<const D: usize>(
    scores: Tensor<D>,
    budget: PerRow<D>,
    dim: impl AsIndex,
    n_iter: Option<usize>,
) -> Result<Tensor<D>, EntmaxError> {
    iterations(n_iter)?;
    let dim = dimension::<D>(dim)?;
    let budget = budget.column(BUDGET, &scores, dim)?;
    Ok(by_rows(scores, dim, |rows| {
        Tensor::from_dispatch(<Dispatch as SpartaBackend>::budget_forward(
            rows.into_dispatch(),
            budget.into_dispatch(),
            n_iter,
        ))
    }))
}
