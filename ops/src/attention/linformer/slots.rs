//! The causal form: a memory of k slots, which each key and value is written to by its column of E and F.

use burn::tensor::{Bool, DType, Device, Int, Tensor};

use super::Projections;
use crate::attention::error::{AttentionError, expect};
use crate::attention::linear::{Keys, Order};
use crate::attention::{Implementation, calls, wide, without_hidden};
use crate::softmax;

/// Options of [`slot_attention`].
#[derive(Clone, Debug)]
pub struct SlotOptions {
    /// Hide keys after the query, aligned bottom right.
    pub causal: bool,
    /// Padding keys, `[batch, seq_kv]`, `true` = hidden.
    pub key_padding: Option<Tensor<2, Bool>>,
    /// Multiplies queries times slots; `1/√d_head` unless given.
    pub scale: Option<f64>,
    /// The slots after what was read before.
    pub state: Option<SlotState>,
    /// Keys of a chunk, within which the products of queries and keys are held.
    pub chunk: usize,
    /// `reference` reads key after key.
    pub implementation: Implementation,
}

impl Default for SlotOptions {
    fn default() -> Self {
        Self {
            causal: false,
            key_padding: None,
            scale: None,
            state: None,
            chunk: 64,
            implementation: Implementation::Auto,
        }
    }
}

/// What the slots hold: all that later queries need of the keys that were read.
#[derive(Clone, Debug)]
pub struct SlotState {
    /// K̄, `[batch, n_heads, k, d_head]`.
    pub keys: Tensor<4>,
    /// V̄, `[batch, n_heads, k, d_value]`.
    pub values: Tensor<4>,
    /// The column that the next key is written by, `[batch]`.
    pub position: Tensor<1, Int>,
}

impl SlotState {
    /// The rows of the batch at `index`, in that order: a beam's hypotheses.
    pub fn select(self, index: Tensor<1, Int>) -> Self {
        Self {
            keys: self.keys.select(0, index.clone()),
            values: self.values.select(0, index.clone()),
            position: self.position.select(0, index),
        }
    }
}

/// What [`slot_attention`] gives.
#[derive(Clone, Debug)]
pub struct SlotOutput {
    /// `[batch, n_heads, seq_q, d_value]`.
    pub context: Tensor<4>,
    /// The slots after the last key.
    pub state: SlotState,
    /// How it was computed: `Reference` key after key, `Fused` in chunks.
    pub implementation: Implementation,
}

