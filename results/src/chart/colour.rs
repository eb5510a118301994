//! Colours.

use std::fmt;

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colour(pub(crate) u8, pub(crate) u8, pub(crate) u8);

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// Okabe and Ito's colours, which stay apart for colour-blind eyes.
pub(crate) const SERIES: [Colour; 8] = [
    Colour(0, 114, 178),
    Colour(213, 94, 0),
    Colour(0, 158, 115),
    Colour(230, 159, 0),
    Colour(86, 180, 233),
    Colour(204, 121, 167),
    Colour(0, 0, 0),
    Colour(178, 160, 0),
];
/// Published numbers.
pub(crate) const PAPER: Colour = Colour(110, 110, 110);
/// Grid lines and frames.
pub(crate) const GREY: Colour = Colour(225, 225, 225);
/// Weights that are exactly zero.
pub(crate) const ZERO: Colour = Colour(0xfd, 0xe3, 0xb5);
/// Cells that a mask hides, or that a query must not see.
pub(crate) const HIDDEN: Colour = Colour(0xb9, 0xb9, 0xb9);

/// The colour of a row normaliser: the usual ones have theirs in every figure, others take what is
/// left in the order of `all`.
pub(crate) fn variant_colour(variant: &str, all: &[&str]) -> Colour {
    const USUAL: [&str; 4] = ["softmax", "1.5-entmax", "alpha-entmax", "sparsemax"];
    if let Some(at) = USUAL.iter().position(|usual| *usual == variant) {
        return SERIES[at];
    }
    let others = all.iter().filter(|name| !USUAL.contains(name));
    let at = others.take_while(|name| **name != variant).count();
    SERIES[USUAL.len() + at % (SERIES.len() - USUAL.len())]
}

/// Light to dark blue, for values from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shade(pub(crate) f64);

impl Shade {
    /// Steps of the scale: more are not told apart, and equal cells make small files.
    pub(crate) const STEPS: usize = 24;
    const STOPS: [Colour; 6] = [
        Colour(0xe9, 0xf1, 0xfa),
        Colour(0xc0, 0xd9, 0xee),
        Colour(0x85, 0xb8, 0xdd),
        Colour(0x44, 0x8f, 0xc6),
        Colour(0x15, 0x5f, 0xa5),
        Colour(0x08, 0x2b, 0x5f),
    ];

    /// Which step, 0 to [`Shade::STEPS`] − 1.
    pub(crate) fn step(self) -> usize {
        let step = (self.0.clamp(0.0, 1.0) * Self::STEPS as f64) as usize;
        step.min(Self::STEPS - 1)
    }

    pub(crate) fn colour(self) -> Colour {
        let at = self.step() as f64 / (Self::STEPS - 1) as f64 * (Self::STOPS.len() - 1) as f64;
        let low = (at as usize).min(Self::STOPS.len() - 2);
        let (from, to) = (Self::STOPS[low], Self::STOPS[low + 1]);
        let mix = |from: u8, to: u8| {
            let part = at - low as f64;
            (f64::from(from) + part * (f64::from(to) - f64::from(from))).round() as u8
        };
        Colour(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
    }

    /// Black or white, whichever is read on it.
    pub(crate) fn ink(self) -> Colour {
        match self.step() * 100 >= Self::STEPS * 62 {
            true => Colour(255, 255, 255),
            false => Colour(0x22, 0x22, 0x22),
        }
    }
}
