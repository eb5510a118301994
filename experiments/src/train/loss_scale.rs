//! Loss scaling: gradients of f16 are taken of a loss so large that they do not become 0 on the way.

use anyhow::{Result, anyhow};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use sparta_model::Precision;

/// The scale that training starts with, 2^16.
const START: i32 = 16;
/// Good steps in a row after which it is doubled.
const GOOD_STEPS: u64 = 2000;
/// The largest: well below where the loss itself would overflow.
const LARGEST: i32 = 24;
/// The smallest, below which f16's own gradients are not finite: training has diverged.
const SMALLEST: i32 = -14;

/// The scale of the loss, a power of two, which is exact to multiply by and to divide by. A step whose gradients are not finite
/// is skipped and halves it; many good ones double it.
///
/// # Source
/// Micikevicius et al. 2018, "Mixed Precision Training", section 3.2, with the numbers of PyTorch's `GradScaler`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// log₂ of the scale.
    exponent: i32,
    /// Good steps since it last changed.
    good_steps: u64,
    /// Steps that were skipped.
    skipped: u64,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its gradients are finite.
    Good,
    /// They are not: it is skipped, and the next one has half the scale.
    Skipped,
    /// They are not, and there is no smaller scale.
    Diverged,
}

impl LossScale {
    /// The scale at the start of a training; none where gradients do not need any, bf16's range being that of f32.
    pub(super) fn of(precision: Precision) -> Option<Self> {
        match precision {
            Precision::F32 | Precision::Bf16 => None,
            Precision::F16 => Some(Self {
                exponent: START,
                good_steps: 0,
                skipped: 0,
            }),
        }
    }

    /// The number that losses are multiplied by.
    pub(super) fn factor(self) -> f64 {
        2f64.powi(self.exponent)
    }

    /// Steps that were skipped so far.
    pub(super) fn skipped(self) -> u64 {
        self.skipped
    }

    /// Whether a checkpoint can hold it.
    pub(super) fn is_possible(self) -> bool {
        (SMALLEST..=LARGEST).contains(&self.exponent) && self.good_steps < GOOD_STEPS
    }

    /// Divides gradients of a scaled loss, in f32, by the scale. Whether all of them are finite is read from the device.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn unscale<M: Module>(
        self,
        module: &M,
        gradients: &mut GradientsParams,
    ) -> Result<bool> {
        let mut divide = Divide {
            by: self.factor(),
            gradients,
            largest: Vec::new(),
        };
        module.visit(&mut divide);
        if divide.largest.is_empty() {
            return Ok(true);
        }
        let sizes = Tensor::cat(divide.largest, 0)
            .try_into_vec_as::<f32>()
            .map_err(|e| anyhow!("cannot read the gradients from the device: {e:?}"))?;
        Ok(sizes.iter().all(|size| size.is_finite()))
    }

    /// Takes note of a step.
    pub(super) fn after(&mut self, is_finite: bool) -> Outcome {
        if is_finite {
            self.good_steps += 1;
            if self.good_steps == GOOD_STEPS {
                self.good_steps = 0;
                self.exponent = (self.exponent + 1).min(LARGEST);
            }
            return Outcome::Good;
        }
        if self.exponent == SMALLEST {
            return Outcome::Diverged;
        }
        self.exponent -= 1;
        self.good_steps = 0;
        self.skipped += 1;
        Outcome::Skipped
    }
}

struct Divide<'a> {
    by: f64,
    gradients: &'a mut GradientsParams,
    /// Sum of the sizes of each gradient: finite if all of them are, and NaN if one is. (A maximum may pass a NaN over.)
    largest: Vec<Tensor<1>>,
}

impl ModuleVisitor for Divide<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let gradient = gradient.div_scalar(self.by);
            self.largest.push(gradient.clone().abs().sum());
            self.gradients.register(param.id, gradient);
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn gradients_of(model: &Linear, x: [f32; 2], scale: f64) -> GradientsParams {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data([x], &device);
        let loss = model.forward(x).sum().mul_scalar(scale);
        GradientsParams::from_grads(loss.backward(), model)
    }

    fn weights(model: &Linear, gradients: &GradientsParams) -> Vec<f32> {
        let gradient = gradients.get::<2>(model.weight.id).unwrap();
        gradient.try_into_vec_as::<f32>().unwrap()
    }

    #[test]
    fn only_f16_is_scaled() {
        assert_eq!(LossScale::of(Precision::F32), None);
        assert_eq!(LossScale::of(Precision::Bf16), None);
        let scale = LossScale::of(Precision::F16).unwrap();
        assert_eq!((scale.factor(), scale.skipped()), (65536.0, 0));
    }

    #[test]
    fn unscaled_gradients_are_those_of_the_loss_to_the_bit() {
        let model = LinearConfig::new(2, 1).init(&Device::flex().autodiff());
        let scale = LossScale::of(Precision::F16).unwrap();
        let plain = gradients_of(&model, [0.3, -1.7e-7], 1.0);
        let mut scaled = gradients_of(&model, [0.3, -1.7e-7], scale.factor());
        assert_ne!(weights(&model, &scaled), weights(&model, &plain));
        assert!(scale.unscale(&model, &mut scaled).unwrap());
        assert_eq!(weights(&model, &scaled), weights(&model, &plain));
        let bias = model.bias.as_ref().unwrap().id;
        let bias = scaled.get::<1>(bias).unwrap().into_scalar::<f32>();
        assert_eq!(bias, 1.0);
    }

    /// Anywhere, also where the others are finite and large.
    #[test]
    fn one_gradient_that_is_not_finite_is_found() {
        let model = LinearConfig::new(2, 1).init(&Device::flex().autodiff());
        let scale = LossScale::of(Precision::F16).unwrap();
        for (x, is_finite) in [
            ([1.0, 3e38], true),
            ([f32::NAN, 1.0], false),
            ([1.0, f32::INFINITY], false),
            ([f32::NEG_INFINITY, f32::INFINITY], false),
        ] {
            let mut gradients = gradients_of(&model, x, 1.0);
            let found = scale.unscale(&model, &mut gradients).unwrap();
            assert_eq!(found, is_finite, "{x:?}");
        }
    }

    #[test]
    fn an_overflow_halves_and_many_good_steps_double() {
        let mut scale = LossScale::of(Precision::F16).unwrap();
        assert_eq!(scale.after(false), Outcome::Skipped);
        assert_eq!((scale.factor(), scale.skipped()), (32768.0, 1));
        for _ in 0..GOOD_STEPS - 1 {
            assert_eq!(scale.after(true), Outcome::Good);
        }
        assert_eq!(scale.factor(), 32768.0);
        // One short of doubling, an overflow starts the count again.
        assert_eq!(scale.after(false), Outcome::Skipped);
        assert_eq!(scale.factor(), 16384.0);
        for _ in 0..GOOD_STEPS - 1 {
            scale.after(true);
        }
        assert_eq!(scale.factor(), 16384.0);
        scale.after(true);
        assert_eq!((scale.factor(), scale.skipped()), (32768.0, 2));
        for _ in 0..20 * GOOD_STEPS {
            scale.after(true);
        }
        assert_eq!(scale.factor(), 2f64.powi(LARGEST));
        assert!(scale.is_possible());
    }

    #[test]
    fn overflow_after_overflow_is_divergence() {
        let mut scale = LossScale::of(Precision::F16).unwrap();
        for _ in 0..START - SMALLEST {
            assert_eq!(scale.after(false), Outcome::Skipped);
        }
        assert!(scale.is_possible());
        assert_eq!(scale.after(false), Outcome::Diverged);
    }
}
