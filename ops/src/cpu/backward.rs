//! Upstream gradients of a row to gradients in the scores and in α.

use std::hint::black_box;

use super::compact::{gather, scatter};
use super::float::Float;
use super::isa;
use super::pack::{LANES, Pack, lane_sums_of_pairs};
use super::workspace::{Layout, Workspace};
use crate::entmax::Mapping;

/// The longest rows that are faster beside others, without and with the gradient in α: that is dear, and
/// along a row it may leave out what has no weight.
pub(crate) const LONGEST_BESIDE: usize = 512;
pub(crate) const LONGEST_BESIDE_WITH_ALPHA: usize = 128;

/// How the sums of lanes become those of rows, each in the lanes of its row.
trait Fold {
    fn fold(sums: Pack<f64>) -> Pack<f64>;
}

/// One row, along the lanes.
struct Along;

impl Fold for Along {
    #[inline(always)]
    fn fold(sums: Pack<f64>) -> Pack<f64> {
        Pack::splat(sums.sum())
    }
}

/// A row a lane.
struct Beside;

impl Fold for Beside {
    #[inline(always)]
    fn fold(sums: Pack<f64>) -> Pack<f64> {
        sums
    }
}

/// Turns upstream gradients into gradients in the scores, given the weights in the other row:
/// `s·(g − Σsg/Σs)` with `s = p^{2−α}` on the support.
pub(crate) fn backward<T: Float>(group: &mut [Workspace<T>], mapping: Mapping) {
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
                |p| p.sqrt(),
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
fn in_scores<T: Float>(group: &mut [Workspace<T>], s: impl Fn(Pack<T>) -> Pack<T>) {
    match group[0].row.layout {
        Layout::Along => group.iter_mut().for_each(
            #[inline(always)]
            |work| in_scores_of::<T, Along>(work, &s),
        ),
        Layout::Beside => in_scores_of::<T, Beside>(&mut group[0], &s),
    }
}

#[inline(always)]
fn in_scores_of<T: Float, F: Fold>(work: &mut Workspace<T>, s: impl Fn(Pack<T>) -> Pack<T>) {
    let [total, weighted] = lane_sums_of_pairs(
        &mut work.other.packs,
        &work.row.packs,
        #[inline(always)]
        |p, g| {
            *p = s(*p);
            [*p, *p * g]
        },
    )
    .map(F::fold);
    subtract(
        &work.other.packs,
        &mut work.row.packs,
        mean(total, weighted),
    );
}

/// `s·(g − mean)`, over g.
#[inline(always)]
fn subtract<T: Float>(s: &[Pack<T>], grad: &mut [Pack<T>], mean: Pack<f64>) {
    let mean = Pack::narrow(mean);
    for (s, g) in s.iter().zip(grad) {
        let g = black_box(g); // see `replace`
        *g = *s * (*g - mean);
    }
}

/// Only a row with everything hidden has a total of 0: there it is 0.
#[inline(always)]
fn mean(total: Pack<f64>, weighted: Pack<f64>) -> Pack<f64> {
    total.zip(
        weighted,
        #[inline(always)]
        |total, weighted| weighted / if total == 0.0 { 1.0 } else { total },
    )
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
pub(crate) fn with_alpha<T: Float>(
    group: &mut [Workspace<T>],
    alphas: &[f64],
    d_alphas: &mut [f64],
) {
    isa::dispatch(
        #[inline(always)]
        || {
            if group[0].row.layout == Layout::Beside {
                // Lanes without a row have an α too.
                let alphas = std::array::from_fn(|i| alphas[i.min(alphas.len() - 1)]);
                let (weights, grad) = (&mut group[0].other.packs, &mut group[0].row.packs);
                let of_rows = of_support::<T, Beside>(weights, grad, Pack(alphas));
                d_alphas.copy_from_slice(&of_rows.0[..d_alphas.len()]);
                return;
            }
            for ((work, &alpha), d_alpha) in group.iter_mut().zip(alphas).zip(d_alphas) {
                *d_alpha = in_scores_and_alpha(work, alpha);
            }
        },
    );
}

#[inline(always)]
fn in_scores_and_alpha<T: Float>(work: &mut Workspace<T>, alpha: f64) -> f64 {
    let (weights, grad) = (&mut work.other.packs, &mut work.row.packs);
    let (moved, places) = (&mut work.moved.packs, &mut work.places);
    let alpha = Pack::splat(alpha);
    let d_alpha = match gather(weights, T::ZERO, moved, T::ZERO, places) {
        Some(n) => {
            // The gradients follow the weights.
            let places = &places[..n];
            for (i, &place) in places.iter().enumerate() {
                let place = place as usize;
                weights[i / LANES].0[i % LANES] = grad[place / LANES].0[place % LANES];
            }
            let n_packs = n.div_ceil(LANES);
            let (p, g) = (&mut moved[..n_packs], &mut weights[..n_packs]);
            let d_alpha = of_support::<T, Along>(p, g, alpha);
            scatter(weights, places, grad);
            d_alpha
        }
        None => of_support::<T, Along>(weights, grad, alpha),
    };
    d_alpha.0[0]
}

/// Gradients in the scores, written over those in the weights, and in α.
#[inline(always)]
fn of_support<T: Float, F: Fold>(
    weights: &mut [Pack<T>],
    grad: &mut [Pack<T>],
    alpha: Pack<f64>,
) -> Pack<f64> {
    let one = Pack::splat(1.0);
    let epsilon = alpha - one;
    let negative_epsilon = Pack::narrow(one - alpha);
    let [centre] = lane_sums_of_pairs(
        weights,
        grad,
        #[inline(always)]
        |p, g| [*p * g],
    )
    .map(F::fold);
    let near_centre = Pack::<T>::narrow(centre);
    let sums = lane_sums_of_pairs(
        weights,
        grad,
        #[inline(always)]
        |weights, g| {
            let p = *weights;
            let g = g - near_centre;
            let l = log(p);
            let t = (l * negative_epsilon).map(
                #[inline(always)]
                |t| t.at_most(T::EIGHTY),
            );
            let power = t.exp();
            let w = l
                * l
                * t.zip(
                    power,
                    #[inline(always)]
                    |t, power| phi(t, power),
                );
            let (s, pl, pw) = (p * power, p * l, p * w);
            *weights = s;
            [s, s * g, pl, pw, p * g, pl * g, pw * g]
        },
    );
    let [total, weighted, l, w, g, lg, wg] = sums.map(F::fold);
    subtract(weights, grad, centre + mean(total, weighted));
    let numerator = w * g - wg + epsilon * (l * wg - w * lg);
    let denominator = one + epsilon * (epsilon * w - l);
    numerator.zip(
        denominator,
        #[inline(always)]
        |numerator, denominator| numerator / denominator,
    )
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
