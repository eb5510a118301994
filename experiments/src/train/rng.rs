//! Seeds: a pure function of (seed, purpose, step), so that a resumed run draws what an
//! uninterrupted one would have drawn.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// What random numbers are drawn for; each purpose has its own stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights.
    Init,
    /// Dropout of one step.
    Step,
    /// Place in the corpus where training starts.
    Order,
    /// Random masks.
    Mask,
    /// Random features of attention.
    Features,
}

/// A 64-bit seed from (seed, purpose, step); splitmix64 finalised twice.
#[must_use]
pub fn hash(seed: u64, purpose: Purpose, step: u64) -> u64 {
    let tag = match purpose {
        Purpose::Init => 0x1,
        Purpose::Step => 0x2,
        Purpose::Order => 0x3,
        Purpose::Mask => 0x4,
        Purpose::Features => 0x5,
    };
    mix(mix(seed ^ (tag << 56)).wrapping_add(step))
}

/// The first number of a SplitMix64 stream.
fn mix(seed: u64) -> u64 {
    SplitMix64::seed_from_u64(seed).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_between_steps_purposes_and_seeds() {
        let mut all = Vec::new();
        for seed in 0..8 {
            for step in 0..64 {
                all.push(hash(seed, Purpose::Step, step));
                all.push(hash(seed, Purpose::Order, step));
            }
        }
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n);
        assert_eq!(hash(1, Purpose::Step, 7), 7_004_541_231_875_489_766);
    }
}
