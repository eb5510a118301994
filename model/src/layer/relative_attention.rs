//! The relative attention of Transformer-XL.

use burn::config::Config;
use burn::module::Param;
use burn::nn::{Dropout, DropoutConfig};
use burn::prelude::*;
use burn::tensor::assert_shape;
use sparta_ops::attention::{AttentionOptions, Implementation, RelativeTerm};
use sparta_ops::pruning::AttentionType;

use super::dropout::{drop_values, rate_now};
use super::mechanism::observe::within;
use super::mechanism::{
    HeadShape, Mechanism, MechanismConfig, MechanismState, NormalizerConfig, Place, Surroundings,
};
use super::norm::LayerNorm;
use super::parameter::{WeightInit, normal};
use crate::masks::{LayerMask, hide};
use crate::precision::{narrow, product};

/// Configuration of [`RelativeAttention`].
#[derive(Config, Debug)]
pub struct RelativeAttentionConfig {
    /// Size of the vectors in and out.
    pub d_model: usize,
    /// Number of heads.
    pub n_heads: usize,
    /// Size of a head's queries, keys and values.
    pub d_head: usize,
    /// How queries read values: softmax or another row normaliser, or another mechanism.
    #[config(default = "MechanismConfig::SOFTMAX")]
    pub mechanism: MechanismConfig,
    /// Dropout probability of the layer's output. That of attention weights, which [`super::MultiHeadAttentionConfig`] calls
    /// `dropout`, is `dropatt`.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Dropout probability of attention weights.
    #[config(default = 0.0)]
    pub dropatt: f64,
    /// Normalise the input of the layer instead of the sum that leaves it.
    #[config(default = false)]
    pub pre_norm: bool,
    /// Standard deviation of the weights at the start.
    #[config(default = 0.02)]
    pub init_std: f64,
    /// Which implementation computes attention.
    #[config(default = "Implementation::Auto")]
    pub implementation: Implementation,
    /// The most keys of a query, for a mechanism with parameters per position.
    pub max_len: Option<usize>,
}

/// Causal attention over a memory and the current segment in which a score depends on the content of
/// the key and on its distance,
/// with residual connection and layer normalisation:
///
/// score(i, j) = ((q_i + u)·k_j + (q_i + v)·r_{i−j}) / √d_head, where r = W_r·sinusoid(distance).
///
/// No map has a bias. `u` and `v` belong to the model, which shares them between layers.
///
/// A mechanism that has no scores to add distances to, but a state, reads the state in place of the memory:
/// score(i, j) = q_i·k_j / √d_head is then what its kernel is of, and there is no W_r.
///
/// A mechanism with keys and no distances reads the memory with positions added to what queries and keys are made of, and not to
/// what values are made of or the memory keeps (position-infused attention): q = W_q(x + sinusoid), k = W_k(x + sinusoid), v = W_v x.
///
/// # Source
/// Dai et al. 2019, section 3.3; `RelPartialLearnableMultiHeadAttn` of kimiyoung/transformer-xl. Positions without distances:
/// Press, Smith, Lewis 2021, "Shortformer", section 5.
#[derive(Module, Debug)]
pub struct RelativeAttention {
    /// `[d_model, n_heads · d_head]`.
    pub query: Param<Tensor<2>>,
    /// `[d_model, n_heads · d_head]`; none where keys are the queries.
    pub key: Option<Param<Tensor<2>>>,
    /// `[d_model, n_heads · d_head]`.
    pub value: Param<Tensor<2>>,
    /// W_r, `[d_model, n_heads · d_head]`, where scores depend on distances.
    pub position: Option<Param<Tensor<2>>>,
    /// `[n_heads · d_head, d_model]`.
    pub output: Param<Tensor<2>>,
    /// Normalisation of the sum, or of the input with `pre_norm`.
    pub norm: LayerNorm,
    /// How queries read values.
    pub mechanism: Mechanism,
    /// After the output map.
    pub dropout: Dropout,
    /// On the attention weights.
    pub dropatt: Dropout,
    n_heads: usize,
    d_head: usize,
    pre_norm: bool,
    #[module(skip)]
    implementation: Implementation,
}

