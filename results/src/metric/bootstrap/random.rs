//! The numbers of numpy's `default_rng(seed).integers(n)`, so that the same seed draws the same
//! samples as sacreBLEU.
//!
//! PCG XSL-RR 128/64 (O'Neill, 2014), seeded by numpy's `SeedSequence`; bounded numbers by Lemire's
//! method (2019).

/// Words of the pool that a seed is mixed into.
const POOL: usize = 4;
const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

/// numpy's default generator.
#[derive(Debug, Clone)]
pub(crate) struct NumpyRandom {
    state: u128,
    increment: u128,
    /// Upper half of the last 64 bits, not used yet.
    half: Option<u32>,
    /// Bits of the last draw of [`NumpyRandom::flip`], and how many are left.
    bits: (u32, u32),
}

impl NumpyRandom {
    pub(crate) fn new(seed: u64) -> Self {
        let words = seed_words(seed);
        let wide = |at: usize| {
            // numpy gives the upper 64 bits first, each of them with its lower word first.
            let half = |at: usize| u128::from(words[at]) | u128::from(words[at + 1]) << 32;
            half(at) << 64 | half(at + 2)
        };
        let mut random = Self {
            state: 0,
            increment: wide(4) << 1 | 1,
            half: None,
            bits: (0, 0),
        };
        random.step();
        random.state = random.state.wrapping_add(wide(0));
        random.step();
        random
    }

    fn step(&mut self) {
        self.state = self
            .state
            .wrapping_mul(MULTIPLIER)
            .wrapping_add(self.increment);
    }

    fn next_u64(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    /// The lower half of 64 bits, then the upper one.
    fn next_u32(&mut self) -> u32 {
        self.half.take().unwrap_or_else(|| {
            let both = self.next_u64();
            self.half = Some((both >> 32) as u32);
            both as u32
        })
    }

    /// A number below `range`, all with the same probability; `range` is at least 1.
    pub(crate) fn below(&mut self, range: u32) -> u32 {
        if range <= 1 {
            return 0;
        }
        loop {
            let product = u64::from(self.next_u32()) * u64::from(range);
            // Of the 2^32 numbers the first 2^32 mod range are one too many for some results.
            if product as u32 >= range.wrapping_neg() % range {
                return (product >> 32) as u32;
            }
        }
    }
}

impl NumpyRandom {
    /// A fair coin, as `integers(2, dtype=bool)` throws it: the bits of 32 at a time, lowest first.
    pub(crate) fn flip(&mut self) -> bool {
        let (bits, left) = match self.bits {
            (_, 0) => (self.next_u32(), 32),
            (bits, left) => (bits >> 1, left),
        };
        self.bits = (bits, left - 1);
        bits & 1 == 1
    }
}

/// The 8 words that `SeedSequence(seed)` generates.
fn seed_words(seed: u64) -> [u32; 8] {
    let mut hash = Hash {
        constant: 0x43b0_d7e5,
        multiplier: 0x931e_8875,
    };
    let entropy = [seed as u32, (seed >> 32) as u32, 0, 0];
    let mut pool = entropy.map(|word| hash.mix(word));
    for source in 0..POOL {
        for target in (0..POOL).filter(|&target| target != source) {
            let hashed = hash.mix(pool[source]);
            let mixed = 0xca01_f9dd_u32
                .wrapping_mul(pool[target])
                .wrapping_sub(0x4973_f715_u32.wrapping_mul(hashed));
            pool[target] = mixed ^ mixed >> 16;
        }
    }
    let mut hash = Hash {
        constant: 0x8b51_f9dd,
        multiplier: 0x58f3_8ded,
    };
    std::array::from_fn(|at| hash.mix(pool[at % POOL]))
}

/// `SeedSequence`'s multiplicative hash, whose constant changes with every word.
struct Hash {
    constant: u32,
    multiplier: u32,
}

impl Hash {
    fn mix(&mut self, word: u32) -> u32 {
        let word = word ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.multiplier);
        let word = word.wrapping_mul(self.constant);
        word ^ word >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.random.default_rng(seed).choice(n, 12)` of numpy 2.4.
    #[test]
    fn draws_are_those_of_numpy() {
        let draw = |seed, n| {
            let mut random = NumpyRandom::new(seed);
            std::array::from_fn::<u32, 12, _>(|_| random.below(n))
        };
        NUMPY
            .iter()
            .for_each(|(seed, n, expected)| assert_eq!(draw(*seed, *n), *expected, "{seed} {n}"));
    }

    /// `numpy.random.default_rng(12345).integers(2, size=70, dtype=bool)` of numpy 2.4.
    #[test]
    fn coins_are_those_of_numpy() {
        let fixture: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/parity/significance.json")).unwrap();
        let expected = fixture["coins"].as_str().unwrap();
        let mut random = NumpyRandom::new(12345);
        let found: String = expected
            .chars()
            .map(|_| if random.flip() { '1' } else { '0' })
            .collect();
        assert_eq!(found, expected);
    }

    const NUMPY: &[(u64, u32, [u32; 12])] = &[
        (12345, 10, [6, 2, 7, 3, 2, 7, 6, 6, 9, 3, 8, 3]),
        (
            12345,
            1000,
            [699, 227, 788, 316, 204, 797, 642, 676, 988, 391, 839, 332],
        ),
        (
            0,
            6750,
            [
                5741, 4299, 3450, 1821, 2077, 276, 507, 111, 1183, 5489, 4383, 6161,
            ],
        ),
        (7, 1, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (1099511627779, 3, [2, 2, 1, 2, 1, 1, 1, 0, 2, 0, 0, 1]),
        (
            1,
            2147483649,
            [
                1016164991, 1621709875, 74845286, 1767258089, 2037209175, 535214420, 1866217508,
                909086626, 1382612245, 1180243457, 1618157079, 1799343698,
            ],
        ),
    ];
}
