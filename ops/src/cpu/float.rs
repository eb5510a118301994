//! The element types of the kernels and their elementary functions.

use std::mem::MaybeUninit;

use burn::tensor::{Element, bf16, f16};
use bytemuck::Pod;

/// f32 with a vectorisable exponential, or f64 with the standard library's.
pub(crate) trait Float:
    Copy
    + Default
    + Send
    + 'static
    + Sync
    + PartialOrd
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    const LOWEST: Self;
    /// The smallest normal number.
    const TINY: Self;
    const EIGHTY: Self;
    /// Huge, with a finite square.
    const HUGE: Self;
    /// x where sums of eˣ times a gradient are finite.
    const LARGEST_EXPONENT: f64;
    /// The distance from 1 to the next number.
    const EPSILON: f64;
    /// Terms of the series of φ on [0, 1].
    const PHI_TERMS: u32;
    fn from_f64(value: f64) -> Self;
    fn to_f64(self) -> f64;
    /// eˣ for x ≤ 88; 0 where the result is below the normal range; NaN for NaN.
    fn exp(self) -> Self;
    /// log x of a positive normal number.
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;

    /// The larger one; NaN if this is.
    #[inline(always)]
    fn at_least(self, floor: Self) -> Self {
        if floor > self { floor } else { self }
    }

    /// The smaller one; NaN if this is.
    #[inline(always)]
    fn at_most(self, ceiling: Self) -> Self {
        if self > ceiling { ceiling } else { self }
    }

    /// Only NaN has no order with itself.
    #[inline(always)]
    fn is_nan(self) -> bool {
        self.partial_cmp(&self).is_none()
    }
}

/// What a tensor stores: itself, or a half type that is computed in f32.
pub(crate) trait Stored: Element + Pod + Send + Sync {
    /// The type of the arithmetic.
    type Wide: Float;
    fn widen(self) -> Self::Wide;
    fn narrow(wide: Self::Wide) -> Self;
}

/// What results are written to: elements, or fresh memory for them.
pub(crate) trait Slot<E>: Copy + Send {
    fn of(value: E) -> Self;
}

impl<E: Stored> Slot<E> for E {
    #[inline(always)]
    fn of(value: E) -> Self {
        value
    }
}

impl<E: Stored> Slot<E> for MaybeUninit<E> {
    #[inline(always)]
    fn of(value: E) -> Self {
        Self::new(value)
    }
}

macro_rules! stored {
    ($($stored:ty, $wide:ty, $widen:expr, $narrow:expr;)*) => {$(
        impl Stored for $stored {
            type Wide = $wide;
            #[inline(always)]
            fn widen(self) -> $wide {
                $widen(self)
            }
            #[inline(always)]
            fn narrow(wide: $wide) -> Self {
                $narrow(wide)
            }
        }
    )*};
}

stored! {
    f32, f32, |x| x, |x| x;
    f64, f64, |x| x, |x| x;
    f16, f32, f16::to_f32, f16::from_f32;
    bf16, f32, bf16::to_f32, bf16::from_f32;
}

impl Float for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LOWEST: Self = f32::MIN;
    const TINY: Self = f32::MIN_POSITIVE;
    const EIGHTY: Self = 80.0;
    const HUGE: Self = 1e18;
    const LARGEST_EXPONENT: f64 = 80.0;
    const EPSILON: f64 = f32::EPSILON as f64;
    const PHI_TERMS: u32 = 10;

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.into()
    }

    /// eˣ = 2ⁿ·eʳ with |r| ≤ ½·ln 2 and Cephes's polynomial for eʳ: within 2 ulp.
    #[inline(always)]
    fn exp(self) -> Self {
        const LOWEST_NORMAL: f32 = -87.33;
        // 1.5·2²³: adding it rounds to an integer and leaves that in the low bits.
        const ROUND: f32 = 12_582_912.0;
        // Selected by hand: `f32::max` would swallow NaN.
        let x = if self < LOWEST_NORMAL {
            LOWEST_NORMAL
        } else {
            self
        };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
        // Pairs of terms do not wait for one another.
        let square = r * r;
        let low = 1.666_666_5e-1 * r + 0.5;
        let middle = 8.333_452e-3 * r + 4.166_579_6e-2;
        let high = 1.987_569_1e-4 * r + 1.398_199_9e-3;
        let poly = (high * square + middle) * square + low;
        let power_of_two = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
        let y = (poly * square + r + 1.0) * power_of_two;
        if self < LOWEST_NORMAL { 0.0 } else { y }
    }

    /// log x = e·ln 2 + log m with m in [√½, √2) and Cephes's polynomial for log m: within 2 ulp, and
    /// within ulp(1) absolutely near x = 1.
    #[inline(always)]
    fn ln(self) -> Self {
        // Moving the exponent's zero to √½ makes the field of the shifted bits e.
        let shifted = self.to_bits().wrapping_sub(0x3f35_04f3);
        let e = (shifted.cast_signed() >> 23) as f32;
        let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3));
        let f = m - 1.0;
        let square = f * f;
        let fourth = square * square;
        let a = -2.499_999_4e-1 * f + 3.333_333e-1;
        let b = -1.666_805_8e-1 * f + 2.000_071_4e-1;
        let c = -1.242_014_1e-1 * f + 1.424_932_3e-1;
        let d = -1.151_461e-1 * f + 1.167_699_9e-1;
        let high = (7.037_683_6e-2 * square + d) * square + c;
        let poly = high * fourth + (b * square + a);
        let tail = poly * f * square - 2.121_944_4e-4 * e - 0.5 * square;
        f + tail + 0.693_359_4 * e
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
}

impl Float for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LOWEST: Self = f64::MIN;
    const TINY: Self = f64::MIN_POSITIVE;
    const EIGHTY: Self = 80.0;
    const HUGE: Self = 1e150;
    const LARGEST_EXPONENT: f64 = 600.0;
    const EPSILON: f64 = f64::EPSILON;
    const PHI_TERMS: u32 = 19;

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }

    #[inline(always)]
    fn ln(self) -> Self {
        f64::ln(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_within_two_ulp() {
        let mut worst = 0.0f64;
        for i in 0..200_000 {
            let x = -87.0 * (i as f32) / 200_000.0;
            let exact = (x as f64).exp();
            worst = worst.max((Float::exp(x) as f64 - exact).abs() / exact);
            let exact = (-x as f64).exp();
            worst = worst.max((Float::exp(-x) as f64 - exact).abs() / exact);
        }
        assert!(worst < 2.0 * f32::EPSILON as f64, "{worst:e}");
        assert_eq!(Float::exp(0.0f32), 1.0);
        assert_eq!(Float::exp(-88.0f32), 0.0);
        assert_eq!(Float::exp(f32::NEG_INFINITY), 0.0);
        assert!(Float::exp(f32::NAN).is_nan());
    }

    #[test]
    fn logarithm_is_within_two_ulp() {
        for i in 1..200_000 {
            // Every binade of the normal range, and the neighbourhood of 1.
            let wide = f32::MIN_POSITIVE * (i as f32 * 4.3e-4).exp2().min(f32::MAX);
            let near = 0.5 + i as f32 * 5e-6;
            for x in [wide, near] {
                let exact = (x as f64).ln();
                let off = (Float::ln(x) as f64 - exact).abs();
                assert!(
                    off <= 2.0 * f32::EPSILON as f64 * exact.abs().max(0.25),
                    "{x:e}: {off:e}"
                );
            }
        }
    }
}
