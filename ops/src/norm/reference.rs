//! Layer normalisation and its gradients in tensor operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

use crate::primitive::Array;

/// The normalised rows, and mean and 1/√(var + ε) of each, `[rows, 2]` in f32 at least.
pub(crate) fn forward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let x = Array::<B>(x);
    let dtype = x.dtype();
    let x = x.widen();
    let n = x.shape()[1];
    let [gamma, beta] = [gamma, beta].map(|row| as_row::<B>(row, n));
    let mean = x.sum().scale(1.0 / n as f64);
    let centred = x.add(&mean.scale(-1.0));
    let variance = centred.squared().sum().scale(1.0 / n as f64);
    let rate = variance.add_scalar(epsilon).sqrt().recip();
    let normal = centred.mul(&rate).mul(&gamma).add(&beta);
    let statistics = B::float_cat(vec![mean.0, rate.0], 1);
    (normal.cast(dtype).0, statistics)
}

/// Gradients in x `[rows, n]`, γ and β `[n]`. With x̂ the normalised row before γ and β, and a = g·γ:
/// dx = (a − mean(a) − x̂·mean(a·x̂)) / √(var + ε), dγ = Σ g·x̂, dβ = Σ g.
pub(crate) fn backward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    statistics: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let x = Array::<B>(x);
    let dtype = x.dtype();
    let x = x.widen();
    let n = x.shape()[1];
    let dtype_of_rows = gamma.dtype();
    let gamma = as_row::<B>(gamma, n);
    let grad = Array::<B>(grad).widen();
    let column = |i: usize| {
        let at = burn::tensor::Slice::from(i..i + 1);
        let all = burn::tensor::Slice::full();
        Array::<B>(B::float_slice(statistics.clone(), &[all, at]))
    };
    let (mean, rate) = (column(0), column(1));
    let normal = x.add(&mean.scale(-1.0)).mul(&rate);
    let scaled = grad.mul(&gamma);
    let mean_of = |rows: &Array<B>| rows.sum().scale(-1.0 / n as f64);
    let of_x = scaled
        .add(&mean_of(&scaled))
        .add(&normal.mul(&mean_of(&scaled.mul(&normal))))
        .mul(&rate);
    let columns = |rows: Array<B>| {
        let sum = B::float_sum_dim(rows.0, 0);
        Array::<B>(B::float_reshape(sum, Shape::from([n])))
            .cast(dtype_of_rows)
            .0
    };
    (
        of_x.cast(dtype).0,
        columns(grad.mul(&normal)),
        columns(grad),
    )
}

fn as_row<B: Backend>(row: FloatTensor<B>, n: usize) -> Array<B> {
    Array::<B>(B::float_reshape(row, Shape::from([1, n]))).widen()
}
