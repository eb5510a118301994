//! Losses over rows of scores.

pub(crate) mod autodiff;
pub(crate) mod reference;

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor};

use crate::SpartaBackend;

/// Negative log-likelihood `log Σ_j exp(z_j) − z_target` of each row, without a `[rows, n]`
/// temporary beside the logits. A negative target is ignored: loss 0, gradient 0.
///
/// # Shapes
/// - logits: `[rows, n]`, targets: `[rows]`, result: `[rows]`, in nats
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
    let loss = <Dispatch as SpartaBackend>::cross_entropy_forward(
        logits.into_dispatch(),
        targets.into_dispatch(),
    );
    Tensor::from_dispatch(loss)
}
