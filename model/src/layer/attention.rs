//! Multi-head attention with any row normaliser and any mask.

use burn::config::Config;
use burn::nn::{Dropout, DropoutConfig, Initializer, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::assert_shape;
use sparta_ops::attention::{AttentionOptions, AttentionOutput, Implementation};

use super::dropout::rate_now;
use super::key_value::{Cache, CachedInput, KeyValue};
use super::mechanism::{
    Abilities, HeadShape, Mechanism, MechanismConfig, NormalizerConfig, Surroundings,
};
use super::paged::{PageReport, PagedCache, PagedInput, Paging};
use super::parameter::WeightInit;
use super::reshaped::reshaped;
use crate::masks::{LayerMask, hide};
use crate::precision::linear;

/// Configuration of [`MultiHeadAttention`].
#[derive(Config, Debug)]
pub struct MultiHeadAttentionConfig {
    /// Size of the vectors in and out.
    pub d_model: usize,
    /// Number of heads.
    pub n_heads: usize,
    /// Size of a head's queries, keys and values; `d_model / n_heads` if not given.
    pub d_head: Option<usize>,
    /// How queries read values: softmax or another row normaliser, or another mechanism.
    #[config(default = "MechanismConfig::SOFTMAX")]
    pub mechanism: MechanismConfig,
    /// Dropout probability of attention weights, which [`super::RelativeAttentionConfig`] calls `dropatt`: its `dropout` is
    /// of the layer's output, of which this layer drops nothing.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Whether the four linear maps have a bias.
    #[config(default = true)]
    pub bias: bool,
    /// Initial weights of the four linear maps.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/f64::sqrt(3.0), fan_out_only:false}")]
    pub initializer: Initializer,
    /// Which implementation computes attention.
    #[config(default = "Implementation::Auto")]
    pub implementation: Implementation,
    /// The most keys of a query, for a mechanism with parameters per position.
    pub max_len: Option<usize>,
}

/// Attention of Vaswani et al. 2017 whose rows may be softmax or α-entmax, with a fixed or a learned
/// α per head, or another [`Mechanism`], under a global mask, key padding and a causal mask: output = W_o·concat_h(π(q_h·k_hᵀ/√d_head)·v_h).
///
/// Fields are named and shaped as in Burn's own module.
///
/// # Example
/// A Burn user switches from softmax to a learned α-entmax and adds a mask in three lines:
///
/// ```
/// use burn::prelude::*;
/// use burn::tensor::Distribution;
/// use sparta_model::layer::{AttentionInput, MultiHeadAttentionConfig, NormalizerConfig};
///
/// let device = Device::flex();
/// let x = Tensor::<3>::random([2, 5, 64], Distribution::Default, &device);
/// let mask = Tensor::<3, Bool>::tril_mask([4, 5, 5], 0, &device); // true = hidden
///
/// let config = MultiHeadAttentionConfig::new(64, 4).with_normalizer(NormalizerConfig::alpha_entmax());
/// let attention = config.init(&device);
/// let output = attention.forward(AttentionInput::self_attention(x).global_mask(mask));
///
/// assert_eq!(output.context.dims(), [2, 5, 64]);
/// assert_eq!(attention.alpha().unwrap().dims(), [4]); // each in (1, 2)
/// ```
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    /// `[d_model, n_heads · d_head]`.
    pub query: Linear,
    /// `[d_model, n_heads · d_head]`; none where keys are the queries.
    pub key: Option<Linear>,
    /// `[d_model, n_heads · d_head]`.
    pub value: Linear,
    /// `[n_heads · d_head, d_model]`.
    pub output: Linear,
    /// How queries read values.
    pub mechanism: Mechanism,
    /// Dropout of attention weights.
    pub dropout: Dropout,
    n_heads: usize,
    d_head: usize,
    #[module(skip)]
    implementation: Implementation,
}

impl MultiHeadAttentionConfig {
    /// Dot-product attention with this row normaliser as the mechanism.
    pub fn with_normalizer(self, normalizer: NormalizerConfig) -> Self {
        self.with_mechanism(normalizer.into())
    }

