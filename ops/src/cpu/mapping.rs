//! The mapping kernels: a score's distance to the threshold to a weight.
//!
//! With `ε = α − 1`: `p = [1 + ε(z − max z − s)]₊^{1/ε}`, and the root s of `Σp = 1` lies in
//! `[0, (1 − n^{−ε})/ε]`.

use super::float::Float;
use super::simd::{LANES, Simd};

/// A compensated shift, subtracted from scores in two parts: together they have more digits than one.
#[derive(Clone, Copy)]
pub(crate) struct Shift<T>(Simd<T>, Simd<T>);

impl<T: Float> Shift<T> {
    /// `a + b` for every lane.
    #[inline(always)]
    pub fn new(a: f64, b: f64) -> Self {
        let high = T::from_f64(a + b);
        let low = T::from_f64((a - high.to_f64()) + b);
        Self(Simd::splat(high), Simd::splat(low))
    }

    /// `a + b`, each lane its own.
    #[inline(always)]
    pub fn by_lane(a: Simd<f64>, b: Simd<f64>) -> Self {
        let high = Simd::<T>::narrow(a + b);
        Self(high, Simd::narrow(a - high.widen() + b))
    }

    #[inline(always)]
    fn subtract_from(self, z: Simd<T>) -> Simd<T> {
        (z - self.0) - self.1
    }
}

/// A mapping of the family, with its α.
pub(crate) trait MappingKernel<T: Float>: Copy {
    /// Packs from which a row is long: finding a start and candidates pays.
    const LONG: usize;

    /// Whether weights are kept while they are summed: they are dearer than memory.
    const KEEPS_WEIGHTS: bool = false;

    /// `α − 1`.
    fn epsilon(&self) -> f64;

    /// The residual of the root, `(F − F^{1−ε})/ε`.
    fn residual(&self, sum: f64) -> f64;

    /// How far below `max z + s` the shift is: 1/ε where that is the boundary of the support, from which
    /// distances keep all their digits.
    #[inline(always)]
    fn depth(&self) -> f64 {
        1.0 / self.epsilon()
    }

    /// `p` and `p^{1−ε}`.
    fn weights(&self, z: Simd<T>, shift: Shift<T>) -> [Simd<T>; 2];
}

/// α = 2.
#[derive(Clone, Copy)]
pub(crate) struct Sparsemax;

impl<T: Float> MappingKernel<T> for Sparsemax {
    const LONG: usize = 32;

    #[inline(always)]
    fn epsilon(&self) -> f64 {
        1.0
    }

    #[inline(always)]
    fn residual(&self, sum: f64) -> f64 {
        sum - 1.0
    }

    #[inline(always)]
    fn weights(&self, z: Simd<T>, shift: Shift<T>) -> [Simd<T>; 2] {
        let d = shift.subtract_from(z);
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

impl<T: Float> MappingKernel<T> for Entmax15 {
    const LONG: usize = 32;

    #[inline(always)]
    fn epsilon(&self) -> f64 {
        0.5
    }

    #[inline(always)]
    fn residual(&self, sum: f64) -> f64 {
        let root = sum.sqrt();
        2.0 * root * (sum - 1.0) / (root + 1.0)
    }

    #[inline(always)]
    fn weights(&self, z: Simd<T>, shift: Shift<T>) -> [Simd<T>; 2] {
        let d = shift.subtract_from(z) * T::from_f64(0.5);
        let root = d.map(
            #[inline(always)]
            |d| d.at_least(T::ZERO),
        );
        [root * root, root]
    }
}

/// Any α, with `t = ε(z − shift)` and `u = base + t`: `p = u^{1/ε}`.
///
/// From ε = ¼ on the shift is the boundary of the support and the base 0. Below, the shift is `max z +
/// s` and the base 1: there `p = exp(log1p(t)/ε)` cancels nothing as ε → 0.
#[derive(Clone, Copy)]
pub(crate) struct General<T> {
    epsilon: f64,
    base: T,
    hidden: T,
}

impl<T: Float> General<T> {
    /// From this ε on, weights are measured from the boundary of the support.
    const BOUNDARY: f64 = 0.25;

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
            base: if epsilon >= Self::BOUNDARY {
                T::ZERO
            } else {
                T::ONE
            },
            hidden,
        }
    }
}

