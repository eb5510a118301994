//! α-entmax by bisection: `p = [1 + ε(x − s)]₊^{1/ε}` with `ε = α − 1` and s the root of `Σp = 1`.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;

use super::large_alpha;
use super::power::Power;
use super::rows::Rows;
use super::{phi, support_power};
use crate::entmax::Bisection;
use crate::primitive::Array;

/// Value with one α per row, after a given number of iterations or as exactly as the type allows.
pub(crate) fn forward_bisect<B: Backend>(
    scores: FloatTensor<B>,
    alpha: FloatTensor<B>,
    bisection: Bisection,
) -> FloatTensor<B> {
    let rows = Rows::<B>::new(scores);
    let alpha = rows.parameter(alpha);
    let rows = rows.invalid_where(alpha.is_not_above(0.0));
    let p = entmax(&rows, &alpha.add_scalar(-1.0), bisection.n_iter);
    match bisection.ensure_sum_one {
        true => rows.normalised(p),
        false => rows.unnormalised(p),
    }
}

/// Weights, not yet divided by their sum: after so many iterations, or as exactly as the type allows, which above
/// α = 2 is [`large_alpha`]'s.
pub(super) fn entmax<B: Backend>(
    rows: &Rows<B>,
    epsilon: &Array<B>,
    n_iter: Option<usize>,
) -> Array<B> {
    let p = halved(rows, epsilon, n_iter);
    if n_iter.is_some() || !large_alpha::is_any_large(epsilon) {
        return p;
    }
    let small = large_alpha::is_small(epsilon, &p);
    large_alpha::entmax(rows, epsilon).replace_where(small, p)
}

/// At the last midpoint of `n_iter` iterations, or after enough of them and one Newton step, whose
/// correction is kept apart so that s has more digits than one float holds.
pub(super) fn halved<B: Backend>(
    rows: &Rows<B>,
    epsilon: &Array<B>,
    n_iter: Option<usize>,
) -> Array<B> {
    let Rows { x, low, .. } = rows;
    let power = Power::entmax(epsilon);
    let start = power.origin.scale(-1.0);
    let width = bracket(epsilon, x.shape()[1]);
    let excess = |s: &Array<B>| power.of(&x.sub(s)).sum().add_scalar(-1.0);
    let halved = halve(start, width, n_iter, excess);
    if n_iter.is_some() {
        return power.of(&x.sub(&halved.midpoint).add(low));
    }
    let x = x.sub(&halved.lower);
    let p = power.of(&x.add(low));
    let slope = support_power(&p, epsilon).sum();
    let correction = p.sum().add_scalar(-1.0).div(&slope);
    power.of(&x.add(&low.sub(&correction)))
}

/// An upper bound of s: `min(log n, 1/ε)`, for α < 1 `(n^{−ε} − 1)/(−ε)`, which equal scores attain.
fn bracket<B: Backend>(epsilon: &Array<B>, n: usize) -> Array<B> {
    let log_n = (n as f64).ln();
    let y = epsilon.scale(log_n);
    let above_one = y.at_least(1.0).recip();
    // (eᵗ − 1)/t = 1 + t·φ(t)
    let t = y.scale(-1.0).at_least(0.0);
    let below_one = t.mul(&phi(&t)).add_scalar(1.0);
    above_one.mul(&below_one).scale(log_n)
}

/// Where a bisection ended.
pub(super) struct Halved<B: Backend> {
    /// The excess here is not negative.
    pub lower: Array<B>,
    /// Where the excess was taken last.
    pub midpoint: Array<B>,
}

/// Halves `[start, start + width]` around the root of a decreasing function, `n_iter` times or until
/// the type cannot tell its ends apart.
pub(super) fn halve<B: Backend>(
    start: Array<B>,
    width: Array<B>,
    n_iter: Option<usize>,
    excess: impl Fn(&Array<B>) -> Array<B>,
) -> Halved<B> {
    let enough = if width.dtype() == DType::F64 { 62 } else { 34 };
    let (mut lower, mut width) = (start, width);
    let mut midpoint = lower.clone();
    for _ in 0..n_iter.unwrap_or(enough) {
        width = width.scale(0.5);
        midpoint = lower.add(&width);
        let too_far = excess(&midpoint).is_below(0.0);
        lower = lower.add(&width.clone().zero_where(too_far));
    }
    Halved { lower, midpoint }
}
