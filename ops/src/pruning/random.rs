//! A small random generator whose numbers never change, so that a seed names a mask for ever.
//!
//! Library generators may change their streams between releases; a published random mask must
//! not, so the few lines it needs are here.

/// SplitMix64: a counter stepped by the golden ratio and mixed.
///
/// # Source
/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014), with the
/// constants of Stafford's mixer 13.
#[derive(Debug, Clone)]
pub(super) struct SplitMix64 {
    state: u64,
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The mixing step of SplitMix64, a one-to-one map of the 64-bit numbers.
pub(super) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl SplitMix64 {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream of its own for each (seed, key).
    pub(super) const fn keyed(seed: u64, key: u64) -> Self {
        Self::new(mix(mix(seed.wrapping_add(GOLDEN)) ^ key))
    }

    pub(super) const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number in `0..bound`, every one equally likely.
    ///
    /// The high half of `x · bound` with the short first interval rejected (Lemire 2019,
    /// "Fast random integer generation in an interval").
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        let short = bound.wrapping_neg() % bound;
        loop {
            let product = (self.next_u64() as u128) * (bound as u128);
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
    use super::SplitMix64;

    #[test]
    fn matches_the_published_stream() {
        let mut rng = SplitMix64::new(1_234_567);
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
        let mut rng = SplitMix64::keyed(7, 3);
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
        let first = |seed, key| SplitMix64::keyed(seed, key).next_u64();
        assert_ne!(first(0, 0), first(0, 1));
        assert_ne!(first(0, 0), first(1, 0));
        assert_ne!(first(0, 1), first(1, 0));
        assert_eq!(first(5, 2), first(5, 2));
    }
}