/// `context_i = softmax(scale·q_i K̄_iᵀ) V̄_i` with `K̄_i = Σ_{j ≤ i} E_{:,p(j)} k_jᵀ` and
/// `V̄_i = Σ_{j ≤ i} F_{:,p(j)} v_jᵀ` under a causal mask, and those after the last key for every query without one,
/// which is [`super::linformer_attention`]. `p(j)` is the position of a key, from the first that was ever read,
/// modulo the number of columns. With the first column the slots start anew, so that they never hold two keys by one column:
/// sums that went on for ever would drown the last keys of a long text.
///
/// A hidden key adds nothing, but has a position. A query that reads empty slots gets a zero context and no
/// gradient. Causal queries are aligned with the last keys, and the state that comes back goes on where this
/// call ended.
///
/// Both products are sums over keys as those of linear attention: `q_i K̄_iᵀ = Σ_{j ≤ i} (q_i·k_j) E_{:,p(j)}`, and with
/// the weights w_i of the slots `w_i V̄_i = Σ_{j ≤ i} (w_i·F_{:,p(j)}) v_j`. So no position has slots of its own: time
/// grows with `seq_q·k·(d_head + d_value)`, and one state per chunk is held. Half types are computed in f32.
///
/// # Shapes
/// - query: `[batch, n_heads, seq_q, d_head]`
/// - key: `[batch, n_heads, seq_kv, d_head]`, value: `[batch, n_heads, seq_kv, d_value]`
/// - context: `[batch, n_heads, seq_q, d_value]`
///
/// # Errors
/// A shape that does not fit the others, named with what was expected; chunks of no key; projections without a column.
///
/// # Source
/// Peng et al. 2022, "ABC: Attention with Bounded-memory Control" (arXiv 2110.02488), which has Linformer as the
/// memory whose control depends on the position alone. That the slots start anew is ours.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use sparta_ops::attention::linformer::{Projections, SlotOptions, slot_attention};
/// let device = Device::flex();
/// let x = Tensor::<4>::random([1, 2, 9, 4], Distribution::Default, &device);
/// let drawn = || Tensor::<3>::random([1, 3, 5], Distribution::Normal(0.0, 0.6), &device);
/// let projections = Projections { key: drawn(), value: drawn() };
/// let options = |state| SlotOptions { causal: true, state, ..SlotOptions::default() };
/// let attend = |rows: std::ops::Range<usize>, state| {
///     let part = || x.clone().slice([0..1, 0..2, rows.clone()]);
///     slot_attention(part(), part(), part(), &projections, options(state)).unwrap()
/// };
/// let all = attend(0..9, None);
/// // The same in two parts.
/// let first = attend(0..6, None);
/// let rest = attend(6..9, Some(first.state));
/// let parts = Tensor::cat(vec![first.context, rest.context], 2);
/// assert!((parts - all.context).abs().max().into_scalar::<f32>() < 1e-6);
/// ```
pub fn slot_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    projections: &Projections,
    options: SlotOptions,
) -> Result<SlotOutput, AttentionError> {
    options.check(query.dims(), key.dims(), value.dims(), projections)?;
    let [batch, n_heads, n_keys, d_head] = key.dims();
    let (k, d_value) = (projections.rank(), value.dims()[3]);
    let dtype = query.dtype();
    let wide = wide(dtype);
    let device = query.device();
    let scale = options.scale.unwrap_or((d_head as f64).powf(-0.5));
    let order = Order {
        causal: options.causal,
        chunk: options.chunk,
        implementation: match options.implementation {
            Implementation::Reference => Implementation::Reference,
            Implementation::Auto | Implementation::Fused => Implementation::Fused,
        },
    };
    let padding = options.key_padding;
    let keys = without_hidden(key.cast(wide), padding.as_ref());
    let values = without_hidden(value.cast(wide), padding.as_ref());
    let position = options.state.as_ref().map(|state| state.position.clone());
    let is_empty = [batch, n_heads, n_keys].contains(&0);
    let place = Places::of(
        if is_empty { 0 } else { n_keys },
        projections.n_positions(),
        position.as_ref(),
        &device,
    );
    let columns = |projection: &Tensor<3>| {
        if is_empty {
            return Tensor::zeros([batch, n_heads, n_keys, k], (&device, wide));
        }
        let columns = place.columns(projection.clone().cast(wide));
        columns.expand([batch, n_heads, n_keys, k])
    };
    let log_gate = || {
        let gate = place.log_gate(wide)?;
        Some(gate.expand([batch, n_heads, n_keys]))
    };
    let (slot_keys, slot_values) = match options.state {
        Some(state) => (state.keys.cast(wide), state.values.cast(wide)),
        None => {
            let none = |width| Tensor::zeros([batch, n_heads, k, width], (&device, wide));
            (none(d_head), none(d_value))
        }
    };

    let writing = Keys {
        phi: keys,
        values: columns(&projections.key),
        log_gate: log_gate(),
    };
    let query = query.cast(wide).mul_scalar(scale);
    let (scores, slot_keys) = writing.read_by(query, slot_keys.swap_dims(2, 3), order);
    let writing = Keys {
        phi: columns(&projections.value),
        values,
        log_gate: log_gate(),
    };
    let (context, slot_values) = writing.read_by(softmax(scores, 3), slot_values, order);
    calls::count(order.implementation);
    let start = position.unwrap_or_else(|| Tensor::zeros([batch], &device));
    let next = (start.add_scalar(n_keys as i64)).remainder_scalar(projections.n_positions() as i64);
    Ok(SlotOutput {
        context: context.cast(dtype),
        state: SlotState {
            keys: slot_keys.swap_dims(2, 3),
            values: slot_values,
            position: next,
        },
        implementation: order.implementation,
    })
}

