//! Fenchel–Young losses of the entmax family and of normmax.

use burn::backend::Dispatch;
use burn::tensor::{DType, Int, Tensor};

use super::{Kind, LossError, Targets};
use crate::backend::SpartaBackend;
use crate::entmax::{
    Bisection, ENTMAX_ALPHA, Mapping, NORMMAX_ALPHA, PerRow, entmax, entmax_bisect, normmax_bisect,
};
use crate::primitive::{HIDDEN, hidden_at};

/// The Fenchel–Young loss of [`crate::sparsemax`] of each row,
/// `L(z, y) = max_p (pᵀz + H(p)) − H(y) − yᵀz` with the Gini entropy `H(p) = ½(1 − ‖p‖²)`.
///
/// # Shapes
/// - scores: `[…, n]`; targets: classes `[…]` or distributions `[…, n]`; result: `[rows]`, in nats
///
/// # Panics
/// If the shape of the targets does not fit.
///
/// # Source
/// Martins & Astudillo 2016.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use sparta_ops::loss::sparsemax_loss;
/// let device = Device::flex();
/// let scores = Tensor::<2>::from_floats([[0.0, 0.0], [0.0, 1.0]], &device);
/// let targets = Tensor::<1, Int>::from_ints([0, 1], &device);
/// let loss = sparsemax_loss(scores, targets).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(loss, [0.25, 0.0]);
/// ```
pub fn sparsemax_loss<const D: usize>(scores: Tensor<D>, targets: impl Into<Targets>) -> Tensor<1> {
    entmax_family("sparsemax_loss", scores, targets, 2.0, Bisection::default())
}

/// The Fenchel–Young loss of [`crate::entmax15`] of each row.
///
/// # Shapes
/// As [`sparsemax_loss`].
///
/// # Panics
/// If the shape of the targets does not fit.
///
/// # Source
/// Peters, Niculae & Martins 2019.
pub fn entmax15_loss<const D: usize>(scores: Tensor<D>, targets: impl Into<Targets>) -> Tensor<1> {
    entmax_family("entmax15_loss", scores, targets, 1.5, Bisection::default())
}

/// The Fenchel–Young loss of [`crate::entmax()`] of each row, differentiable in a tensor α too; α = 1 is the
/// cross-entropy, less the entropy of soft targets.
///
/// # Shapes
/// - scores: `[…, n]`; targets: classes `[…]` or distributions `[…, n]`; result: `[rows]`
/// - α: a number, or a tensor of size 1 along the last dimension and 1 or the scores' size elsewhere
///
/// # Panics
/// If a shape does not fit or the number α is not > 0 and finite.
///
/// # Source
/// Peters, Niculae & Martins 2019; Blondel, Martins & Niculae 2020.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use sparta_ops::loss::{cross_entropy, entmax_loss};
/// let device = Device::flex();
/// let scores = Tensor::<2>::from_floats([[0.3, -1.2, 2.1]], &device);
/// let target = Tensor::<1, Int>::from_ints([2], &device);
/// let loss = entmax_loss(scores.clone(), target.clone(), 1.0 + 1e-6).into_scalar::<f32>();
/// assert!((loss - cross_entropy(scores, target).into_scalar::<f32>()).abs() < 1e-5);
/// ```
pub fn entmax_loss<const D: usize>(
    scores: Tensor<D>,
    targets: impl Into<Targets>,
    alpha: impl Into<PerRow<D>>,
) -> Tensor<1> {
    entmax_family("entmax_loss", scores, targets, alpha, Bisection::default())
}

/// [`entmax_loss`] with the weights of [`entmax_bisect`]; the two are the same for `None`.
///
/// # Shapes
/// As [`entmax_loss`].
///
/// # Panics
/// As [`entmax_loss`], and if the number of iterations is 0.
///
/// # Source
/// As [`entmax_loss`].
pub fn entmax_bisect_loss<const D: usize>(
    scores: Tensor<D>,
    targets: impl Into<Targets>,
    alpha: impl Into<PerRow<D>>,
    bisection: impl Into<Bisection>,
) -> Tensor<1> {
    entmax_family("entmax_bisect_loss", scores, targets, alpha, bisection)
}

