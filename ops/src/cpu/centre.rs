//! Rows with scores so large that a threshold near them would lose its digits: they are measured from their largest.

use super::float::Float;
use super::simd::Simd;

/// What to subtract from the scores of a row before anything else, given the largest: nothing, as a rule. A score of 10¹⁶ and
/// the depth of the support beside it do not fit into one f64.
#[inline(always)]
pub(super) fn origin<T: Float>(largest: T) -> T {
    let limit = T::from_f64(1024.0);
    let is_large = (largest > limit) | (largest < T::ZERO - limit);
    if is_large { largest } else { T::ZERO }
}

/// Subtracts an origin of each lane, exactly where scores are near it. Hidden scores stay hidden, and those that are
/// so far below that they might as well be become so.
#[cold]
pub(super) fn centre<T: Float>(rows: &mut [Simd<T>], hidden: T, origin: Simd<T>) {
    for simd in rows {
        *simd = simd.zip(
            origin,
            |z, origin| {
                if z <= hidden { T::LOWEST } else { z - origin }
            },
        );
    }
}