impl RelativeAttentionConfig {
    /// Dot-product attention with this row normaliser as the mechanism.
    pub fn with_normalizer(self, normalizer: NormalizerConfig) -> Self {
        self.with_mechanism(normalizer.into())
    }

    /// Makes the layer.
    ///
    /// # Panics
    /// As [`MechanismConfig::init`].
    pub fn init(&self, device: &Device) -> RelativeAttention {
        let d_heads = self.n_heads * self.d_head;
        let map = |shape| normal(shape, 0.0, self.init_std, device);
        RelativeAttention {
            query: map([self.d_model, d_heads]),
            key: (!self.mechanism.shares_keys()).then(|| map([self.d_model, d_heads])),
            value: map([self.d_model, d_heads]),
            position: (self.mechanism.has_distances()).then(|| map([self.d_model, d_heads])),
            output: map([d_heads, self.d_model]),
            norm: WeightInit::Normal { std: self.init_std }.layer_norm(self.d_model, 1e-5, device),
            mechanism: self.mechanism.init(self.head_shape(), device),
            dropout: DropoutConfig::new(self.dropout).init(),
            dropatt: DropoutConfig::new(self.dropatt).init(),
            n_heads: self.n_heads,
            d_head: self.d_head,
            pre_norm: self.pre_norm,
            implementation: self.implementation,
        }
    }

    /// Number of parameters, without making them (u and v are counted by the model).
    ///
    /// # Panics
    /// As [`MechanismConfig::n_params`].
    pub fn n_params(&self) -> usize {
        let n_maps = 3
            + usize::from(!self.mechanism.shares_keys())
            + usize::from(self.mechanism.has_distances());
        n_maps * self.d_model * self.n_heads * self.d_head
            + 2 * self.d_model
            + self.mechanism.n_params(self.head_shape())
    }

    fn head_shape(&self) -> HeadShape {
        HeadShape {
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_head: self.d_head,
            max_len: self.max_len,
        }
    }
}

/// What [`RelativeAttention::forward`] works on; masks are `true` where hidden.
#[derive(Debug, Clone)]
pub struct RelativeAttentionInput {
    /// The current segment, `[batch, seq_q, d_model]`.
    pub hidden: Tensor<3>,
    /// What came before, and how far away it is.
    pub past: Past,
    /// Positions of a full memory, of which there may be fewer so far.
    pub mem_len: usize,
    /// The layer's global mask, `[n_heads, seq_q, seq_kv]`.
    pub global_mask: Option<LayerMask>,
    /// A mask for every head, `[seq_q, seq_kv]`, besides the causal one.
    pub extra_mask: Option<Tensor<2, Bool>>,
    /// Whether to return the attention weights.
    pub return_weights: bool,
}

/// What is before the segment, as the layer's mechanism reads it.
#[derive(Debug, Clone)]
// Made and taken apart once a layer: a box would only hide the tensors.
#[allow(clippy::large_enum_variant)]
pub enum Past {
    /// Hidden states, and distances to them.
    Memory {
        /// The layer's input at earlier positions, `[batch, mlen, d_model]`, without gradient.
        memory: Option<Tensor<3>>,
        /// [`super::relative_positions`] of the distances `seq_kv − 1, …, 0, −1`, where
        /// `seq_kv = mlen + seq_q`: `[seq_kv + 1, d_model]`.
        positions: Tensor<2>,
        /// u, `[n_heads, d_head]`.
        content_bias: Tensor<2>,
        /// v, `[n_heads, d_head]`.
        position_bias: Tensor<2>,
    },
    /// The state of a mechanism that carries one, without gradient; none before the first segment.
    State(Option<MechanismState>),
    /// Hidden states, for a mechanism with keys and no term by distance.
    Window {
        /// The layer's input at earlier positions, `[batch, mlen, d_model]`, without gradient.
        memory: Option<Tensor<3>>,
        /// The vectors of the positions of memory and segment, `[seq_kv, d_model]`; none where the mechanism biases
        /// scores by distance itself.
        positions: Option<Tensor<2>>,
    },
}

