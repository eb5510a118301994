//! Upstream gradients of a row to gradients in the scores and in α.

use std::hint::black_box;

use super::compress::{compress, expand};
use super::float::Float;
use super::isa;
use super::large_alpha::{self, any_large, is_large};
use super::simd::{LANES, Simd, lane_sums_of_pairs};
use super::workspace::{RowLayout, Workspace};
use crate::entmax::Mapping;

/// The longest rows that are faster interleaved: of mappings whose rows need no workspace by themselves, of any α, and with
/// the gradient in α, which is dear, while a row by itself may leave out what has no weight.
const LONGEST_BEFORE_DIRECT: usize = 256;
const LONGEST_INTERLEAVED: usize = 512;
const LONGEST_INTERLEAVED_WITH_ALPHA: usize = 128;

/// The longest row that is interleaved with others: none where α > 2, where each is differentiated by itself.
pub(crate) fn longest_interleaved(mapping: Mapping) -> usize {
    match mapping {
        Mapping::Alpha(alpha) if is_large(alpha) => 0,
        Mapping::Softmax | Mapping::Sparsemax | Mapping::Entmax15 => LONGEST_BEFORE_DIRECT,
        Mapping::Alpha(_) => LONGEST_INTERLEAVED,
    }
}

/// The same with one α per row.
pub(crate) fn longest_interleaved_with_alpha(alphas: &[f64]) -> usize {
    match any_large(alphas) {
        true => 0,
        false => LONGEST_INTERLEAVED_WITH_ALPHA,
    }
}

/// How the sums of lanes become those of rows, each in the lanes of its row.
trait Fold {
    fn fold(sums: Simd<f64>) -> Simd<f64>;
}

/// One row, whose elements are in all lanes.
struct AcrossLanes;

impl Fold for AcrossLanes {
    #[inline(always)]
    fn fold(sums: Simd<f64>) -> Simd<f64> {
        Simd::splat(sums.sum())
    }
}

/// A row a lane.
struct PerLane;

impl Fold for PerLane {
    #[inline(always)]
    fn fold(sums: Simd<f64>) -> Simd<f64> {
        sums
    }
}

// A loop: the standard library's `map` is compiled by itself, for any processor.
#[inline(always)]
fn folded<F: Fold, const K: usize>(mut sums: [Simd<f64>; K]) -> [Simd<f64>; K] {
    for sum in &mut sums {
        *sum = F::fold(*sum);
    }
    sums
}

