//! Losses over rows of scores.
//!
//! The Fenchel–Young loss of a mapping `p*(z) = argmax pᵀz + H(p)` is
//! `L(z, y) = [p*ᵀz + H(p*)] − [yᵀz + H(y)]`: it is ≥ 0, it is 0 exactly where `p* = y`, and its gradient
//! in the scores is `p* − y`. Of softmax it is the cross-entropy (for soft targets the Kullback–Leibler
//! divergence from y); with sparse mappings it becomes 0 as soon as the target leads by the margin
//! 1/(α − 1).
//!
//! - Scores are `[…, n]`: the last dimension holds the classes, the others are flattened to rows, and
//!   the result is `[rows]`, in nats.
//! - Targets are classes `[…]`, negative ones being ignored (loss and gradient 0), or distributions
//!   `[…, n]`, which get no gradient. [`crate::module::EntmaxLoss`] checks them and adds reductions, an
//!   `ignore_index`, label smoothing and class weights.
//! - α may be a tensor, one per row, and then has a gradient: by the envelope theorem
//!   `∂H_α(p*)/∂α − ∂H_α(y)/∂α` at fixed p* and y.
//! - Hidden scores (≤ −1e30) have no part; a row of them has loss and gradient 0.

pub(crate) mod autodiff;
mod error;
mod fenchel_young;
pub(crate) mod reference;
mod targets;

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor};

pub use error::LossError;
pub use fenchel_young::{
    entmax_bisect_loss, entmax_loss, entmax15_loss, normmax_bisect_loss, normmax_loss,
    sparsemax_bisect_loss, sparsemax_loss,
};
pub use targets::Targets;

/// `log Σexp(z) = loss + z_target` holds to a few of the last digits of f32, and of wider types, up to this loss. A larger
/// one was rounded to digits that the softmax of the other classes needs.
pub(crate) const LARGEST_KEPT_LOSS: f64 = 32.0;

pub(crate) use fenchel_young::{Regulariser, fenchel_young};
pub(crate) use targets::Kind;

use crate::backend::SpartaBackend;

/// Negative log-likelihood `log Σ_j exp(z_j) − z_target` of each row, without a `[rows, n]`
/// temporary besides the logits. A negative target is ignored: loss 0, gradient 0.
///
/// It knows no hidden rows: where every logit of a row may be hidden, take [`entmax_loss`] at α = 1.
///
/// # Shapes
/// - logits: `[rows, n]`, targets: `[rows]`, result: `[rows]`, in nats
///
/// # Panics
/// If there is not one target per row; on a CPU also if a target is not one of the n classes.
///
/// # Source
/// The Fenchel–Young loss of softmax (α = 1).
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// let device = Device::flex();
/// let logits = Tensor::<2>::from_floats([[0.0, 0.0], [1.0, 0.0]], &device);
/// let targets = Tensor::<1, Int>::from_ints([1, -1], &device);
/// let loss = sparta_ops::loss::cross_entropy(logits, targets).into_data().try_to_vec::<f32>().unwrap();
/// assert!((loss[0] - 2f32.ln()).abs() < 1e-6 && loss[1] == 0.0);
/// ```
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    Targets::from(targets.clone())
        .check_shape(&logits.dims())
        .unwrap_or_else(|error| panic!("cross_entropy: {error}"));
    if logits.dims()[1] == 0 {
        let is_ignored = targets.lower_elem(0).all().into_scalar::<bool>();
        assert!(
            is_ignored,
            "cross_entropy: a target in rows without a class"
        );
        return logits.sum_dim(1).squeeze_dim(1);
    }
    let loss = <Dispatch as SpartaBackend>::cross_entropy_forward(
        logits.into_dispatch(),
        targets.into_dispatch(),
    );
    Tensor::from_dispatch(loss)
}

/// log Σ_j exp(z_j) of each row: what is taken off a score to make it the logarithm of its probability under softmax.
///
/// It knows no hidden rows, as [`cross_entropy`]; that of no score is −∞.
///
/// # Shapes
/// - scores: `[rows, n]`, result: `[rows]`
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// let scores = Tensor::<2>::from_floats([[0.0, 0.0], [100.0, 100.0]], &Device::flex());
/// let sums = sparta_ops::loss::log_partition(scores).into_data().try_to_vec::<f32>().unwrap();
/// assert!((sums[0] - 2f32.ln()).abs() < 1e-6 && (sums[1] - 100.0 - 2f32.ln()).abs() < 1e-5);
/// ```
pub fn log_partition(scores: Tensor<2>) -> Tensor<1> {
    if scores.dims()[1] == 0 {
        return scores
            .sum_dim(1)
            .squeeze_dim::<1>(1)
            .add_scalar(f64::NEG_INFINITY);
    }
    let sums = <Dispatch as SpartaBackend>::log_partition(scores.into_dispatch());
    Tensor::from_dispatch(sums)
}
