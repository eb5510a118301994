//! Scores to weights: one kernel for every mapping.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::group::{Layout, Place, Reduction, any_row, place, reduce, reduce_one};
use super::power::{EDGE, Family, newton_step, weight};
use super::row::{load, read, visits, write};
use crate::primitive::HIDDEN;

/// Passes after which a row's search ends however far it is.
const MAX_PASSES: u32 = 60;

/// `weights = mapping(scores)` by rows.
///
/// The unknown of a row is the origin o from which scores `x = z − max z` are measured (see
/// [`weight`]); Newton's method with a bracket finds it, and what the last step would still change is
/// kept as a second float. α is read from `alpha[row]` for [`Family::Alpha`] only. Scores ≤ `hidden`
/// get zero weight; `nan` is NaN, which WGSL cannot write, for rows
/// that hold one and rows whose α is not > 0.
#[cube(launch)]
pub(crate) fn forward_kernel<F: Float, A: Float, C: Float>(
    scores: &Tensor<F>,
    alpha: &Tensor<A>,
    weights: &mut Tensor<F>,
    hidden: f32,
    nan: f32,
    #[comptime] family: Family,
    #[comptime] layout: Layout,
    #[comptime] double: bool,
    #[define(F, A, C)] _dtypes: [ElemType; 3],
) {
    let n = scores.shape(1);
    let place = place(scores.shape(0), layout);
    let mut scratch = Shared::new_slice(comptime!(layout.scratch()));
    let kept = load::<F, C>(scores, &place, C::new(comptime!(HIDDEN as f32)), layout);
    let epsilon = match family {
        Family::Softmax => C::new(0.0),
        Family::Sparsemax => C::new(1.0),
        Family::Entmax15 => C::new(0.5),
        Family::Alpha => C::cast_from(alpha[place.row]) - C::new(1.0),
    };
    let (largest, has_nan) = scan::<F, C>(scores, &kept, &place, &mut scratch, layout);
    let row = Row::<C> { largest, epsilon };
    let (origin, correction) = match family {
        Family::Softmax => (C::new(0.0), C::new(0.0)),
        Family::Sparsemax | Family::Entmax15 | Family::Alpha => solve::<F, C>(
            scores,
            &kept,
            &place,
            &row,
            n,
            &mut scratch,
            family,
            layout,
            double,
        ),
    };

    // The weights, and one over their sum.
    let mut sum = C::new(0.0);
    let mut p = Array::<C>::new(comptime!(if layout.items > 0 {
        layout.items
    } else {
        1usize
    }));
    if comptime!(layout.items > 0) {
        #[unroll]
        for i in 0..layout.items {
            let z = kept[i];
            p[i] = final_weight::<C>(z, &row, origin, correction, hidden, family, double);
            sum += p[i];
        }
    } else {
        for i in 0..visits(n, layout) {
            let z = read::<F, C>(scores, &place, i, C::new(comptime!(HIDDEN as f32)), layout);
            sum += final_weight::<C>(z, &row, origin, correction, hidden, family, double);
        }
    }
    let sum = reduce_one::<C>(sum, &mut scratch, Reduction::Sum, layout);
    // Only a row with everything hidden has no weight.
    let scale = C::new(1.0) / select(sum == C::new(0.0), C::new(1.0), sum);
    let is_row = has_nan == C::new(0.0) && epsilon > C::new(-1.0);
    let nan = C::cast_from(nan);
    if comptime!(layout.items > 0) {
        #[unroll]
        for i in 0..layout.items {
            let weight = select(is_row, p[i] * scale, nan);
            write::<F, C>(weights, &place, i, weight, layout);
        }
    } else {
        for i in 0..visits(n, layout) {
            let z = read::<F, C>(scores, &place, i, C::new(comptime!(HIDDEN as f32)), layout);
            let p = final_weight::<C>(z, &row, origin, correction, hidden, family, double);
            let weight = select(is_row, p * scale, nan);
            write::<F, C>(weights, &place, i, weight, layout);
        }
    }
}

/// What is known of a row before its search.
#[derive(CubeType, Clone, Copy)]
struct Row<C: Float> {
    largest: C,
    /// α − 1.
    epsilon: C,
}

/// −∞ as the number that stands for it; NaN stays NaN.
#[cube]
fn finite<C: Float>(z: C) -> C {
    let lowest = C::new(comptime!(HIDDEN as f32));
    select(z <= lowest, lowest, z)
}

/// The largest score of the row, and whether one is NaN, as 1 or 0: devices disagree about what NaN
/// becomes in comparisons and exponentials, so it is looked for.
#[cube]
fn scan<F: Float, C: Float>(
    scores: &Tensor<F>,
    kept: &Array<C>,
    place: &Place,
    scratch: &mut Shared<[C]>,
    #[comptime] layout: Layout,
) -> (C, C) {
    let lowest = C::new(comptime!(HIDDEN as f32));
    let mut found = Array::<C>::new(2usize);
    found[0] = lowest;
    found[1] = C::new(0.0);
    if comptime!(layout.items > 0) {
        #[unroll]
        for i in 0..layout.items {
            scan_one::<C>(&mut found, kept[i]);
        }
    } else {
        for i in 0..visits(scores.shape(1), layout) {
            let z = read::<F, C>(scores, place, i, lowest, layout);
            scan_one::<C>(&mut found, z);
        }
    }
    reduce::<C>(&mut found, scratch, 2usize, Reduction::Max, layout);
    (found[0], found[1])
}

