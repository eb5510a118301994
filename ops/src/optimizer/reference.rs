//! Adam in tensor operations.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

use super::AdamStep;
use crate::primitive::Array;

/// Weight and moments after an update.
pub(crate) fn adam<B: Backend>(
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    scale: FloatTensor<B>,
    step: AdamStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let factors = step.factors();
    let of = |factor: f32| f64::from(factor);
    let weight = Array::<B>(weight);
    let gradient = Array::<B>(gradient).mul(&Array(scale));
    let first = (Array::<B>(first).scale(of(factors.keep_first)))
        .add(&gradient.scale(of(factors.add_first)));
    let second = (Array::<B>(second).scale(of(factors.keep_second)))
        .add(&gradient.squared().scale(of(factors.add_second)));
    let root = second.sqrt().add_scalar(of(factors.epsilon));
    let delta = first.scale(of(factors.combined)).div(&root);
    let updated = weight.add(&delta.scale(-of(factors.rate)));
    let updated = match factors.decay {
        0.0 => updated,
        decay => updated.add(&weight.scale(-of(decay))),
    };
    (updated.0, first.0, second.0)
}

/// Σx², `[1]`.
pub(crate) fn sum_of_squares<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum(Array::<B>(x).widen().squared().0)
}
