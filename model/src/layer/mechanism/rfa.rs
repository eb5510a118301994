//! Random feature attention.

use std::fmt;

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use sparta_ops::attention::linear::features::{gaussian, of_length_one, trigonometric_features};
use sparta_ops::attention::linear::{LinearOptions, linear_attention};
use sparta_ops::attention::{AttentionOptions, AttentionOutput};

use super::arguments::Arguments;
use super::empty::mapped;
use super::observe::{Observable, ObservedCall};
use super::random::{drawn_seed, frozen};
use super::state::{Continued, MechanismState, key_padding};
use super::{Abilities, Attend, HeadShape, Mechanism, MechanismSettings};
use crate::check::{MOST, check, check_up_to};
use crate::error::ModelError;
use crate::layer::parameter::zeros;

/// Floor of denominators unless given: a true one without a gate is above 0.135, with s = τ = 1.
const FLOOR: f64 = 0.1;
/// At the start the gate keeps 0.9 of the state.
const GATE_BIAS: f64 = 2.2;

/// φ(q_i)ᵀ S_i / max(φ(q_i)·z_i, f) with `S_i = Σ_{j ≤ i} φ(k_j) v_jᵀ`, `z_i = Σ_{j ≤ i} φ(k_j)` and
/// `φ(x) = [sin p, cos p]/√D`, `p = (s ∘ w̃)·x̂/τ`, on queries and keys of length 1: softmax attention whose scores
/// are `q̂·k̂/τ²`, by random Fourier features of the Gaussian kernel. Estimates of weights may be negative, and so may
/// the sum that they are divided by, whose true value is at least `e^{−2/τ²}` (of one key opposite to the query, s = 1):
/// the floor f keeps the quotient from growing without bound as the bandwidth is learned.
///
/// With a gate, `S_i = g_i S_{i−1} + (1 − g_i) φ(k_i) v_iᵀ`, `z_i` alike, and `g_i = σ(w·κ_i + b)` of each head, where κ_i
/// holds the keys of all heads at position i. The paper's gate reads the layer's input; its keys are a linear map of it, so
/// that both are the same gates where `n_heads · d_head = d_model`. A query without a causal mask reads the state after
/// the last key.
///
/// # Source
/// Peng et al. 2021, "Random Feature Attention", section 3; Noahs-ARK/RFA, without its pool of matrices; its
/// floor, 1 of features times 0.1, is `f = 100/D`, which binds for the first keys of every text.
#[derive(Module, Debug)]
pub struct Rfa {
    /// w̃ from N(0, I), `[n_heads, D, d_head]`, not trained.
    pub frequencies: Param<Tensor<3>>,
    /// s, `[n_heads, d_head]`, 1 at the start.
    pub bandwidth: Param<Tensor<2>>,
    /// The gate's w, `[n_heads · d_head, n_heads]`, 0 at the start.
    pub gate_weight: Option<Param<Tensor<2>>>,
    /// The gate's b, `[n_heads]`, 2.2 at the start: a memory of ten tokens.
    pub gate_bias: Option<Param<Tensor<1>>>,
    tau: f64,
    floor: f64,
}

/// Settings of [`Rfa`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RfaConfig {
    /// Number of frequencies D, of two features each; d_head unless given.
    pub frequencies: Option<usize>,
    /// Temperature τ.
    pub tau: f64,
    /// Floor f of denominators.
    pub floor: f64,
    /// Whether the state fades.
    pub gate: bool,
}

impl RfaConfig {
    /// As many frequencies as the head is wide, at temperature 1, with a floor of 0.1.
    pub const fn new(gate: bool) -> Self {
        Self {
            frequencies: None,
            tau: 1.0,
            floor: FLOOR,
            gate,
        }
    }

    /// Replaces the number of frequencies.
    pub const fn with_frequencies(self, frequencies: usize) -> Self {
        Self {
            frequencies: Some(frequencies),
            ..self
        }
    }

    /// The settings that a word with its argument stands for.
    pub(super) fn of(word: &str, argument: Option<&str>) -> Option<Self> {
        let gate = match word {
            "rfa" => false,
            "rfa_gate" => true,
            _ => return None,
        };
        let mut config = Self::new(gate);
        let mut arguments = Arguments::of(argument)?;
        if let Some(frequencies) = arguments.take("m")? {
            config.frequencies = Some(frequencies);
        }
        if let Some(tau) = arguments.take("tau")? {
            config.tau = tau;
        }
        if let Some(floor) = arguments.take("floor")? {
            config.floor = floor;
        }
        arguments.are_all_taken().then_some(config)
    }

    fn n_frequencies(&self, shape: HeadShape) -> usize {
        self.frequencies.unwrap_or(shape.d_head)
    }
}

impl fmt::Display for RfaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.gate { "rfa_gate" } else { "rfa" };
        let frequencies = self.frequencies.map(|m| format!("m={m}"));
        let tau = (self.tau != 1.0).then(|| format!("tau={}", self.tau));
        let floor = (self.floor != FLOOR).then(|| format!("floor={}", self.floor));
        Arguments::write(f, word, [frequencies, tau, floor])
    }
}

