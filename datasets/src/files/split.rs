//! One file as train, validation and test.

use serde::{Deserialize, Serialize};

use crate::Split;
use crate::source::Sha256Hex;

/// Which share of the units of a file is held out, and by which hash.
///
/// ```
/// use sparta_datasets::Split;
/// use sparta_datasets::files::Fractions;
///
/// let fractions = Fractions { valid: 0.1, test: 0.1, seed: 1 };
/// let of = |text: &str| fractions.split_of(text);
/// assert_eq!(of("a sentence"), of("  a   sentence "));
/// let n = (0..10_000).filter(|i| of(&i.to_string()) == Split::Valid).count();
/// assert!((900..1100).contains(&n), "{n}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fractions {
    /// Share of validation, 0 to 1.
    pub valid: f64,
    /// Share of the test.
    pub test: f64,
    /// Which units these are.
    pub seed: u64,
}

impl Fractions {
    /// The part of a unit, by its text alone (white space counts as one space): a unit is on the same side wherever and
    /// however often it stands.
    pub fn split_of(&self, unit: &str) -> Split {
        let mut hasher = Sha256Hex::new();
        hasher.update(&self.seed.to_le_bytes());
        for word in unit.split_whitespace() {
            hasher.update(word.as_bytes());
            hasher.update(b" ");
        }
        let bytes = hasher.finish_bytes();
        let draw = u64::from_le_bytes(std::array::from_fn(|i| bytes[i]));
        let draw = (draw >> 11) as f64 / (1_u64 << 53) as f64;
        match () {
            () if draw < self.test => Split::Test,
            () if draw < self.test + self.valid => Split::Valid,
            () => Split::Train,
        }
    }
}
