//! Short rows interleaved, one per SIMD lane (SoA): nothing is folded across lanes, and every lane finds its
//! own threshold.

use super::centre::{centre, origin};
use super::float::Float;
use super::mapping::{LaneMapping, Shift};
use super::root::Bracket;
use super::simd::{
    LANES, Simd, lane_sums, lane_sums_of_pairs, lane_sums_of_replaced, largest_by_lane, replace,
    scaled,
};

/// Turns scores into weights; `kept` is memory for as many.
#[inline(always)]
pub(crate) fn threshold<T: Float, P: LaneMapping<T>>(
    rows: &mut [Simd<T>],
    kept: &mut Vec<Simd<T>>,
    hidden: T,
    power: P,
) {
    let largest = largest_by_lane(rows);
    let is_visible = largest.is_above(hidden);
    let instead = instead_of_invisible(rows, is_visible);
    let mut largest = largest * is_visible;
    let origins = largest.map(
        #[inline(always)]
        |largest| origin(largest),
    );
    if origins.0.iter().any(|&origin| origin != T::ZERO) {
        centre(rows, hidden, origins);
        largest = largest - origins;
    }
    let top = largest.widen() - power.depth();
    if P::KEEPS_WEIGHTS {
        kept.resize(rows.len(), Simd::splat(T::ZERO));
    }
    let mut brackets = Brackets::new(is_visible);
    let mut sums = [Simd::splat(0.0); 2];
    // Many more than it takes.
    for _ in 0..100 {
        let shift = Shift::by_lane(top, brackets.s);
        sums = match P::KEEPS_WEIGHTS {
            true => lane_sums_of_pairs(
                kept,
                rows,
                #[inline(always)]
                |kept, z| {
                    let weights = power.weights(z, shift);
                    *kept = weights[0];
                    weights
                },
            ),
            false => lane_sums(
                rows,
                #[inline(always)]
                |z| power.weights(z, shift),
            ),
        };
        let steps = power.residual(sums[0]).zip(
            sums[1],
            #[inline(always)]
            |residual, slope| residual / slope,
        );
        if brackets.step::<T>(sums[0], steps) {
            break;
        }
    }
    let scale = reciprocals(sums[0]);
    match P::KEEPS_WEIGHTS {
        true => scaled(rows, kept, scale),
        false => {
            let shift = Shift::by_lane(top, brackets.s);
            replace(
                rows,
                #[inline(always)]
                |z| power.weights(z, shift)[0] * scale,
            );
        }
    }
    if let Some(instead) = instead {
        fill_invisible(rows, is_visible, instead);
    }
}

/// Softmax of scores.
#[inline(always)]
pub(crate) fn softmax<T: Float>(rows: &mut [Simd<T>], hidden: T) {
    let largest = largest_by_lane(rows);
    let is_visible = largest.is_above(hidden);
    let instead = instead_of_invisible(rows, is_visible);
    let [sums] = lane_sums_of_replaced(
        rows,
        #[inline(always)]
        |z| {
            *z = (*z - largest).map(
                #[inline(always)]
                |z| z.exp(),
            );
            [*z]
        },
    );
    let scale = reciprocals(sums);
    replace(
        rows,
        #[inline(always)]
        |p| p * scale,
    );
    if let Some(instead) = instead {
        fill_invisible(rows, is_visible, instead);
    }
}

#[inline(always)]
fn reciprocals<T: Float>(sums: Simd<f64>) -> Simd<T> {
    Simd::narrow(sums.map(
        #[inline(always)]
        |sum| 1.0 / sum,
    ))
}

/// The [`Bracket`] of every lane.
struct Brackets {
    s: Simd<f64>,
    low: Simd<f64>,
    high: Simd<f64>,
    last_step: Simd<f64>,
    is_done: [bool; LANES],
}

impl Brackets {
    /// Lanes without a score that can be seen are done.
    #[inline(always)]
    fn new<T: Float>(is_visible: Simd<T>) -> Self {
        let start = Bracket::START;
        let mut is_done = [false; LANES];
        for (is_done, is_visible) in is_done.iter_mut().zip(is_visible.0) {
            *is_done = is_visible == T::ZERO;
        }
        Self {
            s: Simd::splat(start.s),
            low: Simd::splat(start.low),
            high: Simd::splat(start.high),
            last_step: Simd::splat(start.last_step),
            is_done,
        }
    }

    /// One step in every lane, and whether all are done.
    #[inline(always)]
    fn step<T: Float>(&mut self, sums: Simd<f64>, steps: Simd<f64>) -> bool {
        let mut all_done = true;
        for i in 0..LANES {
            let bracket = Bracket {
                s: self.s.0[i],
                low: self.low.0[i],
                high: self.high.0[i],
                last_step: self.last_step.0[i],
                is_done: self.is_done[i],
            };
            let next = bracket.next::<T>(sums.0[i], steps.0[i]);
            self.s.0[i] = next.s;
            self.low.0[i] = next.low;
            self.high.0[i] = next.high;
            self.last_step.0[i] = next.last_step;
            self.is_done[i] = next.is_done;
            all_done &= next.is_done;
        }
        all_done
    }
}

/// What rows without a score that can be seen become: zeros, or NaN where a score is. None without
/// such rows.
#[inline(always)]
fn instead_of_invisible<T: Float>(rows: &[Simd<T>], is_visible: Simd<T>) -> Option<Simd<T>> {
    match is_visible.0.contains(&T::ZERO) {
        true => Some(zeros_or_nan(rows)),
        false => None,
    }
}

#[cold]
fn zeros_or_nan<T: Float>(rows: &[Simd<T>]) -> Simd<T> {
    let mut instead = Simd::splat(T::ZERO);
    for simd in rows {
        for (instead, z) in instead.0.iter_mut().zip(simd.0) {
            if z.is_nan() {
                *instead = z;
            }
        }
    }
    instead
}

#[cold]
fn fill_invisible<T: Float>(rows: &mut [Simd<T>], is_visible: Simd<T>, instead: Simd<T>) {
    for simd in rows {
        for i in 0..LANES {
            if is_visible.0[i] == T::ZERO {
                simd.0[i] = instead.0[i];
            }
        }
    }
}
