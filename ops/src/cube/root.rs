//! Root finding for a row's threshold, one step at a time: Newton's method in a bracket.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::large_alpha::{base_of, large_weight};
use super::mapping::{BOUNDARY, Family, newton_step, weight};
use crate::primitive::HIDDEN;

/// Passes after which root finding ends however far it is.
pub(crate) const MAX_PASSES: u32 = 60;

/// The constants of a row's root finding.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct RowConstants<C: Float> {
    pub largest: C,
    /// α − 1.
    pub epsilon: C,
}

/// Numbers of a row's bracket and iterate, from some index of an array on.
pub(crate) const STATE: usize = 6;
const LOW: usize = 0;
const HIGH: usize = 1;
/// The iterate: the shift that is subtracted from scores `x = z − max z`, see [`weight`].
pub(crate) const SHIFT: usize = 2;
/// What the last step would still add to it.
pub(crate) const CORRECTION: usize = 3;
const LAST_STEP: usize = 4;
/// Not 0 where the root is found, or given up.
pub(crate) const DONE: usize = 5;

/// Begins among `n` scores, from below.
#[cube]
pub(crate) fn begin<C: Float>(
    state: &mut Array<C>,
    #[comptime] at: usize,
    epsilon: C,
    n: usize,
    done: bool,
    #[comptime] family: Family,
) {
    let low = start::<C>(epsilon, family);
    state[at + LOW] = low;
    state[at + HIGH] = low + width::<C>(epsilon, n);
    state[at + SHIFT] = low;
    state[at + CORRECTION] = C::new(0.0);
    state[at + LAST_STEP] = C::new(1e30);
    state[at + DONE] = select(done, C::new(1.0), C::new(0.0));
}

/// One step, given `Σp` and `Σp^{1−ε}` at the shift.
#[cube]
pub(crate) fn advance<C: Float>(
    state: &mut Array<C>,
    #[comptime] at: usize,
    sum: C,
    slope: C,
    epsilon: C,
    #[comptime] double: bool,
) {
    let one = C::new(1.0);
    let precision = C::new(comptime!(if double { 4.5e-16 } else { 2.4e-7 }));
    let shift = state[at + SHIFT];
    let last_step = state[at + LAST_STEP];
    let excess = sum - one;
    let above = sum >= one;
    let low = select(above && shift > state[at + LOW], shift, state[at + LOW]);
    let high = select(!above && shift < state[at + HIGH], shift, state[at + HIGH]);
    let step = newton_step::<C>(sum, slope, epsilon);
    // Near the root only rounding keeps a step from being smaller than the one before. NaN ends
    // it too.
    let far = excess.abs() > precision;
    let stalled = excess.abs() < C::new(32.0) * precision && step.abs() >= last_step;
    let done = state[at + DONE] != C::new(0.0) || !far || stalled;
    let next = shift + step;
    let inside = next > low && next < high;
    let moved = select(inside, next, (low + high) * C::new(0.5));
    state[at + LOW] = low;
    state[at + HIGH] = high;
    state[at + SHIFT] = select(done, shift, moved);
    state[at + CORRECTION] = excess / slope;
    state[at + LAST_STEP] = select(done, last_step, step.abs());
    state[at + DONE] = select(done, one, C::new(0.0));
}

/// −∞ as the number that stands for it; NaN stays NaN.
#[cube]
pub(crate) fn finite<C: Float>(z: C) -> C {
    let lowest = C::new(comptime!(HIDDEN as f32));
    select(z <= lowest, lowest, z)
}

/// Whether a score is NaN or +∞: devices disagree about what those become in comparisons and exponentials. Half of an
/// f64 that f32 cannot hold is not itself, but for +∞.
#[cube]
pub(crate) fn is_no_score<C: Float>(z: C, #[comptime] double: bool) -> bool {
    let bits = f32::cast_from(z).to_bits();
    let is_nan = (bits & 0x7fff_ffff) > 0x7f80_0000;
    let mut is_infinite = bits == 0x7f80_0000;
    if comptime!(double) {
        is_infinite = is_infinite && z * C::new(0.5) == z;
    }
    is_nan || is_infinite
}

/// Whether a row is solved as [`super::large_alpha`] says.
#[cube]
pub(crate) fn is_large<C: Float>(epsilon: C, #[comptime] family: Family) -> bool {
    epsilon
        > C::new(comptime!(if family == Family::AnyAlpha {
            1.0f32
        } else {
            1e30f32
        }))
}

/// The weight of a score before normalisation, 0 if it is hidden. Above α = 2 the shift is the smallest score with
/// weight and the correction that weight.
#[cube]
pub(crate) fn final_weight<C: Float>(
    z: C,
    row: &RowConstants<C>,
    shift: C,
    correction: C,
    hidden: f32,
    #[comptime] family: Family,
    #[comptime] double: bool,
) -> C {
    let is_hidden = z <= C::cast_from(hidden);
    let z = finite::<C>(z);
    let p = match family {
        Family::AnyAlpha => {
            let epsilon = row.epsilon;
            if is_large::<C>(epsilon, family) {
                let base = base_of::<C>(correction, epsilon);
                let (large, _slope) = large_weight::<C>(z - shift, epsilon, correction, base);
                large
            } else {
                small_weight::<C>(z, row, shift, correction, family, double)
            }
        }
        Family::Softmax | Family::Sparsemax | Family::Entmax15 | Family::Alpha => {
            small_weight::<C>(z, row, shift, correction, family, double)
        }
    };
    select(is_hidden, C::new(0.0), p)
}

/// The weight of a score up to α = 2. `z − max z` is taken as an unevaluated sum of two floats (Knuth's two-sum): for
/// α near 2 the power keeps its rounding.
#[cube]
fn small_weight<C: Float>(
    z: C,
    row: &RowConstants<C>,
    shift: C,
    correction: C,
    #[comptime] family: Family,
    #[comptime] double: bool,
) -> C {
    let x = z - row.largest;
    let back = x - z;
    let low = (z - (x - back)) - (row.largest + back);
    let low = match family {
        Family::Alpha | Family::AnyAlpha => low,
        Family::Softmax | Family::Sparsemax | Family::Entmax15 => C::new(0.0),
    };
    let d = (x - shift) + (low - correction);
    let (p, _slope) = weight::<C>(d, row.epsilon, family, double);
    p
}

/// The shift at which the largest score alone has weight 1.
#[cube]
fn start<C: Float>(epsilon: C, #[comptime] family: Family) -> C {
    match family {
        Family::Softmax => C::new(0.0),
        Family::Sparsemax => C::new(-1.0),
        Family::Entmax15 => C::new(-2.0),
        Family::Alpha | Family::AnyAlpha => {
            let from_boundary = epsilon >= C::new(BOUNDARY);
            let divisor = select(from_boundary, epsilon, C::new(1.0));
            select(from_boundary, C::new(-1.0) / divisor, C::new(0.0))
        }
    }
}

/// How far the shift can rise: `(1 − n^{−ε})/ε`, a little more against rounding.
#[cube]
fn width<C: Float>(epsilon: C, n: usize) -> C {
    let one = C::new(1.0);
    let log_n = C::cast_from(n as u32).ln();
    let t = epsilon * log_n;
    let is_small = t.abs() < C::new(0.01);
    let divisor = select(is_small, one, epsilon);
    let exact = (one - (-t).exp()) / divisor;
    select(is_small, log_n, exact) * C::new(1.02) + C::new(1e-6)
}
