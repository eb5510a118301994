//! LSH attention: queries that are keys too read the keys that hash near them.

use std::fmt;

use burn::module::Param;
use burn::prelude::*;
use sparta_ops::attention::linear::features::gaussian;
use sparta_ops::attention::lsh::{LshOptions, lsh_attention, lsh_buckets, lsh_columns};
use sparta_ops::attention::{AttentionOptions, AttentionOutput};

use super::arguments::Arguments;
use super::observe::{Observable, ObservedCall};
use super::random::{drawn_seed, frozen};
use super::{Abilities, Attend, HeadShape, Mechanism, MechanismSettings};
use crate::check::{MOST, check_up_to};
use crate::error::ModelError;

/// Rounds of hashing, unless given.
const ROUNDS: usize = 4;
/// Eight rounds are near full attention.
const MOST_ROUNDS: usize = 256;
/// Places of a chunk unless given, up to [`SHORT`] keys and above.
const CHUNKS: [usize; 2] = [32, 64];
/// The most keys of what is short.
const SHORT: usize = 256;
/// The most keys that buckets are made for where a layer does not know its own.
const MOST_KEYS: usize = 1024;

/// softmax(q_i·q_j/‖q_j‖)·v over the keys j ≠ i that some round of hashing puts into the chunk of i or the one
/// before it; v_i where there is none. Keys are the queries, so that the layer has no key map.
///
/// A round hashes by `argmax([xR; −xR])`, sorts by bucket and position, and cuts into chunks of m; R is drawn for each layer and head
/// when the layer is made. `2n/m` buckets hold m/2 of n keys on average. Rows are softmax's, which alone can be put together from rounds: no
/// other row normaliser is defined. Up to m keys, and for a query alone, as when a decoder writes, every key is
/// read: what is written is not what chunks would give.
///
/// No query reads a later key under a causal mask, but which earlier ones it reads depends on all buckets.
///
/// # Source
/// Kitaev, Kaiser, Levskaya 2020, "Reformer: The Efficient Transformer", section 2; google/trax and
/// huggingface/transformers, whose chunks wrap around, and whose pairs count once for every round that finds them.
#[derive(Module, Debug)]
pub struct Lsh {
    /// R from N(0, 1), `[n_heads, rounds, d_head, columns]`, not trained; as many columns as
    /// [`lsh_columns`] says.
    pub rotations: Param<Tensor<4>>,
    chunk: usize,
    scaled: bool,
    duplicates: bool,
    same_bucket: bool,
    wrap: bool,
}

/// Settings of [`Lsh`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LshConfig {
    /// Places of a chunk, m; 32 for layers of at most 256 keys and 64 for others, unless given.
    pub chunk: Option<usize>,
    /// Rounds of hashing.
    pub rounds: usize,
    /// Divide scores by √d_head, as reformer-pytorch does.
    pub scaled: bool,
    /// Count a pair once for every round that finds it, as the public code does.
    pub duplicates: bool,
    /// Read only keys of the query's bucket, as the paper's formula has it.
    pub same_bucket: bool,
    /// Let a round's first chunk read the last one of the round before, as the public code does: without `same_bucket` for
    /// sequences without padding alone.
    pub wrap: bool,
    /// Optimiser steps between two draws of R in training; 0 = one draw for ever.
    pub redraw: u64,
}

impl LshConfig {
    /// Four rounds, every pair counted once.
    pub const fn new() -> Self {
        Self {
            chunk: None,
            rounds: ROUNDS,
            scaled: false,
            duplicates: false,
            same_bucket: false,
            wrap: false,
            redraw: 0,
        }
    }

    /// Replaces the number of places of a chunk.
    pub const fn with_chunk(self, chunk: usize) -> Self {
        Self {
            chunk: Some(chunk),
            ..self
        }
    }

    /// The settings that a word with its argument stands for.
    pub(super) fn of(word: &str, argument: Option<&str>) -> Option<Self> {
        if word != "lsh" {
            return None;
        }
        let mut config = Self::new();
        let mut arguments = Arguments::of(argument)?;
        if let Some(chunk) = arguments.take("m")? {
            config.chunk = Some(chunk);
        }
        if let Some(rounds) = arguments.take("rounds")? {
            config.rounds = rounds;
        }
        for (name, setting) in [
            ("scale", &mut config.scaled),
            ("duplicates", &mut config.duplicates),
            ("same_bucket", &mut config.same_bucket),
            ("wrap", &mut config.wrap),
        ] {
            if let Some(given) = arguments.take(name)? {
                *setting = given;
            }
        }
        if let Some(redraw) = arguments.take("redraw")? {
            config.redraw = redraw;
        }
        arguments.are_all_taken().then_some(config)
    }

    fn size(&self, shape: HeadShape) -> usize {
        let most = shape.max_len.unwrap_or(MOST_KEYS);
        self.chunk.unwrap_or(CHUNKS[usize::from(most > SHORT)])
    }

    /// The shape of R: columns for the most keys there may be.
    fn rotations(&self, shape: HeadShape) -> [usize; 4] {
        let most = shape.max_len.unwrap_or(MOST_KEYS);
        let pairs = (most / self.size(shape).max(1)).max(1);
        [shape.n_heads, self.rounds, shape.d_head, lsh_columns(pairs)]
    }
}

