//! The powers that turn a score's distance to the threshold into a weight.
//!
//! With `ε = α − 1`: `p = [1 + ε(z − max z − s)]₊^{1/ε}`, and the root s of `Σp = 1` lies in
//! `[0, (1 − n^{−ε})/ε]`.

use super::float::Float;
use super::pack::Pack;

/// What is subtracted from scores, in two parts: together they have more digits than one.
#[derive(Clone, Copy)]
pub(crate) struct Origin<T>(pub T, pub T);

impl<T: Float> Origin<T> {
    #[inline(always)]
    fn new(origin: f64) -> Self {
        let high = T::from_f64(origin);
        Self(high, T::from_f64(origin - high.to_f64()))
    }

    #[inline(always)]
    fn subtract_from(self, z: Pack<T>) -> Pack<T> {
        (z - self.0) - self.1
    }
}

/// A mapping of the family, with its α.
pub(crate) trait Power<T: Float> {
    /// Packs from which a row is long: finding a start and candidates pays.
    const LONG: usize;

    /// `α − 1`.
    fn epsilon(&self) -> f64;

    /// `(F − F^{1−ε})/ε`.
    fn rise(&self, sum: f64) -> f64;

    /// What [`Self::weights`] wants to know of s.
    #[inline(always)]
    fn origin(&self, largest: T, s: f64) -> Origin<T> {
        Origin::new(largest.to_f64() + (s - 1.0 / self.epsilon()))
    }

    /// `p` and `p^{1−ε}`: by default the origin is the edge of the support, from which distances keep
    /// all their digits.
    fn weights(&self, z: Pack<T>, origin: Origin<T>) -> [Pack<T>; 2];
}

/// α = 2.
pub(crate) struct Sparsemax;

impl<T: Float> Power<T> for Sparsemax {
    const LONG: usize = 32;

    #[inline(always)]
    fn epsilon(&self) -> f64 {
        1.0
    }

    #[inline(always)]
    fn rise(&self, sum: f64) -> f64 {
        sum - 1.0
    }

    #[inline(always)]
    fn weights(&self, z: Pack<T>, origin: Origin<T>) -> [Pack<T>; 2] {
        let d = origin.subtract_from(z);
        [
            d.map(
                #[inline(always)]
                |d| d.at_least(T::ZERO),
            ),
            d.is_above(T::ZERO),
        ]
    }
}

/// α = 1.5.
pub(crate) struct Entmax15;

impl<T: Float> Power<T> for Entmax15 {
    const LONG: usize = 32;

    #[inline(always)]
    fn epsilon(&self) -> f64 {
        0.5
    }

    #[inline(always)]
    fn rise(&self, sum: f64) -> f64 {
        2.0 * (sum - sum.sqrt())
    }

    #[inline(always)]
    fn weights(&self, z: Pack<T>, origin: Origin<T>) -> [Pack<T>; 2] {
        let d = origin.subtract_from(z) * T::from_f64(0.5);
        let root = d.map(
            #[inline(always)]
            |d| d.at_least(T::ZERO),
        );
        [root * root, root]
    }
}

/// Any α well above 1: `p = u^{1/ε}`, `u = εd` with d the distance to the edge.
pub(crate) struct FromEdge {
    pub epsilon: f64,
}

impl<T: Float> Power<T> for FromEdge {
    const LONG: usize = 8;

    #[inline(always)]
    fn epsilon(&self) -> f64 {
        self.epsilon
    }

    #[inline(always)]
    fn rise(&self, sum: f64) -> f64 {
        (sum - sum.powf(1.0 - self.epsilon)) / self.epsilon
    }

    #[inline(always)]
    fn weights(&self, z: Pack<T>, origin: Origin<T>) -> [Pack<T>; 2] {
        let d = origin.subtract_from(z);
        let u = (d * T::from_f64(self.epsilon)).map(
            #[inline(always)]
            |u| u.at_least(T::TINY),
        );
        let exponent = T::from_f64(1.0 / self.epsilon - 1.0);
        let power = u.map(
            #[inline(always)]
            |u| (u.ln() * exponent).exp(),
        ) * d.is_above(T::ZERO);
        [power * u, power]
    }
}

/// Any α near 1 or below: `p = exp(log1p(t)/ε)`, `t = ε(z − max z − s)`, where nothing cancels as
/// ε → 0.
pub(crate) struct FromTop<T> {
    pub epsilon: f64,
    /// Below α = 1 no score is too low to have a weight: the hidden ones are said to have none.
    pub hidden: T,
}

impl<T: Float> Power<T> for FromTop<T> {
    const LONG: usize = 8;

    #[inline(always)]
    fn epsilon(&self) -> f64 {
        self.epsilon
    }

    #[inline(always)]
    fn rise(&self, sum: f64) -> f64 {
        -sum * (-self.epsilon * sum.ln()).exp_m1() / self.epsilon
    }

    #[inline(always)]
    fn origin(&self, largest: T, s: f64) -> Origin<T> {
        Origin(largest, T::from_f64(s))
    }

    #[inline(always)]
    fn weights(&self, z: Pack<T>, origin: Origin<T>) -> [Pack<T>; 2] {
        let inverse = T::from_f64(1.0 / self.epsilon);
        let below = T::ZERO - T::ONE;
        let t = origin.subtract_from(z) * T::from_f64(self.epsilon);
        let t = t.map(
            #[inline(always)]
            |t| t.at_least(below).at_most(T::HUGE),
        );
        let u = (t + T::ONE).map(
            #[inline(always)]
            |u| u.at_least(T::TINY),
        );
        let log1p = t.zip(
            u,
            #[inline(always)]
            |t, u| {
                // What rounding took from 1 + t comes back, to first order and with 1/u to second:
                // nothing is lost where u < ½, and nothing matters where u > 2.
                let f = u - T::ONE;
                let lost = (t - f) * (T::ONE - f + f * f);
                u.ln() + if f < T::ONE { lost } else { T::ZERO }
            },
        );
        let exponent = inverse - T::ONE;
        let inside = t.is_above(below) * z.is_above(self.hidden);
        let power = log1p.map(
            #[inline(always)]
            |l| (l * exponent).exp(),
        ) * inside;
        [power * u, power]
    }
}
