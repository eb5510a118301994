//! Adaptive scale of scores: sharper rows where there are more keys.

use std::fmt;

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::activation::{softplus, tanh};

use super::super::arguments::Arguments;
use crate::check::check;
use crate::error::ModelError;
use crate::layer::parameter::zeros;

/// γ·ln ln n is kept in ±this, which no length reaches and every float type holds the exponential of.
const MOST_EXPONENT: f64 = 10.0;

/// Scores of a row times δ + β·(ln n)^γ, where β = softplus(w_β·x + o), γ = 2·tanh(w_γ·x), x is the input of the
/// layer at the query, and n is one more than the keys that the query sees.
///
/// One more, as the released code has it (`ln(i + 2)` for position i from 0): ln n is then at least ln 2. Maps start
/// at zero: β = softplus(o), γ = 0.
///
/// # Source
/// ASEntmax: Vasylenko et al. 2025 (arXiv 2506.16640); δ, maps and n of deep-spin/asentmax
/// (`sparse_gemma.py`).
#[derive(Module, Debug)]
pub struct RowScale {
    /// w_β, `[d_model, n_scaled]`: of the last `n_scaled` heads.
    pub beta: Param<Tensor<2>>,
    /// w_γ, `[d_model, n_scaled]`.
    pub gamma: Param<Tensor<2>>,
    delta: f64,
    offset: f64,
}

impl RowScale {
    /// The factor of each row.
    ///
    /// # Shapes
    /// - source: x, `[batch, seq_q, d_model]`
    /// - visible: keys that a query sees, `[batch or 1, n_heads or 1, seq_q, 1]`
    /// - output: `[batch, n_heads, seq_q, 1]`, 1 for heads before the last `n_scaled`
    pub fn of(&self, source: Tensor<3>, visible: Tensor<4>, n_heads: usize) -> Tensor<4> {
        let [batch, seq_q, d_model] = source.dims();
        if batch * seq_q == 0 {
            let options = (&source.device(), source.dtype());
            return Tensor::ones([batch, n_heads, seq_q, 1], options);
        }
        let n_scaled = self.beta.dims()[1];
        let rows = source.reshape([batch * seq_q, d_model]);
        let map = |weight: &Param<Tensor<2>>| {
            let mapped = rows.clone().matmul(weight.val());
            mapped.reshape([batch, seq_q, n_scaled, 1]).swap_dims(1, 2)
        };
        let beta = softplus(map(&self.beta).add_scalar(self.offset), 1.0);
        let gamma = tanh(map(&self.gamma)).mul_scalar(2.0);
        let [_, counted, _, _] = visible.dims();
        let visible = match counted {
            1 => visible,
            _ => visible.slice_dim(1, n_heads - n_scaled..n_heads),
        };
        // A row without a key has no scores to scale; its logarithm must still be one.
        let n = visible.clamp_min(1.0).add_scalar(1.0).cast(beta.dtype());
        let exponent = gamma * n.log().log();
        let power = exponent.clamp(-MOST_EXPONENT, MOST_EXPONENT).exp();
        let scale = (beta * power).add_scalar(self.delta);
        match n_heads - n_scaled {
            0 => scale,
            n_plain => {
                let ones =
                    Tensor::ones([batch, n_plain, seq_q, 1], (&scale.device(), scale.dtype()));
                Tensor::cat(vec![ones, scale], 1)
            }
        }
    }
}

impl RowScale {
    /// The factors of the heads that are scaled, of all that [`RowScale::of`] gave.
    ///
    /// # Shapes
    /// - factor: `[batch, n_heads, seq_q, 1]`, output: `[batch, n_scaled, seq_q, 1]`
    pub(crate) fn scaled(&self, factor: &Tensor<4>) -> Tensor<4> {
        let (n_heads, n_scaled) = (factor.dims()[1], self.beta.dims()[1]);
        factor.clone().slice_dim(1, n_heads - n_scaled..n_heads)
    }
}

/// Settings of [`RowScale`]: `scale`, `scale(delta=1,offset=-5)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaleConfig {
    /// δ, which β·(ln n)^γ is added to.
    pub delta: f64,
    /// o, which β is the softplus of at the start: −5 leaves the scores of pretrained weights almost as they are.
    pub offset: f64,
}

impl Default for ScaleConfig {
    fn default() -> Self {
        Self {
            delta: 1.0,
            offset: 0.0,
        }
    }
}

impl ScaleConfig {
    pub(crate) fn of(argument: Option<&str>) -> Option<Self> {
        let mut config = Self::default();
        let mut arguments = Arguments::of(argument)?;
        if let Some(delta) = arguments.take("delta")? {
            config.delta = delta;
        }
        if let Some(offset) = arguments.take("offset")? {
            config.offset = offset;
        }
        arguments.are_all_taken().then_some(config)
    }

    pub(crate) fn init(&self, d_model: usize, n_scaled: usize, device: &Device) -> RowScale {
        RowScale {
            beta: zeros([d_model, n_scaled], device),
            gamma: zeros([d_model, n_scaled], device),
            delta: self.delta,
            offset: self.offset,
        }
    }

    pub(crate) fn check(&self, field: &str) -> Result<(), ModelError> {
        let delta = self.delta >= 0.0 && self.delta.is_finite();
        let expected = "at least 0 and finite";
        check(delta, &format!("{field}.delta"), &self.delta, expected)?;
        let (field, offset) = (format!("{field}.offset"), self.offset);
        check(offset.is_finite(), &field, &offset, "finite")
    }
}

impl fmt::Display for ScaleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        let given =
            |name, value: f64, default: f64| (value != default).then(|| format!("{name}={value}"));
        let delta = given("delta", self.delta, default.delta);
        let offset = given("offset", self.offset, default.offset);
        Arguments::write(f, "scale", [delta, offset])
    }
}
