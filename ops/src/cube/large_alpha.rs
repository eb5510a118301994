//! α-entmax for α > 2: weights measured from the smallest one, and gradients that no power overflows. See
//! [`crate::entmax::reference`] for the derivation.
//!
//! Every pass over a row gives `Σp` and its slope at a threshold, and the scores nearest to that on both sides. First the threshold
//! is one without weight (v = 0): where `Σp < 1` the scores from it on are in the support, else those up to it are not.
//! When no score is left between, it is the smallest score of the support, and Newton's method finds its weight v.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::mapping::tiny;
use crate::primitive::HIDDEN;

/// Numbers of a row's search, from some index of an array on.
pub(crate) const SEARCH: usize = 12;
/// The score, or a number between scores, that the pass measures from.
pub(crate) const THRESHOLD: usize = 0;
/// v, the weight of scores that are the threshold.
pub(crate) const SMALLEST: usize = 1;
/// vᵋ.
pub(crate) const BASE: usize = 2;
/// A threshold below the support and `(Σp)ᵋ` there, one in it or above, and the same.
const LOW: usize = 3;
const LOW_POWER: usize = 4;
const HIGH: usize = 5;
const HIGH_POWER: usize = 6;
/// The smallest and the largest score of which nothing is known.
const FIRST: usize = 7;
const LAST: usize = 8;
/// The smallest score known to be in the support.
const KNOWN: usize = 9;
const STAGE: usize = 10;
/// 1 where the next threshold is interpolated, 0 where it is in the middle.
const TURN: usize = 11;

/// The stages.
const BEGIN: f32 = 0.0;
const SEEK: f32 = 1.0;
const NEWTON: f32 = 2.0;
const END: f32 = 3.0;

/// Begins below every score that may have weight.
#[cube]
pub(crate) fn begin_search<C: Float>(
    state: &mut Array<C>,
    #[comptime] at: usize,
    largest: C,
    epsilon: C,
    done: bool,
) {
    let zero = C::new(0.0);
    let depth = C::new(1.01) / select(epsilon > zero, epsilon, C::new(1.0));
    state[at + THRESHOLD] = largest - depth - largest.abs() * C::new(2.4e-7);
    state[at + SMALLEST] = zero;
    state[at + BASE] = zero;
    state[at + LOW] = zero;
    state[at + LOW_POWER] = zero;
    state[at + HIGH] = largest;
    state[at + HIGH_POWER] = zero;
    state[at + FIRST] = largest;
    state[at + LAST] = largest;
    state[at + KNOWN] = largest;
    state[at + STAGE] = select(done, C::new(END), C::new(BEGIN));
    state[at + TURN] = zero;
}

/// Whether the row's weights are known.
#[cube]
pub(crate) fn is_found<C: Float>(state: &Array<C>, #[comptime] at: usize) -> bool {
    state[at + STAGE] == C::new(END)
}

/// The weight of a score at distance d from the threshold, and its part of the slope of Σp in v.
#[cube]
pub(crate) fn large_weight<C: Float>(d: C, epsilon: C, smallest: C, base: C) -> (C, C) {
    let (zero, one) = (C::new(0.0), C::new(1.0));
    // Devices disagree about what an overflow becomes.
    let d = select(d < -one, -one, d);
    let u = epsilon * d + base;
    let is_tied = d == zero;
    let counts = u > tiny::<C>() && d > zero;
    let u = select(counts, u, one);
    let power = (u.ln() / select(epsilon > zero, epsilon, one)).exp();
    let p = select(power > smallest, power, smallest);
    let p = select(counts, p, smallest);
    let slope = base / select(smallest > zero, smallest, one) * (p / u);
    let slope = select(counts, slope, zero);
    let above = d >= zero;
    (
        select(above, p, zero),
        select(is_tied, one, select(above, slope, zero)),
    )
}