    /// Makes the layer.
    ///
    /// # Panics
    /// Without `d_head`, if `n_heads` does not divide `d_model`; as [`MechanismConfig::init`].
    pub fn init(&self, device: &Device) -> MultiHeadAttention {
        let (d_model, n_heads) = (self.d_model, self.n_heads);
        let d_head = self.d_head.unwrap_or_else(|| {
            assert!(
                n_heads > 0 && d_model.is_multiple_of(n_heads),
                "n_heads = {n_heads} does not divide d_model = {d_model}: set d_head"
            );
            d_model / n_heads
        });
        let shape = HeadShape {
            d_model,
            n_heads,
            d_head,
            max_len: self.max_len,
        };
        let linear = |d_input, d_output| {
            LinearConfig::new(d_input, d_output)
                .with_bias(self.bias)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        MultiHeadAttention {
            query: linear(d_model, n_heads * d_head),
            key: (!self.mechanism.shares_keys()).then(|| linear(d_model, n_heads * d_head)),
            value: linear(d_model, n_heads * d_head),
            output: linear(n_heads * d_head, d_model),
            mechanism: self.mechanism.init(shape, device),
            dropout: DropoutConfig::new(self.dropout).init(),
            n_heads,
            d_head,
            implementation: self.implementation,
        }
    }

    /// [`Self::init`] with linear maps that start as `weights` says, in place of the initializer.
    pub(super) fn init_with(&self, weights: WeightInit, device: &Device) -> MultiHeadAttention {
        let mut attention = self.init(device);
        let (d_model, d_heads) = (self.d_model, attention.n_heads * attention.d_head);
        let of = |map: Linear| Linear {
            weight: map.weight,
            bias: map.bias.filter(|_| self.bias),
        };
        let input_map = || of(weights.input_map(d_model, d_heads, device));
        // Random numbers are drawn in this order.
        attention.query = input_map();
        attention.key = attention.key.map(|_| input_map());
        attention.value = input_map();
        attention.output = of(weights.linear(d_heads, d_model, device));
        attention
    }
}

/// What [`MultiHeadAttention::forward`] attends from and to, and under which masks (`true` = hidden).
#[derive(Debug, Clone)]
pub struct AttentionInput {
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    is_self: bool,
    causal: bool,
    key_padding: Option<Tensor<2, Bool>>,
    global_mask: Option<LayerMask>,
    return_weights: bool,
    is_cross: bool,
}

impl AttentionInput {
    /// Queries, keys and values from three tensors, `[batch, seq_q, d_model]` and twice
    /// `[batch, seq_kv, d_model]`.
    pub fn new(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Self {
        Self {
            query,
            key,
            value,
            is_self: false,
            causal: false,
            key_padding: None,
            global_mask: None,
            return_weights: false,
            is_cross: false,
        }
    }

    /// Attention of a sequence `[batch, seq, d_model]` to itself.
    pub fn self_attention(input: Tensor<3>) -> Self {
        Self {
            is_self: true,
            ..Self::new(input.clone(), input.clone(), input)
        }
    }

    /// Attention of a decoder's `[batch, seq_q, d_model]` to an encoder's output
    /// `[batch, seq_kv, d_model]`.
    pub fn cross(query: Tensor<3>, memory: Tensor<3>) -> Self {
        Self {
            is_cross: true,
            ..Self::new(query, memory.clone(), memory)
        }
    }

    /// Hides the keys after each query; the last query is aligned with the last key.
    pub fn causal(mut self) -> Self {
        self.causal = true;
        self
    }

    /// Hides padding keys, `[batch, seq_kv]`, on whichever side they are: what a mechanism makes of positions, as Linformer's
    /// columns and static patterns do, counts those of padding, so that padding ahead moves it.
    pub fn key_padding(mut self, mask: Tensor<2, Bool>) -> Self {
        self.key_padding = Some(mask);
        self
    }

    /// Hides the cells of a global mask, `[n_heads, rows, columns]` with `rows ≥ seq_q` and
    /// `columns ≥ seq_kv`: the mask of the longest sequence serves every shorter one, from its top
    /// left corner. Causal queries, which are the last positions, take their rows from there: `rows ≥ seq_kv`.
    pub fn global_mask(mut self, mask: impl Into<LayerMask>) -> Self {
        self.global_mask = Some(mask.into());
        self
    }

    /// Asks for the attention weights too.
    pub fn return_weights(mut self) -> Self {
        self.return_weights = true;
        self
    }

    /// [`Self::key_padding`], [`Self::global_mask`] and [`Self::return_weights`], where there are any.
    pub(crate) fn hiding(
        mut self,
        key_padding: Option<Tensor<2, Bool>>,
        global_mask: Option<LayerMask>,
        return_weights: bool,
    ) -> Self {
        self.key_padding = key_padding;
        self.global_mask = global_mask;
        self.return_weights = return_weights;
        self
    }
}

/// What [`MultiHeadAttention::forward`] gives.
#[derive(Debug, Clone)]
pub struct MultiHeadAttentionOutput {
    /// `[batch, seq_q, d_model]`.
    pub context: Tensor<3>,
    /// Weights before dropout, `[batch, n_heads, seq_q, seq_kv]`, if asked for.
    pub weights: Option<Tensor<4>>,
}

impl MultiHeadAttention {
    /// Attends. A query without a key, or whose keys are all hidden, gets the bias of the output map alone.
    ///
    /// # Shapes
    /// - query: `[batch, seq_q, d_model]`, key and value: `[batch, seq_kv, d_model]`
    /// - key padding: `[batch, seq_kv]`
    /// - global mask: `[n_heads, rows, columns]`, `rows ≥ seq_q` (causal ones `≥ seq_kv` too) and `columns ≥ seq_kv`
    /// - context: `[batch, seq_q, d_model]`, weights: `[batch, n_heads, seq_q, seq_kv]`
    ///
    /// # Panics
    /// If a shape does not fit the others or the layer, the mechanism lacks an ability that is asked
    /// for, or its keys are its queries and the input is not [`AttentionInput::self_attention`].
    ///
    /// # Source
    /// Vaswani et al. 2017, section 3.2.2.
    pub fn forward(&self, input: AttentionInput) -> MultiHeadAttentionOutput {
        let [d_model, _] = self.query.weight.dims();
        let [batch, seq_q, _] = input.query.dims();
        let [_, seq_kv, _] = input.key.dims();
        assert_shape!(input.query, [_, _, d_model]);
        assert_shape!(input.key, [batch, _, d_model]);
        assert_shape!(input.value, [batch, seq_kv, d_model]);
        if let Some(padding) = &input.key_padding {
            assert_shape!(padding, [batch, seq_kv]);
        }
        if input.is_cross || (seq_q != seq_kv && !input.causal) {
            self.mechanism.must_have(Abilities {
                cross: true,
                ..Abilities::NONE
            });
        }
        assert!(
            input.is_self || self.key.is_some(),
            "the keys of this layer's attention mechanism are its queries, so that it cannot attend to another \
             sequence: give it AttentionInput::self_attention"
        );
        // Causal queries are the last positions.
        let first = match input.causal {
            true => seq_kv.saturating_sub(seq_q),
            false => 0,
        };
        let mask = (input.global_mask).map(|mask| mask.part(first..first + seq_q, 0..seq_kv));
        let keys = KeyValue {
            key: self.split(self.key_map(), input.key),
            value: self.split(&self.value, input.value),
        };
        self.attend(CachedInput {
            query: input.query,
            keys,
            causal: input.causal,
            key_padding: input.key_padding,
            global_mask: mask,
            return_weights: input.return_weights,
        })
    }