/// What [`RelativeAttention::forward`] gives.
#[derive(Debug, Clone)]
pub struct RelativeAttentionOutput {
    /// `[batch, seq_q, d_model]`, residual connection included.
    pub hidden: Tensor<3>,
    /// Weights before dropout, `[batch, n_heads, seq_q, seq_kv]`, if asked for.
    pub weights: Option<Tensor<4>>,
    /// The state after the segment, of a mechanism that carries one; after an empty segment, what was before it.
    pub state: Option<MechanismState>,
}

impl RelativeAttention {
    /// Attends from the segment to memory and segment, or from state and segment, causally.
    ///
    /// # Shapes
    /// With `seq_kv = mlen + seq_q`:
    /// - hidden: `[batch, seq_q, d_model]`, memory: `[batch, mlen, d_model]`
    /// - positions: `[seq_kv + 1, d_model]`, content and position bias: `[n_heads, d_head]`; a state has no
    ///   memory, `mlen = 0`; positions of a window: `[seq_kv, d_model]`
    /// - global mask: `[n_heads, seq_q, seq_kv]`, extra mask: `[seq_q, seq_kv]`
    /// - output: `[batch, seq_q, d_model]`, weights: `[batch, n_heads, seq_q, seq_kv]`
    ///
    /// # Panics
    /// If a shape does not fit the others or the layer, the past is of the other kind, or the mechanism lacks
    /// an ability that is asked for.
    ///
    /// # Source
    /// Dai et al. 2019, section 3.3.
    pub fn forward(&self, input: RelativeAttentionInput) -> RelativeAttentionOutput {
        let hidden = input.hidden;
        let [batch, seq_q, d_model] = hidden.dims();
        let [width, _] = self.query.dims();
        assert_shape!(hidden, [_, _, width]);
        let device = hidden.device();
        let memory = match &input.past {
            Past::Memory { memory, .. } | Past::Window { memory, .. } => memory.clone(),
            Past::State(_) => None,
        };
        if let Some(memory) = &memory {
            assert_shape!(memory, [batch, _, width]);
        }
        if batch * seq_q == 0 {
            return self.empty(hidden, memory, input.past, input.return_weights);
        }
        let mut context = match memory {
            Some(memory) => Tensor::cat(vec![memory, hidden.clone()], 1),
            None => hidden.clone(),
        };
        let seq_kv = context.dims()[1];
        let in_segment = |all: &Tensor<3>| {
            let rows = [0..batch, seq_kv - seq_q..seq_kv, 0..d_model];
            all.clone().slice(rows)
        };
        let mut source = hidden.clone();
        if self.pre_norm {
            context = self.norm.forward(context);
            source = in_segment(&context);
        }
        let mut placed = context.clone();
        if let Past::Window {
            positions: Some(positions),
            ..
        } = &input.past
        {
            assert_shape!(positions, [seq_kv, width]);
            placed = placed + positions.clone().unsqueeze_dim(0);
            source = in_segment(&placed);
        }

        // Flat [batch · seq, d_model] rows make one large matrix product of each map.
        let d_heads = self.n_heads * self.d_head;
        let placed = narrow(placed.reshape([batch * seq_kv, d_model]));
        let (query, key) = match &self.key {
            Some(map) => {
                let source = source.clone().reshape([batch * seq_q, d_model]);
                (
                    product(source, self.query.val()),
                    product(placed, map.val()),
                )
            }
            None => {
                let key = product(placed, self.query.val());
                let all = key.clone().reshape([batch, seq_kv, d_heads]);
                let query = all.slice([0..batch, seq_kv - seq_q..seq_kv]);
                (query.reshape([batch * seq_q, d_heads]), key)
            }
        };
        let key = self.split(key, batch);
        let context = context.reshape([batch * seq_kv, d_model]);
        let value = self.split(product(context, self.value.val()), batch);
        let mut options = AttentionOptions {
            causal: true,
            extra_mask: input.extra_mask,
            dropout: rate_now(&self.dropatt, &device),
            return_weights: input.return_weights,
            implementation: match input.return_weights {
                true => Implementation::Reference,
                false => self.implementation,
            },
            ..AttentionOptions::default()
        };
        let surroundings = Surroundings {
            global: None,
            place: Place::Segment {
                mem_len: input.mem_len,
            },
            source: Some(source),
        };
        let (attended, state) = match (&self.position, input.past) {
            (
                Some(position),
                Past::Memory {
                    memory: _,
                    positions,
                    content_bias,
                    position_bias,
                },
            ) => {
                assert_shape!(content_bias, [self.n_heads, self.d_head]);
                assert_shape!(position_bias, [self.n_heads, self.d_head]);
                assert_shape!(positions, [seq_kv + 1, width]);
                // The factor 1/√d_head goes into the queries, the smallest tensor of the score.
                let scale = 1.0 / (self.d_head as f64).sqrt();
                let query = query.mul_scalar(scale);
                let with_bias = |bias: Tensor<2>| {
                    let bias = bias.reshape([1, d_heads]).mul_scalar(scale);
                    self.split(query.clone() + bias.cast(query.dtype()), batch)
                };
                options.scale = Some(1.0);
                options.relative = Some(RelativeTerm {
                    query: with_bias(position_bias),
                    positions: self.position_keys(positions, position),
                });
                let query = with_bias(content_bias);
                let surroundings = Surroundings {
                    global: input.global_mask,
                    ..surroundings
                };
                let attend =
                    || (self.mechanism).attend_in(query, key, value, options, surroundings);
                (within(AttentionType::DecoderSelf, attend), None)
            }
            (None, Past::State(state)) => {
                let query = self.split(query, batch);
                let (abilities, hidden) = (self.mechanism.abilities(), input.global_mask.into());
                hide(&mut options, hidden, abilities, &device, [seq_q, seq_kv]);
                let attend = || (self.mechanism).attend_from(query, key, value, state, options);
                let continued = within(AttentionType::DecoderSelf, attend);
                (continued.output, Some(continued.state))
            }
            (None, Past::Window { .. }) => {
                let query = self.split(query, batch);
                let surroundings = Surroundings {
                    global: input.global_mask,
                    ..surroundings
                };
                let attend =
                    || (self.mechanism).attend_in(query, key, value, options, surroundings);
                (within(AttentionType::DecoderSelf, attend), None)
            }
            (Some(_), Past::State(_) | Past::Window { .. }) => {
                panic!("the past has no distances, but this layer's mechanism reads them")
            }
            (None, Past::Memory { .. }) => {
                panic!("the past has distances, but this layer's mechanism reads none")
            }
        };

        let rows = attended.context.swap_dims(1, 2);
        let rows = rows.reshape([batch * seq_q, d_heads]);
        let output = product(rows, self.output.val()).reshape([batch, seq_q, d_model]);
        let dtype = hidden.dtype();
        let sum = hidden + drop_values(&self.dropout, output).cast(dtype);
        RelativeAttentionOutput {
            hidden: match self.pre_norm {
                true => sum,
                false => self.norm.forward(sum),
            },
            weights: attended.weights,
            state,
        }
    }

