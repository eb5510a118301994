//! α-entmax of a row with its own α, and its gradients in scores and α.
//!
//! With `ε = α − 1` and `x = z − max z ≤ 0`: `p = [1 + ε(x − s)]₊^{1/ε}`, `exp(x − s)` at ε = 0, and s
//! the root of `F(s) = Σp = 1` in `[0, (1 − n^{−ε})/ε]`. Below α = 1 every visible score has weight.

use super::exact::{self, Exact, centre, largest_visible};
use super::float::Float;
use super::pack::{Pack, sums_of_pairs};
use super::rows::Work;

/// Turns scores into weights; a row whose α is no α becomes NaN.
#[inline(always)]
pub(crate) fn forward<T: Float>(work: &mut Work<T>, n: usize, hidden: T, alpha: f64) {
    // False for NaN too.
    let is_alpha = alpha > 0.0 && alpha < f64::INFINITY;
    if !is_alpha {
        work.row.packs.fill(Pack::splat(T::from_f64(f64::NAN)));
        return;
    }
    let epsilon = alpha - 1.0;
    if alpha == 1.0 {
        exact::forward(work, hidden, Exact::Softmax);
    } else if alpha <= 2.0 {
        if centre(&mut work.row.packs, hidden) {
            solve(work, n, epsilon, |work, s| smooth(work, epsilon, s));
        }
    } else if let Some(largest) = largest_visible(&mut work.row.packs, hidden) {
        let edge_at = largest.to_f64() - 1.0 / epsilon;
        solve(work, n, epsilon, |work, s| edge(work, epsilon, edge_at + s));
    }
}

/// Newton's method on `(Fᵋ − 1)/ε = 0`. For α ≤ 2 this function of s is convex (an ℓ_{1/ε} norm, for
/// ε < 0 its reciprocal), and linear where scores are tied: s rises to the root without
/// overshooting, in a handful of passes. For α > 2 a bracket guards it. `pass` computes `Σp` and
/// `Σp^{1−ε}` at s and leaves p in the other row.
#[inline(always)]
fn solve<T: Float>(
    work: &mut Work<T>,
    n: usize,
    epsilon: f64,
    pass: impl Fn(&mut Work<T>, f64) -> [T; 2],
) {
    let (mut s, mut low) = (0.0f64, 0.0f64);
    let mut high = -(-epsilon * (n as f64).ln()).exp_m1() / epsilon;
    let mut last_step = f64::INFINITY;
    let mut overshot = false;
    let mut sum = T::ONE;
    for _ in 0..100 {
        let slope;
        [sum, slope] = pass(work, s);
        let (f, slope) = (sum.to_f64(), slope.to_f64());
        match f >= 1.0 {
            true => low = low.max(s),
            false => (high, overshot) = (high.min(s), true),
        }
        // (F − F^{1−ε})/(ε·Σp^{1−ε})
        let step = -f * (-epsilon * f.ln()).exp_m1() / (epsilon * slope);
        // Near the root only rounding keeps a step from being smaller than the one before.
        let near = (f - 1.0).abs();
        if near <= 2.0 * T::EPSILON || (near < 64.0 * T::EPSILON && step.abs() >= last_step) {
            break;
        }
        let next = s + step;
        let converges = !overshot || step.abs() < 0.5 * last_step;
        s = match next >= low && next <= high && converges {
            true => next,
            false => 0.5 * (low + high),
        };
        last_step = step.abs();
    }
    std::mem::swap(&mut work.row, &mut work.other);
    let scale = T::ONE / sum;
    for pack in &mut work.row.packs {
        pack.map(|p| p * scale);
    }
}

/// `p = exp(log1p(t)/ε)` and `p^{1−ε} = p/(1 + t)` with `t = ε(x − s)`: near α = 1 nothing cancels.
#[inline(always)]
fn smooth<T: Float>(work: &mut Work<T>, epsilon: f64, s: f64) -> [T; 2] {
    let (epsilon, inverse) = (T::from_f64(epsilon), T::from_f64(1.0 / epsilon));
    let s = T::from_f64(s);
    sums_of_pairs(&work.row.packs, &mut work.other.packs, |x, p| {
        let t = (x - s) * epsilon;
        let u = T::ONE + t;
        // Below α = 1 nothing is outside of the support, and hidden scores are said to be.
        let inside = (u > T::ZERO) & (x > T::LOWEST);
        let t = if inside { t } else { T::ZERO };
        let u = if inside { u } else { T::ONE };
        // log1p: what rounding took from 1 + t comes back to first order.
        let exponent = (u.ln() + (t - (u - T::ONE)) / u) * inverse;
        *p = (if inside { exponent } else { T::LOWEST }).exp();
        [*p, *p / u]
    })
}

