//! Row normalisers that map scores to weights: softmax, sparsemax, 1.5-entmax and α-entmax.
//!
//! `entmax_α(z) = argmax_{p ∈ Δ} pᵀz + H_α(p)` with the Tsallis entropy
//! `H_α(p) = (1 − Σpᵅ)/(α(α−1))` (Shannon at α = 1), that is `p = [(α−1)z − τ]₊^{1/(α−1)}`.
//! α = 1 is softmax, α = 2 sparsemax; above 1 low scores get exactly zero weight.
//!
//! Scores ≤ −1e30 are hidden: they get zero weight, and a row of them gives zeros.

mod autodiff;
pub(crate) mod reference;

use burn::backend::Dispatch;
use burn::tensor::{AsIndex, Tensor};

use crate::SpartaBackend;

/// A normaliser with one α for all rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mapping {
    /// α = 1.
    Softmax,
    /// α = 2, exact.
    Sparsemax,
    /// α = 1.5, exact.
    Entmax15,
    /// Any α ≥ 1.
    Alpha(f64),
}

/// The α of [`entmax`]: a number, or a tensor broadcast over rows.
#[derive(Clone, Debug)]
// Made, moved once and taken apart: a box would only hide the tensor from its user.
#[allow(clippy::large_enum_variant)]
pub enum Alpha<const D: usize> {
    /// One α for all rows, without gradient.
    Number(f64),
    /// Size 1 along the normalised dimension and 1 or the scores' size along the others; has a
    /// gradient.
    Tensor(Tensor<D>),
}

impl<const D: usize> From<f64> for Alpha<D> {
    fn from(alpha: f64) -> Self {
        Self::Number(alpha)
    }
}

impl<const D: usize> From<Tensor<D>> for Alpha<D> {
    fn from(alpha: Tensor<D>) -> Self {
        Self::Tensor(alpha)
    }
}

/// What is wrong with the arguments of a normaliser.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EntmaxError {
    /// α is below 1 or not a number.
    #[error("alpha = {0}: entmax needs a finite alpha >= 1 (1 is softmax, 2 is sparsemax)")]
    Alpha(f64),
    /// α does not broadcast over the rows.
    #[error(
        "alpha of shape {alpha:?} does not broadcast over scores of shape {scores:?} along \
         dimension {dim}: give it size 1 in dimension {dim} and size 1 or the scores' size in the others"
    )]
    AlphaShape {
        /// Shape of α.
        alpha: Vec<usize>,
        /// Shape of the scores.
        scores: Vec<usize>,
        /// The normalised dimension.
        dim: usize,
    },
    /// The dimension does not exist.
    #[error("dimension {dim} does not exist in scores of rank {rank}: use {min}..{rank}", min = -(*.rank as isize))]
    Dimension {
        /// What was asked.
        dim: isize,
        /// Rank of the scores.
        rank: usize,
    },
}

/// α-entmax of `scores` along `dim` (negative dimensions count from the end).
///
/// # Shapes
/// - scores, result: any; the result sums to 1 along `dim` (to 0 where every score is hidden)
/// - α: a number, or a tensor of size 1 along `dim` and 1 or the scores' size elsewhere
///
/// # Panics
/// With the message of [`try_entmax`]'s error.
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
    alpha: impl Into<Alpha<D>>,
    dim: impl AsIndex,
) -> Tensor<D> {
    try_entmax(scores, alpha, dim).unwrap_or_else(|error| panic!("entmax: {error}"))
}

/// [`entmax`] that reports bad arguments.
///
/// # Errors
/// α below 1 or not finite, an α that does not broadcast, a dimension that does not exist.
pub fn try_entmax<const D: usize>(
    scores: Tensor<D>,
    alpha: impl Into<Alpha<D>>,
    dim: impl AsIndex,
) -> Result<Tensor<D>, EntmaxError> {
    let dim = dimension::<D>(dim)?;
    match alpha.into() {
        Alpha::Number(alpha) if alpha.is_finite() && alpha >= 1.0 => {
            let mapping = match alpha {
                1.0 => Mapping::Softmax,
                _ => Mapping::Alpha(alpha),
            };
            Ok(by_rows(scores, dim, |rows| map(rows, mapping)))
        }
        Alpha::Number(alpha) => Err(EntmaxError::Alpha(alpha)),
        Alpha::Tensor(alpha) => {
            let (shape, sizes) = (scores.dims(), alpha.dims());
            let fits = |d: usize| sizes[d] == 1 || (d != dim && sizes[d] == shape[d]);
            if !(0..D).all(fits) {
                return Err(EntmaxError::AlphaShape {
                    alpha: sizes.to_vec(),
                    scores: shape.to_vec(),
                    dim,
                });
            }
            let mut column = shape;
            column[dim] = 1;
            let alpha = last_dim_rows(alpha.expand(column), dim);
            Ok(by_rows(scores, dim, |rows| {
                let weights = <Dispatch as SpartaBackend>::entmax_rows_forward(
                    rows.into_dispatch(),
                    alpha.into_dispatch(),
                );
                Tensor::from_dispatch(weights)
            }))
        }
    }
}

/// Sparsemax along `dim`: the Euclidean projection of the scores onto the simplex, α = 2, exact.
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
    along(scores, dim, Mapping::Sparsemax)
}

/// 1.5-entmax along `dim`, exact.
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
    along(scores, dim, Mapping::Entmax15)
}

/// Softmax along `dim` under the contract of hidden scores: a row of them gives zeros, not NaN.
pub fn softmax<const D: usize>(scores: Tensor<D>, dim: impl AsIndex) -> Tensor<D> {
    along(scores, dim, Mapping::Softmax)
}

fn along<const D: usize>(scores: Tensor<D>, dim: impl AsIndex, mapping: Mapping) -> Tensor<D> {
    let dim = dimension::<D>(dim).unwrap_or_else(|error| panic!("{mapping:?}: {error}"));
    by_rows(scores, dim, |rows| map(rows, mapping))
}

fn map(rows: Tensor<2>, mapping: Mapping) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as SpartaBackend>::entmax_forward(
        rows.into_dispatch(),
        mapping,
    ))
}

fn dimension<const D: usize>(dim: impl AsIndex) -> Result<usize, EntmaxError> {
    let asked = dim.as_index();
    dim.try_dim_index(D).map_err(|_| EntmaxError::Dimension {
        dim: asked,
        rank: D,
    })
}

/// `[…, n]` with `dim` moved last, flattened to `[rows, n]`.
fn last_dim_rows<const D: usize>(tensor: Tensor<D>, dim: usize) -> Tensor<2> {
    let tensor = match dim == D - 1 {
        true => tensor,
        false => tensor.swap_dims(dim, D - 1),
    };
    let n = tensor.dims()[D - 1];
    let rows = tensor.dims()[..D - 1].iter().product::<usize>();
    tensor.reshape([rows, n])
}

/// Applies a row mapping along `dim`.
fn by_rows<const D: usize>(
    scores: Tensor<D>,
    dim: usize,
    map: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Tensor<D> {
    let mut shape = scores.dims();
    if shape.contains(&0) {
        return scores;
    }
    shape.swap(dim, D - 1);
    let weights = map(last_dim_rows(scores, dim)).reshape(shape);
    match dim == D - 1 {
        true => weights,
        false => weights.swap_dims(dim, D - 1),
    }
}
