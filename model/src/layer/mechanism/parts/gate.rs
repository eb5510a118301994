//! Hard-concrete gates: heads that training closes.

use std::fmt;

use burn::module::{Flag, Param};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::sigmoid;

use super::super::HeadShape;
use super::super::arguments::Arguments;
use crate::check::check;
use crate::error::ModelError;

/// Weight of the penalty, unless given.
const LAMBDA: f64 = 0.005;
/// Temperature of the released code.
const BETA: f64 = 0.33;
/// a at the start, unless given: gates of 0.957.
const START: f64 = 2.0;
/// Ends γ and ζ of the stretched interval.
const STRETCH: [f64; 2] = [-0.1, 1.1];
/// Uniform numbers keep this far from 0 and 1.
const EPSILON: f64 = 1e-6;

/// The context of head h is multiplied by a gate g_h in [0, 1] before the output map, the same at every position of
/// every example.
///
/// In training each call draws `u ~ U(0, 1)` and `g = clamp(s·(ζ − γ) + γ, 0, 1)`, `s = σ((ln u − ln(1 − u) + a)/β)`,
/// γ = −0.1, ζ = 1.1, from the generator that dropout draws from; λ·Σ_h P(g_h > 0) = λ·Σ_h σ(a_h − β·ln(−γ/ζ)) of every layer is added
/// to the loss. In evaluation `g = clamp(σ(a)·(ζ − γ) + γ, 0, 1)`: 0 from a = −2.398 down, 1 from 2.398 up. Weights that are
/// asked for are multiplied too: a closed head is one whose cells are all hidden.
///
/// # Source
/// Voita et al. 2019, "Analyzing Multi-Head Self-Attention", section 6; lena-voita/the-story-of-heads; Louizos et al.
/// 2018, section 2, whose bounds of a these are.
#[derive(Module, Debug)]
pub struct HeadGate {
    /// a of each head, `[n_heads]`, in [−4.6, 4.6]: [`super::super::bound`] keeps it there between steps.
    pub log_odds: Param<Tensor<1>>,
    /// Whether gates are drawn on a device with autodiff.
    pub training: Param<Flag>,
    beta: f64,
    lambda: f64,
}

impl HeadGate {
    /// The gates of evaluation, `[n_heads]`.
    ///
    /// # Shapes
    /// - output: `[n_heads]`
    pub fn gates(&self) -> Tensor<1> {
        stretched(sigmoid(self.log_odds.val()))
    }

    /// The gates of this call: drawn in training.
    ///
    /// # Shapes
    /// - output: `[n_heads]`
    pub fn gates_now(&self) -> Tensor<1> {
        let log_odds = self.log_odds.val();
        if !(self.training.is_enabled() && log_odds.device().is_autodiff()) {
            return self.gates();
        }
        let uniform = log_odds.random_like(Distribution::Uniform(EPSILON, 1.0 - EPSILON));
        let noise = uniform.clone().log() - uniform.mul_scalar(-1.0).add_scalar(1.0).log();
        stretched(sigmoid((noise + log_odds).div_scalar(self.beta)))
    }

    /// P(g > 0) of each head in training, `[n_heads]`.
    ///
    /// # Shapes
    /// - output: `[n_heads]`
    pub fn open_probability(&self) -> Tensor<1> {
        let [low, high] = STRETCH;
        let shift = self.beta * (-low / high).ln();
        sigmoid(self.log_odds.val().sub_scalar(shift))
    }

    /// λ·Σ_h P(g_h > 0), `[1]`.
    ///
    /// # Shapes
    /// - output: `[1]`
    pub fn penalty(&self) -> Tensor<1> {
        self.open_probability().sum().mul_scalar(self.lambda)
    }
}

/// `clamp(s·(ζ − γ) + γ, 0, 1)`.
fn stretched(s: Tensor<1>) -> Tensor<1> {
    let [low, high] = STRETCH;
    s.mul_scalar(high - low).add_scalar(low).clamp(0.0, 1.0)
}

/// Settings of [`HeadGate`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateConfig {
    /// λ, the weight of the penalty of an open head.
    pub lambda: f64,
    /// Temperature β.
    pub beta: f64,
    /// a at the start.
    pub start: f64,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            lambda: LAMBDA,
            beta: BETA,
            start: START,
        }
    }
}

impl GateConfig {
    /// The settings that the argument of `gate` stands for.
    pub(in super::super) fn of(argument: Option<&str>) -> Option<Self> {
        let mut config = Self::default();
        let mut arguments = Arguments::of(argument)?;
        for (name, value) in [
            ("lambda", &mut config.lambda),
            ("beta", &mut config.beta),
            ("start", &mut config.start),
        ] {
            if let Some(given) = arguments.take(name)? {
                *value = given;
            }
        }
        arguments.are_all_taken().then_some(config)
    }

    /// Makes the gates of one attention layer.
    pub(in super::super) fn init(&self, shape: HeadShape, device: &Device) -> HeadGate {
        HeadGate {
            log_odds: Param::from_tensor(Tensor::full([shape.n_heads], self.start, device)),
            training: Param::from_bool(true),
            beta: self.beta,
            lambda: self.lambda,
        }
    }

    /// That the settings are in range, `field` being where they are from.
    pub(in super::super) fn check(&self, field: &str) -> Result<(), ModelError> {
        let name = |setting: &str| format!("{field}.gate.{setting}");
        let is_bounded = self.start.abs() <= super::super::MOST_LOG_ODDS;
        check(
            self.lambda >= 0.0 && self.lambda.is_finite(),
            &name("lambda"),
            &self.lambda,
            "at least 0 and finite",
        )?;
        check(
            self.beta > 0.0 && self.beta <= 1.0,
            &name("beta"),
            &self.beta,
            "above 0 and at most 1",
        )?;
        check(is_bounded, &name("start"), &self.start, "in [-4.6, 4.6]")
    }
}

impl fmt::Display for GateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::default();
        let given = [
            ("lambda", self.lambda, usual.lambda),
            ("beta", self.beta, usual.beta),
            ("start", self.start, usual.start),
        ];
        let given =
            given.map(|(name, value, usual)| (value != usual).then(|| format!("{name}={value}")));
        Arguments::write(f, "gate", given)
    }
}
