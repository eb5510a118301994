//! Parameters drawn when a module is made, not when it is first used: a seed set before `init`
//! then decides them all.

use burn::module::Param;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::prelude::*;
use burn::tensor::Distribution;

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

/// A linear layer with weights from N(0, `std`²) and no offset at the start.
pub(crate) fn normal_linear(d_input: usize, d_output: usize, std: f64, device: &Device) -> Linear {
    Linear {
        weight: normal([d_input, d_output], 0.0, std, device),
        bias: Some(zeros([d_output], device)),
    }
}

/// Layer normalisation (ε = 1e-5) whose scale starts at N(1, `std`²), as in Transformer-XL.
pub(crate) fn normal_layer_norm(d_model: usize, std: f64, device: &Device) -> LayerNorm {
    let mut norm = LayerNormConfig::new(d_model).init(device);
    norm.gamma = normal([d_model], 1.0, std, device);
    norm.beta = Some(zeros([d_model], device));
    norm
}
