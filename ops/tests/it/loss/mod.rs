//! The losses: cross-entropy, the Fenchel–Young losses and their options.

mod cross_entropy;
mod fenchel_young;
mod log_partition;
mod options;

use burn::tensor::{Device, Int, Tensor, TensorData};

fn classes<const D: usize>(values: &[i64], shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}