    /// The keys and values of positions, to attend to again and again.
    ///
    /// # Shapes
    /// - input: `[batch, seq, d_model]`; keys and values: `[batch, n_heads, seq, d_head]`
    pub(crate) fn keys(&self, input: Tensor<3>) -> KeyValue {
        KeyValue {
            key: self.split(self.key_map(), input.clone()),
            value: self.split(&self.value, input),
        }
    }

    /// [`MultiHeadAttention::forward`] to keys and values that were computed before.
    ///
    /// # Shapes
    /// As [`CachedInput`] has them; context: `[batch, seq_q, d_model]`.
    pub(crate) fn attend(&self, input: CachedInput) -> MultiHeadAttentionOutput {
        let device = input.query.device();
        // Rows of all heads are scaled where they lie; a head's are a view, of which a product would be made element by element.
        let is_scaled = match &self.mechanism {
            Mechanism::DotProduct(_) => self.key.is_some(),
            Mechanism::Favor(_)
            | Mechanism::Rfa(_)
            | Mechanism::Linformer(_)
            | Mechanism::Nystrom(_)
            | Mechanism::Lsh(_) => false,
        };
        let options = AttentionOptions {
            causal: input.causal,
            key_padding: input.key_padding,
            return_weights: input.return_weights,
            scale: is_scaled.then_some(1.0),
            ..self.options(input.return_weights, &device)
        };
        let surroundings = Surroundings {
            global: input.global_mask,
            source: Some(input.query.clone()),
            ..Surroundings::default()
        };
        let KeyValue { key, value } = input.keys;
        let query = match &self.key {
            Some(_) => {
                let [batch, seq_q, d_model] = input.query.dims();
                let rows = reshaped(input.query, [batch * seq_q, d_model]);
                let rows = linear(&self.query, rows);
                self.split_rows(
                    match is_scaled {
                        true => rows.mul_scalar(1.0 / (self.d_head as f64).sqrt()),
                        false => rows,
                    },
                    [batch, seq_q],
                )
            }
            // They are there already: the queries are the last keys.
            None => {
                let seq_q = input.query.dims()[1];
                let [batch, n_heads, seq_kv, d_head] = key.dims();
                let last = [0..batch, 0..n_heads, seq_kv - seq_q..seq_kv, 0..d_head];
                key.clone().slice(last)
            }
        };
        let attended = (self.mechanism).attend_in(query, key, value, options, surroundings);
        self.joined(attended)
    }

