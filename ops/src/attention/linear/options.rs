//! What linear attention is asked for, and what it gives.

use burn::tensor::{Bool, Int, Tensor};

use super::super::error::{AttentionError, expect};
use super::super::implementation::Implementation;

/// Options of [`super::linear_attention`].
#[derive(Clone, Debug)]
pub struct LinearOptions {
    /// Hide keys after the query, aligned bottom right.
    pub causal: bool,
    /// Padding keys, `[batch, seq_kv]`, `true` = hidden.
    pub key_padding: Option<Tensor<2, Bool>>,
    /// log g ≤ 0, `[batch, n_heads, seq_kv]`: what is left of the state when a key is read.
    pub log_gate: Option<Tensor<3>>,
    /// The sums over what was read before.
    pub state: Option<LinearState>,
    /// Denominators below take this value, and pass on no gradient.
    pub floor: f64,
    /// Keys of a chunk, within which all scores are held.
    pub chunk: usize,
    /// `reference` reads key after key.
    pub implementation: Implementation,
}

impl Default for LinearOptions {
    fn default() -> Self {
        Self {
            causal: false,
            key_padding: None,
            log_gate: None,
            state: None,
            floor: 1e-6,
            chunk: 64,
            implementation: Implementation::Auto,
        }
    }
}

impl LinearOptions {
    /// Hides keys after the query.
    pub fn causal(mut self) -> Self {
        self.causal = true;
        self
    }

    /// Hides padding keys, `[batch, seq_kv]`.
    pub fn key_padding(mut self, mask: Tensor<2, Bool>) -> Self {
        self.key_padding = Some(mask);
        self
    }

    /// Multiplies the state by `g = exp(log_gate)` before each key, `[batch, n_heads, seq_kv]`.
    pub fn log_gate(mut self, log_gate: Tensor<3>) -> Self {
        self.log_gate = Some(log_gate);
        self
    }

    /// Goes on from a state.
    pub fn state(mut self, state: LinearState) -> Self {
        self.state = Some(state);
        self
    }

    /// Replaces the floor, 1e-6: denominators below it, negative ones too, become `+floor` and pass on no gradient.
    pub fn floor(mut self, floor: f64) -> Self {
        self.floor = floor;
        self
    }

    /// Replaces the number of keys of a chunk, 64.
    pub fn chunk(mut self, chunk: usize) -> Self {
        self.chunk = chunk;
        self
    }

    /// Chooses how it is computed.
    pub fn implementation(mut self, implementation: Implementation) -> Self {
        self.implementation = implementation;
        self
    }

    pub(super) fn check(
        &self,
        phi_query: [usize; 4],
        phi_key: [usize; 4],
        value: [usize; 4],
    ) -> Result<(), AttentionError> {
        let [batch, n_heads, _, n_features] = phi_query;
        let [.., seq_kv, _] = phi_key;
        let d_value = value[3];
        expect("phi_key", &phi_key, &[batch, n_heads, seq_kv, n_features])?;
        expect("value", &value, &[batch, n_heads, seq_kv, d_value])?;
        if let Some(mask) = &self.key_padding {
            expect("key_padding", &mask.dims(), &[batch, seq_kv])?;
        }
        if let Some(gate) = &self.log_gate {
            expect("log_gate", &gate.dims(), &[batch, n_heads, seq_kv])?;
        }
        if let Some(LinearState { sums, normalizer }) = &self.state {
            let shape = [batch, n_heads, n_features, d_value];
            expect("state.sums", &sums.dims(), &shape)?;
            expect("state.normalizer", &normalizer.dims(), &shape[..3])?;
        }
        match self.chunk {
            0 => Err(AttentionError::NoChunk),
            _ => Ok(()),
        }
    }
}

/// The sums over the keys that were read: all that later queries need.
#[derive(Clone, Debug)]
pub struct LinearState {
    /// `S = Σ φk_j v_jᵀ`, `[batch, n_heads, n_features, d_value]`.
    pub sums: Tensor<4>,
    /// `z = Σ φk_j`, `[batch, n_heads, n_features]`.
    pub normalizer: Tensor<3>,
}

impl LinearState {
    /// The rows of the batch at `index`, in that order: a beam's hypotheses.
    pub fn select(self, index: Tensor<1, Int>) -> Self {
        Self {
            sums: self.sums.select(0, index.clone()),
            normalizer: self.normalizer.select(0, index),
        }
    }

    /// S and z side by side, `[batch, n_heads, n_features, d_value + 1]`.
    pub(super) fn joined(self) -> Tensor<4> {
        Tensor::cat(vec![self.sums, self.normalizer.unsqueeze_dim(3)], 3)
    }

    pub(super) fn of_joined(joined: Tensor<4>) -> Self {
        let [batch, n_heads, n_features, width] = joined.dims();
        let columns = |columns| {
            let rows = [0..batch, 0..n_heads, 0..n_features, columns];
            joined.clone().slice(rows)
        };
        Self {
            sums: columns(0..width - 1),
            normalizer: columns(width - 1..width).reshape([batch, n_heads, n_features]),
        }
    }
}

/// What linear attention gives.
#[derive(Clone, Debug)]
pub struct LinearOutput {
    /// `[batch, n_heads, seq_q, d_value]`.
    pub context: Tensor<4>,
    /// The sums after the last key.
    pub state: LinearState,
    /// How it was computed: `Reference` key after key, `Fused` in chunks.
    pub implementation: Implementation,
}
