//! A learned limit on how far away a key may be.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::error::{AttentionError, expect};
use super::{AttentionOptions, BlockMask, Normalizer};

/// Keys of a tile of the fused kernels.
const BLOCK: usize = 64;
/// Added to the sum of the weights that are left, as in the released code.
const EPSILON: f64 = 1e-8;
/// Below every factor that is not 0.
const LEAST: f64 = 1e-30;

/// Adaptive span: each head reads the keys up to a distance z of its own, and less and less of those up to
/// z + R. A weight at distance x is multiplied by `m(x) = clamp((R + z − x)/R, 0, 1)`, and a row divided by what its sum is then.
///
/// The distance is `|i − j|`, the last query being aligned with the last key. Keys with m = 0 are hidden. For
/// softmax the definition is softmax(scores + log m), the same row by another way; every other normaliser gives
/// `w·m/(Σ w·m + 1e-8)`, and zeros where no weight is left. The derivative in z is 1/R on the ramp, where
/// 0 < m < 1, and 0 elsewhere.
///
/// # Source
/// Sukhbaatar et al. 2019, "Adaptive Attention Span in Transformers", section 2.1.
#[derive(Clone, Debug)]
pub struct Span {
    /// z ≥ 0 of each head, `[n_heads]`, in keys.
    pub length: Tensor<1>,
    /// R > 0, in keys.
    pub ramp: f64,
}

impl Span {
    pub(super) fn check(&self, n_heads: usize) -> Result<(), AttentionError> {
        expect("span.length", &self.length.dims(), &[n_heads])?;
        match self.ramp > 0.0 && self.ramp.is_finite() {
            true => Ok(()),
            false => Err(AttentionError::Ramp(self.ramp)),
        }
    }

    /// m of every cell, in the type of the lengths; half types have no digits for distances, which are computed in f32.
    ///
    /// # Shapes
    /// - result: `[1, n_heads, seq_q, seq_kv]`
    pub fn factors(&self, sizes: [usize; 2]) -> Tensor<4> {
        of_type(self.wide_factors(sizes), self.length.dtype())
    }

    /// [`Self::factors`] in f32 at least.
    fn wide_factors(&self, [seq_q, seq_kv]: [usize; 2]) -> Tensor<4> {
        let device = self.length.device();
        let length = wide(self.length.clone().reshape([1, -1, 1, 1]));
        let dtype = length.dtype();
        let places = |first: i64, n: usize, shape| -> Tensor<4> {
            let places: Vec<f64> = (first..first + n as i64)
                .map(|place| place as f64)
                .collect();
            let places = TensorData::new(places, shape).convert_dtype(dtype);
            Tensor::from_data(places, (&device, dtype))
        };
        let rows = places(seq_kv as i64 - seq_q as i64, seq_q, [1, 1, seq_q, 1]);
        let columns = places(0, seq_kv, [1, 1, 1, seq_kv]);
        let factors = (length - (rows - columns).abs())
            .div_scalar(self.ramp)
            .add_scalar(1.0);
        // Filled, not clamped: at the ends of the ramp there is no gradient.
        let (none, all) = (
            factors.clone().lower_equal_elem(0.0),
            factors.clone().greater_equal_elem(1.0),
        );
        factors.mask_fill(none, 0.0).mask_fill(all, 1.0)
    }

    /// `w·m/(Σ w·m + 1e-8)` of rows of weights; zeros stay zeros, without gradient.
    ///
    /// # Shapes
    /// - weights, result: `[batch, n_heads, seq_q, seq_kv]`
    pub(super) fn limit(&self, weights: Tensor<4>) -> Tensor<4> {
        let [_, _, seq_q, seq_kv] = weights.dims();
        let dtype = weights.dtype();
        let sizes = [seq_q, seq_kv];
        let weights = wide(weights);
        let factors = of_type(self.wide_factors(sizes), weights.dtype());
        let left = weights * factors;
        let sum = left.clone().sum_dim(3);
        let nothing = sum.clone().equal_elem(0.0);
        let limited = left / sum.mask_fill(nothing, 1.0).add_scalar(EPSILON);
        of_type(limited, dtype)
    }

    /// log m as a bias, and where m = 0, `[n_heads, seq_q, seq_kv]`: what makes softmax's rows those of the span.
    fn terms(&self, sizes: [usize; 2], dtype: DType) -> (Tensor<4>, Tensor<3, Bool>) {
        let factors = self.wide_factors(sizes);
        let hidden = factors.clone().lower_equal_elem(0.0);
        let log = factors.mask_fill(hidden.clone(), LEAST).log();
        (of_type(log, dtype), hidden.squeeze_dim(0))
    }

    /// The blocks of which a head reads nothing, for lengths that are read from the device.
    fn blocks(&self, [seq_q, seq_kv]: [usize; 2], device: &Device) -> BlockMask {
        let reach: Vec<f64> = (self.length.to_data().iter::<f64>())
            .map(|length| length + self.ramp)
            .collect();
        let distance = |query: usize, key: usize| (query + seq_kv).abs_diff(key + seq_q) as f64;
        let all_hidden = |head: usize, queries: [usize; 2], keys: [usize; 2]| {
            // Of the distances of a block the smallest is 0 or that of a corner.
            let [first, last] = [
                (queries[0] + seq_kv) as i64 - (keys[1] + seq_q) as i64,
                (queries[1] + seq_kv) as i64 - (keys[0] + seq_q) as i64,
            ];
            let nearest = match first <= 0 && last >= 0 {
                true => 0,
                false => first.abs().min(last.abs()),
            };
            let farthest = first.abs().max(last.abs());
            match (
                nearest as f64 >= reach[head],
                farthest as f64 >= reach[head],
            ) {
                (true, _) => Some(true),
                (false, false) => Some(false),
                (false, true) => None,
            }
        };
        let hidden = |head: usize, query: usize, key: usize| distance(query, key) >= reach[head];
        BlockMask::cut(
            BLOCK,
            [reach.len(), seq_q, seq_kv],
            all_hidden,
            hidden,
            device,
        )
    }
}

/// Half types in f32.
fn wide(tensor: Tensor<4>) -> Tensor<4> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(DType::F32),
        _ => tensor,
    }
}

/// A tensor in a type; itself, where it has it.
pub(super) fn of_type<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<D> {
    match tensor.dtype() == dtype {
        true => tensor,
        false => tensor.cast(dtype),
    }
}

impl AttentionOptions {
    /// Puts softmax's span into bias and masks, and leaves that of another normaliser. Fused kernels get blocks, of
    /// which they skip the hidden ones, where there are no other blocks.
    pub(super) fn fold_span(&mut self, sizes: [usize; 2], dtype: DType, fused: bool) {
        let span = match self.normalizer {
            Normalizer::Softmax => self.span.take(),
            Normalizer::Sparsemax
            | Normalizer::Entmax15
            | Normalizer::Entmax(_)
            | Normalizer::Fusedmax { .. }
            | Normalizer::Oscarmax { .. } => None,
        };
        let Some(span) = span else { return };
        // Nothing is far from nothing.
        if sizes.contains(&0) {
            return;
        }
        let (log, hidden) = span.terms(sizes, dtype);
        self.bias = Some(match self.bias.take() {
            Some(bias) => of_type(bias, dtype) + log,
            None => log,
        });
        if fused && self.block_mask.is_none() {
            let blocks = span.blocks(sizes, &span.length.device());
            self.block_mask = Some(blocks);
            return;
        }
        self.global_mask = Some(match self.global_mask.take() {
            Some(mask) => mask.expand(hidden.dims()).bool_or(hidden),
            None => hidden,
        });
    }
}
