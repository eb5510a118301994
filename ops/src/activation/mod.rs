//! Functions of single values.

pub(crate) mod autodiff;
pub(crate) mod reference;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::backend::SpartaBackend;

/// `gelu(x) = x·Φ(x)` with Φ the distribution function of N(0, 1), by the error function and not by
/// tanh, forward and backward.
///
/// Burn's own differs in two ways: its gradient is that of the tanh approximation (off by up to
/// 1e-3), and on the CPU it is computed value by value. In f32, Φ is within 1e-7 here.
///
/// # Shapes
/// - any, kept
///
/// # Source
/// Hendrycks and Gimpel 2016; what BERT uses.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// let x = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &Device::flex());
/// let y = sparta_ops::gelu(x).into_data().try_to_vec::<f32>().unwrap();
/// assert!((y[0] + 0.158_655_25).abs() < 1e-6 && y[1] == 0.0 && (y[2] - 1.954_499_7).abs() < 1e-6);
/// ```
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let shape = x.dims();
    let n = shape[D - 1];
    if shape.contains(&0) {
        return x;
    }
    let rows = x.reshape([-1, n as isize]);
    let mapped: Tensor<2> = Tensor::from_dispatch(<Dispatch as SpartaBackend>::exact_gelu(
        rows.into_dispatch(),
    ));
    mapped.reshape(shape)
}