/// Turns upstream gradients into gradients in the scores, given the weights in the other row:
/// `s·(g − Σsg/Σs)` with `s = p^{2−α}` on the support.
pub(crate) fn backward<T: Float>(group: &mut [Workspace<T>], mapping: Mapping) {
    if let Mapping::Alpha(alpha) = mapping
        && is_large(alpha)
    {
        for work in group {
            large_alpha::backward(work, alpha);
        }
        return;
    }
    isa::dispatch(
        #[inline(always)]
        || match mapping {
            Mapping::Softmax => in_scores(
                group,
                #[inline(always)]
                |p| p,
            ),
            Mapping::Sparsemax => in_scores(group, of_sparsemax),
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

/// 1 on the support and p off it.
#[inline(always)]
pub(super) fn of_sparsemax<T: Float>(p: Simd<T>) -> Simd<T> {
    p.map(
        #[inline(always)]
        |p| if p > T::ZERO { T::ONE } else { p },
    )
}

#[inline(always)]
fn in_scores<T: Float>(group: &mut [Workspace<T>], s: impl Fn(Simd<T>) -> Simd<T>) {
    match group[0].row.layout {
        // A loop: the standard library's `for_each` is compiled by itself, for any processor.
        RowLayout::RowMajor => {
            for work in group {
                in_scores_of::<T, AcrossLanes>(work, &s);
            }
        }
        RowLayout::Interleaved => in_scores_of::<T, PerLane>(&mut group[0], &s),
    }
}

#[inline(always)]
fn in_scores_of<T: Float, F: Fold>(work: &mut Workspace<T>, s: impl Fn(Simd<T>) -> Simd<T>) {
    let [total, weighted] = folded::<F, _>(lane_sums_of_pairs(
        &mut work.other.vectors,
        &work.row.vectors,
        #[inline(always)]
        |p, g| {
            *p = s(*p);
            [*p, *p * g]
        },
    ));
    subtract(
        &work.other.vectors,
        &mut work.row.vectors,
        mean(total, weighted),
    );
}

/// `s·(g − mean)`, over g.
#[inline(always)]
fn subtract<T: Float>(s: &[Simd<T>], grad: &mut [Simd<T>], mean: Simd<f64>) {
    let mean = Simd::narrow(mean);
    for (s, g) in s.iter().zip(grad) {
        let g = black_box(g); // see `replace`
        *g = *s * (*g - mean);
    }
}

/// Only a row with everything hidden has a total of 0: there it is 0.
#[inline(always)]
pub(super) fn mean(total: Simd<f64>, weighted: Simd<f64>) -> Simd<f64> {
    total.zip(
        weighted,
        #[inline(always)]
        |total, weighted| weighted / if total == 0.0 { 1.0 } else { total },
    )
}

/// log p on the support and 0 off it, where p = 0 removes it.
#[inline(always)]
pub(crate) fn log<T: Float>(p: Simd<T>) -> Simd<T> {
    p.map(
        #[inline(always)]
        |p| (if p > T::ZERO { p } else { T::ONE }).ln(),
    )
}

/// [`backward`] of α-entmax with one α per row, and the gradient in each.
///
/// With `l = log p`, `w = l²·φ(−εl)`, `L = Σpl`, `W = Σpw`: `dp/dα = p·[W − w + ε(L·w − l·W)]/(1 − εL
/// + ε²W)`. A constant added to g changes neither gradient, so g is centred first.
pub(crate) fn with_alpha<T: Float>(
    group: &mut [Workspace<T>],
    alphas: &[f64],
    d_alphas: &mut [f64],
) {
    let is_row_major = group[0].row.layout == RowLayout::RowMajor;
    match is_row_major && any_large(&alphas[..alphas.len().min(group.len())]) {
        true => row_by_row(group, alphas, d_alphas),
        false => with_small_alpha(group, alphas, d_alphas),
    }
}

/// [`with_alpha`] of rows of which some have α > 2.
#[cold]
fn row_by_row<T: Float>(group: &mut [Workspace<T>], alphas: &[f64], d_alphas: &mut [f64]) {
    for ((work, alpha), d_alpha) in group.iter_mut().zip(alphas).zip(d_alphas) {
        match is_large(*alpha) {
            true => *d_alpha = large_alpha::backward(work, *alpha),
            false => {
                let work = std::slice::from_mut(work);
                with_small_alpha(work, &[*alpha], std::slice::from_mut(d_alpha));
            }
        }
    }
}

/// [`with_alpha`] up to α = 2.
fn with_small_alpha<T: Float>(group: &mut [Workspace<T>], alphas: &[f64], d_alphas: &mut [f64]) {
    isa::dispatch(
        #[inline(always)]
        || {
            if group[0].row.layout == RowLayout::Interleaved {
                // Lanes without a row have an α too.
                let alphas = std::array::from_fn(|i| alphas[i.min(alphas.len() - 1)]);
                let (weights, grad) = (&mut group[0].other.vectors, &mut group[0].row.vectors);
                let of_rows = of_support::<T, PerLane>(weights, grad, Simd(alphas));
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
    let (weights, grad) = (&mut work.other.vectors, &mut work.row.vectors);
    let (compressed, places) = (&mut work.compressed.vectors, &mut work.places);
    let alpha = Simd::splat(alpha);
    let d_alpha = match compress(weights, T::ZERO, compressed, T::ZERO, places) {
        Some(n) => {
            // The gradients follow the weights.
            let places = &places[..n];
            for (i, &place) in places.iter().enumerate() {
                let place = place as usize;
                weights[i / LANES].0[i % LANES] = grad[place / LANES].0[place % LANES];
            }
            let n_vectors = n.div_ceil(LANES);
            let (p, g) = (&mut compressed[..n_vectors], &mut weights[..n_vectors]);
            let d_alpha = of_support::<T, AcrossLanes>(p, g, alpha);
            expand(weights, places, grad);
            d_alpha
        }
        None => of_support::<T, AcrossLanes>(weights, grad, alpha),
    };
    d_alpha.0[0]
}

/// Gradients in the scores, written over those in the weights, and in α.
#[inline(always)]
fn of_support<T: Float, F: Fold>(
    weights: &mut [Simd<T>],
    grad: &mut [Simd<T>],
    alpha: Simd<f64>,
) -> Simd<f64> {
    let one = Simd::splat(1.0);
    let epsilon = alpha - one;
    let negative_epsilon = Simd::narrow(one - alpha);
    let [centre] = folded::<F, _>(lane_sums_of_pairs(
        weights,
        grad,
        #[inline(always)]
        |p, g| [*p * g],
    ));
    let near_centre = Simd::<T>::narrow(centre);
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
            // Each by itself: the compiler would build vectors across them.
            let (s, pl, pw) = (black_box(p * power), black_box(p * l), black_box(p * w));
            *weights = s;
            [s, s * g, pl, pw, p * g, pl * g, pw * g]
        },
    );
    let [total, weighted, l, w, g, lg, wg] = folded::<F, _>(sums);
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
    // There the closed form would cancel.
    let small = (t < T::ONE) & (t > T::ZERO - T::ONE);
    let series = phi_series(if small { t } else { T::ZERO });
    let y = if small { T::ONE } else { t };
    let closed = (exp_t - T::ONE - y) / (y * y);
    if small { series } else { closed }
}

/// `φ(t) = Σ tᵏ/(k + 2)!` on [−1, 1], by Horner's rule.
#[inline(always)]
fn phi_series<T: Float>(t: T) -> T {
    const COEFFICIENTS: [f64; 20] = {
        let mut coefficients = [0.5; 20];
        let mut k = 1;
        while k < 20 {
            coefficients[k] = coefficients[k - 1] / (k + 2) as f64;
            k += 1;
        }
        coefficients
    };
    let mut series = T::ZERO;
    for k in (0..T::PHI_TERMS as usize).rev() {
        series = series * t + T::from_f64(COEFFICIENTS[k]);
    }
    series
}