    /// One token of each hypothesis attends to those before it and to itself; gives what the next one needs.
    ///
    /// # Shapes
    /// - input, context: `[batch, 1, d_model]`
    /// - global mask: `[n_heads, 1, tokens so far]`
    pub(crate) fn attend_next(
        &self,
        input: Tensor<3>,
        past: Option<Cache>,
        global_mask: Option<LayerMask>,
    ) -> (MultiHeadAttentionOutput, Cache) {
        let new = self.keys(input.clone());
        let (earlier, before) = match past {
            Some(Cache::Keys(keys, rows)) => (Some((keys, rows)), None),
            Some(Cache::State(state)) => (None, Some(state)),
            Some(Cache::Pages(_)) => panic!("keys in pages are attended to by pages"),
            None => (None, None),
        };
        if !self.mechanism.carries_state() {
            let keys = match earlier {
                Some((keys, rows)) => keys.append(rows, new),
                None => new,
            };
            let output = self.attend(CachedInput {
                query: input,
                keys: keys.clone(),
                causal: false,
                key_padding: None,
                global_mask,
                return_weights: false,
            });
            return (output, Cache::Keys(keys, None));
        }
        let device = input.device();
        let mut options = self.options(false, &device).causal();
        let [_, seq, _] = input.dims();
        let abilities = self.mechanism.abilities();
        let hidden = global_mask.into();
        hide(&mut options, hidden, abilities, &device, [seq, seq]);
        let query = self.split(&self.query, input);
        let continued = (self.mechanism).attend_from(query, new.key, new.value, before, options);
        (self.joined(continued.output), Cache::State(continued.state))
    }

    /// [`Self::attend_next`] to some pages of the keys; what was read for each row of the batch.
    pub(crate) fn attend_next_by_pages(
        &self,
        input: Tensor<3>,
        past: Option<Cache>,
        global_mask: Option<LayerMask>,
        by: (Paging, &[f64]),
    ) -> (MultiHeadAttentionOutput, Cache, Vec<PageReport>) {
        let mut pages = match past {
            Some(Cache::Pages(pages)) => pages,
            None => PagedCache::new(input.dims()[0], self.n_heads, self.d_head),
            Some(Cache::Keys(..) | Cache::State(_)) => panic!("these keys are in no pages"),
        };
        pages.append(self.keys(input.clone()), None);
        let (output, reports) = self.attend_by_pages(input, &pages, global_mask, by, false);
        (output, Cache::Pages(pages), reports)
    }

