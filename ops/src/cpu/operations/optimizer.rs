//! Steps of the optimiser.

use burn::tensor::TensorData;

use super::*;
use crate::cpu::adam as adam_kernel;
use crate::optimizer::{self, AdamStep};

pub(crate) fn adam<B: HostBackend>(
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    scale: FloatTensor<B>,
    step: AdamStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    if weight.dtype() != DType::F32 || !weight.is_on_host() {
        return optimizer::reference::adam::<B>(weight, gradient, first, second, scale, step);
    }
    let n = weight.shape()[0];
    let [mut weight, mut first, mut second] = [weight, first, second].map(owned::<B, f32>);
    {
        let scale = scale.read::<f32>().column(1)[0];
        let gradient = gradient.read::<f32>();
        let gradient = contiguous(&gradient, [n, 1]);
        let [weight, first, second] = [&mut weight, &mut first, &mut second]
            .map(|tensor| tensor.write::<f32>().expect("nobody else holds it"));
        adam_kernel::update(weight, &gradient, [first, second], scale, step.factors());
    }
    (weight, first, second)
}

pub(crate) fn sum_of_squares<B: HostBackend>(x: FloatTensor<B>) -> FloatTensor<B> {
    if x.dtype() != DType::F32 || !x.is_on_host() {
        return optimizer::reference::sum_of_squares::<B>(x);
    }
    let n = x.shape()[0];
    let sum = adam_kernel::sum_of_squares(&contiguous(&x.read::<f32>(), [n, 1])) as f32;
    B::float_from_data(TensorData::new(vec![sum], [1]), &x.device())
}
