//! The power `[1 + c(x − s)]₊^{1/ε}` without loss of digits, for every ε > −1.

use burn::backend::Backend;

use super::series::log1p_over;
use crate::primitive::Array;

/// `[1 + c(x − s)]₊^{1/ε}` as a function of `d = x − s + origin`; c is ε for entmax and 1 for normmax.
///
/// Near α = 1 and below it (ε < ½) the origin is 0 and the power is `exp(d·ψ(cd)·c/ε)` with
/// `ψ(t) = log(1+t)/t`: softmax at ε = 0, no cancellation, no branch on α. From ε = ½ on the origin
/// is 1/c, so that d is the distance to the boundary of the support and keeps its digits there: the
/// power is `(cd)^{1/ε}`.
pub(super) struct Power<B: Backend> {
    c: Array<B>,
    /// c/ε, in rows near α = 1; 0 in the others.
    smooth_gain: Array<B>,
    /// 1/ε, in rows with ε ≥ ½; 0 in the others.
    boundary_gain: Array<B>,
    /// 1 in rows near α = 1, 0 in the others.
    is_smooth: Array<B>,
    pub origin: Array<B>,
}

impl<B: Backend> Power<B> {
    pub fn entmax(epsilon: &Array<B>) -> Self {
        let one = epsilon.column(1.0);
        Self::new(epsilon, epsilon.clone(), one)
    }

    pub fn normmax(epsilon: &Array<B>) -> Self {
        let gain = epsilon.at_least(1e-7).recip();
        Self::new(epsilon, epsilon.column(1.0), gain)
    }

    fn new(epsilon: &Array<B>, c: Array<B>, c_over_epsilon: Array<B>) -> Self {
        let below = epsilon.is_at_most(0.4999);
        let is_edge = epsilon.column(1.0).zero_where(below);
        let is_smooth = is_edge.scale(-1.0).add_scalar(1.0);
        Self {
            smooth_gain: c_over_epsilon.mul(&is_smooth),
            boundary_gain: epsilon.at_least(0.4999).recip().mul(&is_edge),
            origin: c.at_least(0.4999).recip().mul(&is_edge),
            is_smooth,
            c,
        }
    }

    /// The power at d.
    pub fn of(&self, d: &Array<B>) -> Array<B> {
        let scaled = d.mul(&self.c);
        let inside = scaled.add(&self.is_smooth);
        self.log(d, &scaled, &inside)
            .exp()
            .zero_where(inside.is_at_most(0.0))
    }

    /// The power at d, raised to `exponent`.
    pub fn raised(&self, d: &Array<B>, exponent: &Array<B>) -> Array<B> {
        let scaled = d.mul(&self.c);
        let inside = scaled.add(&self.is_smooth);
        self.log(d, &scaled, &inside)
            .mul(exponent)
            .exp()
            .zero_where(inside.is_at_most(0.0))
    }

    /// `inside` is `1 + c(x − s)`: one of its two summands is 0 in each row's formula.
    fn log(&self, d: &Array<B>, scaled: &Array<B>, inside: &Array<B>) -> Array<B> {
        let t = scaled.mul(&self.is_smooth).at_least(-1.0);
        let smooth = d.mul(&log1p_over(&t)).mul(&self.smooth_gain);
        let boundary = inside.at_least(1e-37).log().mul(&self.boundary_gain);
        smooth.add(&boundary)
    }
}
