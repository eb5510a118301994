//! The position-wise network between two attention layers.

use burn::config::Config;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::prelude::*;
use burn::tensor::assert_shape;
use sparta_ops::gelu;
use sparta_ops::linear::LinearActivation;

use super::dropout::drop_values;
use super::norm::LayerNorm;
use super::parameter::WeightInit;
use crate::precision::{linear, linear_to};

/// The function between the two linear maps.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x·Φ(x), see [`sparta_ops::gelu()`].
    Gelu,
}

/// Configuration of [`FeedForward`].
#[derive(Config, Debug)]
pub struct FeedForwardConfig {
    /// Size of the vectors in and out.
    pub d_model: usize,
    /// Size of the hidden layer.
    pub d_ff: usize,
    /// Dropout probability of values after the second linear map.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Dropout probability of values after the activation; `dropout` if not given.
    pub activation_dropout: Option<f64>,
    /// Normalise the input of the layer instead of the sum that leaves it.
    #[config(default = false)]
    pub pre_norm: bool,
    /// The weights at the start.
    #[config(default = "WeightInit::Normal { std: 0.02 }")]
    pub weight_init: WeightInit,
    /// The function between the linear maps.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
    /// What layer normalisation adds to the variance.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
}

/// Feed-forward layer with residual connection and layer normalisation:
/// norm(x + W₂·f(W₁x + b₁) + b₂), f being relu or gelu; dropout after f and after W₂.
///
/// # Source
/// `PositionwiseFF` of kimiyoung/transformer-xl.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `[d_model, d_ff]`.
    pub expand: Linear,
    /// `[d_ff, d_model]`.
    pub reduce: Linear,
    /// Normalisation of the sum, or of the input with `pre_norm`.
    pub norm: LayerNorm,
    /// After the second linear map.
    pub dropout: Dropout,
    /// After the activation.
    pub activation_dropout: Dropout,
    pre_norm: bool,
    #[module(skip)]
    activation: Activation,
}

impl FeedForwardConfig {
    /// Makes the layer.
    pub fn init(&self, device: &Device) -> FeedForward {
        let activation_dropout = self.activation_dropout.unwrap_or(self.dropout);
        FeedForward {
            expand: self.weight_init.linear(self.d_model, self.d_ff, device),
            reduce: self.weight_init.linear(self.d_ff, self.d_model, device),
            norm: self
                .weight_init
                .layer_norm(self.d_model, self.norm_epsilon, device),
            dropout: DropoutConfig::new(self.dropout).init(),
            activation_dropout: DropoutConfig::new(activation_dropout).init(),
            pre_norm: self.pre_norm,
            activation: self.activation,
        }
    }

    /// Number of parameters, without making them.
    pub fn n_params(&self) -> usize {
        2 * self.d_model * self.d_ff + self.d_ff + self.d_model + 2 * self.d_model
    }
}

impl FeedForward {
    /// Applies the layer, residual connection included. Flat rows make one large matrix product of
    /// each map.
    ///
    /// # Shapes
    /// - input, output: `[batch, seq, d_model]`
    ///
    /// # Panics
    /// If the input is of another width than the layer.
    ///
    /// # Source
    /// Vaswani et al. 2017, section 3.3.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [d_input, _] = self.expand.weight.dims();
        assert_shape!(input, [_, _, d_input]);
        let [batch, seq, d_model] = input.dims();
        if batch * seq == 0 {
            return input;
        }
        let input = input.reshape([batch * seq, d_model]);
        let inner = match self.pre_norm {
            true => self.norm.forward(input.clone()),
            false => input.clone(),
        };
        let inner = match self.activation {
            Activation::Relu => linear_to(&self.expand, inner, LinearActivation::Relu),
            Activation::Gelu => gelu(linear(&self.expand, inner)),
        };
        let inner = drop_values(&self.activation_dropout, inner);
        let inner = drop_values(&self.dropout, linear(&self.reduce, inner));
        let dtype = input.dtype();
        let sum = input + inner.cast(dtype);
        let output = match self.pre_norm {
            true => sum,
            false => self.norm.forward(sum),
        };
        output.reshape([batch, seq, d_model])
    }
}
