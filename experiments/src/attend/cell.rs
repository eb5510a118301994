//! Attention weights as the page stores them: two bytes a cell, from which every printed digit follows.

use anyhow::{Result, bail};

/// Why a query cannot see a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// The key comes after the query.
    Causal,
    /// The global mask hides the cell for every input.
    GlobalMask,
    /// The key is further back than every query of the network may look (`same_length`).
    Distance,
    /// The key is not in the static pattern of the attention.
    Pattern,
}

impl Hidden {
    /// Its number in a page: above those of all weights.
    const fn code(self) -> u16 {
        match self {
            Self::Causal => u16::MAX,
            Self::GlobalMask => u16::MAX - 1,
            Self::Distance => u16::MAX - 2,
            Self::Pattern => u16::MAX - 3,
        }
    }
}

/// The number of an exact zero.
const ZERO: u16 = 0;
/// The least power of ten of a positive f32, 1.4e-45.
const LEAST: i32 = -45;
/// From 1e-6 on weights have four significant digits, below it two.
const FINE: i32 = -6;
/// Numbers with two significant digits for each power of ten, 1.0 to 9.9.
const COARSE_STEPS: u16 = 90;
/// Numbers with four, 1.000 to 9.999.
const FINE_STEPS: u16 = 9000;
/// The first number with four significant digits, 1.000e-6.
const FIRST_FINE: u16 = 1 + (FINE - LEAST) as u16 * COARSE_STEPS;
/// The number of the weight 1.
const ONE: u16 = FIRST_FINE + (-FINE) as u16 * FINE_STEPS;

/// The number of a cell in a page: 0 for an exact zero, then the positive weights in ascending order, each as the
/// decimal number that it rounds to with four significant digits, or with two below 1e-6; then the reasons to be
/// hidden. So no positive weight is 0, and what a page prints is what rounding the weight gives.
///
/// # Errors
/// A weight that is none (negative, above 1, not a number), or a hidden cell with a weight.
pub(super) fn code(weight: f32, hidden: Option<Hidden>) -> Result<u16> {
    match hidden {
        Some(reason) if weight == 0.0 => return Ok(reason.code()),
        Some(reason) => bail!("a cell that is hidden ({reason:?}) has the weight {weight}"),
        None if weight == 0.0 => return Ok(ZERO),
        None if weight > 0.0 && weight < 1.001 => {}
        None => bail!("{weight} is no attention weight: they are from 0 to 1"),
    }
    // A row of weights may sum to a little more than 1.
    let weight = weight.min(1.0);
    let (steps, digits, first, start) = match weight < 1e-6 {
        true => (COARSE_STEPS, 1, LEAST, 1),
        false => (FINE_STEPS, 3, FINE, FIRST_FINE),
    };
    // Formatting rounds the exact value of the float.
    let text = format!("{weight:.digits$e}");
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa: u16 = mantissa.replace('.', "").parse()?;
    let power: i32 = power.parse()?;
    let least_mantissa = steps / 9;
    Ok(start + (power - first) as u16 * steps + (mantissa - least_mantissa))
}

/// The numbers that decode cells, for the page's script.
#[derive(Debug, serde::Serialize)]
pub(super) struct Codes {
    least: i32,
    fine: i32,
    coarse_steps: u16,
    fine_steps: u16,
    first_fine: u16,
    one: u16,
    /// From this on hidden, by reason from the last number down.
    hidden: [(u16, &'static str); 4],
}

impl Codes {
    pub(super) const OF_PAGE: Self = Self {
        least: LEAST,
        fine: FINE,
        coarse_steps: COARSE_STEPS,
        fine_steps: FINE_STEPS,
        first_fine: FIRST_FINE,
        one: ONE,
        hidden: [
            (
                Hidden::Causal.code(),
                "hidden: the key comes after the query",
            ),
            (Hidden::GlobalMask.code(), "hidden by the global mask"),
            (
                Hidden::Distance.code(),
                "hidden: further back than the network looks",
            ),
            (
                Hidden::Pattern.code(),
                "hidden by the static pattern of the attention",
            ),
        ],
    };
}

/// Base64 (RFC 4648, section 4) of numbers as two bytes each, the low one first.
pub(super) fn base64(codes: &[u16]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = codes.iter().flat_map(|code| code.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or_default());
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= chunk.len() { digit as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page's script prints of a number (`page.js`, `number`).
    fn printed(code: u16) -> f64 {
        let (steps, digits, first, start) = match code < FIRST_FINE {
            true => (COARSE_STEPS, 1, LEAST, 1),
            false => (FINE_STEPS, 3, FINE, FIRST_FINE),
        };
        let (power, rest) = ((code - start) / steps, (code - start) % steps);
        let mantissa = rest + steps / 9;
        let power = i32::from(power) + first - digits;
        format!("{mantissa}e{power}").parse().unwrap()
    }

    #[test]
    fn what_is_printed_is_the_weight_rounded() {
        let mut weight = 1.0_f32;
        let mut last = u16::MAX;
        while weight > 0.0 {
            let digits = if weight < 1e-6 { 1 } else { 3 };
            let expected: f64 = format!("{weight:.digits$e}").parse().unwrap();
            let found = code(weight, None).unwrap();
            assert_eq!(printed(found), expected, "{weight}");
            assert!(
                found > ZERO && found <= last && found <= ONE,
                "{weight}: {found}"
            );
            last = found;
            weight *= 0.997;
            weight = if weight < 1e-40 { weight / 2.0 } else { weight };
        }
        assert_eq!(code(f32::from_bits(1), None).unwrap(), 1 + 4);
        assert_eq!(code(1.0, None).unwrap(), ONE);
        assert_eq!(code(1.000_000_1, None).unwrap(), ONE);
        assert_eq!(code(9.999_6e-7, None).unwrap(), FIRST_FINE);
        assert!(ONE < Hidden::Distance.code());
    }

    #[test]
    fn zero_and_hidden_cells_are_their_own() {
        assert_eq!(code(0.0, None).unwrap(), ZERO);
        assert_eq!(code(-0.0, None).unwrap(), ZERO);
        for hidden in [Hidden::Causal, Hidden::GlobalMask, Hidden::Distance] {
            assert_eq!(code(0.0, Some(hidden)).unwrap(), hidden.code());
            assert!(code(0.25, Some(hidden)).is_err());
        }
        for none in [f32::NAN, -0.25, 1.5, f32::INFINITY] {
            assert!(code(none, None).is_err(), "{none}");
        }
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        let of = |text: &str| {
            let pairs = text.as_bytes().chunks(2);
            let codes: Vec<u16> = pairs.map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
            base64(&codes)
        };
        assert_eq!(of("fo"), "Zm8=");
        assert_eq!(of("foob"), "Zm9vYg==");
        assert_eq!(of("foobar"), "Zm9vYmFy");
        assert_eq!(of(""), "");
    }
}
