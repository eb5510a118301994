//! Upstream gradients of a row to gradients in the scores and in α.

use std::hint::black_box;

use super::compact::{gather, scatter};
use super::float::Float;
use super::isa;
use super::pack::{LANES, Pack, sums_of_pairs};
use super::rows::Work;
use crate::entmax::Mapping;

/// Turns upstream gradients into gradients in the scores, given the weights in the other row:
/// `s·(g − Σsg/Σs)` with `s = p^{2−α}` on the support.
pub(crate) fn backward<T: Float>(group: &mut [Work<T>], mapping: Mapping) {
    isa::dispatch(
        #[inline(always)]
        || match mapping {
            Mapping::Softmax => in_scores(
                group,
                #[inline(always)]
                |p| p,
            ),
            Mapping::Sparsemax => in_scores(
                group,
                #[inline(always)]
                |p| {
                    p.map(
                        #[inline(always)]
                        |p| if p > T::ZERO { T::ONE } else { p },
                    )
                },
            ),
            Mapping::Entmax15 => in_scores(
                group,
                #[inline(always)]
                |p| p.map(T::sqrt),
            ),
            Mapping::Alpha(alpha) => {
                let negative_epsilon = T::from_f64(1.0 - alpha);
                in_scores(
                    group,
                    #[inline(always)]
                    |p| {
                        let l = log(p);
                        p * (l * negative_epsilon).map(
                            #[inline(always)]
                            |t| t.at_most(T::EIGHTY).exp(),
                        )
                    },
                );
            }
        },
    );
}

#[inline(always)]
fn in_scores<T: Float>(group: &mut [Work<T>], s: impl Fn(Pack<T>) -> Pack<T>) {
    for work in group {
        let [total, weighted] = sums_of_pairs(
            &mut work.other.packs,
            &work.row.packs,
            #[inline(always)]
            |p, g| {
                *p = s(*p);
                [*p, *p * g]
            },
        );
        let mean = weighted / or_one(total);
        subtract(&work.other.packs, &mut work.row.packs, mean);
    }
}

/// `s·(g − mean)`, over g.
#[inline(always)]
fn subtract<T: Float>(s: &[Pack<T>], grad: &mut [Pack<T>], mean: f64) {
    let mean = T::from_f64(mean);
    for (s, g) in s.iter().zip(grad) {
        let g = black_box(g); // see `replace`
        *g = *s * (*g - mean);
    }
}

/// Only a row with everything hidden has a total of 0.
#[inline(always)]
fn or_one(total: f64) -> f64 {
    if total == 0.0 { 1.0 } else { total }
}

/// log p on the support and 0 off it, where p = 0 removes it.
#[inline(always)]
pub(crate) fn log<T: Float>(p: Pack<T>) -> Pack<T> {
    p.map(
        #[inline(always)]
        |p| (if p > T::ZERO { p } else { T::ONE }).ln(),
    )
}

/// [`backward`] of α-entmax with one α a row, and the gradient in each.
///
/// With `l = log p`, `w = l²·φ(−εl)`, `L = Σpl`, `W = Σpw`: `dp/dα = p·[W − w + ε(L·w − l·W)]/(1 − εL
/// + ε²W)`. A constant added to g changes neither gradient, so g is centred first.
pub(crate) fn with_alpha<T: Float>(group: &mut [Work<T>], alphas: &[f64], d_alphas: &mut [f64]) {
    isa::dispatch(
        #[inline(always)]
        || {
            for ((work, &alpha), d_alpha) in group.iter_mut().zip(alphas).zip(d_alphas) {
                *d_alpha = in_scores_and_alpha(work, alpha);
            }
        },
    );
}

#[inline(always)]
fn in_scores_and_alpha<T: Float>(work: &mut Work<T>, alpha: f64) -> f64 {
    let (weights, grad) = (&mut work.other.packs, &mut work.row.packs);
    let (moved, places) = (&mut work.moved.packs, &mut work.places);
    match gather(weights, T::ZERO, moved, T::ZERO, places) {
        Some(n) => {
            // The gradients follow the weights.
            let places = &places[..n];
            for (i, &place) in places.iter().enumerate() {
                let place = place as usize;
                weights[i / LANES].0[i % LANES] = grad[place / LANES].0[place % LANES];
            }
            let n_packs = n.div_ceil(LANES);
            let d_alpha = of_support(&mut moved[..n_packs], &mut weights[..n_packs], alpha);
            scatter(weights, places, grad);
            d_alpha
        }
        None => of_support(weights, grad, alpha),
    }
}

/// Gradients in the scores, written over those in the weights, and in α.
#[inline(always)]
fn of_support<T: Float>(weights: &mut [Pack<T>], grad: &mut [Pack<T>], alpha: f64) -> f64 {
    let epsilon = alpha - 1.0;
    let negative_epsilon = T::from_f64(-epsilon);
    let [centre] = sums_of_pairs(
        weights,
        grad,
        #[inline(always)]
        |p, g| [*p * g],
    );
    let [total, weighted, l, w, g, lg, wg] = sums_of_pairs(
        weights,
        grad,
        #[inline(always)]
        |weights, g| {
            let p = *weights;
            let g = g - T::from_f64(centre);
            let l = log(p);
            let t = (l * negative_epsilon).map(
                #[inline(always)]
                |t| t.at_most(T::EIGHTY),
            );
            let power = t.map(T::exp);
            let w = l * l * t.zip(power, phi);
            let (s, pl, pw) = (p * power, p * l, p * w);
            *weights = s;
            [s, s * g, pl, pw, p * g, pl * g, pw * g]
        },
    );
    subtract(weights, grad, centre + weighted / or_one(total));
    let numerator = w * g - wg + epsilon * (l * wg - w * lg);
    numerator / (1.0 + epsilon * (epsilon * w - l))
}

/// `φ(t) = (eᵗ − 1 − t)/t²` given eᵗ, with φ(0) = ½.
#[inline(always)]
pub(crate) fn phi<T: Float>(t: T, exp_t: T) -> T {
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
