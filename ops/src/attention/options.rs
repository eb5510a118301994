//! What attention can be asked for.

use burn::tensor::{Bool, Device, Distribution, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::error::{AttentionError, expect};
use super::{BlockMask, Packing};

/// How a row of scores becomes a row of weights.
#[derive(Clone, Debug)]
// Made, moved once and taken apart: a box would only hide the tensor from its user.
#[allow(clippy::large_enum_variant)]
pub enum Normalizer {
    /// α = 1: every visible key gets weight.
    Softmax,
    /// α = 2.
    Sparsemax,
    /// α = 1.5.
    Entmax15,
    /// One α per head, `[n_heads]`, with gradient.
    Entmax(Tensor<1>),
}

/// Keys of a row, and queries, from which fused attention is no slower than its readable definition on a CPU:
/// measured with heads of 32 and 64 (`benches/attention`, the cases "where `auto` changes over").
const PAYS_FROM: [usize; 2] = [128, 16];

/// Who computes attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Implementation {
    /// Fused on a CPU, where the request has enough keys and queries for it to pay: 128 and 16, by
    /// measurement. On a GPU, where the kernels have not been measured, the readable definition.
    #[default]
    Auto,
    /// The readable definition, which holds all scores at once: memory grows with `seq_q · seq_kv`.
    Reference,
    /// Kernels that hold one block of queries' scores at a time and skip what is zero: memory grows
    /// with `seq_q + seq_kv`.
    Fused,
}

impl Implementation {
    /// Who may compute on a device: `auto` becomes `Fused` where there are kernels that were measured to
    /// pay, else `Reference`.
    ///
    /// # Errors
    /// [`AttentionError::NoKernels`] for `Fused` on a device without.
    pub fn on(self, device: &Device) -> Result<Self, AttentionError> {
        match (self, kernels(device)) {
            (Self::Reference, _) | (Self::Auto, Kernels::None | Kernels::Unmeasured) => {
                Ok(Self::Reference)
            }
            (Self::Auto, Kernels::Measured)
            | (Self::Fused, Kernels::Measured | Kernels::Unmeasured) => Ok(Self::Fused),
            (Self::Fused, Kernels::None) => Err(AttentionError::NoKernels {
                device: format!("{device:?}"),
            }),
        }
    }

    /// The name in recipes, flags and run records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Reference => "reference",
            Self::Fused => "fused",
        }
    }
}

impl std::str::FromStr for Implementation {
    type Err = AttentionError;

    fn from_str(name: &str) -> Result<Self, AttentionError> {
        [Self::Auto, Self::Reference, Self::Fused]
            .into_iter()
            .find(|implementation| implementation.as_str() == name)
            .ok_or_else(|| AttentionError::Implementation(name.to_owned()))
    }
}

/// The term of a score that depends on the distance of a key: adds `scale · query_i · positions_t`
/// with `t = j + seq_q − 1 − i`, that is, row t belongs to the distance `seq_kv − 1 − t` from key to query
/// when the last query is aligned with the last key (Dai et al. 2019, section 3.3, terms b and d).
#[derive(Clone, Debug)]
pub struct RelativeTerm {
    /// `q_i + v`, `[batch, n_heads, seq_q, d_head]`.
    pub query: Tensor<4>,
    /// `r` of the distances `seq_kv − 1, seq_kv − 2, …`, `[n_heads, n_positions, d_head]`: at least
    /// `seq_kv + 1` under a causal mask, which hides the negative distances, and `seq_kv + seq_q`
    /// otherwise.
    pub positions: Tensor<3>,
}

/// Options of [`super::sparse_attention`]; masks are `true` where hidden.
#[derive(Clone, Debug)]
pub struct AttentionOptions {
    /// The row normaliser.
    pub normalizer: Normalizer,
    /// Hide keys after the query, aligned bottom right.
    pub causal: bool,
    /// Padding keys, `[batch, seq_kv]`.
    pub key_padding: Option<Tensor<2, Bool>>,
    /// The number of keys of each example, `[batch]`: those behind are hidden.
    pub key_lengths: Option<Tensor<1, Int>>,
    /// Several sequences in one row of the batch, each of which sees only itself.
    pub packing: Option<Packing>,
    /// A mask shared by the batch, `[n_heads or 1, seq_q, seq_kv]`.
    pub global_mask: Option<Tensor<3, Bool>>,
    /// A mask shared by the batch, as blocks.
    pub block_mask: Option<BlockMask>,
    /// A mask shared by batch and heads, `[seq_q, seq_kv]`.
    pub extra_mask: Option<Tensor<2, Bool>>,
    /// Added to the scaled scores, `[batch or 1, n_heads, seq_q, seq_kv]`.
    pub bias: Option<Tensor<4>>,
    /// Added to the scores by distance.
    pub relative: Option<RelativeTerm>,
    /// Multiplies query·keyᵀ; `1/√d_head` unless given.
    pub scale: Option<f64>,
    /// Share of weights dropped at random, the others scaled by `1/(1 − dropout)`.
    pub dropout: f64,
    /// What decides which weights are dropped; drawn from the device's generator unless given.
    pub dropout_seed: Option<u64>,
    /// Also return the weights (before dropout).
    pub return_weights: bool,
    /// Who computes it.
    pub implementation: Implementation,
}

