//! α-entmax for α > 2, where `p = u^{1/ε}` magnifies what rounding does to a small base u.
//!
//! With z_ref the smallest score of the support and v its weight, `p = (ε(z − z_ref) + vᵋ)^{1/ε}`, and v is the root of
//! `G(v) = Σp − 1`: no number is subtracted from one of its size. A score is in the support if those above it, measured from
//! it with v = 0, sum to less than 1. G is convex and rising, as each term is an ℓ_ε norm: Newton's method falls to
//! the root from above. In f64 where the device has it.

use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, read_sync};

use super::rows::Rows;
use crate::primitive::Array;

/// Newton's steps: each halves the excess or the slope until it squares the error.
const STEPS: usize = 24;

/// Whether an ε of the column is above 1; reads it from the device.
pub(super) fn is_any_large<B: Backend>(epsilon: &Array<B>) -> bool {
    let data = read_sync(B::float_into_data(B::float_max(epsilon.0.clone())));
    let largest = data.expect("a column of numbers").iter::<f64>().next();
    largest.is_some_and(|epsilon| epsilon > 1.0)
}

/// Where the row's ε is not above 1, in the shape of `like`.
pub(super) fn is_small<B: Backend>(
    epsilon: &Array<B>,
    like: &Array<B>,
) -> burn::backend::tensor::BoolTensor<B> {
    like.scale(0.0).add(epsilon).is_not_above(1.0)
}

/// In f64 where the device has it.
fn widest<B: Backend>(array: &Array<B>) -> Array<B> {
    match B::supports_dtype(&array.0.device(), DType::F64) {
        true => array.clone().cast(DType::F64),
        false => array.clone(),
    }
}

/// Numbers so small count as nothing.
fn tiny<B: Backend>(array: &Array<B>) -> f64 {
    match array.dtype() {
        DType::F64 => 1e-300,
        _ => 1e-37,
    }
}

/// Weights, not yet divided by their sum, of rows with ε > 1.
pub(super) fn entmax<B: Backend>(rows: &Rows<B>, epsilon: &Array<B>) -> Array<B> {
    let z = widest(&rows.z);
    let epsilon = widest(epsilon).at_least(1.0);
    let reference = smallest_of_support(&z, &epsilon);
    let distances = Distances::new(&z, &reference, &epsilon);
    let n_tied = distances.tied().sum();
    let no_weight = reference.scale(0.0);
    let mut v = (no_weight.sub(&distances.weights(&no_weight).sum()))
        .add_scalar(1.0)
        .div(&n_tied)
        .at_least(tiny(&z));
    for _ in 0..STEPS {
        let p = distances.weights(&v);
        let excess = p.sum().add_scalar(-1.0);
        let step = excess.div(&distances.slope(&p, &v));
        v = v.sub(&step).at_least(tiny(&z));
    }
    distances.weights(&v).cast(rows.z.dtype())
}

/// By halving of the ranks: at rank k the scores above the k-th, measured from it, sum to less than 1.
fn smallest_of_support<B: Backend>(z: &Array<B>, epsilon: &Array<B>) -> Array<B> {
    let n = z.shape()[1];
    let sorted = z.sort_descending();
    let ranks = sorted.ranks();
    let at = |rank: &Array<B>| {
        let distance = ranks.sub(rank).squared();
        let elsewhere = distance.scale(-1.0).is_at_most(-0.25);
        sorted.clone().zero_where(elsewhere).sum()
    };
    let mut rank = z.column(1.0);
    let mut step = n.next_power_of_two();
    while step > 0 {
        let next = rank.add_scalar(step as f64).at_most(n as f64);
        let distances = Distances::new(z, &at(&next), epsilon);
        let sum = distances.weights(&rank.scale(0.0)).sum();
        let is_outside = B::bool_not(sum.is_below(1.0));
        rank = rank.add(&next.sub(&rank).zero_where(is_outside));
        step /= 2;
    }
    at(&rank)
}

/// `ε(z − z_ref)` of every score.
struct Distances<B: Backend> {
    scaled: Array<B>,
    epsilon: Array<B>,
}

