//! Linear maps of rows: product, bias and activation in one operation.

pub(crate) mod autodiff;
pub(crate) mod reference;

use burn::backend::Dispatch;
use burn::tensor::activation::relu;
use burn::tensor::module;
use burn::tensor::{Tensor, assert_shape};

use crate::backend::{SpartaBackend, multiplies_by_gemm};

/// The function that a linear map ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinearActivation {
    /// x.
    #[default]
    Identity,
    /// max(x, 0).
    Relu,
}

/// `f(x·W + b)` of every row.
///
/// On the CPU backends of Rust (flex, ndarray) bias and f are applied to rows of the product while they are in
/// the cache, and the gradients of x and W are computed side by side; elsewhere this is Burn's own linear map. Sums do
/// not depend on the number of threads.
///
/// # Shapes
/// - x: `[.., d_input]`, weight: `[d_input, d_output]` (a transposed view will do), bias: `[d_output]`
/// - output: `[.., d_output]`
///
/// # Panics
/// If the shapes do not fit each other.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use sparta_ops::linear::{LinearActivation, linear};
/// let device = Device::flex();
/// let x = Tensor::<2>::from_floats([[1.0, -2.0]], &device);
/// let weight = Tensor::<2>::from_floats([[1.0, 0.5], [1.0, 0.5]], &device);
/// let bias = Tensor::<1>::from_floats([0.25, 3.0], &device);
/// let y = linear(x, weight, Some(bias), LinearActivation::Relu);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.0, 2.5]);
/// ```
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: LinearActivation,
) -> Tensor<D> {
    let [d_input, d_output] = weight.dims();
    assert_shape!(x, [.., d_input]);
    if let Some(bias) = &bias {
        assert_shape!(bias, [d_output]);
    }
    let mut shape = x.dims();
    shape[D - 1] = d_output;
    if shape.contains(&0) {
        // Not every backend has products of nothing.
        return Tensor::zeros(shape, (&x.device(), x.dtype()));
    }
    if d_input > 0 && multiplies_by_gemm(&x.device()) {
        let rows: Tensor<2> = x.reshape([-1, d_input as isize]);
        return by_gemm(rows, weight, bias, activation).reshape(shape);
    }
    let mapped = module::linear(x, weight, bias);
    match activation {
        LinearActivation::Identity => mapped,
        LinearActivation::Relu => relu(mapped),
    }
}

fn by_gemm(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: LinearActivation,
) -> Tensor<2> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    match (bias, activation) {
        (Some(bias), _) => Tensor::from_dispatch(<Dispatch as SpartaBackend>::linear_forward(
            x,
            weight,
            bias.into_dispatch(),
            activation,
        )),
        (None, LinearActivation::Identity) => {
            Tensor::from_dispatch(<Dispatch as SpartaBackend>::product(x, weight))
        }
        (None, LinearActivation::Relu) => {
            let product = <Dispatch as SpartaBackend>::product(x, weight);
            relu(Tensor::from_dispatch(product))
        }
    }
}
