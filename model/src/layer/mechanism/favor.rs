//! FAVOR+: softmax attention by positive random features.

use std::fmt;

use burn::module::Param;
use burn::prelude::*;
use sparta_ops::HIDDEN;
use sparta_ops::attention::linear::features::{
    orthogonal_gaussian, positive_exponents, relu_features,
};
use sparta_ops::attention::linear::{LinearOptions, LinearState, linear_attention};
use sparta_ops::attention::{AttentionOptions, AttentionOutput};

use super::arguments::Arguments;
use super::empty::mapped;
use super::observe::{Observable, ObservedCall};
use super::random::{drawn_seed, frozen};
use super::state::{Continued, MechanismState, key_padding};
use super::{Abilities, Attend, HeadShape, Mechanism, MechanismSettings};
use crate::check::{MOST, check_up_to};
use crate::error::ModelError;

/// Optimiser steps between two draws of the features, unless given.
const REDRAW: u64 = 1000;
/// What is added to each feature of the ReLU kernel.
const RELU_EPSILON: f64 = 1e-3;
/// Features smaller than e^−30 of the largest count as that, so that no denominator vanishes.
const LEAST_EXPONENT: f64 = -30.0;
/// Below every denominator that this leaves.
const FLOOR: f64 = 1e-18;

/// φ(q_i)ᵀ Σ_j φ(k_j) v_jᵀ / φ(q_i)ᵀ Σ_j φ(k_j), with `φ(x) = exp(W x' − ‖x'‖²/2)/√m`,
/// `x' = x/d_head^¼` and orthogonal rows of W, whose mean over draws of W is softmax attention's
/// numerator and denominator; or with `φ(x) = relu(W x') + 1e-3`.
///
/// Keys are divided by the largest feature so far under a causal mask, and by the largest of all without
/// one. Both cancel in the ratio, exactly, since nothing is added to the features (the public code adds a
/// constant, which lets later keys change earlier rows); features below e^−30 of the largest are raised to that instead.
///
/// # Source
/// Choromanski et al. 2021, "Rethinking Attention with Performers"; google-research/google-research at
/// `performer/fast_attention` and lucidrains/performer-pytorch.
#[derive(Module, Debug)]
pub struct Favor {
    /// W, `[m, d_head]`, shared by the heads and not trained.
    pub projection: Param<Tensor<2>>,
    #[module(skip)]
    kernel: FavorKernel,
}

/// What the features are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FavorKernel {
    /// exp(q·k/√d_head).
    Softmax,
    /// relu(W q')·relu(W k').
    Relu,
}

/// Settings of [`Favor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FavorConfig {
    /// What the features are of.
    pub kernel: FavorKernel,
    /// Number of features m; 4·d_head unless given.
    pub features: Option<usize>,
    /// Optimiser steps between two draws of W in training; 0 = one draw for ever.
    pub redraw: u64,
}

impl FavorConfig {
    /// 4·d_head features, drawn anew every 1000 optimiser steps.
    pub const fn new(kernel: FavorKernel) -> Self {
        Self {
            kernel,
            features: None,
            redraw: REDRAW,
        }
    }

    /// Replaces the number of features.
    pub const fn with_features(self, features: usize) -> Self {
        Self {
            features: Some(features),
            ..self
        }
    }

    /// The settings that a word with its argument stands for.
    pub(super) fn of(word: &str, argument: Option<&str>) -> Option<Self> {
        let kernel = match word {
            "favor" => FavorKernel::Softmax,
            "favor_relu" => FavorKernel::Relu,
            _ => return None,
        };
        let mut config = Self::new(kernel);
        let mut arguments = Arguments::of(argument)?;
        if let Some(features) = arguments.take("m")? {
            config.features = Some(features);
        }
        if let Some(redraw) = arguments.take("redraw")? {
            config.redraw = redraw;
        }
        arguments.are_all_taken().then_some(config)
    }

    fn n_features(&self, shape: HeadShape) -> usize {
        self.features.unwrap_or(4 * shape.d_head)
    }
}

