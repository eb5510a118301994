//! Sparse mappings with structure: weights that are zero, and weights that are equal.

mod isotonic;
mod row;
mod rows;
mod total_variation;

use burn::backend::Dispatch;
use burn::tensor::{AsIndex, Tensor};

pub(crate) use rows::{backward, forward, gradients, solve};

use super::argument::LAMBDA;
use super::{EntmaxError, Mapping, along, by_rows, check_scores, dimension};
use crate::backend::SpartaBackend;

/// `argmin_{y ∈ Δ} ½‖y − z‖² + λR(y)` with a penalty R that makes weights equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StructuredMapping {
    /// R is the total variation `Σ|y_{j+1} − y_j|`: neighbours get equal weights.
    Fusedmax {
        /// Strength λ > 0 of the penalty.
        lambda: f64,
    },
    /// R is OSCAR's `Σ_{i<j} max(y_i, y_j)`: scores that are close get equal weights, wherever they are.
    Oscarmax {
        /// Strength λ > 0 of the penalty.
        lambda: f64,
    },
}

/// Fusedmax along `dim`: `argmin_{y ∈ Δ} ½‖y − z‖² + λΣ|y_{j+1} − y_j|`, exact. Like sparsemax it gives weights
/// of zero, and it gives equal weights to runs of neighbours: λ = 0 is sparsemax, and a λ large enough gives all
/// visible scores the same weight.
///
/// Hidden scores are taken out of the chain: the visible ones beside them are neighbours. The penalty is on the
/// scale of the scores: scores half as large want half the λ. Computed in f64 whatever the type; CubeCL
/// backends (wgpu, CUDA, …) have no kernel and read the scores back to the host, forward and backward.
///
/// # Shapes
/// - scores, result: any; the result sums to 1 along `dim` (to 0 where every score is hidden)
///
/// # Panics
/// With [`EntmaxError`]'s message if λ is not ≥ 0 and finite or the dimension does not exist.
///
/// # Source
/// Niculae & Blondel 2017, section 3.2; total variation by Condat 2013.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// let scores = Tensor::<1>::from_floats([1.0, 2.1, 1.9], &Device::flex());
/// let weights = sparta_ops::fusedmax(scores, 0.1, 0).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(weights, [0.0, 0.5, 0.5]);
/// ```
pub fn fusedmax<const D: usize>(scores: Tensor<D>, lambda: f64, dim: impl AsIndex) -> Tensor<D> {
    structured(scores, StructuredMapping::Fusedmax { lambda }, dim)
        .unwrap_or_else(|error| panic!("fusedmax: {error}"))
}

/// [`fusedmax`] that reports every bad argument; it waits for the device to look for NaN and +∞.
///
/// # Shapes
/// As [`fusedmax`].
///
/// # Errors
/// A score that is NaN or +∞, a λ that is not finite and ≥ 0, a dimension that does not exist.
pub fn try_fusedmax<const D: usize>(
    scores: Tensor<D>,
    lambda: f64,
    dim: impl AsIndex,
) -> Result<Tensor<D>, EntmaxError> {
    check_scores(&scores)?;
    structured(scores, StructuredMapping::Fusedmax { lambda }, dim)
}

/// Oscarmax along `dim`: `argmin_{y ∈ Δ} ½‖y − z‖² + λΣ_{i<j} max(y_i, y_j)`, exact. Like sparsemax it gives
/// weights of zero, and it gives equal weights to scores that are close, wherever they are in the row: λ = 0 is
/// sparsemax, and a λ large enough gives all visible scores the same weight.
///
/// Hidden scores do not count. The penalty is on the scale of the scores, and grows with their number n: the
/// largest weight is the maximum of n − 1 pairs. Computed in f64 whatever the type; CubeCL backends (wgpu, CUDA, …) have no kernel
/// and read the scores back to the host, forward and backward.
///
/// The authors' package takes the proximal operator of the penalty on all of ℝⁿ, with absolute values, before
/// it projects onto the simplex; where scores are not all far from zero that is not the minimum, and this is.
/// A constant added to the scores changes nothing here.
///
/// # Shapes
/// - scores, result: any; the result sums to 1 along `dim` (to 0 where every score is hidden)
///
/// # Panics
/// With [`EntmaxError`]'s message if λ is not ≥ 0 and finite or the dimension does not exist.
///
/// # Source
/// Niculae & Blondel 2017, section 3.3; OSCAR: Bondell & Reich 2008.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// let scores = Tensor::<1>::from_floats([1.0, 2.1, -0.5, 2.05], &Device::flex());
/// let weights = sparta_ops::oscarmax(scores, 0.1, 0).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(weights, [0.0, 0.5, 0.0, 0.5]);
/// ```
pub fn oscarmax<const D: usize>(scores: Tensor<D>, lambda: f64, dim: impl AsIndex) -> Tensor<D> {
    structured(scores, StructuredMapping::Oscarmax { lambda }, dim)
        .unwrap_or_else(|error| panic!("oscarmax: {error}"))
}

/// [`oscarmax`] that reports every bad argument; it waits for the device to look for NaN and +∞.
///
/// # Shapes
/// As [`oscarmax`].
///
/// # Errors
/// A score that is NaN or +∞, a λ that is not finite and ≥ 0, a dimension that does not exist.
pub fn try_oscarmax<const D: usize>(
    scores: Tensor<D>,
    lambda: f64,
    dim: impl AsIndex,
) -> Result<Tensor<D>, EntmaxError> {
    check_scores(&scores)?;
    structured(scores, StructuredMapping::Oscarmax { lambda }, dim)
}

/// That λ is one for which the mappings are defined.
pub(crate) fn check_lambda(lambda: f64) -> Result<(), EntmaxError> {
    LAMBDA.check(lambda)
}

fn structured<const D: usize>(
    scores: Tensor<D>,
    mapping: StructuredMapping,
    dim: impl AsIndex,
) -> Result<Tensor<D>, EntmaxError> {
    let (StructuredMapping::Fusedmax { lambda } | StructuredMapping::Oscarmax { lambda }) = mapping;
    check_lambda(lambda)?;
    if lambda == 0.0 {
        return along(scores, dim, Mapping::Sparsemax);
    }
    let dim = dimension::<D>(dim)?;
    Ok(by_rows(scores, dim, |rows| {
        let (weights, _) =
            <Dispatch as SpartaBackend>::structured_forward(rows.into_dispatch(), mapping);
        Tensor::from_dispatch(weights)
    }))
}