/// `p = (εd)^{1/ε}` and `p^{1−ε} = p/(εd)` with d the distance of a score to the edge of the support,
/// in f64: for α > 2 the power magnifies an error there.
#[inline(always)]
fn edge<T: Float>(work: &mut Work<T>, epsilon: f64, edge_at: f64) -> [T; 2] {
    let inverse = T::from_f64(1.0 / epsilon);
    sums_of_pairs(&work.row.packs, &mut work.other.packs, |z, p| {
        let u = T::from_f64((z.to_f64() - edge_at) * epsilon);
        let inside = u > T::TINY;
        let u = if inside { u } else { T::ONE };
        let exponent = u.ln() * inverse;
        *p = (if inside { exponent } else { T::LOWEST }).exp();
        [*p, *p / u]
    })
}

/// `p^{−ε}` given `−ε·log p`: a finite one where p all but underflows.
#[inline(always)]
fn negative_power<T: Float>(t: T) -> T {
    (if t < T::EIGHTY { t } else { T::EIGHTY }).exp()
}

/// Turns upstream gradients into gradients in the scores, given the weights in the other row.
#[inline(always)]
pub(crate) fn backward_scores<T: Float>(work: &mut Work<T>, alpha: f64) {
    let negative_epsilon = T::from_f64(1.0 - alpha);
    exact::backward_by(work, |p| {
        let l = (if p > T::ZERO { p } else { T::ONE }).ln();
        p * negative_power(l * negative_epsilon)
    });
}

/// [`backward_scores`] that also returns the gradient in α.
///
/// With `l = log p`, `w = l²·φ(−εl)`, `L = Σpl`, `W = Σpw`: the gradient in z is `s·(g − Σsg/Σs)`,
/// `s = p^{1−ε}`, and `dp/dα = p·[W − w + ε(L·w − l·W)]/(1 − εL + ε²W)`. Both are unchanged by a
/// constant added to g, so g is centred first.
#[inline(always)]
pub(crate) fn backward<T: Float>(work: &mut Work<T>, alpha: f64) -> T {
    let epsilon = alpha - 1.0;
    let negative_epsilon = T::from_f64(-epsilon);
    let (p, grad) = (&mut work.other.packs, &mut work.row.packs);
    let [mean] = sums_of_pairs(p, grad, |p, g| [p * *g]);
    // The weights make way for s.
    let [total, weighted, l, w, g, lg, wg] = sums_of_pairs(grad, p, |g, p| {
        let g = g - mean;
        let inside = *p > T::ZERO;
        // Zeros and ones off the support, where p = 0 removes them.
        let l = (if inside { *p } else { T::ONE }).ln();
        let t = l * negative_epsilon;
        let power = negative_power(t);
        let w = l * l * phi(t, power);
        let (s, pl, pw) = (*p * power, *p * l, *p * w);
        let terms = [s, s * g, pl, pw, *p * g, pl * g, pw * g];
        *p = s;
        terms
    });
    if total.partial_cmp(&T::ZERO) == Some(std::cmp::Ordering::Equal) {
        grad.fill(Pack::splat(T::ZERO)); // everything hidden
        return T::ZERO;
    }
    let mean = mean + weighted / total;
    for (s, g) in p.iter().zip(grad) {
        for (s, g) in s.0.iter().zip(&mut g.0) {
            *g = *s * (*g - mean);
        }
    }
    let epsilon = T::from_f64(epsilon);
    let numerator = w * g - wg + epsilon * (l * wg - w * lg);
    numerator / (T::ONE + epsilon * (epsilon * w - l))
}

/// `φ(t) = (eᵗ − 1 − t)/t²` given eᵗ, with φ(0) = ½.
#[inline(always)]
fn phi<T: Float>(t: T, exp_t: T) -> T {
    let small = (t < T::ONE) & (t > T::ZERO - T::ONE);
    let x = if small { t } else { T::ZERO };
    // Σ tᵏ/(k+2)!, by Horner's rule.
    let mut series = T::ZERO;
    for k in (1..T::PHI_TERMS).rev() {
        series = (series + T::ONE) * x * T::from_f64(1.0 / (k + 2) as f64);
    }
    let series = (series + T::ONE) * T::from_f64(0.5);
    let y = if small { T::ONE } else { t };
    let closed = (exp_t - T::ONE - y) / (y * y);
    if small { series } else { closed }
}