impl fmt::Display for FavorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.kernel {
            FavorKernel::Softmax => "favor",
            FavorKernel::Relu => "favor_relu",
        };
        let features = self.features.map(|features| format!("m={features}"));
        let redraw = (self.redraw != REDRAW).then(|| format!("redraw={}", self.redraw));
        Arguments::write(f, word, [features, redraw])
    }
}

/// What FAVOR+ can do, with either kernel.
const ABILITIES: Abilities = Abilities {
    bidirectional: true,
    causal: true,
    incremental: true,
    state: true,
    key_padding: true,
    cross: true,
    pretrained: true,
    ..Abilities::NONE
};

impl MechanismSettings for FavorConfig {
    fn init(&self, shape: HeadShape, device: &Device) -> Mechanism {
        let (n_features, width) = (self.n_features(shape), shape.d_head);
        let rows = orthogonal_gaussian(n_features, width, drawn_seed(device));
        Mechanism::Favor(Favor {
            projection: frozen(rows, [n_features, width], device),
            kernel: self.kernel,
        })
    }

    fn n_params(&self, shape: HeadShape) -> usize {
        self.n_features(shape) * shape.d_head
    }

    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn check(&self, field: &str) -> Result<(), ModelError> {
        match self.features {
            None => Ok(()),
            Some(m) => check_up_to(&format!("{field}.m"), m, MOST),
        }
    }
}

impl Attend for Favor {
    fn attend(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        options: AttentionOptions,
    ) -> AttentionOutput {
        self.go_on(query, key, value, None, options).output
    }

    fn attend_from(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        state: Option<MechanismState>,
        options: AttentionOptions,
    ) -> Option<Continued> {
        Some(self.go_on(query, key, value, state, options))
    }

    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    /// How far what the features imply is from softmax attention of the same queries and keys.
    fn observe(&self, call: &ObservedCall<'_>) -> Vec<Observable> {
        call.softmax_error(self, || {
            call.softmax(call.query.clone(), call.key.clone(), None)
        })
    }
}

impl Favor {
    fn go_on(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        state: Option<MechanismState>,
        options: AttentionOptions,
    ) -> Continued {
        let scale = options.scale.unwrap_or((query.dims()[3] as f64).powf(-0.5));
        let padding = key_padding(options.clone(), key.dims()[2]);
        let state = state.map(MechanismState::into_sums);
        let projection: Tensor<3> = self.projection.val().unsqueeze_dim(0);
        let n_features = projection.dims()[1];
        let (phi_query, keys) = match self.kernel {
            FavorKernel::Relu => {
                let [batch, n_heads, _, _] = key.dims();
                let relu = |x| {
                    let features = |x| relu_features(x, projection.clone(), scale, RELU_EPSILON);
                    mapped(x, n_features, features)
                };
                let keys = ShiftedKeys {
                    phi: relu(key.clone()),
                    log_gate: None,
                    shift: Tensor::zeros([batch, n_heads, 1], &key.device()),
                };
                (relu(query), keys)
            }
            FavorKernel::Softmax => {
                let log_phi = |x| positive_exponents(x, projection.clone(), scale);
                let log_query = mapped(query, n_features, log_phi);
                let top = mapped(log_query.clone(), 1, |log| log.detach().max_dim(3));
                let before = state.as_ref().map(|state| state.shift.clone());
                let seen = |key| seen(log_phi(key), padding.as_ref());
                let keys = match (key.dims()[2], options.causal) {
                    (0, _) => ShiftedKeys::none(&key, n_features, before),
                    (_, true) => ShiftedKeys::causal(seen(key), before),
                    (_, false) => ShiftedKeys::all(seen(key), before),
                };
                let phi_query = mapped(log_query, n_features, |log| features(log - top));
                (phi_query, keys)
            }
        };
        let sums = state.map(|state| match &keys.log_gate {
            Some(_) => state.sums,
            // Keys in no order have one shift, to which the sums are brought at once.
            None => {
                let fall = (state.shift - keys.shift.clone()).exp();
                LinearState {
                    sums: state.sums.sums * fall.clone().unsqueeze_dim(3),
                    normalizer: state.sums.normalizer * fall,
                }
            }
        });
        let linear = LinearOptions {
            causal: options.causal,
            key_padding: padding,
            log_gate: keys.log_gate,
            state: sums,
            floor: FLOOR,
            implementation: options.implementation,
            ..LinearOptions::default()
        };
        Continued::of(
            linear_attention(phi_query, keys.phi, value, linear),
            keys.shift,
        )
    }
}

