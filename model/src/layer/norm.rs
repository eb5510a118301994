//! Layer normalisation with the operation of [`sparta_ops::layer_norm`].

use burn::config::Config;
use burn::module::Param;
use burn::prelude::*;

/// Configuration of [`LayerNorm`].
#[derive(Config, Debug)]
pub struct LayerNormConfig {
    /// Size of the vectors.
    pub d_model: usize,
    /// What is added to the variance.
    #[config(default = 1e-5)]
    pub epsilon: f64,
}

/// γ·(x − mean) / √(var + ε) + β; parameters and formula are those of Burn's module of that name.
///
/// # Source
/// Ba, Kiros, Hinton 2016, equation 4.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// γ, `[d_model]`.
    pub gamma: Param<Tensor<1>>,
    /// β, `[d_model]`.
    pub beta: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNormConfig {
    /// γ = 1 and β = 0.
    pub fn init(&self, device: &Device) -> LayerNorm {
        LayerNorm {
            gamma: Param::from_tensor(Tensor::ones([self.d_model], device)),
            beta: Param::from_tensor(Tensor::zeros([self.d_model], device)),
            epsilon: self.epsilon,
        }
    }
}

impl LayerNorm {
    /// Normalises along the last dimension.
    ///
    /// # Shapes
    /// - input, output: `[.., d_model]`
    ///
    /// # Panics
    /// If the input is of another width than the layer.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        sparta_ops::layer_norm(input, self.gamma.val(), self.beta.val(), self.epsilon)
    }
}
