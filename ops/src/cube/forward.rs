//! Scores to weights: one kernel for every mapping.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::group::{
    CubeReduction, LaunchConfig, UnitCoord, any_row, reduce, reduce_one, unit_coord,
};
use super::large_alpha::{
    BASE, SEARCH, SMALLEST, THRESHOLD, advance_search, begin_search, is_found, nothing_above, visit,
};
use super::mapping::{Family, weight};
use super::root::{
    CORRECTION, DONE, MAX_PASSES, RowConstants, SHIFT, STATE, advance, begin, final_weight, finite,
    is_large, is_no_score,
};
use super::row::{load, read, visits, write};
use crate::primitive::HIDDEN;

/// `weights = mapping(scores)` by rows.
///
/// The unknown of a row is the origin o from which scores `x = z − max z` are measured (see
/// [`weight`]); Newton's method with a bracket finds it, and what the last step would still change is
/// kept as a second float. Above α = 2 the two are the smallest score with weight and that weight. α is read from
/// `alpha[row]` where the family has one. Scores ≤ `hidden`
/// get zero weight; `nan` is NaN, which WGSL cannot write, for rows
/// that hold one or a +∞ and rows whose α is not > 0.
#[cube(launch)]
pub(crate) fn forward_kernel<F: Float, A: Float, C: Float>(
    scores: &Tensor<F>,
    alpha: &Tensor<A>,
    weights: &mut Tensor<F>,
    hidden: f32,
    nan: f32,
    #[comptime] family: Family,
    #[comptime] config: LaunchConfig,
    #[comptime] double: bool,
    #[define(F, A, C)] _dtypes: [ElemType; 3],
) {
    let n = scores.shape(1);
    let coord = unit_coord(scores.shape(0), config);
    let mut scratch = Shared::new_slice(comptime!(config.scratch()));
    let kept = load::<F, C>(scores, &coord, C::new(comptime!(HIDDEN as f32)), config);
    let epsilon = match family {
        Family::Softmax => C::new(0.0),
        Family::Sparsemax => C::new(1.0),
        Family::Entmax15 => C::new(0.5),
        Family::Alpha | Family::AnyAlpha => C::cast_from(alpha[coord.row]) - C::new(1.0),
    };
    let (largest, has_nan) = scan::<F, C>(scores, &kept, &coord, &mut scratch, config, double);
    let row = RowConstants::<C> { largest, epsilon };
    let (shift, correction) = match family {
        Family::Softmax => (C::new(0.0), C::new(0.0)),
        Family::Sparsemax | Family::Entmax15 | Family::Alpha | Family::AnyAlpha => solve::<F, C>(
            scores,
            &kept,
            &coord,
            &row,
            n,
            hidden,
            &mut scratch,
            family,
            config,
            double,
        ),
    };

    // The weights, and one over their sum.
    let mut sum = C::new(0.0);
    let mut p = Array::<C>::new(comptime!(if config.items > 0 {
        config.items
    } else {
        1usize
    }));
    if comptime!(config.items > 0) {
        #[unroll]
        for i in 0..config.items {
            let z = kept[i];
            p[i] = final_weight::<C>(z, &row, shift, correction, hidden, family, double);
            sum += p[i];
        }
    } else {
        for i in 0..visits(n, config) {
            let z = read::<F, C>(scores, &coord, i, C::new(comptime!(HIDDEN as f32)), config);
            sum += final_weight::<C>(z, &row, shift, correction, hidden, family, double);
        }
    }
    let sum = reduce_one::<C>(sum, &mut scratch, CubeReduction::Sum, config);
    // Only a row with everything hidden has no weight.
    let scale = C::new(1.0) / select(sum == C::new(0.0), C::new(1.0), sum);
    let is_row = has_nan == C::new(0.0) && epsilon > C::new(-1.0);
    let nan = C::cast_from(nan);
    if comptime!(config.items > 0) {
        #[unroll]
        for i in 0..config.items {
            let weight = select(is_row, p[i] * scale, nan);
            write::<F, C>(weights, &coord, i, weight, config);
        }
    } else {
        for i in 0..visits(n, config) {
            let z = read::<F, C>(scores, &coord, i, C::new(comptime!(HIDDEN as f32)), config);
            let p = final_weight::<C>(z, &row, shift, correction, hidden, family, double);
            let weight = select(is_row, p * scale, nan);
            write::<F, C>(weights, &coord, i, weight, config);
        }
    }
}

/// The largest score of the row, and whether one is NaN or +∞, as 1 or 0: see [`is_no_score`].
#[cube]
fn scan<F: Float, C: Float>(
    scores: &Tensor<F>,
    kept: &Array<C>,
    coord: &UnitCoord,
    scratch: &mut Shared<[C]>,
    #[comptime] config: LaunchConfig,
    #[comptime] double: bool,
) -> (C, C) {
    let lowest = C::new(comptime!(HIDDEN as f32));
    let mut found = Array::<C>::new(2usize);
    found[0] = lowest;
    found[1] = C::new(0.0);
    if comptime!(config.items > 0) {
        #[unroll]
        for i in 0..config.items {
            scan_one::<C>(&mut found, kept[i], double);
        }
    } else {
        for i in 0..visits(scores.shape(1), config) {
            let z = read::<F, C>(scores, coord, i, lowest, config);
            scan_one::<C>(&mut found, z, double);
        }
    }
    reduce::<C>(&mut found, scratch, 2usize, CubeReduction::Max, config);
    (found[0], found[1])
}

