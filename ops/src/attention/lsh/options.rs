//! What LSH attention is asked for.

use burn::tensor::{Bool, Int, Tensor};

use super::super::error::{AttentionError, expect};
use super::super::implementation::Implementation;

/// Options of [`super::lsh_attention`]; masks are `true` where hidden.
#[derive(Clone, Debug)]
pub struct LshOptions {
    /// The bucket of each place in each round, `[batch, n_heads, rounds, seq_kv]`; without, every place is read.
    pub buckets: Option<Tensor<4, Int>>,
    /// Places of a chunk, m.
    pub chunk: usize,
    /// Hide keys after the query.
    pub causal: bool,
    /// Padding keys, `[batch, seq_kv]`.
    pub key_padding: Option<Tensor<2, Bool>>,
    /// Cells shared by the batch, `[n_heads or 1, seq_q, seq_kv]`.
    pub mask: Option<Tensor<3, Bool>>,
    /// Multiplies q·k/‖k‖: 1, as in trax and transformers, unless given.
    pub scale: f64,
    /// A pair that k rounds find counts k times, as in trax and transformers, instead of once.
    pub duplicates: bool,
    /// Hide keys of the chunks that are in another bucket than the query, as in the paper's formula.
    pub same_bucket: bool,
    /// The first chunk of a round has the last one of the round before (of the last round, in the first) before
    /// it, as in the public code: for comparing with that. As there the last chunk is that of all places, so that in an
    /// example with as much padding as a chunk the first chunks read padding, and nothing of it.
    pub wrap: bool,
    /// Probability of dropping a weight of a round, the others being scaled by `1/(1 − dropout)`.
    pub dropout: f64,
    /// What decides which weights are dropped; the device's generator unless given. The two implementations drop others.
    pub dropout_seed: Option<u64>,
    /// Also return the weights (before dropout).
    pub return_weights: bool,
    /// `reference` holds all scores.
    pub implementation: Implementation,
}

impl LshOptions {
    /// Chunks of this size, no buckets, no mask, pairs counted once.
    pub fn new(chunk: usize) -> Self {
        Self {
            buckets: None,
            chunk,
            causal: false,
            key_padding: None,
            mask: None,
            scale: 1.0,
            duplicates: false,
            same_bucket: false,
            wrap: false,
            dropout: 0.0,
            dropout_seed: None,
            return_weights: false,
            implementation: Implementation::Auto,
        }
    }

    /// Reads what these buckets put near, `[batch, n_heads, rounds, seq_kv]`.
    pub fn buckets(mut self, buckets: Tensor<4, Int>) -> Self {
        self.buckets = Some(buckets);
        self
    }

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

    /// Hides cells, `[n_heads or 1, seq_q, seq_kv]`.
    pub fn mask(mut self, mask: Tensor<3, Bool>) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Returns the weights too.
    pub fn return_weights(mut self) -> Self {
        self.return_weights = true;
        self
    }

    /// Chooses how it is computed.
    pub fn implementation(mut self, implementation: Implementation) -> Self {
        self.implementation = implementation;
        self
    }

    /// Whether first chunks look around the end: never into another round's buckets if those must be equal.
    pub(super) fn wraps(&self) -> bool {
        self.wrap && !self.same_bucket
    }

    pub(super) fn check(
        &self,
        query: [usize; 4],
        key: [usize; 4],
        value: [usize; 4],
    ) -> Result<(), AttentionError> {
        let [batch, n_heads, seq_q, d_head] = query;
        let [.., seq_kv, _] = key;
        if d_head == 0 {
            return Err(AttentionError::NoWidth(query.to_vec()));
        }
        expect("key", &key, &[batch, n_heads, seq_kv, d_head])?;
        expect("value", &value, &[batch, n_heads, seq_kv, value[3]])?;
        if seq_q > seq_kv {
            return Err(AttentionError::NotShared { seq_q, seq_kv });
        }
        if let Some(buckets) = &self.buckets {
            let rounds = buckets.dims()[2].max(1);
            let expected = [batch, n_heads, rounds, seq_kv];
            expect("buckets", &buckets.dims(), &expected)?;
        }
        if let Some(mask) = &self.key_padding {
            expect("key_padding", &mask.dims(), &[batch, seq_kv])?;
        }
        if let Some(mask) = &self.mask {
            let heads = if mask.dims()[0] == 1 { 1 } else { n_heads };
            expect("mask", &mask.dims(), &[heads, seq_q, seq_kv])?;
        }
        if self.return_weights && self.implementation == Implementation::Fused {
            return Err(AttentionError::FusedWeights);
        }
        match (self.chunk, (0.0..1.0).contains(&self.dropout)) {
            (0, _) => Err(AttentionError::NoChunk),
            (_, false) => Err(AttentionError::Dropout(self.dropout)),
            (_, true) => Ok(()),
        }
    }
}