/// vᵋ.
#[cube]
pub(crate) fn base_of<C: Float>(smallest: C, epsilon: C) -> C {
    let is_weight = smallest > tiny::<C>();
    let log = select(is_weight, smallest, C::new(1.0)).ln();
    select(is_weight, (log * epsilon).exp(), C::new(0.0))
}

/// Adds a score's part to `Σp` and its slope, from index `sum` on, and to the largest score below the threshold and the smallest
/// above, the latter negative, from index `end` on.
#[cube]
pub(crate) fn visit<C: Float>(
    sums: &mut Array<C>,
    ends: &mut Array<C>,
    row: usize,
    z: C,
    threshold: C,
    smallest: C,
    base: C,
    epsilon: C,
) -> C {
    let lowest = C::new(comptime!(HIDDEN as f32));
    let hidden = z <= lowest;
    let (p, slope) = large_weight::<C>(z - threshold, epsilon, smallest, base);
    let p = select(hidden, C::new(0.0), p);
    sums[row * 2] += p;
    sums[row * 2 + 1] += select(hidden, C::new(0.0), slope);
    let nearest = ends[row * 2];
    let is_nearer = !hidden && z < threshold && z > nearest;
    ends[row * 2] = select(is_nearer, z, nearest);
    let nearest = ends[row * 2 + 1];
    let is_nearer = !hidden && z > threshold && -z > nearest;
    ends[row * 2 + 1] = select(is_nearer, -z, nearest);
    p
}

/// Before any score above the threshold is seen: no score is larger than this, negative.
#[cube]
pub(crate) fn nothing_above<C: Float>(#[comptime] double: bool) -> C {
    let mut most = C::new(comptime!(f32::MIN));
    if comptime!(double) {
        // −10³⁰⁶
        let factor = C::new(1e30);
        most = C::new(-1e36);
        #[unroll]
        for _ in 0..9u32 {
            most *= factor;
        }
    }
    most
}

/// What follows from a pass.
#[cube]
pub(crate) fn advance_search<C: Float>(
    state: &mut Array<C>,
    #[comptime] at: usize,
    sum: C,
    slope: C,
    below: C,
    above: C,
    epsilon: C,
    #[comptime] double: bool,
) {
    let (zero, one, half) = (C::new(0.0), C::new(1.0), C::new(0.5));
    let stage = state[at + STAGE];
    let threshold = state[at + THRESHOLD];
    if stage == C::new(BEGIN) {
        state[at + FIRST] = above;
        state[at + THRESHOLD] = above;
        state[at + STAGE] = C::new(SEEK);
    } else if stage == C::new(SEEK) {
        let positive = select(sum > tiny::<C>(), sum, one);
        let exponent = positive.ln() * epsilon;
        let limit = C::new(LARGEST_EXPONENT);
        let power = select(exponent > limit, limit, exponent).exp();
        let power = select(sum > tiny::<C>(), power, zero);
        if sum < one {
            // The slope counts the scores that are the threshold.
            state[at + KNOWN] = select(slope > half, threshold, above);
            state[at + HIGH] = threshold;
            state[at + HIGH_POWER] = power;
            state[at + LAST] = below;
        } else {
            state[at + LOW] = threshold;
            state[at + LOW_POWER] = power;
            state[at + FIRST] = above;
        }
        let (first, last) = (state[at + FIRST], state[at + LAST]);
        // (Σp)ᵋ is straight in the threshold where scores are tied.
        let (low, high) = (state[at + LOW], state[at + HIGH]);
        let (a, b) = (state[at + LOW_POWER], state[at + HIGH_POWER]);
        let guess = low + (a - one) / (a - b) * (high - low);
        let turn = state[at + TURN];
        let is_inside = guess > first && guess < last;
        let middle = first * half + last * half;
        let middle = select(middle < first, first, middle);
        let beyond = select(guess >= last, last, select(guess <= first, first, middle));
        let next = select(turn == zero, select(is_inside, guess, beyond), middle);
        let done = first > last || first >= state[at + KNOWN];
        state[at + TURN] = one - turn;
        state[at + THRESHOLD] = select(done, state[at + KNOWN], next);
        state[at + SMALLEST] = select(done, one, zero);
        state[at + BASE] = select(done, one, zero);
        state[at + STAGE] = select(done, C::new(NEWTON), stage);
    } else if stage == C::new(NEWTON) {
        let precision = C::new(comptime!(if double { 2.2e-16 } else { 1.2e-7 }));
        let smallest = state[at + SMALLEST];
        let step = (sum - one) / slope;
        let next = smallest - step;
        let falls = next > zero && next < smallest;
        let smallest = select(falls, next, smallest);
        let done = !falls || step <= precision * smallest;
        state[at + SMALLEST] = smallest;
        state[at + BASE] = base_of::<C>(smallest, epsilon);
        state[at + STAGE] = select(done, C::new(END), stage);
    }
}