impl SlotOptions {
    fn check(
        &self,
        query: [usize; 4],
        key: [usize; 4],
        value: [usize; 4],
        projections: &Projections,
    ) -> Result<(), AttentionError> {
        let [batch, n_heads, _, d_head] = query;
        let (seq_kv, d_value) = (key[2], value[3]);
        if d_head == 0 {
            return Err(AttentionError::NoWidth(query.to_vec()));
        }
        expect("key", &key, &[batch, n_heads, seq_kv, d_head])?;
        expect("value", &value, &[batch, n_heads, seq_kv, d_value])?;
        projections.check(n_heads)?;
        if let Some(mask) = &self.key_padding {
            expect("key_padding", &mask.dims(), &[batch, seq_kv])?;
        }
        let k = projections.rank();
        if let Some(state) = &self.state {
            let shape = [batch, n_heads, k];
            expect(
                "state.keys",
                &state.keys.dims(),
                &[&shape[..], &[d_head]].concat(),
            )?;
            expect(
                "state.values",
                &state.values.dims(),
                &[&shape[..], &[d_value]].concat(),
            )?;
            expect("state.position", &state.position.dims(), &[batch])?;
        }
        match (self.chunk, projections.n_positions()) {
            (0, _) => Err(AttentionError::NoChunk),
            (_, 0) => Err(AttentionError::Positions {
                n_keys: seq_kv,
                n_positions: 0,
            }),
            (_, _) => Ok(()),
        }
    }
}

/// What is left of the slots when they start anew, as a logarithm: e^−10000 is 0 in every type.
const NOTHING: f64 = -1e4;

/// The positions of n keys.
struct Places {
    n: usize,
    /// `[batch or 1, n]`, less than n_positions each; none for the first n.
    wrapped: Option<Tensor<2, Int>>,
}

impl Places {
    /// From `position` on, or from the first.
    fn of(n: usize, n_positions: usize, from: Option<&Tensor<1, Int>>, device: &Device) -> Self {
        if n == 0 {
            return Self { n, wrapped: None };
        }
        let place: Tensor<2, Int> = Tensor::<1, Int>::arange(0..n as i64, device).unsqueeze_dim(0);
        let place = match from {
            None if n <= n_positions => return Self { n, wrapped: None },
            None => place,
            Some(position) => {
                let [batch] = position.dims();
                let start: Tensor<2, Int> = position.clone().unsqueeze_dim(1);
                place.expand([batch, n]) + start.expand([batch, n])
            }
        };
        Self {
            n,
            wrapped: Some(place.remainder_scalar(n_positions as i64)),
        }
    }

    /// The columns of a projection, `[batch or 1, n_heads or 1, n, k]`.
    fn columns(&self, projection: Tensor<3>) -> Tensor<4> {
        let [heads, k, _] = projection.dims();
        match &self.wrapped {
            None => {
                let first = projection.slice([0..heads, 0..k, 0..self.n]);
                first.swap_dims(1, 2).unsqueeze_dim(0)
            }
            Some(place) => {
                let [batch, n] = place.dims();
                projection
                    .select(2, place.clone().reshape([batch * n]))
                    .reshape([heads, k, batch, n])
                    .permute([2, 0, 3, 1])
            }
        }
    }

    /// The logarithm of what is left of the slots before each key, `[batch or 1, 1, n]`; none where they go on.
    fn log_gate(&self, dtype: DType) -> Option<Tensor<3>> {
        let is_first = self.wrapped.clone()?.equal_elem(0);
        let gate = is_first.float().cast(dtype).mul_scalar(NOTHING);
        Some(gate.unsqueeze_dim(1))
    }
}
