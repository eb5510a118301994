//! Positions as sinusoids.

use burn::prelude::*;
use burn::tensor::TensorData;

/// Sinusoidal vectors of the distances `first, first − 1, …, first − n + 1`.
///
/// Row r is `[sin(p·ω₀), …, sin(p·ω_{d/2−1}), cos(p·ω₀), …]` with ω_i = 10000^(−2i/d) and
/// p = min(first − r, clamp_len): every key further away than `clamp_len` looks equally far.
/// Relative attention over `k` keys asks for `n = k + 1` rows from `first = k − 1`; the last one,
/// distance −1, stands under the causal mask and only makes the shift a matter of strides.
///
/// # Shapes
/// - output: `[n, d_model]`, `d_model` even
///
/// # Panics
/// If `d_model` is odd.
///
/// # Source
/// Dai et al. 2019, section 3.3; `PositionalEmbedding` of kimiyoung/transformer-xl.
pub fn relative_positions(
    first: usize,
    n: usize,
    d_model: usize,
    clamp_len: Option<usize>,
    device: &Device,
) -> Tensor<2> {
    assert!(
        d_model.is_multiple_of(2),
        "sinusoids come in pairs, but d_model is {d_model}"
    );
    // Computed here, in f64: devices differ in the sine of large angles.
    let half = d_model / 2;
    let mut values = Vec::with_capacity(n * d_model);
    for row in 0..n {
        let distance = first as f64 - row as f64;
        let distance = clamp_len.map_or(distance, |clamp| distance.min(clamp as f64));
        let angles =
            (0..half).map(move |i| distance * 10000f64.powf(-2.0 * i as f64 / d_model as f64));
        values.extend(angles.clone().map(|angle| angle.sin() as f32));
        values.extend(angles.map(|angle| angle.cos() as f32));
    }
    Tensor::from_data(TensorData::new(values, [n, d_model]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(first: usize, n: usize, clamp_len: Option<usize>) -> Vec<Vec<f32>> {
        let d_model = 6;
        relative_positions(first, n, d_model, clamp_len, &Device::flex())
            .into_data()
            .try_to_vec::<f32>()
            .unwrap()
            .chunks(d_model)
            .map(<[f32]>::to_vec)
            .collect()
    }

    #[test]
    fn the_row_of_distance_zero_is_sin_zero_and_cos_zero() {
        let rows = rows(2, 4, None);
        assert_eq!(rows[2], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert!((rows[1][0] - 1f32.sin()).abs() < 1e-6);
        assert!((rows[0][3] - 2f32.cos()).abs() < 1e-6);
        assert!((rows[3][0] + 1f32.sin()).abs() < 1e-6, "distance −1");
    }

    #[test]
    fn distances_beyond_clamp_len_are_equal() {
        let rows = rows(5, 6, Some(3));
        assert_eq!(rows[0], rows[2]);
        assert_eq!(rows[1], rows[2]);
        assert_ne!(rows[2], rows[3]);
    }
}
