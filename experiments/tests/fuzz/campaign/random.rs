//! Numbers that are the same on every machine.

/// Xorshift64* (Vigna 2016).
pub struct Random(u64);

impl Random {
    /// The numbers of one input of one target.
    pub fn of(seed: u64, target: &str, input: u64) -> Self {
        // FNV-1a of the name, and odd factors that keep neighbouring inputs apart.
        let name = target
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let mixed = name
            ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ input.wrapping_add(1).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mut random = Self(mixed | 1);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`, 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        match n {
            0 => 0,
            n => (self.next() >> 33) as usize % n,
        }
    }

    /// One of several.
    pub fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A range of a sequence of `n`, short ones more often.
    pub fn range(&mut self, n: usize) -> std::ops::Range<usize> {
        let start = self.below(n);
        let most = match self.below(4) {
            0 => n - start,
            1 => 256,
            2 => 16,
            _ => 2,
        };
        let len = 1 + self.below(most.min((n - start).max(1)));
        start..(start + len).min(n)
    }
}