    /// Attends to some pages of keys; what was read for each row of the batch.
    ///
    /// # Shapes
    /// - input, context: `[batch, seq_q, d_model]`; global mask: `[n_heads, seq_q, seq_kv]`; α: `[n_heads]`
    pub(crate) fn attend_by_pages(
        &self,
        input: Tensor<3>,
        pages: &PagedCache,
        global_mask: Option<LayerMask>,
        (paging, alpha): (Paging, &[f64]),
        return_weights: bool,
    ) -> (MultiHeadAttentionOutput, Vec<PageReport>) {
        let (attended, reports) = pages.attend(PagedInput {
            query: self.split(&self.query, input),
            global_mask,
            alpha,
            paging,
            return_weights,
        });
        (self.joined(attended), reports)
    }

    /// Keys and values in pages, `[batch, n_heads, seq, d_head]`, of which padding, `[batch, seq]`, is not seen.
    pub(crate) fn pages(&self, keys: KeyValue, padding: Option<&Tensor<2, Bool>>) -> PagedCache {
        let [batch, n_heads, _, d_head] = keys.key.dims();
        let mut pages = PagedCache::new(batch, n_heads, d_head);
        pages.append(keys, padding);
        pages
    }

    /// The α of each head, where keys can be selected by pages.
    pub(crate) fn sparse_alpha(&self) -> Option<Vec<f64>> {
        let device = self.query.weight.val().device();
        self.mechanism.sparse_alpha(&device)
    }

    /// What every call asks for.
    fn options(&self, return_weights: bool, device: &Device) -> AttentionOptions {
        AttentionOptions {
            dropout: rate_now(&self.dropout, device),
            implementation: match return_weights {
                true => Implementation::Reference,
                false => self.implementation,
            },
            ..AttentionOptions::default()
        }
    }

    /// The output map of the heads' contexts together.
    fn joined(&self, attended: AttentionOutput) -> MultiHeadAttentionOutput {
        let [batch, _, seq_q, _] = attended.context.dims();
        let rows = attended.context.swap_dims(1, 2);
        let rows = reshaped(rows, [batch * seq_q, self.n_heads * self.d_head]);
        let context = linear(&self.output, rows);
        let d_model = context.dims()[1];
        MultiHeadAttentionOutput {
            context: reshaped(context, [batch, seq_q, d_model]),
            weights: attended.weights,
        }
    }

    /// What makes keys: the query map where they are the queries.
    fn key_map(&self) -> &Linear {
        self.key.as_ref().unwrap_or(&self.query)
    }

    /// Number of heads.
    pub fn n_heads(&self) -> usize {
        self.n_heads
    }

    /// The α of each head, `[n_heads]`: learned, fixed, 1 for softmax or 2 for sparsemax. None for a
    /// mechanism without a row normaliser of the α-entmax family.
    ///
    /// # Shapes
    /// - output: `[n_heads]`
    pub fn alpha(&self) -> Option<Tensor<1>> {
        let device = self.query.weight.val().device();
        let normalizer = self.mechanism.normalizer()?;
        normalizer.alpha(&device)
    }

    /// `[batch, seq, d_model]` mapped to `[batch, n_heads, seq, d_head]`. Flat rows make one large
    /// matrix product of the map.
    fn split(&self, map: &Linear, input: Tensor<3>) -> Tensor<4> {
        let [batch, seq, d_model] = input.dims();
        let rows = reshaped(input, [batch * seq, d_model]);
        self.split_rows(linear(map, rows), [batch, seq])
    }

    /// `[batch · seq, n_heads · d_head]` as `[batch, n_heads, seq, d_head]`, without a copy.
    fn split_rows(&self, rows: Tensor<2>, [batch, seq]: [usize; 2]) -> Tensor<4> {
        reshaped(rows, [batch, seq, self.n_heads, self.d_head]).swap_dims(1, 2)
    }
}
