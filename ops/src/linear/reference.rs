//! Linear maps and their gradients in tensor operations.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::LinearActivation;
use crate::primitive::Array;

/// `f(x·W + b)`.
pub(crate) fn forward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    activation: LinearActivation,
) -> FloatTensor<B> {
    let product = Array::<B>(product::<B>(x, weight));
    let n = product.shape()[1];
    let bias = Array::<B>(B::float_reshape(bias, Shape::from([1, n])));
    let sum = product.add(&bias);
    match activation {
        LinearActivation::Identity => sum.0,
        LinearActivation::Relu => {
            let below = sum.is_at_most(0.0);
            sum.zero_where(below).0
        }
    }
}

/// Gradients in `x·W + b` and in b, `[n]`, given the output and its gradient.
pub(crate) fn bias_backward<B: Backend>(
    output: FloatTensor<B>,
    grad: FloatTensor<B>,
    activation: LinearActivation,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let output = Array::<B>(output);
    let n = output.shape()[1];
    let grad = match activation {
        LinearActivation::Identity => Array::<B>(grad),
        LinearActivation::Relu => Array::<B>(grad).zero_where(output.is_at_most(0.0)),
    };
    let columns = B::float_sum_dim(grad.0.clone(), 0);
    (grad.0, B::float_reshape(columns, Shape::from([n])))
}

/// `x·W`.
pub(crate) fn product<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>) -> FloatTensor<B> {
    B::float_matmul(x, weight)
}

/// `g·Wᵀ` and `xᵀ·g`.
pub(crate) fn product_backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let transposed = |matrix| B::float_swap_dims(matrix, 0, 1);
    (
        B::float_matmul(grad.clone(), transposed(weight)),
        B::float_matmul(transposed(x), grad),
    )
}
