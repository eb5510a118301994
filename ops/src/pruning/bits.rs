//! A matrix of bits, the rows padded to whole words.

/// `n_rows × n_cols` bits, row by row, each row in whole 64-bit words, lowest bit first.
///
/// The bits behind the last column are always zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BitMatrix {
    n_cols: usize,
    words_per_row: usize,
    words: Vec<u64>,
}

impl BitMatrix {
    pub(super) fn new(n_rows: usize, n_cols: usize) -> Self {
        let words_per_row = n_cols.div_ceil(64);
        Self {
            n_cols,
            words_per_row,
            words: vec![0; n_rows * words_per_row],
        }
    }

    /// Takes words as [`words`](Self::words) gave them; `None` if their number or padding does
    /// not fit.
    pub(super) fn from_words(n_rows: usize, n_cols: usize, words: Vec<u64>) -> Option<Self> {
        let words_per_row = n_cols.div_ceil(64);
        let padding = if n_cols.is_multiple_of(64) {
            0
        } else {
            !0 << (n_cols % 64)
        };
        let fits = Some(words.len()) == n_rows.checked_mul(words_per_row)
            && words
                .chunks(words_per_row.max(1))
                .all(|row| row.last().is_none_or(|w| w & padding == 0));
        fits.then_some(Self {
            n_cols,
            words_per_row,
            words,
        })
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(super) const fn words_per_row(&self) -> usize {
        self.words_per_row
    }

    pub(super) fn get(&self, row: usize, col: usize) -> bool {
        debug_assert!(col < self.n_cols);
        self.words[row * self.words_per_row + col / 64] >> (col % 64) & 1 == 1
    }

    pub(super) fn set(&mut self, row: usize, col: usize, bit: bool) {
        debug_assert!(col < self.n_cols);
        let word = &mut self.words[row * self.words_per_row + col / 64];
        let one = 1 << (col % 64);
        if bit {
            *word |= one;
        } else {
            *word &= !one;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BitMatrix;

    #[test]
    fn sets_and_clears_across_words() {
        let mut bits = BitMatrix::new(3, 70);
        bits.set(1, 63, true);
        bits.set(1, 64, true);
        bits.set(2, 69, true);
        bits.set(1, 63, false);
        let on: Vec<_> = (0..3)
            .flat_map(|r| (0..70).map(move |c| (r, c)))
            .filter(|&(r, c)| bits.get(r, c))
            .collect();
        assert_eq!(on, [(1, 64), (2, 69)]);
        assert_eq!(
            BitMatrix::from_words(3, 70, bits.words().to_vec()),
            Some(bits)
        );
    }

    #[test]
    fn refuses_wrong_length_and_dirty_padding() {
        assert!(BitMatrix::from_words(2, 3, vec![7, 7]).is_some());
        assert!(BitMatrix::from_words(2, 3, vec![7]).is_none());
        assert!(BitMatrix::from_words(2, 3, vec![7, 8]).is_none());
        assert!(BitMatrix::from_words(1, 64, vec![u64::MAX]).is_some());
    }
}
