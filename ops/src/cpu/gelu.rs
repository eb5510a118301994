//! The Gaussian error linear unit of a row.

use super::float::Float;
use super::isa;
use super::workspace::Workspace;

/// `x·Φ(x)`, written over x.
pub(crate) fn gelu(work: &mut Workspace<f32>) {
    let row = &mut work.row.vectors;
    isa::dispatch(
        #[inline(always)]
        || {
            for simd in row.iter_mut() {
                *simd = simd.map(
                    #[inline(always)]
                    |x| {
                        let [_, distribution] = normal(x);
                        x * distribution
                    },
                );
            }
        },
    );
}

/// `g·(Φ(x) + x·φ(x))`, written over g; x is in the other row.
pub(crate) fn gelu_backward(work: &mut Workspace<f32>) {
    let (row, other) = (&mut work.row.vectors, &work.other.vectors);
    isa::dispatch(
        #[inline(always)]
        || {
            for (simd, x) in row.iter_mut().zip(other) {
                *simd = simd.zip(
                    *x,
                    #[inline(always)]
                    |g, x| {
                        let [density, distribution] = normal(x);
                        g * (distribution + x * density)
                    },
                );
            }
        },
    );
}

/// Density φ(x) and distribution function Φ(x) of N(0, 1), each within 1e-7.
///
/// With a = |x|: `Φ(−a) = e^{−a²/2}·M(a)`, where M falls smoothly from ½; on [0, 9] it is a polynomial
/// in `s = 0.45a/(1 + 0.45a)`, fitted so that `Φ(−a)` is off by at most 4e-9 but for rounding.
#[inline(always)]
fn normal(x: f32) -> [f32; 2] {
    const RATE: f32 = 0.45;
    const SQRT_INVERSE_TAU: f32 = 0.398_942_3;
    // Beyond 30 nothing is left; a NaN stays one.
    let a = x.abs().at_most(30.0);
    let power = Float::exp(x * x * -0.5);
    let scaled = RATE * a;
    let s = scaled / (1.0 + scaled);
    let mut poly = 3.952_264_8e-2f32;
    for c in [
        -5.014_426_6e-2,
        -3.415_688e-2,
        -4.018_141_3e-2,
        1.237_222_4e-1,
        3.480_029_7e-1,
        -8.865_378_5e-1,
    ] {
        poly = poly * s + c;
    }
    let tail = power * (poly * s + 0.5);
    let distribution = if x > 0.0 { 1.0 - tail } else { tail };
    [SQRT_INVERSE_TAU * power, distribution]
}