/// `exp(x)/√m` of exponents of which the largest is 0.
fn features(exponents: Tensor<4>) -> Tensor<4> {
    let n_features = exponents.dims()[3] as f64;
    let raised = exponents.clamp_min(LEAST_EXPONENT);
    raised.exp().div_scalar(n_features.sqrt())
}

/// Features of keys, of which the largest is near 1 whatever the keys are.
struct ShiftedKeys {
    /// Divided by exp of the shift at their place, `[batch, n_heads, seq_kv, m]`.
    phi: Tensor<4>,
    /// What brings sums from the shift before a key to that at the key, `[batch, n_heads, seq_kv]`.
    log_gate: Option<Tensor<3>>,
    /// The shift after the last key, `[batch, n_heads, 1]`.
    shift: Tensor<3>,
}

impl ShiftedKeys {
    /// No key: the shift before stays, or is that of hidden keys.
    fn none(key: &Tensor<4>, n_features: usize, before: Option<Tensor<3>>) -> Self {
        let [batch, n_heads, _, _] = key.dims();
        let options = (&key.device(), key.dtype());
        Self {
            phi: Tensor::zeros([batch, n_heads, 0, n_features], options),
            log_gate: None,
            shift: before.unwrap_or_else(|| Tensor::full([batch, n_heads, 1], HIDDEN, options)),
        }
    }

    /// One shift for all keys: the largest exponent of a key that is seen, or that before them.
    fn all(exponents: Tensor<4>, before: Option<Tensor<3>>) -> Self {
        let [batch, n_heads, _, _] = exponents.dims();
        let top = exponents.clone().detach().max_dim(3).max_dim(2);
        let top = top.reshape([batch, n_heads, 1]);
        let shift = match before {
            Some(before) => top.max_pair(before),
            None => top,
        };
        Self {
            phi: features(exponents - shift.clone().unsqueeze_dim(3)),
            log_gate: None,
            shift,
        }
    }

    /// At each key the largest exponent so far: no key has a part in the rows before it.
    fn causal(exponents: Tensor<4>, before: Option<Tensor<3>>) -> Self {
        let [batch, n_heads, seq_kv, _] = exponents.dims();
        let all = [batch, n_heads, seq_kv];
        let top = exponents.clone().detach().max_dim(3).reshape(all);
        let part = |tensor: &Tensor<3>, keys| tensor.clone().slice([0..batch, 0..n_heads, keys]);
        let (so_far, before) = match before {
            Some(before) => (top.cummax(2).max_pair(before.clone().expand(all)), before),
            None => {
                let so_far = top.cummax(2);
                let first = part(&so_far, 0..1);
                (so_far, first)
            }
        };
        let earlier = Tensor::cat(vec![before, part(&so_far, 0..seq_kv - 1)], 2);
        // Where nothing was seen before, there are no sums to bring to another shift.
        let nothing = earlier.clone().lower_elem(HIDDEN / 2.0);
        Self {
            phi: features(exponents - so_far.clone().unsqueeze_dim(3)),
            log_gate: Some((earlier - so_far.clone()).mask_fill(nothing, 0.0)),
            shift: part(&so_far, seq_kv - 1..seq_kv),
        }
    }
}

/// Exponents of which those of hidden keys are very low.
fn seen(exponents: Tensor<4>, padding: Option<&Tensor<2, Bool>>) -> Tensor<4> {
    let shape @ [batch, _, seq_kv, _] = exponents.dims();
    match padding {
        None => exponents,
        Some(padding) => {
            let hidden = padding.clone().reshape([batch, 1, seq_kv, 1]);
            exponents.mask_fill(hidden.expand(shape), HIDDEN)
        }
    }
}
