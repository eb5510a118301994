//! Draws that never change, so that a seed names a mask for ever.
//!
//! What a library does with its generators may change between releases, and a published random mask
//! must not: the generator is SplitMix64, whose published stream a test holds, and what is drawn
//! from it is written here.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// Numbers of one SplitMix64 stream: a counter stepped by the golden ratio and mixed.
///
/// # Source
/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014), with the
/// constants of Stafford's mixer 13.
#[derive(Debug, Clone)]
pub(super) struct Draws(SplitMix64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The mixing step of SplitMix64, a one-to-one map of the 64-bit numbers.
pub(super) fn mix(z: u64) -> u64 {
    next(z.wrapping_sub(GOLDEN))
}

/// The first number of the stream of a seed.
fn next(seed: u64) -> u64 {
    SplitMix64::seed_from_u64(seed).next_u64()
}

impl Draws {
    /// A stream of its own for each (seed, key).
    pub(super) fn keyed(seed: u64, key: u64) -> Self {
        Self(SplitMix64::seed_from_u64(mix(next(seed) ^ key)))
    }

    /// A number in `0..bound`, every one equally likely.
    ///
    /// The high half of `x · bound` with the short first interval rejected (Lemire 2019,
    /// "Fast random integer generation in an interval").
    fn below(&mut self, bound: u64) -> u64 {
        let short = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(bound);
            if product as u64 >= short {
                return (product >> 64) as u64;
            }
        }
    }

    /// Moves a uniformly drawn subset of `k` items to the front of `items` (Fisher–Yates,
    /// stopped after `k` steps).
    pub(super) fn draw_to_front<T>(&mut self, items: &mut [T], k: usize) {
        for i in 0..k.min(items.len()) {
            let j = i + self.below((items.len() - i) as u64) as usize;
            items.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

    use super::Draws;

    #[test]
    fn matches_the_published_stream() {
        let mut rng = SplitMix64::seed_from_u64(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected, std::array::from_fn(|_| rng.next_u64()));
    }

    #[test]
    fn below_is_flat_and_in_range() {
        let mut rng = Draws::keyed(7, 3);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[rng.below(6) as usize] += 1;
        }
        // Standard deviation 91; six of them.
        assert!(
            counts.iter().all(|&c| c.abs_diff(10_000) < 550),
            "{counts:?}"
        );
    }

    #[test]
    fn keys_and_seeds_give_streams_of_their_own() {
        let first = |seed, key| Draws::keyed(seed, key).0.next_u64();
        assert_ne!(first(0, 0), first(0, 1));
        assert_ne!(first(0, 0), first(1, 0));
        assert_ne!(first(0, 1), first(1, 0));
        assert_eq!(first(5, 2), first(5, 2));
    }
}