impl Default for AttentionOptions {
    fn default() -> Self {
        Self::new(Normalizer::Softmax)
    }
}

impl AttentionOptions {
    /// Attention with a normaliser, no mask, no dropout.
    pub fn new(normalizer: Normalizer) -> Self {
        Self {
            normalizer,
            causal: false,
            key_padding: None,
            key_lengths: None,
            packing: None,
            global_mask: None,
            block_mask: None,
            extra_mask: None,
            bias: None,
            relative: None,
            scale: None,
            dropout: 0.0,
            dropout_seed: None,
            return_weights: false,
            implementation: Implementation::Auto,
        }
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

    /// Hides the keys from a length on, `[batch]`.
    pub fn key_lengths(mut self, lengths: Tensor<1, Int>) -> Self {
        self.key_lengths = Some(lengths);
        self
    }

    /// Hides from each packed sequence the keys of the others.
    pub fn packing(mut self, packing: Packing) -> Self {
        self.packing = Some(packing);
        self
    }

    /// Hides the cells of a mask of blocks.
    pub fn block_mask(mut self, mask: BlockMask) -> Self {
        self.block_mask = Some(mask);
        self
    }

    /// Hides the cells of a global mask, `[n_heads or 1, seq_q, seq_kv]`.
    pub fn global_mask(mut self, mask: Tensor<3, Bool>) -> Self {
        self.global_mask = Some(mask);
        self
    }

    /// Hides cells for every head, `[seq_q, seq_kv]`.
    pub fn extra_mask(mut self, mask: Tensor<2, Bool>) -> Self {
        self.extra_mask = Some(mask);
        self
    }

    /// Adds a bias to the scaled scores, `[batch or 1, n_heads, seq_q, seq_kv]`.
    pub fn bias(mut self, bias: Tensor<4>) -> Self {
        self.bias = Some(bias);
        self
    }

    /// Adds a term that depends on distance.
    pub fn relative(mut self, term: RelativeTerm) -> Self {
        self.relative = Some(term);
        self
    }

    /// Replaces the factor `1/√d_head`.
    pub fn scale(mut self, scale: f64) -> Self {
        self.scale = Some(scale);
        self
    }

    /// Drops a share of the weights.
    pub fn dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// Fixes which weights are dropped.
    pub fn dropout_seed(mut self, seed: u64) -> Self {
        self.dropout_seed = Some(seed);
        self
    }

    /// Says who computes it.
    pub fn implementation(mut self, implementation: Implementation) -> Self {
        self.implementation = implementation;
        self
    }

    /// Returns the weights too.
    pub fn return_weights(mut self) -> Self {
        self.return_weights = true;
        self
    }

    pub(super) fn check(
        &self,
        query: [usize; 4],
        key: [usize; 4],
        value: [usize; 4],
    ) -> Result<(), AttentionError> {
        let [batch, n_heads, seq_q, d_head] = query;
        let [_, n_kv_heads, seq_kv, _] = key;
        if n_kv_heads == 0 || !n_heads.is_multiple_of(n_kv_heads) {
            return Err(AttentionError::Groups {
                n_heads,
                n_kv_heads,
            });
        }
        expect("key", &key, &[batch, n_kv_heads, seq_kv, d_head])?;
        expect("value", &value, &[batch, n_kv_heads, seq_kv, value[3]])?;
        if let Normalizer::Entmax(alpha) = &self.normalizer {
            expect("alpha", &alpha.dims(), &[n_heads])?;
        }
        if let Some(mask) = &self.key_padding {
            expect("key_padding", &mask.dims(), &[batch, seq_kv])?;
        }
        if let Some(lengths) = &self.key_lengths {
            expect("key_lengths", &lengths.dims(), &[batch])?;
        }
        if let Some(packing) = &self.packing {
            packing.check(batch, seq_q, seq_kv)?;
        }
        if let Some(mask) = &self.global_mask {
            let heads = if mask.dims()[0] == 1 { 1 } else { n_heads };
            expect("global_mask", &mask.dims(), &[heads, seq_q, seq_kv])?;
        }
        if let Some(mask) = &self.block_mask {
            let heads = if mask.shape()[0] == 1 { 1 } else { n_heads };
            expect("block_mask", &mask.shape(), &[heads, seq_q, seq_kv])?;
        }
        if let Some(mask) = &self.extra_mask {
            expect("extra_mask", &mask.dims(), &[seq_q, seq_kv])?;
        }
        if let Some(bias) = &self.bias {
            let rows = if bias.dims()[0] == 1 { 1 } else { batch };
            expect("bias", &bias.dims(), &[rows, n_heads, seq_q, seq_kv])?;
        }
        if let Some(RelativeTerm { query, positions }) = &self.relative {
            expect(
                "relative.query",
                &query.dims(),
                &[batch, n_heads, seq_q, d_head],
            )?;
            let ahead = if self.causal { 1 } else { seq_q };
            let n_positions = positions.dims()[1].max(seq_kv + ahead);
            expect(
                "relative.positions",
                &positions.dims(),
                &[n_heads, n_positions, d_head],
            )?;
            if self.packing.is_some() {
                return Err(AttentionError::PackedDistances);
            }
        }
        match (0.0..1.0).contains(&self.dropout) {
            true => Ok(()),
            false => Err(AttentionError::Dropout(self.dropout)),
        }
    }

    /// Turns lengths into padding.
    pub(super) fn fold_lengths(&mut self, seq_kv: usize) {
        let Some(lengths) = self.key_lengths.take() else {
            return;
        };
        let device = lengths.device();
        let [batch] = lengths.dims();
        let place = Tensor::<1, Int>::arange(0..seq_kv as i64, &device).reshape([1, seq_kv]);
        let behind = place
            .expand([batch, seq_kv])
            .greater_equal(lengths.reshape([batch, 1]).expand([batch, seq_kv]));
        self.key_padding = Some(match self.key_padding.take() {
            Some(padding) => padding.bool_or(behind),
            None => behind,
        });
    }

    /// Draws the seed of dropout where kernels need one, and on a CPU; elsewhere it would wait for the device.
    pub(super) fn draw_seed(&mut self, device: &Device, implementation: Implementation) {
        let wants_one =
            implementation == Implementation::Fused || kernels(device) == Kernels::Measured;
        if self.dropout == 0.0 || self.dropout_seed.is_some() || !wants_one {
            return;
        }
        let range = Distribution::Uniform(0.0, f64::from(i32::MAX));
        let drawn = Tensor::<1, Int>::random([2], range, &device.clone().inner());
        let halves: Vec<i64> = drawn.into_data().iter::<i64>().collect();
        let seed = halves
            .iter()
            .fold(0, |seed, &half| (seed << 32) ^ half as u64);
        self.dropout_seed = Some(seed);
    }

    /// Who will compute this, on this device, for so many queries and keys.
    ///
    /// # Errors
    /// If [`Implementation::Fused`] is asked for and cannot be had: with the weights, which it never
    /// holds, or on a device without kernels for it.
    pub fn resolve(
        &self,
        device: &Device,
        [seq_q, seq_kv]: [usize; 2],
    ) -> Result<Implementation, AttentionError> {
        let pays = seq_kv >= PAYS_FROM[0] && seq_q >= PAYS_FROM[1];
        if self.implementation == Implementation::Auto && (self.return_weights || !pays) {
            return Ok(Implementation::Reference);
        }
        match (self.implementation.on(device)?, self.return_weights) {
            (Implementation::Fused, true) => Err(AttentionError::FusedWeights),
            (implementation, _) => Ok(implementation),
        }
    }
}

/// The fused kernels of a device.
#[derive(Clone, Copy, PartialEq)]
#[allow(dead_code)] // which of them there are depends on the backends compiled in
enum Kernels {
    None,
    /// They run, but nobody has measured on such a device where they pay.
    Unmeasured,
    Measured,
}

#[allow(deprecated)] // libtorch is, upstream: see the head of backend.rs
fn kernels(device: &Device) -> Kernels {
    use burn::backend::DispatchDevice;
    let device = device.clone().inner();
    match device.as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => Kernels::Measured,
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => Kernels::Measured,
        #[cfg(feature = "tch")]
        DispatchDevice::LibTorch(burn::backend::libtorch::LibTorchDevice::Cpu) => Kernels::Measured,
        #[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
        DispatchDevice::Cube(_) => Kernels::Unmeasured,
        // Which variants there are depends on the features of Burn that are on.
        #[allow(unreachable_patterns)]
        _ => Kernels::None,
    }
}

/// What attention gives.
#[derive(Clone, Debug)]
pub struct AttentionOutput {
    /// `[batch, n_heads, seq_q, d_value]`.
    pub context: Tensor<4>,
    /// `[batch, n_heads, seq_q, seq_kv]`, if asked for.
    pub weights: Option<Tensor<4>>,
    /// Who computed it: `Reference` or `Fused`.
    pub implementation: Implementation,
}
