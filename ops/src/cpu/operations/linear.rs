//! Linear maps, by matrix products.

use burn::tensor::TensorData;

use super::*;
use crate::cpu::products;
use crate::cpu::tensor::vector;
use crate::linear::{self, LinearActivation};

/// `$body` with f32 or f64 as the type of the elements, or `$other` for types that gemm does not multiply.
macro_rules! by_multiplied_type {
    ($tensor:expr, $stored:ident => $body:expr, else $other:expr) => {
        match $tensor.dtype() {
            DType::F32 => {
                type $stored = f32;
                $body
            }
            DType::F64 => {
                type $stored = f64;
                $body
            }
            _ => $other,
        }
    };
}

pub(crate) fn linear_forward<B: HostBackend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    activation: LinearActivation,
) -> FloatTensor<B> {
    by_multiplied_type!(x, E => {
        let n = bias.shape()[0];
        let bias = bias.read::<E>().column(n);
        let epilogue = products::Epilogue { bias: &bias, activation };
        multiply::<B, E>(&x, &weight, Some(epilogue))
    }, else linear::reference::forward::<B>(x, weight, bias, activation))
}

pub(crate) fn bias_backward<B: HostBackend>(
    output: FloatTensor<B>,
    grad: FloatTensor<B>,
    activation: LinearActivation,
) -> (FloatTensor<B>, FloatTensor<B>) {
    by_multiplied_type!(grad, E => {
        let (shape, device) = (grad.shape().dims::<2>(), grad.device());
        let (grad, sums) = match activation {
            LinearActivation::Identity => {
                let sums = products::column_sums(&contiguous(&grad.read::<E>(), shape), shape[1]);
                (grad, sums)
            }
            LinearActivation::Relu => {
                let mut grad = owned::<B, E>(grad);
                let sums = {
                    let output = output.read::<E>();
                    let grad = grad.write::<E>().expect("nobody else holds it");
                    products::relu_backward(grad, &contiguous(&output, shape), shape[1])
                };
                (grad, sums)
            }
        };
        (grad, B::float_from_data(TensorData::new(sums, [shape[1]]), &device))
    }, else linear::reference::bias_backward::<B>(output, grad, activation))
}

pub(crate) fn product<B: HostBackend>(x: FloatTensor<B>, weight: FloatTensor<B>) -> FloatTensor<B> {
    by_multiplied_type!(x, E => multiply::<B, E>(&x, &weight, None), else linear::reference::product::<B>(x, weight))
}

/// Both products at once: their tasks fill the gaps of each other. The gradient of a transposed weight comes as a
/// transposed view, so that what it is a view of gets contiguous rows.
pub(crate) fn product_backward<B: HostBackend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    by_multiplied_type!(grad, E => {
        let ([m, k], [_, n]) = (x.shape().dims::<2>(), weight.shape().dims::<2>());
        let device = x.device();
        let (of_x, of_weight, is_transposed) = {
            let (x, weight, grad) = (x.read::<E>(), weight.read::<E>(), grad.read::<E>());
            let x = products::Matrix::of(&x, [m, k]);
            let weight = products::Matrix::of(&weight, [k, n]);
            let grad = products::Matrix::of(&grad, [m, n]);
            let is_transposed = weight.is_column_major();
            let of_x = || vector(m * k, |out| products::multiply(out, grad, weight.transposed(), None));
            let of_weight = || vector(k * n, |out| match is_transposed {
                true => products::multiply(out, grad.transposed(), x, None),
                false => products::multiply(out, x.transposed(), grad, None),
            });
            let (of_x, of_weight) = rayon::join(of_x, of_weight);
            (of_x, of_weight, is_transposed)
        };
        let of_x = B::float_from_data(TensorData::new(of_x, [m, k]), &device);
        let of_weight = match is_transposed {
            true => {
                let transposed = B::float_from_data(TensorData::new(of_weight, [n, k]), &device);
                B::float_swap_dims(transposed, 0, 1)
            }
            false => B::float_from_data(TensorData::new(of_weight, [k, n]), &device),
        };
        (of_x, of_weight)
    }, else linear::reference::product_backward::<B>(x, weight, grad))
}

fn multiply<B: HostBackend, E: products::Multiplied>(
    a: &FloatTensor<B>,
    b: &FloatTensor<B>,
    epilogue: Option<products::Epilogue<E>>,
) -> FloatTensor<B> {
    let ([m, k], [_, n]) = (a.shape().dims::<2>(), b.shape().dims::<2>());
    let product = {
        let (a, b) = (a.read::<E>(), b.read::<E>());
        let a = products::Matrix::of(&a, [m, k]);
        let b = products::Matrix::of(&b, [k, n]);
        vector(m * n, |out| products::multiply(out, a, b, epilogue))
    };
    B::float_from_data(TensorData::new(product, [m, n]), &a.device())
}
