//! How often each implementation of attention has run: what a run record states.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::Implementation;

static REFERENCE: AtomicU64 = AtomicU64::new(0);
static FUSED: AtomicU64 = AtomicU64::new(0);

/// Calls of [`super::sparse_attention`] by the implementation that computed them,
/// [`super::AttentionOutput::implementation`]; a backward pass is not counted again.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use sparta_ops::attention::{self, AttentionOptions, Calls, Implementation, sparse_attention};
/// let before = attention::calls();
/// // `auto` takes the fused kernels where there are enough keys and queries for them to pay.
/// for n in [8, 256, 256, 256] {
///     let x = Tensor::<4>::ones([1, 1, n, 4], &Device::flex());
///     sparse_attention(x.clone(), x.clone(), x, AttentionOptions::default());
/// }
/// let calls = attention::calls() - before;
/// assert_eq!(calls, Calls { reference: 1, fused: 3 });
/// assert_eq!(format!("auto: {calls}"), "auto: fused 75 %, reference 25 %");
/// assert_eq!(calls.fraction(Implementation::Fused), Some(0.75));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// By the readable definition.
    pub reference: u64,
    /// By fused kernels.
    pub fused: u64,
}

/// All calls of this process, on all threads, so far: subtract an earlier reading for those between.
pub fn calls() -> Calls {
    Calls {
        reference: REFERENCE.load(Ordering::Relaxed),
        fused: FUSED.load(Ordering::Relaxed),
    }
}

/// Counts a call that this implementation computed.
pub(super) fn count(implementation: Implementation) {
    let counter = match implementation {
        Implementation::Reference => &REFERENCE,
        Implementation::Fused => &FUSED,
        Implementation::Auto => unreachable!("auto is resolved before anything is computed"),
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Calls {
    /// Calls by any implementation.
    pub const fn total(self) -> u64 {
        self.reference + self.fused
    }

    /// The fraction of calls that an implementation computed, in [0, 1]: 0 for `auto`, which never
    /// computes; none where there was no call.
    pub fn fraction(self, implementation: Implementation) -> Option<f64> {
        let calls = match implementation {
            Implementation::Auto => 0,
            Implementation::Reference => self.reference,
            Implementation::Fused => self.fused,
        };
        (self.total() > 0).then(|| calls as f64 / self.total() as f64)
    }
}

/// `fused 82 %, reference 18 %`, without what never ran: `fused`, or `no attention`. What is not all or
/// nothing is never rounded to it: `fused > 99 %, reference < 1 %`.
impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Implementation::as_str;
        match (self.fused, self.reference) {
            (0, 0) => f.write_str("no attention"),
            (_, 0) => f.write_str(name(Implementation::Fused)),
            (0, _) => f.write_str(name(Implementation::Reference)),
            (fused, reference) => {
                let percent = |calls: u64| match 100.0 * calls as f64 / (self.total() as f64) {
                    low if low < 1.0 => "< 1 %".to_owned(),
                    high if high > 99.0 => "> 99 %".to_owned(),
                    within => format!("{within:.0} %"),
                };
                let (fused, reference) = (percent(fused), percent(reference));
                let [by_fused, by_reference] =
                    [Implementation::Fused, Implementation::Reference].map(name);
                write!(f, "{by_fused} {fused}, {by_reference} {reference}")
            }
        }
    }
}

impl Add for Calls {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            reference: self.reference + other.reference,
            fused: self.fused + other.fused,
        }
    }
}

impl AddAssign for Calls {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Calls {
    fn sum<I: Iterator<Item = Self>>(calls: I) -> Self {
        calls.fold(Self::default(), Add::add)
    }
}

/// The calls since an earlier reading; never below zero.
impl Sub for Calls {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            reference: self.reference.saturating_sub(before.reference),
            fused: self.fused.saturating_sub(before.fused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_record_never_round_to_all_or_nothing() {
        let words = |fused, reference| Calls { fused, reference }.to_string();
        assert_eq!(words(0, 0), "no attention");
        assert_eq!(words(7, 0), "fused");
        assert_eq!(words(0, 7), "reference");
        assert_eq!(words(82, 18), "fused 82 %, reference 18 %");
        assert_eq!(words(2, 1), "fused 67 %, reference 33 %");
        assert_eq!(words(9999, 1), "fused > 99 %, reference < 1 %");
        assert_eq!(words(1, 9999), "fused < 1 %, reference > 99 %");
    }

    #[test]
    fn readings_add_and_subtract_and_are_read_back() {
        let early = Calls {
            reference: 2,
            fused: 5,
        };
        let late = Calls {
            reference: 3,
            fused: 9,
        };
        let between = late - early;
        assert_eq!(between.total(), 5);
        assert_eq!(early + between, late);
        assert_eq!([early, between].into_iter().sum::<Calls>(), late);
        assert_eq!(between.fraction(Implementation::Reference), Some(0.2));
        assert_eq!(Calls::default().fraction(Implementation::Fused), None);
        let written = serde_json::to_string(&late).unwrap();
        assert_eq!(written, r#"{"reference":3,"fused":9}"#);
        assert_eq!(serde_json::from_str::<Calls>(&written).unwrap(), late);
    }
}