impl Default for LshConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for LshConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = |name: &str, setting: bool| setting.then(|| format!("{name}=true"));
        Arguments::write(
            f,
            "lsh",
            [
                self.chunk.map(|chunk| format!("m={chunk}")),
                (self.rounds != ROUNDS).then(|| format!("rounds={}", self.rounds)),
                is("scale", self.scaled),
                is("duplicates", self.duplicates),
                is("same_bucket", self.same_bucket),
                is("wrap", self.wrap),
                (self.redraw != 0).then(|| format!("redraw={}", self.redraw)),
            ],
        )
    }
}

/// What LSH attention can do. Chunks that wrap around reach padding, whose length would then decide what an example reads;
/// none do where keys must be of the query's bucket.
const fn abilities(wrap: bool, same_bucket: bool) -> Abilities {
    Abilities {
        weights: true,
        global_mask: true,
        bidirectional: true,
        causal: true,
        incremental: true,
        key_padding: !wrap || same_bucket,
        dropout: true,
        ..Abilities::NONE
    }
}

impl MechanismSettings for LshConfig {
    fn init(&self, shape: HeadShape, device: &Device) -> Mechanism {
        let rotations = self.rotations(shape);
        let numbers = gaussian(rotations.iter().product(), drawn_seed(device));
        Mechanism::Lsh(Lsh {
            rotations: frozen(numbers, rotations, device),
            chunk: self.size(shape),
            scaled: self.scaled,
            duplicates: self.duplicates,
            same_bucket: self.same_bucket,
            wrap: self.wrap,
        })
    }

    fn n_params(&self, shape: HeadShape) -> usize {
        self.rotations(shape).iter().product()
    }

    fn abilities(&self) -> Abilities {
        abilities(self.wrap, self.same_bucket)
    }

    fn shares_keys(&self) -> bool {
        true
    }

    fn check(&self, field: &str) -> Result<(), ModelError> {
        let m = self.chunk.unwrap_or(CHUNKS[0]);
        check_up_to(&format!("{field}.m"), m, MOST)?;
        check_up_to(&format!("{field}.rounds"), self.rounds, MOST_ROUNDS)
    }
}

impl Attend for Lsh {
    fn attend(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        mut options: AttentionOptions,
    ) -> AttentionOutput {
        assert!(
            options.bias.is_none() && options.packing.is_none() && options.span.is_none(),
            "LSH attention adds no bias to its scores, has no span and packs no sequences: leave `bias`, `span` and \
             `packing` out, or take a dot-product mechanism"
        );
        let [_, _, seq_q, d_head] = query.dims();
        let seq_kv = key.dims()[2];
        options.fold_lengths(seq_kv);
        let is_one_chunk = seq_kv <= self.chunk && !self.same_bucket;
        let buckets = (seq_q > 1 && !is_one_chunk).then(|| {
            let padding = options.key_padding.clone();
            lsh_buckets(key.clone(), self.rotations.val(), Some(self.chunk), padding)
        });
        let scale = match self.scaled {
            true => (d_head as f64).powf(-0.5),
            false => 1.0,
        };
        let blocks = options.block_mask.as_ref().map(|mask| mask.to_tensor());
        let extra = options.extra_mask.map(|mask| mask.unsqueeze::<3>());
        let lsh = LshOptions {
            buckets,
            chunk: self.chunk,
            causal: options.causal,
            key_padding: options.key_padding,
            mask: [options.global_mask, blocks, extra]
                .into_iter()
                .flatten()
                .reduce(either),
            scale: options.scale.unwrap_or(scale),
            duplicates: self.duplicates,
            same_bucket: self.same_bucket,
            wrap: self.wrap,
            dropout: options.dropout,
            dropout_seed: options.dropout_seed,
            return_weights: options.return_weights,
            implementation: options.implementation,
        };
        lsh_attention(query, key, value, lsh)
            .unwrap_or_else(|error| panic!("LSH attention: {error}"))
    }

    fn abilities(&self) -> Abilities {
        abilities(self.wrap, self.same_bucket)
    }

    /// How much of the weights of full attention with shared keys is on the keys that hashing finds.
    fn observe(&self, call: &ObservedCall<'_>) -> Vec<Observable> {
        let full = Self {
            chunk: call.key.dims()[2],
            same_bucket: false,
            ..self.clone()
        };
        let (Some(found), Some(all)) = (call.weights(self), call.weights(&full)) else {
            return Vec::new();
        };
        let covered = all.clone() * found.greater_elem(0.0).float();
        let [covered, all] = [covered, all].map(|cells| cells.sum_dim(3).into_data());
        let rows = covered.iter::<f64>().zip(all.iter::<f64>());
        let rows = rows.filter(|(_, all)| *all > 0.0);
        let share = rows.map(|(covered, all)| 100.0 * covered / all);
        vec![Observable::of("covered %", share)]
    }
}

/// Of masks of one head or of all.
fn either(a: Tensor<3, Bool>, b: Tensor<3, Bool>) -> Tensor<3, Bool> {
    let [_, rows, columns] = a.dims();
    let n_heads = a.dims()[0].max(b.dims()[0]);
    let all = [n_heads, rows, columns];
    a.expand(all).bool_or(b.expand(all))
}
