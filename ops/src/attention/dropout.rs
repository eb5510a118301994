//! Which weights are dropped: a function of a seed and the cell, so that backward repeats forward.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::TensorData;

/// The probability of dropping a weight, and a seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// In (0, 1).
    pub probability: f64,
    /// Decides with the cell which weights are dropped.
    pub seed: u64,
}

impl Dropout {
    /// What the weights that are kept are multiplied by.
    pub(crate) fn scale(self) -> f64 {
        1.0 / (1.0 - self.probability)
    }

    /// Weights are dropped whose number is below.
    pub(crate) fn below(self) -> u32 {
        (self.probability * (1u64 << 32) as f64) as u32
    }

    /// The generator of a row, `(batch · n_heads + head) · seq_q + query`.
    #[inline(always)]
    pub(crate) fn row(self, row: usize) -> RowDropout {
        let first = mix(mix(self.seed as u32 ^ row as u32) ^ (self.seed >> 32) as u32);
        RowDropout {
            keys: [first, mix(first ^ 0x9e37_79b9)],
            below: self.below(),
        }
    }
}

/// The generator of a row, in 32-bit arithmetic that every device has.
#[derive(Clone, Copy)]
pub(crate) struct RowDropout {
    keys: [u32; 2],
    below: u32,
}

impl RowDropout {
    /// Whether the weight of this key is kept.
    #[inline(always)]
    pub fn keeps(self, key: usize) -> bool {
        let [first, second] = self.keys;
        mix(mix(key as u32 ^ first).wrapping_add(second)) >= self.below
    }
}

/// A mixing of 32 bits by multiplication and shifts (Wellons's low-bias constants).
#[inline(always)]
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x21f0_aaad);
    x ^= x >> 15;
    x = x.wrapping_mul(0xd35a_2d97);
    x ^ (x >> 15)
}

/// `1/(1 − probability)` where a weight of `[rows, n]` is kept, else 0.
pub(crate) fn dropout_mask<B: Backend>(like: FloatTensor<B>, dropout: Dropout) -> FloatTensor<B> {
    let (shape, dtype, device) = (like.shape(), like.dtype(), like.device());
    let mut mask = Vec::with_capacity(shape.num_elements());
    let scale = dropout.scale();
    for i in 0..shape[0] {
        let row = dropout.row(i);
        mask.extend((0..shape[1]).map(|j| if row.keeps(j) { scale } else { 0.0 }));
    }
    let mask = TensorData::new(mask, shape).convert_dtype(dtype);
    B::float_from_data(mask, &device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows, columns and neighbours are dropped independently, at the rate asked for.
    #[test]
    fn drops_at_the_probability_without_pattern() {
        let (rows, keys) = (300, 301);
        let probability = 0.3;
        let dropout = Dropout {
            probability,
            seed: 0x1234_5678_9abc_def0,
        };
        let kept = |i: usize, j: usize| u32::from(dropout.row(i).keeps(j));
        let n = (rows * keys) as f64;
        let mut counts = [0; 4];
        for i in 0..rows {
            for j in 0..keys {
                counts[0] += kept(i, j);
                counts[1] += kept(i, j) * kept(i, j + 1);
                counts[2] += kept(i, j) * kept(i + 1, j);
                counts[3] += kept(i, j) * kept(i ^ 1, j ^ 1);
            }
        }
        let once = counts[0] as f64 / n;
        let sd = (probability * (1.0 - probability) / n).sqrt();
        assert!((once - 0.7).abs() < 5.0 * sd, "{once}");
        for both in &counts[1..] {
            let both = f64::from(*both) / n;
            assert!((both - 0.49).abs() < 5.0 * 0.5 / n.sqrt(), "{both}");
        }
        let other = Dropout { seed: 1, ..dropout };
        assert!((0..64).any(|j| other.row(0).keeps(j) != dropout.row(0).keeps(j)));
    }
}