impl<T: Float> MappingKernel<T> for General<T> {
    const LONG: usize = 2;
    const KEEPS_WEIGHTS: bool = true;

    #[inline(always)]
    fn epsilon(&self) -> f64 {
        self.epsilon
    }

    #[inline(always)]
    fn residual(&self, sum: f64) -> f64 {
        residual::<T>(self.epsilon, sum)
    }

    #[inline(always)]
    fn depth(&self) -> f64 {
        match self.epsilon >= Self::BOUNDARY {
            true => 1.0 / self.epsilon,
            false => 0.0,
        }
    }

    #[inline(always)]
    fn weights(&self, z: Simd<T>, shift: Shift<T>) -> [Simd<T>; 2] {
        let exponent = 1.0 / self.epsilon - 1.0;
        let [epsilon, exponent] = [self.epsilon, exponent].map(|x| Simd::splat(T::from_f64(x)));
        let formula = Formula {
            epsilon,
            exponent,
            base: Simd::splat(self.base),
            from_boundary: self.base == T::ZERO,
            hidden: self.hidden,
        };
        formula.weights(z, shift)
    }
}

/// `(F − F^{1−ε})/ε` for any ε but 0; a step need not be exact.
#[inline(always)]
fn residual<T: Float>(epsilon: f64, sum: f64) -> f64 {
    let y = sum - 1.0;
    let a = 1.0 - epsilon;
    // Near 1 by its series, where the difference would cancel.
    let near = y * (1.0 + a * y * (0.5 + (a - 2.0) * y / 6.0));
    // F·(1 − e^{−x})/ε, x = ε·log F.
    let log = T::from_f64(sum).ln().to_f64();
    let x = epsilon * log;
    let small = sum * log * (1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0)));
    let large = sum * (1.0 - T::from_f64(-x).exp().to_f64()) / epsilon;
    let far = if x.abs() < 0.5 { small } else { large };
    if y.abs() < 0.1 { near } else { far }
}

/// [`General`], each lane with an ε of its own.
#[derive(Clone, Copy)]
struct Formula<T> {
    epsilon: Simd<T>,
    /// `1/ε − 1`.
    exponent: Simd<T>,
    base: Simd<T>,
    /// Whether the base of every lane is 0.
    from_boundary: bool,
    hidden: T,
}

impl<T: Float> Formula<T> {
    #[inline(always)]
    fn weights(&self, z: Simd<T>, shift: Shift<T>) -> [Simd<T>; 2] {
        match self.from_boundary {
            true => self.weights_from_boundary(z, shift),
            false => self.weights_from_any_base(z, shift),
        }
    }

    /// [`Self::weights_from_any_base`] where that is 0, to the bit: nothing is lost in `base + t`, and hidden scores are below
    /// the boundary.
    #[inline(always)]
    fn weights_from_boundary(&self, z: Simd<T>, shift: Shift<T>) -> [Simd<T>; 2] {
        let t = shift.subtract_from(z) * self.epsilon;
        let u = t.map(
            #[inline(always)]
            |t| t.at_least(T::TINY).at_most(T::HUGE),
        );
        let power = (u.map(
            #[inline(always)]
            |u| u.ln(),
        ) * self.exponent)
            .map(
                #[inline(always)]
                |x| x.exp(),
            )
            * t.is_above(T::ZERO);
        [power * u, power]
    }

