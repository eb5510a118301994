//! Adam, and the norm that gradients are clipped by, in one pass over the parameters.

pub(crate) mod reference;

use burn::backend::Dispatch;
use burn::tensor::{Tensor, assert_shape};

use crate::backend::SpartaBackend;

/// The numbers of one update of [`adam`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate η.
    pub rate: f64,
    /// β₁, decay of the mean of gradients.
    pub beta_1: f32,
    /// β₂, decay of the mean of their squares.
    pub beta_2: f32,
    /// ε.
    pub epsilon: f32,
    /// Updates including this one, t ≥ 1.
    pub time: usize,
    /// λ: the share ηλ of the weight before the update is taken away too (AdamW).
    pub weight_decay: f64,
}

/// The factors of an update, as Burn's `Adam` computes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors {
    pub(crate) keep_first: f32,
    pub(crate) add_first: f32,
    pub(crate) keep_second: f32,
    pub(crate) add_second: f32,
    /// √(1 − β₂ᵗ) / (1 − β₁ᵗ).
    pub(crate) combined: f32,
    /// ε·√(1 − β₂ᵗ).
    pub(crate) epsilon: f32,
    pub(crate) rate: f32,
    pub(crate) decay: f32,
}

impl AdamStep {
    pub(crate) fn factors(self) -> Factors {
        let time = i32::try_from(self.time).unwrap_or(i32::MAX);
        let root = (1.0 - self.beta_2.powi(time)).sqrt();
        Factors {
            keep_first: self.beta_1,
            add_first: 1.0 - self.beta_1,
            keep_second: self.beta_2,
            add_second: 1.0 - self.beta_2,
            combined: root / (1.0 - self.beta_1.powi(time)),
            epsilon: self.epsilon * root,
            rate: self.rate as f32,
            decay: (self.rate * self.weight_decay) as f32,
        }
    }
}

/// One update of a parameter by Adam, with decoupled weight decay. With g the gradient times `scale`:
///
/// m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², w ← w − η·(m/(1 − β₁ᵗ)) / (√(v/(1 − β₂ᵗ)) + ε) − ηλw.
///
/// Returns w, m and v, written where they were if nobody else holds them (on CPUs). Not differentiable: tensors are
/// those of a device without autodiff.
///
/// # Shapes
/// - weight, gradient, m and v: `[n]`; scale: `[1]`
///
/// # Panics
/// If the lengths differ.
///
/// # Source
/// Kingma and Ba 2015, algorithm 1 with the reordering of section 2; Loshchilov and Hutter 2019, algorithm 2.
pub fn adam(
    weight: Tensor<1>,
    gradient: Tensor<1>,
    moments: [Tensor<1>; 2],
    scale: Tensor<1>,
    step: AdamStep,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    let [n] = weight.dims();
    let [first, second] = moments;
    assert_shape!(gradient, [n]);
    assert_shape!(first, [n]);
    assert_shape!(second, [n]);
    assert_shape!(scale, [1]);
    let (weight, first, second) = <Dispatch as SpartaBackend>::adam(
        weight.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        scale.into_dispatch(),
        step,
    );
    (
        Tensor::from_dispatch(weight),
        [first, second].map(Tensor::from_dispatch),
    )
}

/// Σx², `[1]`, in f32 at least; the order of the sum depends on the size alone.
///
/// # Shapes
/// - x: any
pub fn sum_of_squares<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let flat: Tensor<1> = x.reshape([-1]);
    Tensor::from_dispatch(<Dispatch as SpartaBackend>::sum_of_squares(
        flat.into_dispatch(),
    ))
}
