//! α-normmax: `argmax pᵀz − ‖p‖_α` over the simplex.
//!
//! `p = r/Σr` with `r = [1 + x − s]₊^{1/ε}`, `ε = α − 1`, and s the root of `Σrᵅ = 1`.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

use super::bisect::halve;
use super::power::Power;
use super::rows::Rows;
use crate::primitive::Array;

/// Weights with one α > 1 per row, after `n_iter` iterations or as exactly as the type allows.
pub(crate) fn forward<B: Backend>(
    scores: FloatTensor<B>,
    alpha: FloatTensor<B>,
    n_iter: Option<usize>,
) -> FloatTensor<B> {
    let rows = Rows::<B>::new(scores);
    let alpha = rows.parameter(alpha);
    let rows = rows.invalid_where(alpha.is_not_above(1.0));
    let r = solve(&rows, &alpha, n_iter);
    rows.normalised(r)
}

/// As [`super::bisect::entmax`]: iterations, and one Newton step unless they are counted.
fn solve<B: Backend>(rows: &Rows<B>, alpha: &Array<B>, n_iter: Option<usize>) -> Array<B> {
    let Rows { x, low, .. } = rows;
    let epsilon = alpha.add_scalar(-1.0);
    let power = Power::normmax(&epsilon);
    // s ≤ 1 − n^{−ε/α}, which equal scores attain.
    let log_n = (x.shape()[1] as f64).ln();
    let conjugate = epsilon.div(alpha);
    let width = conjugate.scale(-log_n).exp().scale(-1.0).add_scalar(1.0);
    let start = power.origin.scale(-1.0);
    let excess = |d: &Array<B>| power.raised(d, alpha).sum().add_scalar(-1.0);
    let halved = halve(start, width, n_iter, |s| excess(&x.sub(s)));
    if n_iter.is_some() {
        return power.of(&x.sub(&halved.midpoint).add(low));
    }
    let x = x.sub(&halved.lower);
    let d = x.add(low);
    // d/ds Σrᵅ = −(α/ε)·Σr
    let correction = excess(&d).mul(&conjugate).div(&power.of(&d).sum());
    power.of(&x.add(&low.sub(&correction)))
}

/// Gradients in the scores and in α.
///
/// With `N = ‖p‖_α`, `r = p/N`, `l = log r` and `b = p·r^{−ε}` on the support, the Jacobian in z is
/// `(diag(b) − pbᵀ − bpᵀ + (Σb)ppᵀ)/ε`, and `∂log r/∂α = −(l + τ′r^{−ε})/ε` with `τ′ = −N·Σrᵅl/α`.
pub(crate) fn backward<B: Backend>(
    weights: FloatTensor<B>,
    grad: FloatTensor<B>,
    alpha: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (dtype, alpha_dtype) = (weights.dtype(), alpha.dtype());
    let p = Array::<B>(weights).widen();
    let g = Array::<B>(grad).widen();
    let alpha = Array::<B>(alpha).cast(p.dtype());
    let epsilon = alpha.add_scalar(-1.0);
    let outside = p.is_at_most(0.0);

    let log_p = p.at_least(1e-38).log();
    // Measured from the largest weight: pᵅ alone underflows.
    let largest = log_p.max();
    let q = log_p.sub(&largest).mul(&alpha).exp().zero_where(outside);
    let total = q.sum().at_least(1e-30);
    let log_norm = total.log().div(&alpha).add(&largest);
    let l = log_p.sub(&log_norm);
    let b = p.mul(&l.mul(&epsilon).scale(-1.0).at_most(80.0).exp());

    let (gb, gp) = (g.mul(&b).sum(), g.mul(&p).sum());
    let diagonal = b.mul(&g.sub(&gp));
    let rank_one = p.mul(&gb.sub(&gp.mul(&b.sum())));
    let scores = diagonal.sub(&rank_one).div(&epsilon);

    let mean_l = q.mul(&log_p).sum().div(&total).sub(&log_norm);
    let d_tau = mean_l.mul(&log_norm.exp()).div(&alpha).scale(-1.0);
    let d_log = p.mul(&l).add(&b.mul(&d_tau)); // −ε·p·∂log r/∂α
    let d_alpha = gp.mul(&d_log.sum()).sub(&g.mul(&d_log).sum()).div(&epsilon);
    (scores.cast(dtype).0, d_alpha.cast(alpha_dtype).0)
}