impl<B: Backend> Distances<B> {
    fn new(z: &Array<B>, reference: &Array<B>, epsilon: &Array<B>) -> Self {
        // Where they are beyond these, the weight is 0 or the sum above 1 whatever they are.
        let scaled = z.sub(reference).mul(epsilon).at_least(-1.0).at_most(1e18);
        Self {
            scaled,
            epsilon: epsilon.clone(),
        }
    }

    /// `(ε(z − z_ref) + vᵋ)^{1/ε}`; v for scores that are z_ref, 0 for lower ones.
    fn weights(&self, v: &Array<B>) -> Array<B> {
        let tiny = tiny(v);
        let u = self.scaled.add(&self.base(v)).at_least(tiny);
        let p = u.log().div(&self.epsilon).exp();
        let not_above = self.scaled.is_at_most(tiny);
        let below = self.scaled.is_below(0.0);
        p.replace_where(not_above, self.scaled.scale(0.0).add(v))
            .zero_where(below)
    }

    fn base(&self, v: &Array<B>) -> Array<B> {
        v.at_least(tiny(v)).log().mul(&self.epsilon).exp()
    }

    /// `G′(v) = Σ(v/p)^{ε−1}`.
    fn slope(&self, p: &Array<B>, v: &Array<B>) -> Array<B> {
        let base = self.base(v);
        let u = self.scaled.add(&base).at_least(tiny(v));
        let above = p.mul(&base.div(v)).div(&u);
        let not_above = self.scaled.is_at_most(tiny(v));
        above.zero_where(not_above).add(&self.tied()).sum()
    }

    /// 1 where the score is z_ref, else 0.
    fn tied(&self) -> Array<B> {
        let above = B::bool_not(self.scaled.is_at_most(tiny(&self.scaled)));
        let one = self.scaled.scale(0.0).add_scalar(1.0);
        one.zero_where(above).zero_where(self.scaled.is_below(0.0))
    }
}

/// Gradients in the scores and in α of rows with ε > 1.
///
/// With `s = p^{1−ε}`, `r = s/s_ref`, `h = g − g_ref` of the smallest weight: `s·h − r·K`, `K = Σsh/Σr`, which is
/// `s·(g − Σsg/Σs)` without a difference that s magnifies; and `Σh[p(1 − εl) − (Σp − εL)·r/Σr]/ε²` with
/// `l = log p`, `L = Σpl` (Correia et al. 2019, Proposition 1).
pub(super) fn backward<B: Backend>(
    p: &Array<B>,
    grad: &Array<B>,
    epsilon: &Array<B>,
) -> (Array<B>, Array<B>) {
    let dtype = p.dtype();
    let (p, grad, epsilon) = (widest(p), widest(grad), widest(epsilon).at_least(1.0));
    // eˣ up to here times a gradient has a finite sum.
    let limit = if dtype == DType::F64 { 600.0 } else { 80.0 };
    let outside = || p.is_at_most(0.0);
    let l = p.at_least(tiny(&p)).log().zero_where(outside());
    let negative = l.scale(-1.0);
    let largest = negative.clone().fill_where(outside(), -1e18).max();
    let exponent = epsilon.add_scalar(-1.0);

    let s = negative.mul(&exponent).at_most(limit).exp();
    let s = s.zero_where(outside());
    let above = negative.sub(&largest).at_most(0.0);
    let r = above.mul(&exponent).exp().zero_where(outside());
    let elsewhere = above.fill_where(outside(), -1.0).is_below(0.0);
    let reference = grad.clone().fill_where(elsewhere, -1e30).max();
    let h = grad.sub(&reference).zero_where(outside());

    let sum_r = r.sum().at_least(1e-30);
    let k = s.mul(&h).sum().div(&sum_r);
    let scores = s.mul(&h).sub(&r.mul(&k));

    let mean = p.mul(&l).sum().mul(&epsilon);
    let own = p.mul(&l.mul(&epsilon).scale(-1.0).add_scalar(1.0));
    let shared = p.sum().sub(&mean).mul(&r.mul(&h).sum()).div(&sum_r);
    let d_alpha = own.mul(&h).sum().sub(&shared).div(&epsilon.squared());
    let largest = if dtype == DType::F64 {
        f64::MAX
    } else {
        f32::MAX.into()
    };
    let scores = scores.at_least(-largest).at_most(largest);
    (scores.cast(dtype), d_alpha.cast(dtype))
}
