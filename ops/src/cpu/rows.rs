//! Softmax, sparsemax and 1.5-entmax of rows, in place, and their gradients.

use super::float::{Float, fold, max, sum_pairs};
use super::for_rows;
use crate::primitive::HIDDEN;

/// The mappings that have a slice kernel.
#[derive(Clone, Copy)]
pub(crate) enum Exact {
    Softmax,
    Sparsemax,
    Entmax15,
}

/// Turns rows of `n` scores into weights.
pub(crate) fn normalise<T: Float>(rows: &mut [T], n: usize, mapping: Exact) {
    for_rows(rows, n, |_, row| {
        let largest = max(row);
        if largest.partial_cmp(&largest).is_none() {
            row.fill(largest);
        } else if largest <= T::from_f64(HIDDEN) {
            row.fill(T::ZERO);
        } else {
            match mapping {
                Exact::Softmax => softmax(row, largest),
                Exact::Sparsemax => sparsemax(row, largest),
                Exact::Entmax15 => entmax15(row, largest),
            }
        }
    });
}

/// Turns rows of upstream gradients into gradients in the scores:
/// `s·(g − Σsg/Σs)` with `s = p^{2−α}` on the support.
pub(crate) fn normalise_backward<T: Float>(
    weights: &[T],
    grad: &mut [T],
    n: usize,
    mapping: Exact,
) {
    for_rows(grad, n, |i, grad| {
        let p = &weights[i * n..][..n];
        match mapping {
            Exact::Softmax => backward(p, grad, |p| p),
            Exact::Sparsemax => backward(p, grad, |p| if p > T::ZERO { T::ONE } else { T::ZERO }),
            Exact::Entmax15 => backward(p, grad, |p| p.sqrt()),
        }
    });
}

#[inline(always)]
fn softmax<T: Float>(row: &mut [T], largest: T) {
    for z in row.iter_mut() {
        *z = (*z - largest).exp();
    }
    let sum = fold(row, T::ZERO, |a, x| a + x, |a, b| a + b);
    let scale = T::ONE / sum;
    for p in row.iter_mut() {
        *p = *p * scale;
    }
}

/// Newton's method on `Σ[x − τ]₊ = 1` from `τ = −1`, which rises to the root in finitely many steps:
/// each solves the equation exactly on the scores above τ (Michelot 1986).
#[inline(always)]
fn sparsemax<T: Float>(row: &mut [T], largest: T) {
    for z in row.iter_mut() {
        *z = *z - largest;
    }
    let mut tau = T::from_f64(-1.0);
    let mut before = T::ZERO;
    loop {
        let (count, sum) = fold(
            row,
            (T::ZERO, T::ZERO),
            |(count, sum), x| match x > tau {
                true => (count + T::ONE, sum + x),
                false => (count, sum),
            },
            |a, b| (a.0 + b.0, a.1 + b.1),
        );
        if count == before {
            break;
        }
        before = count;
        tau = (sum - T::ONE) / count;
    }
    finish(row, |x| clip(x - tau));
}

/// Newton's method on `√Σ[x/2 − τ]₊² = 1` from `τ = −1`: the root of a sum of squares is convex in τ,
/// so that τ rises to the solution, in a handful of passes.
#[inline(always)]
fn entmax15<T: Float>(row: &mut [T], largest: T) {
    let half = T::from_f64(0.5);
    for z in row.iter_mut() {
        *z = (*z - largest) * half;
    }
    let mut tau = T::from_f64(-1.0);
    for _ in 0..60 {
        let (sum, squares) = fold(
            row,
            (T::ZERO, T::ZERO),
            |(sum, squares), x| {
                let d = clip(x - tau);
                (sum + d, squares + d * d)
            },
            |a, b| (a.0 + b.0, a.1 + b.1),
        );
        let step = (squares - squares.sqrt()) / sum;
        let next = tau + step;
        // Rounding alone is left when τ no longer rises.
        if next.partial_cmp(&tau) != Some(std::cmp::Ordering::Greater) {
            break;
        }
        tau = next;
    }
    finish(row, |x| {
        let d = clip(x - tau);
        d * d
    });
}

#[inline(always)]
fn clip<T: Float>(x: T) -> T {
    if x > T::ZERO { x } else { T::ZERO }
}

/// `f` of every element, divided by the sum.
#[inline(always)]
fn finish<T: Float>(row: &mut [T], f: impl Fn(T) -> T) {
    for x in row.iter_mut() {
        *x = f(*x);
    }
    let sum = fold(row, T::ZERO, |a, x| a + x, |a, b| a + b);
    let scale = T::ONE / sum;
    for p in row.iter_mut() {
        *p = *p * scale;
    }
}

#[inline(always)]
fn backward<T: Float>(p: &[T], grad: &mut [T], s: impl Fn(T) -> T) {
    let total = fold(p, T::ZERO, |a, p| a + s(p), |a, b| a + b);
    // Only a row with everything hidden has no support.
    let total = if total > T::ZERO { total } else { T::ONE };
    let mean = sum_pairs(p, grad, |p, g| s(p) * g) / total;
    for (g, &p) in grad.iter_mut().zip(p) {
        *g = s(p) * (*g - mean);
    }
}
