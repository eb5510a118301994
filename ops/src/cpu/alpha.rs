//! α-entmax of rows, each with its own α, in place, and its gradients in scores and α.

use rayon::prelude::*;

use super::TASK;
use super::float::{Float, fold, max};
use crate::primitive::HIDDEN;

/// From this ε = α − 1 on, scores are measured from the edge of the support: see [`Row::power`].
const EDGE: f64 = 0.5;

/// Turns rows of `n` scores into weights; `alphas` holds one α a row.
pub(crate) fn entmax<T: Float>(rows: &mut [T], n: usize, alphas: &[f64]) {
    super::for_rows(rows, n, |i, row| {
        let largest = max(row);
        // α below 1 is no mapping of this family: NaN says so where an error cannot.
        let is_alpha = alphas[i] >= 1.0;
        if largest.partial_cmp(&largest).is_none() || !is_alpha {
            row.fill(T::from_f64(f64::NAN));
        } else if largest <= T::from_f64(HIDDEN) {
            row.fill(T::ZERO);
        } else {
            Row::new(largest.to_f64(), alphas[i] - 1.0, n).solve(row);
        }
    });
}

/// One row's problem: find s with `Σ[1 + ε(z − max z − s)]₊^{1/ε} = 1`.
struct Row {
    largest: f64,
    epsilon: f64,
    /// s lies in `[0, min(log n, 1/ε)]`.
    upper: f64,
}

impl Row {
    #[inline(always)]
    fn new(largest: f64, epsilon: f64, n: usize) -> Self {
        let log_n = (n as f64).ln();
        Self {
            largest,
            epsilon,
            upper: log_n / (epsilon * log_n).max(1.0),
        }
    }

    /// What is subtracted from a score: at the edge form, the smallest score of the support.
    #[inline(always)]
    fn origin(&self, s: f64) -> f64 {
        match self.epsilon < EDGE {
            true => self.largest + s,
            false => self.largest + s - 1.0 / self.epsilon,
        }
    }

    /// Newton's method on `(Fᵋ − 1)/ε = 0`, `F = Σp`. For α ≤ 2 this function of s is convex (an
    /// ℓ_{1/ε} norm), and linear where scores are tied or α = 1: s rises to the root without
    /// overshooting, in a handful of passes. For α > 2 a bracket guards it.
    #[inline(always)]
    fn solve<T: Float>(&self, row: &mut [T]) {
        let (mut s, mut low, mut high) = (0.0f64, 0.0f64, self.upper);
        let mut last_step = f64::INFINITY;
        for _ in 0..100 {
            let (sum, slope) = self.sums(row, s);
            match sum >= 1.0 {
                true => low = low.max(s),
                false => high = high.min(s),
            }
            // (F − F^{1−ε})/(ε·ΣP^{1−ε}), with its limit F·log F at ε = 0.
            let log_sum = sum.ln();
            let rise = match self.epsilon > 0.0 {
                true => -(-self.epsilon * log_sum).exp_m1() / self.epsilon,
                false => log_sum,
            };
            let step = sum * rise / slope;
            // Near the root only rounding keeps a step from being smaller than the one before.
            let near = (sum - 1.0).abs();
            if near <= T::EPSILON || (near < 64.0 * T::EPSILON && step.abs() >= last_step) {
                break;
            }
            last_step = step.abs();
            let next = s + step;
            s = match next > low && next < high {
                true => next,
                false => 0.5 * (low + high),
            };
        }
        let origin = self.origin(s);
        if self.epsilon < EDGE {
            let p = self.smooth::<T>(origin);
            row.iter_mut().for_each(|z| *z = p(*z).0);
        } else {
            let p = self.edge::<T>(origin);
            row.iter_mut().for_each(|z| *z = p(*z).0);
        }
        let total = fold(row, T::ZERO, |a, x| a + x, |a, b| a + b);
        let scale = T::ONE / total;
        row.iter_mut().for_each(|p| *p = *p * scale);
    }

    /// `Σp` and `Σp^{1−ε}` at s.
    #[inline(always)]
    fn sums<T: Float>(&self, row: &[T], s: f64) -> (f64, f64) {
        let origin = self.origin(s);
        let add = |a: (T, T), b: (T, T)| (a.0 + b.0, a.1 + b.1);
        let zero = (T::ZERO, T::ZERO);
        let (sum, slope) = if self.epsilon < EDGE {
            let p = self.smooth::<T>(origin);
            fold(row, zero, |a, z| add(a, p(z)), add)
        } else {
            let p = self.edge::<T>(origin);
            fold(row, zero, |a, z| add(a, p(z)), add)
        };
        (sum.to_f64(), slope.to_f64())
    }

    /// `p = exp(log1p(εd)/ε)` and `p^{1−ε} = p/(1 + εd)` with `d = z − max z − s`: near α = 1
    /// nothing cancels, and ε = 0 is softmax.
    #[inline(always)]
    fn smooth<T: Float>(&self, origin: f64) -> impl Fn(T) -> (T, T) {
        let epsilon = T::from_f64(self.epsilon);
        let inverse = T::from_f64(match self.epsilon > 0.0 {
            true => 1.0 / self.epsilon,
            false => 0.0,
        });
        let is_softmax = self.epsilon == 0.0;
        move |z| {
            let d = T::from_f64(z.to_f64() - origin);
            let t = d * epsilon;
            let u = T::ONE + t;
            let inside = u > T::ZERO;
            let u = if inside { u } else { T::ONE };
            // log1p: what rounding took from 1 + t comes back to first order.
            let log1p = u.ln() + (t - (u - T::ONE)) / u;
            let exponent = if is_softmax { d } else { log1p * inverse };
            let exponent = if inside { exponent } else { T::LOWEST };
            let p = exponent.exp();
            (p, p / u)
        }
    }

