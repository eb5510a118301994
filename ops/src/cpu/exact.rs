//! Softmax, sparsemax and 1.5-entmax of a row, and their gradients.

use std::cmp::Ordering;

use super::float::Float;
use super::pack::{Pack, max, sums, sums_of_pairs};
use super::rows::Work;

/// The mappings whose threshold has a closed form.
#[derive(Clone, Copy)]
pub(crate) enum Exact {
    Softmax,
    Sparsemax,
    Entmax15,
}

/// Turns scores into weights.
#[inline(always)]
pub(crate) fn forward<T: Float>(work: &mut Work<T>, hidden: T, mapping: Exact) {
    let row = &mut work.row.packs[..];
    if !centre(row, hidden) {
        return;
    }
    match mapping {
        Exact::Softmax => finish(row, |x| x.exp()),
        Exact::Sparsemax => sparsemax(row),
        Exact::Entmax15 => entmax15(row),
    }
}

/// The largest score; none if that is the end of it, with NaN in the row where a score is NaN and zeros
/// where every score is hidden.
#[inline(always)]
pub(crate) fn largest_visible<T: Float>(row: &mut [Pack<T>], hidden: T) -> Option<T> {
    let largest = max(row);
    if largest > hidden {
        return Some(largest);
    }
    let value = if largest.is_nan() { largest } else { T::ZERO };
    row.fill(Pack::splat(value));
    None
}

/// Subtracts the largest score and puts hidden ones as low as they go; false where
/// [`largest_visible`] ends it.
#[inline(always)]
pub(crate) fn centre<T: Float>(row: &mut [Pack<T>], hidden: T) -> bool {
    let Some(largest) = largest_visible(row, hidden) else {
        return false;
    };
    for pack in row {
        pack.map(|z| if z > hidden { z - largest } else { T::LOWEST });
    }
    true
}

/// Newton's method on `Σ[x − τ]₊ = 1` from `τ = −1`, which rises to the root in finitely many steps:
/// each solves the equation exactly on the scores above τ (Michelot 1986).
#[inline(always)]
fn sparsemax<T: Float>(row: &mut [Pack<T>]) {
    let mut tau = T::from_f64(-1.0);
    let mut before = T::ZERO;
    loop {
        let [count, sum] = sums(row, |x| match x > tau {
            true => [T::ONE, x],
            false => [T::ZERO, T::ZERO],
        });
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
fn entmax15<T: Float>(row: &mut [Pack<T>]) {
    let half = T::from_f64(0.5);
    for pack in row.iter_mut() {
        pack.map(|x| x * half);
    }
    let mut tau = T::from_f64(-1.0);
    for _ in 0..60 {
        let [sum, squares] = sums(row, |x| {
            let d = clip(x - tau);
            [d, d * d]
        });
        let next = tau + (squares - squares.sqrt()) / sum;
        // Rounding alone is left when τ no longer rises.
        if next.partial_cmp(&tau) != Some(Ordering::Greater) {
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
pub(crate) fn finish<T: Float>(row: &mut [Pack<T>], f: impl Fn(T) -> T) {
    for pack in row.iter_mut() {
        pack.map(&f);
    }
    let [sum] = sums(row, |p| [p]);
    let scale = T::ONE / sum;
    for pack in row {
        pack.map(|p| p * scale);
    }
}

/// Turns upstream gradients into gradients in the scores, given the weights in `other`:
/// `s·(g − Σsg/Σs)` with `s = p^{2−α}` on the support.
#[inline(always)]
pub(crate) fn backward<T: Float>(work: &mut Work<T>, mapping: Exact) {
    match mapping {
        Exact::Softmax => backward_by(work, |p| p),
        Exact::Sparsemax => backward_by(work, |p| if p > T::ZERO { T::ONE } else { T::ZERO }),
        Exact::Entmax15 => backward_by(work, |p| p.sqrt()),
    }
}

/// `s·(g − Σsg/Σs)`; `s` is computed once for each weight.
#[inline(always)]
pub(crate) fn backward_by<T: Float>(work: &mut Work<T>, s: impl Fn(T) -> T) {
    let (p, grad) = (&mut work.other.packs, &mut work.row.packs);
    let [total, weighted] = sums_of_pairs(grad, p, |g, p| {
        *p = s(*p);
        [*p, *p * g]
    });
    // Only a row with everything hidden has no support.
    let total = if total.partial_cmp(&T::ZERO) == Some(Ordering::Equal) {
        T::ONE
    } else {
        total
    };
    let mean = weighted / total;
    for (s, g) in p.iter().zip(grad) {
        for (s, g) in s.0.iter().zip(&mut g.0) {
            *g = *s * (*g - mean);
        }
    }
}
