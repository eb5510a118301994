//! Short rows beside one another, one a lane: nothing is folded across lanes, and every lane searches
//! its own threshold.

use super::float::Float;
use super::pack::{LANES, Pack, lane_sums, lane_sums_of_replaced, largest_by_lane, replace};
use super::power::{Origin, PowerByLane};
use super::search::Place;

/// Turns scores into weights.
#[inline(always)]
pub(crate) fn threshold<T: Float>(rows: &mut [Pack<T>], hidden: T, power: impl PowerByLane<T>) {
    let largest = largest_by_lane(rows);
    let is_visible = largest.is_above(hidden);
    let instead = instead_of_invisible(rows, is_visible);
    let top = (largest * is_visible).widen() - power.depth();
    let mut places = Places::new(is_visible);
    let mut sums = [Pack::splat(0.0); 2];
    // Only above α = 2 the sum may have no value near 1.
    for _ in 0..100 {
        let origin = Origin::by_lane(top, places.s);
        sums = lane_sums(
            rows,
            #[inline(always)]
            |z| power.weights(z, origin),
        );
        let steps = power.rise(sums[0]).zip(
            sums[1],
            #[inline(always)]
            |rise, slope| rise / slope,
        );
        if places.step::<T>(sums[0], steps) {
            break;
        }
    }
    let origin = Origin::by_lane(top, places.s);
    let scale = reciprocals(sums[0]);
    replace(
        rows,
        #[inline(always)]
        |z| power.weights(z, origin)[0] * scale,
    );
    if let Some(instead) = instead {
        fill_invisible(rows, is_visible, instead);
    }
}

/// Softmax of scores.
#[inline(always)]
pub(crate) fn softmax<T: Float>(rows: &mut [Pack<T>], hidden: T) {
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
fn reciprocals<T: Float>(sums: Pack<f64>) -> Pack<T> {
    Pack::narrow(sums.map(
        #[inline(always)]
        |sum| 1.0 / sum,
    ))
}

/// Where the search of every lane stands.
struct Places {
    s: Pack<f64>,
    low: Pack<f64>,
    high: Pack<f64>,
    last_step: Pack<f64>,
    is_done: [bool; LANES],
}

impl Places {
    /// Lanes without a score that can be seen are done.
    #[inline(always)]
    fn new<T: Float>(is_visible: Pack<T>) -> Self {
        let start = Place::START;
        let mut is_done = [false; LANES];
        for (is_done, is_visible) in is_done.iter_mut().zip(is_visible.0) {
            *is_done = is_visible == T::ZERO;
        }
        Self {
            s: Pack::splat(start.s),
            low: Pack::splat(start.low),
            high: Pack::splat(start.high),
            last_step: Pack::splat(start.last_step),
            is_done,
        }
    }

    /// One step in every lane, and whether all are done.
    #[inline(always)]
    fn step<T: Float>(&mut self, sums: Pack<f64>, steps: Pack<f64>) -> bool {
        let mut all_done = true;
        for i in 0..LANES {
            let place = Place {
                s: self.s.0[i],
                low: self.low.0[i],
                high: self.high.0[i],
                last_step: self.last_step.0[i],
                is_done: self.is_done[i],
            };
            let next = place.next::<T>(sums.0[i], steps.0[i]);
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
fn instead_of_invisible<T: Float>(rows: &[Pack<T>], is_visible: Pack<T>) -> Option<Pack<T>> {
    match is_visible.0.contains(&T::ZERO) {
        true => Some(zeros_or_nan(rows)),
        false => None,
    }
}

#[cold]
fn zeros_or_nan<T: Float>(rows: &[Pack<T>]) -> Pack<T> {
    let mut instead = Pack::splat(T::ZERO);
    for pack in rows {
        for (instead, z) in instead.0.iter_mut().zip(pack.0) {
            if z.is_nan() {
                *instead = z;
            }
        }
    }
    instead
}

#[cold]
fn fill_invisible<T: Float>(rows: &mut [Pack<T>], is_visible: Pack<T>, instead: Pack<T>) {
    for pack in rows {
        for i in 0..LANES {
            if is_visible.0[i] == T::ZERO {
                pack.0[i] = instead.0[i];
            }
        }
    }
}
