//! Functions of one number whose plain formulas lose their digits near 0.

use burn::backend::Backend;
use burn::tensor::DType;

use crate::primitive::Array;

/// `ψ(t) = log(1 + t)/t` for t > −1, with ψ(0) = 1: near 0 by the series of
/// `2·artanh(r)/t`, `r = t/(2+t)`, since not every device has an exact log1p.
pub(super) fn log1p_over<B: Backend>(t: &Array<B>) -> Array<B> {
    let n_terms = if t.dtype() == DType::F64 { 14 } else { 6 };
    let small = t.at_least(-0.25).at_most(0.25);
    let denominator = small.add_scalar(2.0).recip();
    let r = small.mul(&denominator);
    let square = r.mul(&r);
    let mut series = square.scale(0.0);
    for k in (0..n_terms).rev() {
        series = series.mul(&square).add_scalar(1.0 / (2 * k + 1) as f64);
    }
    let near = series.mul(&denominator).scale(2.0);
    let is_small = small.sub(t).squared().is_at_most(0.0);
    let large = t.clone().fill_where(is_small.clone(), 1.0);
    let far = large.add_scalar(1.0).at_least(1e-37).log().div(&large);
    far.replace_where(is_small, near)
}

/// `φ(t) = (eᵗ − 1 − t)/t²`, with φ(0) = ½; e^t is held at e⁸⁰.
pub(crate) fn phi<B: Backend>(t: &Array<B>) -> Array<B> {
    let n_terms = if t.dtype() == DType::F64 { 19 } else { 10 };
    let t = t.at_most(80.0);
    let small = t.at_least(-1.0).at_most(1.0);
    let mut near = small.scale(0.0);
    // Σ tᵏ/(k+2)!, by Horner's rule: 1/2·(1 + t/3·(1 + t/4·(…)))
    for k in (1..n_terms).rev() {
        near = near.add_scalar(1.0).mul(&small).scale(1.0 / (k + 2) as f64);
    }
    let near = near.add_scalar(1.0).scale(0.5);
    let is_small = small.sub(&t).squared().is_at_most(0.0);
    let large = t.fill_where(is_small.clone(), 1.0);
    let far = large
        .exp()
        .sub(&large)
        .add_scalar(-1.0)
        .div(&large.squared());
    far.replace_where(is_small, near)
}