/// [`sparsemax_loss`] with the weights of [`crate::entmax::sparsemax_bisect`].
///
/// # Shapes
/// As [`sparsemax_loss`].
///
/// # Panics
/// As [`sparsemax_loss`], and if the number of iterations is 0.
///
/// # Source
/// As [`sparsemax_loss`].
pub fn sparsemax_bisect_loss<const D: usize>(
    scores: Tensor<D>,
    targets: impl Into<Targets>,
    bisection: impl Into<Bisection>,
) -> Tensor<1> {
    entmax_family("sparsemax_bisect_loss", scores, targets, 2.0, bisection)
}

/// The loss of [`normmax_bisect`] of each row, with the norm entropy `H(p) = 1 − ‖p‖_α`; α > 1 may be
/// a tensor and then has a gradient.
///
/// # Shapes
/// As [`entmax_loss`].
///
/// # Panics
/// If a shape does not fit or the number α is not > 1 and finite.
///
/// # Source
/// Blondel, Martins & Niculae 2020 (norm entropies).
pub fn normmax_loss<const D: usize>(
    scores: Tensor<D>,
    targets: impl Into<Targets>,
    alpha: impl Into<PerRow<D>>,
) -> Tensor<1> {
    normmax_bisect_loss(scores, targets, alpha, None)
}

/// [`normmax_loss`] after a number of iterations.
///
/// # Shapes
/// As [`entmax_loss`].
///
/// # Panics
/// As [`normmax_loss`], and if `n_iter` is 0.
///
/// # Source
/// As [`normmax_loss`].
pub fn normmax_bisect_loss<const D: usize>(
    scores: Tensor<D>,
    targets: impl Into<Targets>,
    alpha: impl Into<PerRow<D>>,
    n_iter: impl Into<Option<usize>>,
) -> Tensor<1> {
    let regulariser = Regulariser::Norm {
        alpha: alpha.into(),
        n_iter: n_iter.into(),
    };
    fenchel_young(scores, targets.into(), regulariser)
        .unwrap_or_else(|error| panic!("normmax_loss: {error}"))
}

fn entmax_family<const D: usize>(
    name: &str,
    scores: Tensor<D>,
    targets: impl Into<Targets>,
    alpha: impl Into<PerRow<D>>,
    bisection: impl Into<Bisection>,
) -> Tensor<1> {
    let regulariser = Regulariser::Tsallis {
        alpha: alpha.into(),
        bisection: bisection.into(),
    };
    fenchel_young(scores, targets.into(), regulariser)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The entropy whose conjugate is the loss.
// Made, moved once and taken apart: a box would only hide the tensor.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Regulariser<const D: usize> {
    /// Entmax.
    Tsallis {
        alpha: PerRow<D>,
        bisection: Bisection,
    },
    /// Normmax.
    Norm {
        alpha: PerRow<D>,
        n_iter: Option<usize>,
    },
}

/// The loss of each row; values are not looked at, shapes are.
pub(crate) fn fenchel_young<const D: usize>(
    scores: Tensor<D>,
    targets: Targets,
    regulariser: Regulariser<D>,
) -> Result<Tensor<1>, LossError> {
    let shape = scores.dims();
    targets.check_shape(&shape)?;
    let dtype = scores.dtype();
    let rows = shape[..D - 1].iter().product::<usize>();
    if rows == 0 || shape[D - 1] == 0 {
        return Ok(scores.sum_dim(D - 1).reshape([-1]));
    }
    let z = widen(scores.clone().reshape([rows, shape[D - 1]]));
    let loss = match regulariser {
        Regulariser::Tsallis { alpha, bisection } => match (&alpha, targets.kind) {
            (PerRow::Number(number), Kind::Classes(classes))
                if bisection == Bisection::default() =>
            {
                ENTMAX_ALPHA.check(*number)?;
                classes_loss(z, classes, Mapping::of(*number))
            }
            (_, kind) => {
                let number = match alpha {
                    PerRow::Number(number) => Some(number),
                    PerRow::Tensor(_) => None,
                };
                let alpha = alpha.column(ENTMAX_ALPHA, &scores, D - 1)?.cast(z.dtype());
                let constant = z.clone().detach();
                let weights = match (number, bisection == Bisection::default()) {
                    (Some(number), true) => entmax(constant, number, 1),
                    _ => entmax_bisect(constant, alpha.clone().detach(), 1, bisection),
                };
                general_loss(z, weights, kind, |p| tsallis(p, alpha.clone()))
            }
        },
        Regulariser::Norm { alpha, n_iter } => {
            let alpha = alpha.column(NORMMAX_ALPHA, &scores, D - 1)?.cast(z.dtype());
            let constant = z.clone().detach();
            let weights = normmax_bisect(constant, alpha.clone().detach(), 1, n_iter);
            general_loss(z, weights, targets.kind, |p| {
                norm(p, alpha.clone()).neg().add_scalar(1.0)
            })
        }
    };
    Ok(loss.cast(dtype))
}