/// A gate reads keys in their order: it is for one direction, and for keys that stand with the queries.
fn abilities(is_gated: bool) -> Abilities {
    Abilities {
        causal: true,
        incremental: true,
        state: true,
        key_padding: true,
        pretrained: !is_gated,
        bidirectional: !is_gated,
        cross: !is_gated,
        ..Abilities::NONE
    }
}

impl MechanismSettings for RfaConfig {
    fn init(&self, shape: HeadShape, device: &Device) -> Mechanism {
        let HeadShape {
            n_heads, d_head, ..
        } = shape;
        let n_frequencies = self.n_frequencies(shape);
        let drawn = gaussian(n_heads * n_frequencies * d_head, drawn_seed(device));
        Mechanism::Rfa(Rfa {
            frequencies: frozen(drawn, [n_heads, n_frequencies, d_head], device),
            bandwidth: Param::from_tensor(Tensor::ones([n_heads, d_head], device)),
            gate_weight: (self.gate).then(|| zeros([n_heads * d_head, n_heads], device)),
            gate_bias: (self.gate)
                .then(|| Param::from_tensor(Tensor::full([n_heads], GATE_BIAS, device))),
            tau: self.tau,
            floor: self.floor,
        })
    }

    fn n_params(&self, shape: HeadShape) -> usize {
        let HeadShape {
            n_heads, d_head, ..
        } = shape;
        let gate = match self.gate {
            true => n_heads * d_head * n_heads + n_heads,
            false => 0,
        };
        n_heads * d_head * (self.n_frequencies(shape) + 1) + gate
    }

    fn abilities(&self) -> Abilities {
        abilities(self.gate)
    }

    fn check(&self, field: &str) -> Result<(), ModelError> {
        if let Some(m) = self.frequencies {
            check_up_to(&format!("{field}.m"), m, MOST)?;
        }
        for (name, value) in [("tau", self.tau), ("floor", self.floor)] {
            check(
                value > 0.0 && value.is_finite(),
                &format!("{field}.{name}"),
                &value,
                "positive and finite",
            )?;
        }
        Ok(())
    }
}

impl Attend for Rfa {
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
        abilities(self.gate_weight.is_some())
    }

    /// How far what the features imply is from softmax attention of the same directions, whose scores are
    /// `q̂·k̂/τ²` with the bandwidth at 1; a gate and a learned bandwidth are part of the distance.
    fn observe(&self, call: &ObservedCall<'_>) -> Vec<Observable> {
        call.softmax_error(self, || {
            let [query, key] = [call.query, call.key].map(|x| of_length_one(x.clone()));
            call.softmax(query, key, Some(1.0 / (self.tau * self.tau)))
        })
    }
}

impl Rfa {
    fn go_on(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        state: Option<MechanismState>,
        options: AttentionOptions,
    ) -> Continued {
        assert!(
            options.scale.is_none(),
            "random feature attention scales queries and keys to length 1: `scale` has no meaning"
        );
        let [batch, n_heads, seq_kv, _] = key.dims();
        let padding = key_padding(options.clone(), seq_kv);
        let frequencies = self.frequencies.val() * self.bandwidth.val().unsqueeze_dim(1);
        let frequencies = frequencies.div_scalar(self.tau);
        let n_features = 2 * self.frequencies.dims()[1];
        let phi = |x| {
            let features = |x| trigonometric_features(of_length_one(x), frequencies.clone());
            mapped(x, n_features, features)
        };
        let mut phi_key = phi(key.clone());
        let mut log_gate = None;
        if let (Some(weight), Some(bias)) = (&self.gate_weight, &self.gate_bias)
            && seq_kv > 0
        {
            let open = gate_inputs(key).matmul(weight.val().unsqueeze_dim(0));
            let open = (open + bias.val().reshape([1, 1, n_heads])).swap_dims(1, 2);
            phi_key = phi_key * sigmoid(open.clone().neg()).unsqueeze_dim(3);
            log_gate = Some(log_sigmoid(open));
        }
        let shift = Tensor::zeros([batch, n_heads, 1], &value.device());
        let linear = LinearOptions {
            causal: options.causal,
            key_padding: padding,
            log_gate,
            state: state.map(|state| state.into_sums().sums),
            floor: self.floor,
            implementation: options.implementation,
            ..LinearOptions::default()
        };
        Continued::of(linear_attention(phi(query), phi_key, value, linear), shift)
    }
}

/// The keys of all heads at each position, `[batch, seq_kv, n_heads · d_head]`.
fn gate_inputs(key: Tensor<4>) -> Tensor<3> {
    let [batch, n_heads, seq_kv, d_head] = key.dims();
    key.swap_dims(1, 2)
        .reshape([batch, seq_kv, n_heads * d_head])
}
