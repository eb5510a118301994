//! A shuffle that is the same on every machine and in every version.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// Draws from a stream of SplitMix64 (Steele et al. 2014).
#[derive(Debug, Clone)]
pub(crate) struct Shuffler(SplitMix64);

impl Shuffler {
    /// Seeded by several numbers in order.
    pub(crate) fn new(seeds: &[u64]) -> Self {
        let mixed = seeds.iter().fold(0, |state, seed| {
            SplitMix64::seed_from_u64(state ^ seed).next_u64()
        });
        Self(SplitMix64::seed_from_u64(mixed))
    }

    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A number in `[0, 1)`, of 53 bits.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Fisher–Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
    }
}