/// In f32 at least, with f16's way of hiding turned into that of the others.
fn widen(scores: Tensor<2>) -> Tensor<2> {
    let dtype = scores.dtype();
    match dtype {
        DType::F16 => {
            let hidden = scores.clone().lower_equal_elem(hidden_at(dtype));
            scores.cast(DType::F32).mask_fill(hidden, HIDDEN)
        }
        DType::BF16 => scores.cast(DType::F32),
        _ => scores,
    }
}

fn classes_loss(scores: Tensor<2>, classes: Tensor<1, Int>, mapping: Mapping) -> Tensor<1> {
    let (loss, _weights) = <Dispatch as SpartaBackend>::entmax_loss_forward(
        scores.into_dispatch(),
        classes.into_dispatch(),
        mapping,
    );
    Tensor::from_dispatch(loss)
}

/// `Σ(p − y)z + H(p) − H(y)` in differentiable operations, with p constant: what is left of the
/// gradients is that of the loss, `p − y` in z and `∂H(p)/∂α − ∂H(y)/∂α` in α.
fn general_loss(
    z: Tensor<2>,
    weights: Tensor<2>,
    targets: Kind,
    entropy: impl Fn(Tensor<2>) -> Tensor<2>,
) -> Tensor<1> {
    let weights = weights.detach();
    let [rows, _] = z.dims();
    let hidden = z.clone().lower_equal_elem(HIDDEN);
    let z = z.mask_fill(hidden, HIDDEN);
    // p and y have the same sum, so that a constant changes nothing but the rounding.
    let z = z.clone() - z.max_dim(1).detach();
    let unseen = weights.clone().max_dim(1).lower_equal_elem(0.0);
    let expected = (weights.clone() * z.clone()).sum_dim(1) + entropy(weights);
    let (chosen, ignored) = match targets {
        Kind::Classes(classes) => {
            let classes = classes.reshape([rows, 1]);
            let ignored = classes.clone().lower_elem(0);
            let index = classes.mask_fill(ignored.clone(), 0);
            (z.gather(1, index), unseen.bool_or(ignored))
        }
        Kind::Distributions(y) => {
            let y = y.cast(z.dtype()).detach();
            ((y.clone() * z).sum_dim(1) + entropy(y), unseen)
        }
    };
    let loss = (expected - chosen).mask_fill(ignored, 0.0);
    // It is ≥ 0 but for rounding, which has no gradient.
    let below = loss.clone().detach().clamp_max(0.0);
    (loss - below).reshape([rows])
}

/// `H_α(p)` of each row, `[rows, 1]`, differentiable in α.
fn tsallis(p: Tensor<2>, alpha: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as SpartaBackend>::tsallis_forward(
        p.into_dispatch(),
        alpha.into_dispatch(),
    ))
}

/// `‖p‖_α` of each row, `[rows, 1]`, differentiable in α. Measured from the largest element: pᵅ alone
/// underflows.
fn norm(p: Tensor<2>, alpha: Tensor<2>) -> Tensor<2> {
    let zero = p.clone().lower_equal_elem(0.0);
    let l = p.clamp_min(1e-38).log();
    let largest = l.clone().max_dim(1);
    let q = ((l - largest.clone()) * alpha.clone())
        .exp()
        .mask_fill(zero, 0.0);
    (q.sum_dim(1).clamp_min(1e-30).log() / alpha + largest).exp()
}