    /// `p = (εd)^{1/ε}` and `p^{1−ε} = p/(εd)` with d the distance to the edge of the support, which
    /// keeps its digits there: for α > 2 the power magnifies them.
    #[inline(always)]
    fn edge<T: Float>(&self, origin: f64) -> impl Fn(T) -> (T, T) {
        let epsilon = self.epsilon;
        let inverse = T::from_f64(1.0 / self.epsilon);
        move |z| {
            let u = T::from_f64((z.to_f64() - origin) * epsilon);
            let inside = u > T::TINY;
            let u = if inside { u } else { T::ONE };
            let exponent = u.ln() * inverse;
            let p = (if inside { exponent } else { T::LOWEST }).exp();
            (p, p / u)
        }
    }
}

/// Turns rows of upstream gradients into gradients in the scores, and returns those in α.
///
/// With `l = log p`, `w = l²·φ(−εl)`, `L = Σpl`, `W = Σpw`: the gradient in z is `s·(g − Σsg/Σs)`,
/// `s = p^{1−ε}`, and `dp/dα = p·[W − w + ε(L·w − l·W)]/(1 − εL + ε²W)`. Both are unchanged by a
/// constant added to g, so g is centred first.
pub(crate) fn entmax_backward<T: Float>(
    weights: &[T],
    grad: &mut [T],
    n: usize,
    alphas: &[f64],
) -> Vec<T> {
    let mut d_alphas = vec![T::ZERO; alphas.len()];
    let rows = (TASK / n.max(1)).max(1);
    grad.par_chunks_mut(rows * n)
        .zip(d_alphas.par_chunks_mut(rows))
        .enumerate()
        .for_each(|(task, (grad, d_alphas))| {
            pulp::Arch::new().dispatch(|| {
                for (i, (grad, d_alpha)) in grad
                    .chunks_exact_mut(n)
                    .zip(d_alphas.iter_mut())
                    .enumerate()
                {
                    let row = task * rows + i;
                    let p = &weights[row * n..][..n];
                    *d_alpha = backward_row(p, grad, alphas[row] - 1.0);
                }
            });
        });
    d_alphas
}

#[inline(always)]
fn backward_row<T: Float>(p: &[T], grad: &mut [T], epsilon: f64) -> T {
    let negative_epsilon = T::from_f64(-epsilon);
    // (log p, −ε·log p, p^{−ε}) on the support; zeros and ones off it, where p = 0 removes them.
    let parts = |p: T| {
        let inside = p > T::ZERO;
        let l = (if inside { p } else { T::ONE }).ln();
        let t = l * negative_epsilon;
        let t = if t < T::EIGHTY { t } else { T::EIGHTY };
        (l, t, t.exp())
    };
    let (mut total, mut weighted) = ([T::ZERO; 16], [T::ZERO; 16]);
    for (p, g) in p.chunks(16).zip(grad.chunks(16)) {
        for (i, (&p, &g)) in p.iter().zip(g).enumerate() {
            let s = p * parts(p).2;
            total[i] = total[i] + s;
            weighted[i] = weighted[i] + s * g;
        }
    }
    let add = |a: T, b: T| a + b;
    let total = fold(&total, T::ZERO, add, add);
    if total.partial_cmp(&T::ZERO) == Some(std::cmp::Ordering::Equal) {
        grad.fill(T::ZERO); // everything hidden
        return T::ZERO;
    }
    let mean = fold(&weighted, T::ZERO, add, add) / total;

    // Σpl, Σpw, Σpg, Σplg, Σpwg
    let mut sums = [[T::ZERO; 16]; 5];
    for (p, g) in p.chunks(16).zip(grad.chunks_mut(16)) {
        for (i, (&p, g)) in p.iter().zip(g.iter_mut()).enumerate() {
            let (l, t, power) = parts(p);
            let centred = *g - mean;
            let w = l * l * phi(t, power);
            let (pl, pw) = (p * l, p * w);
            sums[0][i] = sums[0][i] + pl;
            sums[1][i] = sums[1][i] + pw;
            sums[2][i] = sums[2][i] + p * centred;
            sums[3][i] = sums[3][i] + pl * centred;
            sums[4][i] = sums[4][i] + pw * centred;
            *g = p * power * centred;
        }
    }
    let [l, w, g, lg, wg] = sums.map(|lanes| fold(&lanes, T::ZERO, add, add));
    let epsilon = T::from_f64(epsilon);
    let numerator = w * g - wg + epsilon * (l * wg - w * lg);
    numerator / (T::ONE + epsilon * (epsilon * w - l))
}

/// `φ(t) = (eᵗ − 1 − t)/t²` for t ≥ 0 and given eᵗ, with φ(0) = ½.
#[inline(always)]
fn phi<T: Float>(t: T, exp_t: T) -> T {
    let small = t < T::ONE;
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
