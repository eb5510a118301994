//! Scores to weights: one kernel for every mapping.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::group::{Layout, Place, Reduction, any_row, place, reduce, reduce_one};
use super::power::{Family, weight};
use super::row::{load, read, visits, write};
use super::search::{
    CORRECTION, DONE, MAX_PASSES, ORIGIN, Row, STATE, advance, begin, final_weight, finite, is_nan,
};
use crate::primitive::HIDDEN;

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
    let is_nan = is_nan::<C>(z);
    found[0] = select(!is_nan && z > found[0], z, found[0]);
    found[1] = select(is_nan, C::new(1.0), found[1]);
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
    let mut state = Array::<C>::new(STATE);
    begin::<C>(&mut state, 0usize, row.epsilon, n, false, family);
    let mut active = true;
    let mut passes = 0u32;
    while active {
        let mut sums = sums::<F, C>(
            scores,
            kept,
            place,
            row,
            state[ORIGIN],
            family,
            layout,
            double,
        );
        reduce::<C>(&mut sums, scratch, 2usize, Reduction::Sum, layout);
        advance::<C>(&mut state, 0usize, sums[0], sums[1], row.epsilon, double);
        passes += 1;
        active = any_row(state[DONE] == C::new(0.0) && passes < MAX_PASSES, layout);
    }
    (state[ORIGIN], state[CORRECTION])
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