#[cube]
fn scan_one<C: Float>(found: &mut Array<C>, z: C) {
    let bits = f32::cast_from(z).to_bits();
    let is_nan = (bits & 0x7fff_ffff) > 0x7f80_0000;
    found[0] = select(!is_nan && z > found[0], z, found[0]);
    found[1] = select(is_nan, C::new(1.0), found[1]);
}

/// The weight of a score before normalisation, 0 if it is hidden. `z − max z` is taken as an
/// unevaluated sum of two floats (Knuth's two-sum): for α > 2 the power magnifies its rounding.
#[cube]
fn final_weight<C: Float>(
    z: C,
    row: &Row<C>,
    origin: C,
    correction: C,
    hidden: f32,
    #[comptime] family: Family,
    #[comptime] double: bool,
) -> C {
    let is_hidden = z <= C::cast_from(hidden);
    let z = finite::<C>(z);
    let x = z - row.largest;
    let back = x - z;
    let low = (z - (x - back)) - (row.largest + back);
    let low = match family {
        Family::Alpha => low,
        Family::Softmax | Family::Sparsemax | Family::Entmax15 => C::new(0.0),
    };
    let (p, _slope) = weight::<C>(
        (x - origin) + (low - correction),
        row.epsilon,
        family,
        double,
    );
    select(is_hidden, C::new(0.0), p)
}

/// The origin at which the weights sum to 1, and what must still be added to it.
#[cube]
fn solve<F: Float, C: Float>(
    scores: &Tensor<F>,
    kept: &Array<C>,
    place: &Place,
    row: &Row<C>,
    n: usize,
    scratch: &mut Shared<[C]>,
    #[comptime] family: Family,
    #[comptime] layout: Layout,
    #[comptime] double: bool,
) -> (C, C) {
    let one = C::new(1.0);
    let precision = C::new(comptime!(if double { 4.5e-16 } else { 2.4e-7 }));
    let mut low = start::<C>(row.epsilon, family);
    let mut high = low + width::<C>(row.epsilon, n);
    let mut origin = low;
    let mut correction = C::new(0.0);
    let mut last_step = C::new(1e30);
    let mut done = false;
    let mut active = true;
    let mut passes = 0u32;
    while active {
        let mut sums = sums::<F, C>(scores, kept, place, row, origin, family, layout, double);
        reduce::<C>(&mut sums, scratch, 2usize, Reduction::Sum, layout);
        let sum = sums[0];
        let slope = sums[1];
        let excess = sum - one;
        if sum >= one {
            low = select(origin > low, origin, low);
        } else {
            high = select(origin < high, origin, high);
        }
        let step = newton_step::<C>(sum, slope, row.epsilon);
        // Near the root only rounding keeps a step from being smaller than the one before. NaN ends
        // the search too.
        let far = excess.abs() > precision;
        let stalled = excess.abs() < C::new(32.0) * precision && step.abs() >= last_step;
        done = done || !far || stalled;
        correction = excess / slope;
        if !done {
            let next = origin + step;
            let inside = next > low && next < high;
            origin = select(inside, next, (low + high) * C::new(0.5));
            last_step = step.abs();
        }
        passes += 1;
        active = any_row(!done && passes < MAX_PASSES, layout);
    }
    (origin, correction)
}

/// The origin at which the largest score alone has weight 1.
#[cube]
fn start<C: Float>(epsilon: C, #[comptime] family: Family) -> C {
    match family {
        Family::Softmax => C::new(0.0),
        Family::Sparsemax => C::new(-1.0),
        Family::Entmax15 => C::new(-2.0),
        Family::Alpha => {
            let edge = epsilon >= C::new(EDGE);
            let divisor = select(edge, epsilon, C::new(1.0));
            select(edge, C::new(-1.0) / divisor, C::new(0.0))
        }
    }
}

/// How far the origin can rise: `(1 − n^{−ε})/ε`, a little more against rounding.
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

/// This unit's part of `Σp` and `Σp^{1−ε}`.
#[cube]
fn sums<F: Float, C: Float>(
    scores: &Tensor<F>,
    kept: &Array<C>,
    place: &Place,
    row: &Row<C>,
    origin: C,
    #[comptime] family: Family,
    #[comptime] layout: Layout,
    #[comptime] double: bool,
) -> Array<C> {
    let lowest = C::new(comptime!(HIDDEN as f32));
    let mut sum = C::new(0.0);
    let mut slope = C::new(0.0);
    if comptime!(layout.items > 0) {
        #[unroll]
        for i in 0..layout.items {
            let d = finite::<C>(kept[i]) - row.largest - origin;
            let (p, q) = weight::<C>(d, row.epsilon, family, double);
            sum += p;
            slope += q;
        }
    } else {
        for i in 0..visits(scores.shape(1), layout) {
            let z = read::<F, C>(scores, place, i, lowest, layout);
            let d = finite::<C>(z) - row.largest - origin;
            let (p, q) = weight::<C>(d, row.epsilon, family, double);
            sum += p;
            slope += q;
        }
    }
    let mut sums = Array::<C>::new(2usize);
    sums[0] = sum;
    sums[1] = slope;
    sums
}
