//! The functions in tensor operations.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

use crate::primitive::Array;

/// `x·Φ(x)`.
pub(crate) fn gelu<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let x = Array::<B>(x);
    let dtype = x.dtype();
    let x = x.widen();
    x.mul(&distribution(&x)).cast(dtype).0
}

/// `g·(Φ(x) + x·φ(x))`, φ being the density.
pub(crate) fn gelu_backward<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let x = Array::<B>(x);
    let dtype = x.dtype();
    let x = x.widen();
    let density = x.squared().scale(-0.5).exp().scale((2.0 * PI).powf(-0.5));
    let slope = distribution(&x).add(&x.mul(&density));
    slope.mul(&Array(grad).widen()).cast(dtype).0
}

/// `Φ(x) = (1 + erf(x/√2))/2`.
fn distribution<B: Backend>(x: &Array<B>) -> Array<B> {
    x.scale(FRAC_1_SQRT_2).erf().add_scalar(1.0).scale(0.5)
}
