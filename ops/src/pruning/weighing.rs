//! What p is a share of: cells, each counted once, or their uses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::PruningError;

/// What p is a share of. Cells stand in the same order, that of their means; only how far down that order a mask goes
/// differs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "kebab-case")]
pub enum Weighing {
    /// Every cell counts once (the paper).
    #[default]
    Cells,
    /// A cell counts as often as observed examples use it: as there are examples that have both its query and its key.
    Uses,
}

impl Weighing {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cells, Self::Uses];

    /// The name used in files and recipes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cells => "cells",
            Self::Uses => "uses",
        }
    }
}

impl fmt::Display for Weighing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Weighing {
    type Err = PruningError;

    fn from_str(word: &str) -> Result<Self, PruningError> {
        Self::ALL
            .into_iter()
            .find(|of| of.as_str() == word)
            .ok_or_else(|| PruningError::Word {
                what: "weighing of cells",
                found: word.to_string(),
                choices: "cells, uses",
            })
    }
}

/// How many of the first weights, none of them 0, have the sum nearest to `wanted`; of two numbers as near the even one,
/// which for equal weights is `round_half_even(wanted / weight)`.
pub(super) fn nearest_sum(weights: impl IntoIterator<Item = u64>, wanted: f64) -> usize {
    let (mut n, mut sum) = (0, 0.0);
    for weight in weights {
        let more = sum + weight as f64;
        let (before, after) = ((sum - wanted).abs(), (more - wanted).abs());
        let is_nearer = after < before || (after == before && n % 2 == 1);
        if !is_nearer {
            break;
        }
        (n, sum) = (n + 1, more);
    }
    n
}

#[cfg(test)]
mod tests {
    use super::nearest_sum;

    #[test]
    fn equal_weights_round_half_to_even() {
        for n in 0..=20usize {
            // Quarters: exact in binary, so that halves are halves.
            for quarters in 0..=4 * n {
                let wanted = quarters as f64 / 4.0;
                let expected = wanted.round_ties_even() as usize;
                let found = nearest_sum(std::iter::repeat_n(6, n), 6.0 * wanted);
                assert_eq!(found, expected, "{wanted} of {n}");
            }
        }
    }

    #[test]
    fn the_sum_is_the_nearest_there_is() {
        let weights = [5, 1, 1, 8, 2];
        let at = |wanted| nearest_sum(weights, wanted);
        assert_eq!([0.0, 2.4, 2.6, 5.4, 6.4].map(at), [0, 0, 1, 1, 2]);
        // Between 7 and 15: 11 is as near to both, and 4 is even.
        assert_eq!([10.9, 11.0, 11.1, 17.0].map(at), [3, 4, 4, 5]);
        assert_eq!(nearest_sum([], 3.0), 0);
    }
}
