//! Parameters drawn when a module is made, not when it is first used: a seed set before `init`
//! then decides them all.

use burn::config::Config;
use burn::module::Param;
use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::Distribution;

use super::norm::{LayerNorm, LayerNormConfig};

/// How the weights of a layer start.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum WeightInit {
    /// Weights from N(0, std²), scales of normalisation from N(1, std²), biases 0: Transformer-XL.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Weights from U(−a, a) with a = √(6 / (inputs + outputs)), scales of normalisation 1, biases 0; in the maps to queries,
    /// keys and values a/√2, and biases from U(−1/√inputs, 1/√inputs): the encoder–decoder.
    Xavier,
    /// Weights from N(0, std²), scales of normalisation 1, biases 0: BERT.
    NormalWeights {
        /// Standard deviation.
        std: f64,
    },
}

impl WeightInit {
    /// A linear layer.
    pub(crate) fn linear(self, d_input: usize, d_output: usize, device: &Device) -> Linear {
        match self {
            Self::Normal { std } | Self::NormalWeights { std } => {
                normal_linear(d_input, d_output, std, device)
            }
            Self::Xavier => xavier_linear(d_input, d_output, 1.0, device),
        }
    }

    /// A map of an attention to its queries, keys or values.
    pub(crate) fn input_map(self, d_input: usize, d_output: usize, device: &Device) -> Linear {
        match self {
            Self::Normal { .. } | Self::NormalWeights { .. } => {
                self.linear(d_input, d_output, device)
            }
            Self::Xavier => {
                let mut map = xavier_linear(d_input, d_output, 0.5f64.sqrt(), device);
                let bound = (d_input as f64).powf(-0.5);
                map.bias = Some(uniform([d_output], bound, device));
                map
            }
        }
    }

    /// A layer normalisation.
    pub(crate) fn layer_norm(self, d_model: usize, epsilon: f64, device: &Device) -> LayerNorm {
        let config = LayerNormConfig::new(d_model).with_epsilon(epsilon);
        let mut norm = config.init(device);
        match self {
            Self::Normal { std } => {
                norm.gamma = normal([d_model], 1.0, std, device);
            }
            Self::Xavier | Self::NormalWeights { .. } => {}
        }
        norm
    }
}

/// A parameter drawn from N(`mean`, `std`²).
pub(crate) fn normal<const D: usize>(
    shape: [usize; D],
    mean: f64,
    std: f64,
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::random(
        shape,
        Distribution::Normal(mean, std),
        device,
    ))
}

/// A parameter that starts at zero.
pub(crate) fn zeros<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::zeros(shape, device))
}

/// A linear layer with weights from N(0, `std`²) and no bias at the start.
pub(crate) fn normal_linear(d_input: usize, d_output: usize, std: f64, device: &Device) -> Linear {
    Linear {
        weight: normal([d_input, d_output], 0.0, std, device),
        bias: Some(zeros([d_output], device)),
    }
}

/// A linear layer with weights from U(−a, a), a = gain·√(6 / (inputs + outputs)), and no bias at the
/// start.
pub(crate) fn xavier_linear(d_input: usize, d_output: usize, gain: f64, device: &Device) -> Linear {
    let bound = gain * (6.0 / (d_input + d_output) as f64).sqrt();
    Linear {
        weight: uniform([d_input, d_output], bound, device),
        bias: Some(zeros([d_output], device)),
    }
}

/// A parameter drawn from U(−`bound`, `bound`).
pub(crate) fn uniform<const D: usize>(
    shape: [usize; D],
    bound: f64,
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::random(
        shape,
        Distribution::Uniform(-bound, bound),
        device,
    ))
}