#[cube]
fn scan_one<C: Float>(found: &mut Array<C>, z: C, #[comptime] double: bool) {
    let is_nan = is_no_score::<C>(z, double);
    found[0] = select(!is_nan && z > found[0], z, found[0]);
    found[1] = select(is_nan, C::new(1.0), found[1]);
}

/// The origin at which the weights sum to 1, and what must still be added to it.
#[cube]
fn solve<F: Float, C: Float>(
    scores: &Tensor<F>,
    kept: &Array<C>,
    coord: &UnitCoord,
    row: &RowConstants<C>,
    n: usize,
    hidden: f32,
    scratch: &mut Shared<[C]>,
    #[comptime] family: Family,
    #[comptime] config: LaunchConfig,
    #[comptime] double: bool,
) -> (C, C) {
    let mut state = Array::<C>::new(STATE);
    let is_large = is_large::<C>(row.epsilon, family);
    begin::<C>(&mut state, 0usize, row.epsilon, n, is_large, family);
    let mut active = true;
    let mut passes = 0u32;
    while active {
        let mut sums = sums::<F, C>(
            scores,
            kept,
            coord,
            row,
            state[SHIFT],
            family,
            config,
            double,
        );
        reduce::<C>(&mut sums, scratch, 2usize, CubeReduction::Sum, config);
        advance::<C>(&mut state, 0usize, sums[0], sums[1], row.epsilon, double);
        passes += 1;
        active = any_row(state[DONE] == C::new(0.0) && passes < MAX_PASSES, config);
    }
    let mut shift = state[SHIFT];
    let mut correction = state[CORRECTION];
    if comptime!(family == Family::AnyAlpha) {
        let is_done = !is_large || row.largest <= C::cast_from(hidden);
        let mut search = Array::<C>::new(SEARCH);
        begin_search::<C>(&mut search, 0usize, row.largest, row.epsilon, is_done);
        let mut active = any_row(!is_done, config);
        let mut passes = 0u32;
        while active {
            let mut sums = Array::<C>::new(2usize);
            let mut ends = Array::<C>::new(2usize);
            visit_all::<F, C>(
                &mut sums, &mut ends, scores, kept, coord, row, &search, hidden, config, double,
            );
            reduce::<C>(&mut sums, scratch, 2usize, CubeReduction::Sum, config);
            reduce::<C>(&mut ends, scratch, 2usize, CubeReduction::Max, config);
            advance_search::<C>(
                &mut search,
                0usize,
                sums[0],
                sums[1],
                ends[0],
                -ends[1],
                row.epsilon,
                double,
            );
            passes += 1;
            let goes_on = !is_found::<C>(&search, 0usize) && passes < MAX_PASSES;
            active = any_row(goes_on, config);
        }
        shift = select(is_large, search[THRESHOLD], shift);
        correction = select(is_large, search[SMALLEST], correction);
    }
    (shift, correction)
}

/// This unit's part of a pass of the search above α = 2.
#[cube]
fn visit_all<F: Float, C: Float>(
    sums: &mut Array<C>,
    ends: &mut Array<C>,
    scores: &Tensor<F>,
    kept: &Array<C>,
    coord: &UnitCoord,
    row: &RowConstants<C>,
    search: &Array<C>,
    hidden: f32,
    #[comptime] config: LaunchConfig,
    #[comptime] double: bool,
) {
    let lowest = C::new(comptime!(HIDDEN as f32));
    let hidden = C::cast_from(hidden);
    let (threshold, smallest, base) = (search[THRESHOLD], search[SMALLEST], search[BASE]);
    #[unroll]
    for i in 0..2usize {
        sums[i] = C::new(0.0);
    }
    ends[0] = lowest;
    ends[1] = nothing_above::<C>(double);
    if comptime!(config.items > 0) {
        #[unroll]
        for i in 0..config.items {
            let z = select(kept[i] <= hidden, lowest, kept[i]);
            visit::<C>(
                sums,
                ends,
                0usize,
                z,
                threshold,
                smallest,
                base,
                row.epsilon,
            );
        }
    } else {
        for i in 0..visits(scores.shape(1), config) {
            let z = read::<F, C>(scores, coord, i, lowest, config);
            let z = select(z <= hidden, lowest, z);
            visit::<C>(
                sums,
                ends,
                0usize,
                z,
                threshold,
                smallest,
                base,
                row.epsilon,
            );
        }
    }
}

/// This unit's part of `Σp` and `Σp^{1−ε}`.
#[cube]
fn sums<F: Float, C: Float>(
    scores: &Tensor<F>,
    kept: &Array<C>,
    coord: &UnitCoord,
    row: &RowConstants<C>,
    shift: C,
    #[comptime] family: Family,
    #[comptime] config: LaunchConfig,
    #[comptime] double: bool,
) -> Array<C> {
    let lowest = C::new(comptime!(HIDDEN as f32));
    let mut sum = C::new(0.0);
    let mut slope = C::new(0.0);
    if comptime!(config.items > 0) {
        #[unroll]
        for i in 0..config.items {
            let d = finite::<C>(kept[i]) - row.largest - shift;
            let (p, q) = weight::<C>(d, row.epsilon, family, double);
            sum += p;
            slope += q;
        }
    } else {
        for i in 0..visits(scores.shape(1), config) {
            let z = read::<F, C>(scores, coord, i, lowest, config);
            let d = finite::<C>(z) - row.largest - shift;
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