    #[inline(always)]
    fn weights_from_any_base(&self, z: Simd<T>, shift: Shift<T>) -> [Simd<T>; 2] {
        // No base is above 1. (Limits that are the same in every lane: compilers make vectors of these.)
        let lowest = T::ZERO - T::ONE;
        let t = (shift.subtract_from(z) * self.epsilon).zip(
            z,
            #[inline(always)]
            |t, z| {
                let t = t.at_least(lowest).at_most(T::HUGE);
                if z <= self.hidden { lowest } else { t }
            },
        );
        let sum = t + self.base;
        let u = sum.map(
            #[inline(always)]
            |u| u.at_least(T::TINY),
        );
        // What rounding took from base + t comes back, to first order and with 1/u to second: nothing
        // was lost where u < ½, and nothing matters where u > 2.
        let f = u - T::ONE;
        let lost = (t - (u - self.base)) * (Simd::splat(T::ONE) - f + f * f);
        let lost = lost.zip(
            f,
            #[inline(always)]
            |lost, f| if f < T::ONE { lost } else { T::ZERO },
        );
        let log = u.map(
            #[inline(always)]
            |u| u.ln(),
        ) + lost;
        // Where ε < 0, what is hidden has an infinite power.
        let power = (log * self.exponent).zip(
            sum,
            #[inline(always)]
            |x, sum| if sum <= T::ZERO { T::ZERO } else { x.exp() },
        );
        [power * u, power]
    }
}

/// A mapping of interleaved rows.
pub(crate) trait LaneMapping<T: Float>: Copy {
    /// [`MappingKernel::KEEPS_WEIGHTS`].
    const KEEPS_WEIGHTS: bool;

    /// [`MappingKernel::residual`].
    fn residual(&self, sums: Simd<f64>) -> Simd<f64>;

    /// [`MappingKernel::depth`].
    fn depth(&self) -> Simd<f64>;

    /// [`MappingKernel::weights`].
    fn weights(&self, z: Simd<T>, shift: Shift<T>) -> [Simd<T>; 2];
}

/// One for all lanes.
#[derive(Clone, Copy)]
pub(crate) struct SameMapping<P>(pub P);

impl<T: Float, P: MappingKernel<T>> LaneMapping<T> for SameMapping<P> {
    const KEEPS_WEIGHTS: bool = P::KEEPS_WEIGHTS;

    #[inline(always)]
    fn residual(&self, sums: Simd<f64>) -> Simd<f64> {
        sums.map(
            #[inline(always)]
            |sum| self.0.residual(sum),
        )
    }

    #[inline(always)]
    fn depth(&self) -> Simd<f64> {
        Simd::splat(self.0.depth())
    }

    #[inline(always)]
    fn weights(&self, z: Simd<T>, shift: Shift<T>) -> [Simd<T>; 2] {
        self.0.weights(z, shift)
    }
}

/// Any α in every lane.
#[derive(Clone, Copy)]
pub(crate) struct GeneralByLane<T> {
    epsilon: Simd<f64>,
    depth: Simd<f64>,
    formula: Formula<T>,
}

impl<T: Float> GeneralByLane<T> {
    /// The last α also of the lanes that have none.
    #[inline(always)]
    pub fn new(alphas: &[f64], hidden: T) -> Self {
        let mut epsilon = Simd::splat(0.0);
        let mut depth = Simd::splat(0.0);
        let mut base = Simd::splat(T::ZERO);
        for i in 0..LANES {
            let general = General::new(alphas[i.min(alphas.len() - 1)], hidden);
            epsilon.0[i] = general.epsilon;
            depth.0[i] = general.depth();
            base.0[i] = general.base;
        }
        let exponent = epsilon.map(
            #[inline(always)]
            |epsilon| 1.0 / epsilon - 1.0,
        );
        let formula = Formula {
            epsilon: Simd::narrow(epsilon),
            exponent: Simd::narrow(exponent),
            base,
            from_boundary: base.0.iter().all(|&base| base == T::ZERO),
            hidden,
        };
        Self {
            epsilon,
            depth,
            formula,
        }
    }
}

impl<T: Float> LaneMapping<T> for GeneralByLane<T> {
    const KEEPS_WEIGHTS: bool = true;

    #[inline(always)]
    fn residual(&self, sums: Simd<f64>) -> Simd<f64> {
        self.epsilon.zip(
            sums,
            #[inline(always)]
            |epsilon, sum| residual::<T>(epsilon, sum),
        )
    }

    #[inline(always)]
    fn depth(&self) -> Simd<f64> {
        self.depth
    }

    #[inline(always)]
    fn weights(&self, z: Simd<T>, shift: Shift<T>) -> [Simd<T>; 2] {
        self.formula.weights(z, shift)
    }
}
