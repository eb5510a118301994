//! Layer normalisation.

pub(crate) mod autodiff;
pub(crate) mod reference;

use burn::backend::Dispatch;
use burn::tensor::{DType, FloatDType, Tensor, assert_shape, module};

use crate::backend::{SpartaBackend, is_on_host};

/// `γ·(x − mean(x)) / √(var(x) + ε) + β` along the last dimension, with the variance divided by n.
///
/// On CPUs one pass forward, which keeps mean and 1/√(var + ε) of each row, and one backward; elsewhere this is Burn's
/// own. Half types are computed in f32. Sums do not depend on the number of threads.
///
/// # Shapes
/// - x: `[.., n]`, γ and β: `[n]`, which may be in f32 where x is in a half type
/// - output: as x
///
/// # Panics
/// If the shapes do not fit each other.
///
/// # Source
/// Ba, Kiros, Hinton 2016, equation 4.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let x = Tensor::<2>::from_floats([[1.0, 3.0]], &device);
/// let (gamma, beta) = (Tensor::ones([2], &device), Tensor::zeros([2], &device));
/// let y = sparta_ops::layer_norm(x, gamma, beta, 0.0);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 1.0]);
/// ```
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let [n] = gamma.dims();
    assert_shape!(x, [.., n]);
    assert_shape!(beta, [n]);
    let shape = x.dims();
    if shape.contains(&0) {
        return x;
    }
    if !is_on_host(&x.device()) {
        // Squares of a half type overflow.
        let (own, wide): (FloatDType, FloatDType) =
            (x.dtype().into(), statistics_dtype(x.dtype()).into());
        let (gamma, beta) = (gamma.cast(wide), beta.cast(wide));
        return module::layer_norm(x.cast(wide), gamma, Some(beta), epsilon).cast(own);
    }
    let rows: Tensor<2> = x.reshape([-1, n as isize]);
    let (normal, _) = <Dispatch as SpartaBackend>::layer_norm_forward(
        rows.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    );
    Tensor::<2>::from_dispatch(normal).reshape(shape)
}

/// The type of the arithmetic: f32 for half types.
pub(crate) fn statistics_dtype(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    }
}
