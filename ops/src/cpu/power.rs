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
    /// `a + b`.
    #[inline(always)]
    pub fn new(a: f64, b: f64) -> Self {
        let high = T::from_f64(a + b);
        Self(high, T::from_f64((a - high.to_f64()) + b))
    }

    #[inline(always)]
    fn subtract_from(self, z: Pack<T>) -> Pack<T> {
        (z - self.0) - self.1
    }
}

/// A mapping of the family, with its α.
pub(crate) trait Power<T: Float>: Copy {
    /// Packs from which a row is long: finding a start and candidates pays.
    const LONG: usize;

    /// `α − 1`.
    fn epsilon(&self) -> f64;

    /// `(F − F^{1−ε})/ε`.
    fn rise(&self, sum: f64) -> f64;

    /// How far below `max z + s` the origin is: 1/ε where that is the edge of the support, from which
    /// distances keep all their digits.
    #[inline(always)]
    fn depth(&self) -> f64 {
        1.0 / self.epsilon()
    }

    /// `p` and `p^{1−ε}`.
    fn weights(&self, z: Pack<T>, origin: Origin<T>) -> [Pack<T>; 2];
}

/// α = 2.
#[derive(Clone, Copy)]
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
#[derive(Clone, Copy)]
pub(crate) struct Entmax15;

impl<T: Float> Power<T> for Entmax15 {
    const LONG: usize = 32;

    #[inline(always)]
    fn epsilon(&self) -> f64 {
        0.5
    }

    #[inline(always)]
    fn rise(&self, sum: f64) -> f64 {
        let root = sum.sqrt();
        2.0 * root * (sum - 1.0) / (root + 1.0)
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

/// Any α, with `t = ε(z − origin)` and `u = base + t`: `p = u^{1/ε}`.
///
/// From ε = ¼ on the origin is the edge of the support and the base 0. Below, the origin is `max z +
/// s` and the base 1: there `p = exp(log1p(t)/ε)` cancels nothing as ε → 0.
#[derive(Clone, Copy)]
pub(crate) struct General<T> {
    epsilon: f64,
    base: T,
    hidden: T,
}

impl<T: Float> General<T> {
    /// From this ε on, weights are measured from the edge of the support.
    const EDGE: f64 = 0.25;

    /// Scores up to `hidden` have no weight: below α = 1 no other score is too low to have one.
    #[inline(always)]
    pub fn new(alpha: f64, hidden: T) -> Self {
        // ε = 0 is so near to this one that no digit differs.
        const NEXT_TO_ZERO: f64 = 1.0 / (1u64 << 60) as f64;
        let epsilon = alpha - 1.0;
        Self {
            epsilon: if epsilon == 0.0 {
                NEXT_TO_ZERO
            } else {
                epsilon
            },
            base: if epsilon >= Self::EDGE {
                T::ZERO
            } else {
                T::ONE
            },
            hidden,
        }
    }
}

impl<T: Float> Power<T> for General<T> {
    const LONG: usize = 2;

    #[inline(always)]
    fn epsilon(&self) -> f64 {
        self.epsilon
    }

    #[inline(always)]
    fn rise(&self, sum: f64) -> f64 {
        let y = sum - 1.0;
        let a = 1.0 - self.epsilon;
        if y.abs() < 0.1 {
            // Near 1 by its series, where the difference would cancel.
            return y * (1.0 + a * y * (0.5 + (a - 2.0) * y / 6.0));
        }
        // F·(1 − e^{−x})/ε, x = ε·log F: the step need not be exact.
        let log = T::from_f64(sum).ln().to_f64();
        let x = self.epsilon * log;
        match x.abs() < 0.5 {
            true => sum * log * (1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0))),
            false => sum * (1.0 - T::from_f64(-x).exp().to_f64()) / self.epsilon,
        }
    }

    #[inline(always)]
    fn depth(&self) -> f64 {
        match self.epsilon >= Self::EDGE {
            true => 1.0 / self.epsilon,
            false => 0.0,
        }
    }

    #[inline(always)]
    fn weights(&self, z: Pack<T>, origin: Origin<T>) -> [Pack<T>; 2] {
        let lowest = T::ZERO - self.base;
        let t = origin.subtract_from(z) * T::from_f64(self.epsilon);
        let t = t.map(
            #[inline(always)]
            |t| t.at_least(lowest).at_most(T::HUGE),
        );
        let u = (t + self.base).map(
            #[inline(always)]
            |u| u.at_least(T::TINY),
        );
        let log = t.zip(
            u,
            #[inline(always)]
            |t, u| {
                // What rounding took from base + t comes back, to first order and with 1/u to second:
                // nothing was lost where u < ½, and nothing matters where u > 2.
                let f = u - T::ONE;
                let lost = (t - (u - self.base)) * (T::ONE - f + f * f);
                u.ln() + if f < T::ONE { lost } else { T::ZERO }
            },
        );
        let exponent = T::from_f64(1.0 / self.epsilon - 1.0);
        let inside = t.is_above(lowest) * z.is_above(self.hidden);
        let power = log.map(
            #[inline(always)]
            |l| (l * exponent).exp(),
        ) * inside;
        [power * u, power]
    }
}
