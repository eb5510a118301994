//! Dropout of values.

pub(crate) mod autodiff;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch};
use burn::tensor::{Distribution, Tensor};

use crate::attention::{Dropout, draw_seed, dropout_mask};
use crate::backend::{SpartaBackend, is_on_host};
use crate::primitive::Array;

/// `x/(1 − p)` where a value is kept, 0 where it is dropped, which happens to each with probability p.
///
/// On CPUs a value's number is a function of a seed drawn from the device and of its place, so that nothing is kept for the
/// backward pass and the result does not depend on the number of threads; elsewhere the device draws uniform numbers.
///
/// # Shapes
/// - any, kept
///
/// # Panics
/// If the probability is not in [0, 1).
///
/// # Source
/// Srivastava et al. 2014, section 10 (multiplied while training).
pub fn dropout<const D: usize>(x: Tensor<D>, probability: f64) -> Tensor<D> {
    assert!(
        (0.0..1.0).contains(&probability),
        "a probability of dropout of {probability}: it is in [0, 1)"
    );
    let shape = x.dims();
    let device = x.device();
    if probability == 0.0 || shape.contains(&0) {
        return x;
    }
    if !is_on_host(&device) {
        let uniform = x.random_like(Distribution::Uniform(0.0, 1.0));
        let dropped = uniform.lower_elem(probability);
        return x
            .mask_fill(dropped, 0.0)
            .mul_scalar(1.0 / (1.0 - probability));
    }
    let rows: Tensor<2> = x.reshape([-1, shape[D - 1] as isize]);
    let dropout = Dropout {
        probability,
        seed: draw_seed(&device),
    };
    let kept = <Dispatch as SpartaBackend>::drop_values(rows.into_dispatch(), dropout);
    Tensor::<2>::from_dispatch(kept).reshape(shape)
}

/// The values times the mask.
pub(crate) fn reference<B: Backend>(x: FloatTensor<B>, dropout: Dropout) -> FloatTensor<B> {
    let mask = Array::<B>(dropout_mask::<B>(x.clone(), dropout));
    Array::<B>(x).mul(&mask).0
}
