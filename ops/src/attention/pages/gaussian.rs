//! The threshold that Gaussian scores would have.

use std::f64::consts::{PI, SQRT_2};

use super::threshold::bisect;

/// The τ̂ with which α-entmax of n scores from N(μ, σ²) has mean total weight 1: n·E[((α − 1)·S − τ)₊^{1/(α − 1)}] = 1;
/// NaN where μ or σ is.
///
/// # Panics
/// If α ≤ 1 or n is 0.
///
/// # Source
/// EntmaxKV (arXiv 2605.21649); `gaussian_utils.py` of deep-spin/entmaxkv for α of 2, 1.5 and 4/3. The moment of
/// another α is integrated.
pub fn gaussian_threshold(n: usize, (mean, std): (f64, f64), alpha: f64) -> f64 {
    assert!(alpha > 1.0 && n > 0, "alpha = {alpha}, n = {n}");
    let a = alpha - 1.0;
    // Not `max`, which takes NaN for the smaller.
    let std = std.clamp(1e-12, f64::INFINITY);
    // E[Xᵏ₊] ≥ (E X)ᵏ ≥ 1 at the lower end; no mass worth the name at the upper.
    let ends = (a * mean - 1.0, a * (mean + 40.0 * std));
    bisect(ends, |tau| {
        n as f64 * moment(a * mean - tau, a * std, alpha) >= 1.0
    })
}

/// E[X₊^{1/(α − 1)}] of X from N(m, v²).
pub(super) fn moment(m: f64, v: f64, alpha: f64) -> f64 {
    let t = m / v;
    let (upper, density) = (cumulative(t), (-0.5 * t * t).exp() / (2.0 * PI).sqrt());
    let is = |other: f64| (alpha - other).abs() < 1e-9;
    if is(2.0) {
        m * upper + v * density
    } else if is(1.5) {
        (m * m + v * v) * upper + m * v * density
    } else if is(4.0 / 3.0) {
        (m.powi(3) + 3.0 * m * v * v) * upper + (m * m * v + 2.0 * v.powi(3)) * density
    } else {
        integrated(m, v, 1.0 / (alpha - 1.0))
    }
}

/// E[X₊ᵏ] by Simpson's rule over the standardised values; beyond 12 deviations there is nothing.
pub(super) fn integrated(m: f64, v: f64, k: f64) -> f64 {
    const N: usize = 2000;
    let (from, to) = ((-m / v).max(-12.0), 12.0f64.max(-m / v));
    let step = (to - from) / N as f64;
    let value = |i: usize| {
        let z = from + i as f64 * step;
        (m + v * z).max(0.0).powf(k) * (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
    };
    let inner = (1..N).map(|i| if i % 2 == 1 { 4.0 } else { 2.0 } * value(i));
    step / 3.0 * (value(0) + inner.sum::<f64>() + value(N))
}

/// Φ(x) of the standard normal distribution.
pub(super) fn cumulative(x: f64) -> f64 {
    match x < 0.0 {
        true => 1.0 - cumulative(-x),
        false => 1.0 - 0.5 * upper_tail(x / SQRT_2),
    }
}

/// Φ⁻¹(p), by bisection.
pub(super) fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        match cumulative(middle) < p {
            true => low = middle,
            false => high = middle,
        }
    }
    0.5 * (low + high)
}

/// erfc(x) of x ≥ 0: 1 − the series of erf below 3, a continued fraction above.
fn upper_tail(x: f64) -> f64 {
    let square = x * x;
    if x < 3.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term > 1e-17 * sum {
            n += 1.0;
            term *= 2.0 * square / (2.0 * n + 1.0);
            sum += term;
        }
        1.0 - 2.0 / PI.sqrt() * (-square).exp() * sum
    } else {
        let fraction = (1..=60)
            .rev()
            .fold(x, |below, k| x + 0.5 * f64::from(k) / below);
        (-square).exp() / (PI.sqrt() * fraction)
    }
}
