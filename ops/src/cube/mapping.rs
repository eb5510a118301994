//! The mapping kernels: weights as functions of a score's distance, without cancellation near α = 1 or at
//! the boundary of the support, and without functions that some devices have only roughly (log1p, expm1).

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::entmax::LARGE_ALPHA;

/// The mappings that have arithmetic of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    Softmax,
    Sparsemax,
    Entmax15,
    /// α-entmax with one α ≤ 2 per row.
    Alpha,
    /// α-entmax with any α per row: above 2 as [`super::large_alpha`] says.
    AnyAlpha,
}

impl Family {
    /// The arithmetic for one α in every row.
    pub fn of_alpha(alpha: f64) -> Self {
        match alpha > LARGE_ALPHA {
            true => Self::AnyAlpha,
            false => Self::Alpha,
        }
    }
}

/// From this ε = α − 1 on, scores are measured from the boundary of the support.
pub(crate) const BOUNDARY: f32 = 0.5;

/// `[p, p^{1−ε}]` of a score at distance d above the shift: `p = [1 + εd]₊^{1/ε}` below [`BOUNDARY`],
/// `[εd]₊^{1/ε}` from it on, where d is the distance to the boundary of the support.
#[cube]
pub(crate) fn weight<C: Float>(
    d: C,
    epsilon: C,
    #[comptime] family: Family,
    #[comptime] double: bool,
) -> (C, C) {
    let zero = C::new(0.0);
    match family {
        Family::Softmax => {
            let p = d.exp();
            (p, p)
        }
        // Comparisons are written so that NaN is not outside.
        Family::Sparsemax => {
            let outside = d <= zero;
            let p = select(outside, zero, d);
            (p, select(outside, zero, C::new(1.0)))
        }
        Family::Entmax15 => {
            let root = select(d <= zero, zero, d * C::new(0.5));
            (root * root, root)
        }
        Family::Alpha | Family::AnyAlpha => {
            let from_boundary = epsilon >= C::new(BOUNDARY);
            let t = epsilon * d;
            let u = select(from_boundary, t, t + C::new(1.0));
            let outside = u <= tiny::<C>();
            let u = select(outside, C::new(1.0), u);
            let t = select(outside || from_boundary, zero, t);
            let near = d * log1p_over::<C>(t, double);
            let far = u.ln() / select(from_boundary, epsilon, C::new(1.0));
            let p = select(from_boundary, far, near).exp();
            (select(outside, zero, p), select(outside, zero, p / u))
        }
    }
}

/// The smallest number that counts as inside the support.
#[cube]
pub(crate) fn tiny<C: Float>() -> C {
    C::new(1e-37)
}

/// `ψ(t) = log(1 + t)/t` for t > −1, with ψ(0) = 1: near 0 by the series of `2·artanh(r)/t`,
/// `r = t/(2 + t)`.
#[cube]
fn log1p_over<C: Float>(t: C, #[comptime] double: bool) -> C {
    let one = C::new(1.0);
    let inverse = one / (t + C::new(2.0));
    let r = t * inverse;
    let square = r * r;
    let n_terms = comptime!(if double { 14u32 } else { 6u32 });
    let mut series = C::new(0.0);
    #[unroll]
    for i in 0..n_terms {
        let odd = comptime!((2 * (n_terms - 1 - i) + 1) as f32);
        series = series * square + one / C::new(odd);
    }
    let near = series * inverse * C::new(2.0);
    let is_near = t > C::new(-0.25) && t < C::new(0.4);
    let far_t = select(is_near, one, t);
    let far = (far_t + one).ln() / far_t;
    select(is_near, near, far)
}

/// `φ(t) = (eᵗ − 1 − t)/t²`, with φ(0) = ½.
#[cube]
pub(crate) fn phi<C: Float>(t: C, #[comptime] double: bool) -> C {
    let one = C::new(1.0);
    let is_near = t > C::new(-1.0) && t < one;
    let small = select(is_near, t, one);
    let n_terms = comptime!(if double { 20u32 } else { 11u32 });
    // ½·(1 + t/3·(1 + t/4·(…)))
    let mut near = one;
    #[unroll]
    for i in 0..n_terms {
        let k = comptime!((n_terms + 2 - i) as f32);
        near = one + near * small / C::new(k);
    }
    let large = select(is_near, one, t);
    let large = select(large > C::new(80.0), C::new(80.0), large);
    let far = (large.exp() - one - large) / (large * large);
    select(is_near, near * C::new(0.5), far)
}

/// Step of s towards `F(s) = Σp = 1` from the sum F and `D = Σp^{1−ε}`: Newton's method on
/// `(Fᵋ − 1)/ε`, convex in s for α ≤ 2 and straight for tied scores; near the root on F itself.
#[cube]
pub(crate) fn newton_step<C: Float>(sum: C, slope: C, epsilon: C) -> C {
    let one = C::new(1.0);
    let excess = sum - one;
    let log_sum = sum.ln();
    let t = epsilon * log_sum;
    let short = log_sum * (one - t * C::new(0.5));
    let divisor = select(epsilon == C::new(0.0), one, epsilon);
    let long = (one - (-t).exp()) / divisor;
    let rise = sum * select(t.abs() < C::new(0.01), short, long);
    let near = excess.abs() < C::new(0.125);
    select(near, excess, rise) / slope
}
