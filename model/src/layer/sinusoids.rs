//! Absolute positions as sinusoids.

use std::fmt;
use std::sync::Arc;

use burn::prelude::*;
use burn::tensor::TensorData;

/// A table of `[sin(p·ω₀), …, sin(p·ω_{h−1}), cos(p·ω₀), …]` for p = first, first + 1, …, where
/// h = d_model/2 and ω_i = 10000^(−i/(h − 1)).
///
/// The exponents are those of tensor2tensor and fairseq; the paper's formula has 2i/d_model.
///
/// # Source
/// Vaswani et al. 2017, section 3.5; `SinusoidalPositionalEmbedding` of facebookresearch/fairseq, whose
/// first position is the id of the padding token plus 1.
#[derive(Clone)]
pub(crate) struct Sinusoids {
    values: Arc<[f32]>,
    d_model: usize,
}

impl fmt::Debug for Sinusoids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sinusoids([{}, {}])", self.n_rows(), self.d_model)
    }
}

impl Sinusoids {
    /// The table of `n_rows` positions. It is computed on the host, in f64: devices differ in the sine
    /// of large angles.
    pub(crate) fn new(first: usize, n_rows: usize, d_model: usize) -> Self {
        let half = d_model / 2;
        let step = -(10000f64.ln()) / (half.max(2) - 1) as f64;
        let mut values = Vec::with_capacity(n_rows * d_model);
        for position in first..first + n_rows {
            let angles = (0..half).map(|i| position as f64 * (i as f64 * step).exp());
            values.extend(angles.clone().map(|angle| angle.sin() as f32));
            values.extend(angles.map(|angle| angle.cos() as f32));
        }
        Self {
            values: values.into(),
            d_model,
        }
    }

    /// How many positions there are.
    pub(crate) fn n_rows(&self) -> usize {
        self.values.len() / self.d_model
    }

    /// The vectors of positions `start..start + n`, `[n, d_model]`.
    ///
    /// # Panics
    /// If the table is too short.
    pub(crate) fn rows(&self, start: usize, n: usize, device: &Device) -> Tensor<2> {
        let end = start + n;
        assert!(
            end <= self.n_rows(),
            "a sequence of {end} tokens was given, but the model's max_len is {}: raise max_len or \
             leave longer sequences out",
            self.n_rows()
        );
        let values = self.values[start * self.d_model..end * self.d_model].to_vec();
        Tensor::from_data(TensorData::new(values, [n, self.d_model]), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_sines_and_cosines_of_their_position() {
        let device = Device::flex();
        let table = Sinusoids::new(2, 5, 6);
        let rows = table.rows(1, 2, &device);
        let rows = rows.into_data().try_to_vec::<f32>().unwrap();
        for (row, position) in rows.chunks(6).zip([3f32, 4.0]) {
            for (i, rate) in [1.0, 0.01, 0.0001].into_iter().enumerate() {
                assert!((row[i] - (position * rate).sin()).abs() < 1e-6);
                assert!((row[i + 3] - (position * rate).cos()).abs() < 1e-6);
            }
        }
    }

    #[test]
    #[should_panic(expected = "max_len is 5")]
    fn too_long_a_sequence_is_named() {
        Sinusoids::new(2, 5, 6).rows(0, 6, &Device::flex());
    }
}