    /// What an empty segment, or one of an empty batch, gives: nothing.
    fn empty(
        &self,
        hidden: Tensor<3>,
        memory: Option<Tensor<3>>,
        past: Past,
        return_weights: bool,
    ) -> RelativeAttentionOutput {
        let [batch, seq_q, _] = hidden.dims();
        let seq_kv = memory.map_or(0, |memory| memory.dims()[1]) + seq_q;
        let shape = [batch, self.n_heads, seq_q, seq_kv];
        let weights = || Tensor::zeros(shape, (&hidden.device(), hidden.dtype()));
        RelativeAttentionOutput {
            weights: return_weights.then(weights),
            hidden,
            state: match past {
                Past::State(state) => state,
                Past::Memory { .. } | Past::Window { .. } => None,
            },
        }
    }

    /// r of every distance, `[n_heads, seq_kv + 1, d_head]`.
    fn position_keys(&self, positions: Tensor<2>, position: &Param<Tensor<2>>) -> Tensor<3> {
        let n = positions.dims()[0];
        product(positions, position.val())
            .reshape([n, self.n_heads, self.d_head])
            .swap_dims(0, 1)
    }

    /// `[batch · seq, n_heads · d_head]` as `[batch, n_heads, seq, d_head]`, without a copy.
    fn split(&self, rows: Tensor<2>, batch: usize) -> Tensor<4> {
        let seq = rows.dims()[0] / batch;
        rows.reshape([batch, seq, self.n_heads, self.d_head])
            .swap_dims(1, 2)
    }
}