/// Exponents up to this one have a power that f32 holds.
const LARGEST_EXPONENT: f32 = 80.0;

/// `s = p^{1−ε}`, held at e⁸⁰, and `r = s/s_ref` of the smallest weight, on the support.
#[cube]
pub(crate) fn large_slopes<C: Float>(p: C, epsilon: C, smallest: C) -> (C, C) {
    let (zero, one) = (C::new(0.0), C::new(1.0));
    let outside = p <= zero;
    let log = select(outside, one, p).ln();
    let exponent = (one - epsilon) * log;
    let limit = C::new(LARGEST_EXPONENT);
    let s = select(exponent > limit, limit, exponent).exp();
    let ratio = select(outside, one, p) / select(smallest > zero, smallest, one);
    let ratio = select(ratio < one, one, ratio);
    let r = ((one - epsilon) * ratio.ln()).exp();
    (select(outside, zero, s), select(outside, zero, r))
}

/// Adds a weight's part to `Σr, Σsh, L, Σp` from index `at` on, h being the gradient less that of the smallest weight.
#[cube]
pub(crate) fn add_large_means<C: Float>(
    sums: &mut Array<C>,
    at: usize,
    p: C,
    h: C,
    epsilon: C,
    smallest: C,
) {
    let (s, r) = large_slopes::<C>(p, epsilon, smallest);
    let inside = p > C::new(0.0);
    sums[at] += r;
    sums[at + 1] += select(inside, s * h, C::new(0.0));
    sums[at + 2] += p * select(inside, p, C::new(1.0)).ln();
    sums[at + 3] += p;
}

/// Adds a weight's part to `Σp(1 − εl)h` and `Σrh` from index `at` on.
#[cube]
pub(crate) fn add_large_products<C: Float>(
    products: &mut Array<C>,
    at: usize,
    p: C,
    h: C,
    epsilon: C,
    smallest: C,
) {
    let (zero, one) = (C::new(0.0), C::new(1.0));
    let (_s, r) = large_slopes::<C>(p, epsilon, smallest);
    let inside = p > zero;
    let log = select(inside, p, one).ln();
    products[at] += select(inside, p * (one - epsilon * log) * h, zero);
    products[at + 1] += select(inside, r * h, zero);
}

/// The row's part of the gradient in α, from those sums.
#[cube]
pub(crate) fn large_alpha_gradient<C: Float>(
    sum_r: C,
    log_mean: C,
    total: C,
    products: (C, C),
    epsilon: C,
) -> C {
    let (own, shared) = products;
    let sum_r = select(sum_r > C::new(0.0), sum_r, C::new(1.0));
    (own - (total - epsilon * log_mean) * shared / sum_r) / (epsilon * epsilon)
}

/// The gradient in a score, `s·h − r·K`.
#[cube]
pub(crate) fn large_gradient<C: Float>(p: C, h: C, k: C, epsilon: C, smallest: C) -> C {
    let (s, r) = large_slopes::<C>(p, epsilon, smallest);
    select(p > C::new(0.0), s * h - r * k, C::new(0.0))
}
