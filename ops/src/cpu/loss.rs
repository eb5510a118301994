//! Losses of rows against one class each.

use super::backward::{log, phi};
use super::float::Float;
use super::forward::forward;
use super::isa;
use super::simd::{LANES, Simd, largest_by_lane, sums, sums_of_pairs};
use super::workspace::Workspace;
use crate::entmax::Mapping;
use crate::primitive::HIDDEN;

/// `log Σexp(z) − z_target`.
pub(crate) fn cross_entropy<T: Float>(work: &mut Workspace<T>, target: usize) -> T {
    let row = &work.row.vectors;
    let (largest, sum) = largest_and_sum(row);
    T::from_f64(sum.ln()) + (largest - row[target / LANES].0[target % LANES])
}

/// `log Σexp(z)`.
pub(crate) fn log_partition<T: Float>(work: &mut Workspace<T>) -> T {
    let (largest, sum) = largest_and_sum(&work.row.vectors);
    T::from_f64(sum.ln()) + largest
}

/// The largest score, and the sum of exp of what the others are above it.
fn largest_and_sum<T: Float>(row: &[Simd<T>]) -> (T, f64) {
    isa::dispatch(
        #[inline(always)]
        || {
            let largest = largest_by_lane(row).largest();
            let [sum] = sums(
                row,
                #[inline(always)]
                |z| [(z - largest).exp()],
            );
            (largest, sum)
        },
    )
}

/// `g·(softmax(z) − e_target)`, written over the logits, given `log Σexp(z)`.
pub(crate) fn cross_entropy_backward<T: Float>(
    work: &mut Workspace<T>,
    target: usize,
    log_partition: T,
    grad: T,
) {
    let row = &mut work.row.vectors;
    let target = (target / LANES, target % LANES);
    isa::dispatch(
        #[inline(always)]
        || {
            for simd in row.iter_mut() {
                *simd = (*simd - log_partition).exp() * grad;
            }
        },
    );
    let at_target = &mut row[target.0].0[target.1];
    *at_target = *at_target - grad;
}

/// Turns scores into weights, and gives the Fenchel–Young loss of each row, `Σp(z − z_target) + H(p)`;
/// 0 without a target or a score that can be seen.
pub(crate) fn entmax<T: Float>(
    group: &mut [Workspace<T>],
    targets: &[Option<usize>],
    hidden: T,
    mapping: Mapping,
    losses: &mut [f64],
) {
    for work in group.iter_mut() {
        work.other.vectors.copy_from_slice(&work.row.vectors);
    }
    forward(group, hidden, mapping);
    for ((work, target), loss) in group.iter_mut().zip(targets).zip(losses) {
        *loss = match target {
            Some(target) => fenchel_young(work, *target, mapping),
            None => 0.0,
        };
    }
}

/// The loss of weights, given the scores in the other row.
fn fenchel_young<T: Float>(work: &mut Workspace<T>, target: usize, mapping: Mapping) -> f64 {
    let lowest = T::from_f64(HIDDEN);
    let target = work.other.vectors[target / LANES].0[target % LANES].at_least(lowest);
    let (one, half) = (T::ONE, T::from_f64(0.5));
    isa::dispatch(
        #[inline(always)]
        || match mapping {
            Mapping::Softmax => sum_over(
                work,
                target,
                #[inline(always)]
                |p| log(p) * (T::ZERO - one),
            ),
            Mapping::Sparsemax => sum_over(
                work,
                target,
                #[inline(always)]
                |p| (Simd::splat(one) - p) * half,
            ),
            Mapping::Entmax15 => sum_over(
                work,
                target,
                #[inline(always)]
                |p| (Simd::splat(one) - p.sqrt()) * T::from_f64(1.0 / 0.75),
            ),
            // (1 − pᵋ)/(αε) = −l(1 + tφ(t))/α with t = εl.
            Mapping::Alpha(alpha) => {
                let (epsilon, scale) = (T::from_f64(alpha - 1.0), T::from_f64(-1.0 / alpha));
                sum_over(
                    work,
                    target,
                    #[inline(always)]
                    |p| {
                        let l = log(p);
                        let t = l * epsilon;
                        let phi = t.zip(
                            t.exp(),
                            #[inline(always)]
                            |t, e| phi(t, e),
                        );
                        l * (t * phi + one) * scale
                    },
                )
            }
        },
    )
}

/// `Σp(z − z_target + h(p))`, which is ≥ 0 but for rounding.
#[inline(always)]
fn sum_over<T: Float>(work: &mut Workspace<T>, target: T, h: impl Fn(Simd<T>) -> Simd<T>) -> f64 {
    let lowest = T::from_f64(HIDDEN);
    let [sum] = sums_of_pairs(
        &mut work.row.vectors,
        &work.other.vectors,
        #[inline(always)]
        |p, z| {
            let p = *p;
            if !p.reaches(T::ZERO) {
                return [p]; // all zero
            }
            let z = z.map(
                #[inline(always)]
                |z| z.at_least(lowest),
            );
            [p * (z - target + h(p))]
        },
    );
    sum.at_least(0.0)
}

/// `g·(p − e_target)`, written over the weights; zeros where none of them is above 0.
pub(crate) fn entmax_backward<T: Float>(work: &mut Workspace<T>, target: usize, grad: T) {
    let row = &mut work.row.vectors;
    let is_visible = row.iter().any(|p| p.reaches(T::ZERO));
    for p in row.iter_mut() {
        *p = *p * grad;
    }
    if is_visible {
        let at_target = &mut row[target / LANES].0[target % LANES];
        *at_target = *at_target - grad;
    }
}
