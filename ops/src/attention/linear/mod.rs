//! Linear attention: a query reads sums over the keys instead of every key.
//!
//! With features φ of queries and keys, `Σ_j (φq_i·φk_j) v_j = φq_iᵀ Σ_j φk_j v_jᵀ`: the sums are a state of
//! constant size, so that time grows with the keys instead of with queries × keys. [`features`] has the
//! feature maps of the kernels that stand in for softmax.

mod chunked;
pub mod features;
mod options;
mod reference;
mod states;

use burn::tensor::Tensor;

pub use options::{LinearOptions, LinearOutput, LinearState};

use super::calls;
use super::error::AttentionError;
use super::implementation::Implementation;

/// `context_i = φq_iᵀ S_i / (φq_i·z_i)` with `S_i = g_i S_{i−1} + φk_i v_iᵀ` and `z_i = g_i z_{i−1} + φk_i` under a
/// causal mask, and those after the last key for every query without one. The gate g is 1 unless
/// given; a gate's factor on what is added, such as `1 − g_i`, belongs into φk.
///
/// A key that is hidden adds nothing, and its gate is 1. A query that reads an empty state gets a zero
/// context and no gradient. Causal queries are aligned with the last keys. What a state was made of may be
/// given in parts: the state that comes back goes on where this call ended.
///
/// `reference` reads one key after the other; `auto` and `fused` read chunks of
/// [`LinearOptions::chunk`] keys, within which the scores `φq_i·φk_j` are held. Half types are computed in f32.
///
/// # Shapes
/// - φq: `[batch, n_heads, seq_q, n_features]`, φk: `[batch, n_heads, seq_kv, n_features]`
/// - value: `[batch, n_heads, seq_kv, d_value]`
/// - context: `[batch, n_heads, seq_q, d_value]`
///
/// # Errors
/// A shape that does not fit the others, named with what was expected; chunks of no key.
///
/// # Source
/// Katharopoulos et al. 2020, "Transformers are RNNs", section 3; the gate of Peng et al. 2021, "Random
/// Feature Attention", section 3.2.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use sparta_ops::attention::linear::{LinearOptions, linear_attention};
/// let device = Device::flex();
/// let x = Tensor::<4>::random([1, 2, 9, 4], Distribution::Uniform(0.1, 1.0), &device);
/// let all = linear_attention(x.clone(), x.clone(), x.clone(), LinearOptions::default().causal()).unwrap();
/// // The same in two parts.
/// let part = |rows| x.clone().slice([0..1, 0..2, rows]);
/// let first = LinearOptions::default().causal();
/// let first = linear_attention(part(0..5), part(0..5), part(0..5), first).unwrap();
/// let rest = LinearOptions::default().causal().state(first.state);
/// let rest = linear_attention(part(5..9), part(5..9), part(5..9), rest).unwrap();
/// let parts = Tensor::cat(vec![first.context, rest.context], 2);
/// assert!((parts - all.context).abs().max().into_scalar::<f32>() < 1e-6);
/// ```
pub fn linear_attention(
    phi_query: Tensor<4>,
    phi_key: Tensor<4>,
    value: Tensor<4>,
    options: LinearOptions,
) -> Result<LinearOutput, AttentionError> {
    options.check(phi_query.dims(), phi_key.dims(), value.dims())?;
    let dtype = value.dtype();
    let wide = super::wide(dtype);
    let LinearOptions {
        causal,
        key_padding,
        log_gate,
        state,
        floor,
        chunk,
        implementation,
    } = options;
    let phi_query = phi_query.cast(wide);
    let phi_key = super::without_hidden(phi_key.cast(wide), key_padding.as_ref());
    let mut log_gate = log_gate.map(|gate| gate.cast(wide));
    if let (Some(padding), Some(gate)) = (key_padding, &mut log_gate) {
        let shape @ [batch, _, seq_kv] = gate.dims();
        if !shape.contains(&0) {
            let hidden = padding.reshape([batch, 1, seq_kv]).expand(shape);
            *gate = gate.clone().mask_fill(hidden, 0.0);
        }
    }
    // z is what S is of values that are all 1.
    let [batch, n_heads, seq_kv, _] = value.dims();
    let ones = Tensor::ones([batch, n_heads, seq_kv, 1], (&value.device(), wide));
    let values = Tensor::cat(vec![value.cast(wide), ones], 3);
    let state = match state {
        Some(state) => state.joined().cast(wide),
        None => {
            let shape = [batch, n_heads, phi_key.dims()[3], values.dims()[3]];
            Tensor::zeros(shape, (&values.device(), wide))
        }
    };
    let implementation = match implementation {
        Implementation::Reference => Implementation::Reference,
        Implementation::Auto | Implementation::Fused => Implementation::Fused,
    };
    let keys = Keys {
        phi: phi_key,
        values,
        log_gate,
    };
    let order = Order {
        causal,
        chunk,
        implementation,
    };
    let (sums, state) = keys.read_by(phi_query, state, order);
    calls::count(implementation);
    Ok(LinearOutput {
        context: divided(sums, floor).cast(dtype),
        state: LinearState::of_joined(state),
        implementation,
    })
}

/// Keys as sums need them: features and values, both `[batch, n_heads, seq_kv, …]`, and log g,
/// `[batch, n_heads, seq_kv]`.
pub(super) struct Keys {
    pub(super) phi: Tensor<4>,
    pub(super) values: Tensor<4>,
    pub(super) log_gate: Option<Tensor<3>>,
}

/// In which order keys are read.
#[derive(Clone, Copy)]
pub(super) struct Order {
    /// Each query sees the keys up to its own.
    pub(super) causal: bool,
    /// Keys of a chunk.
    pub(super) chunk: usize,
    /// `Reference` reads one key after the other.
    pub(super) implementation: Implementation,
}

impl Keys {
    /// `φq_iᵀ S_i`, and the state S after the last key.
    ///
    /// # Shapes
    /// - φq: `[batch, n_heads, seq_q, n_features]`, state: `[batch, n_heads, n_features, width]`
    /// - sums: `[batch, n_heads, seq_q, width]`
    pub(super) fn read_by(
        self,
        phi_query: Tensor<4>,
        state: Tensor<4>,
        order: Order,
    ) -> (Tensor<4>, Tensor<4>) {
        let [batch, n_heads, seq_q, _] = phi_query.dims();
        match (order.causal, order.implementation) {
            // There is nobody to read or be read.
            (_, _) if [batch, n_heads].contains(&0) => {
                let width = self.values.dims()[3];
                let none = [batch, n_heads, seq_q, width];
                let none = Tensor::zeros(none, (&state.device(), state.dtype()));
                (none, state)
            }
            // No query reads, all keys are read.
            (_, _) if seq_q == 0 => {
                let width = self.values.dims()[3];
                let none = [batch, n_heads, 0, width];
                let none = Tensor::zeros(none, (&state.device(), state.dtype()));
                (none, self.into_state(state))
            }
            (false, _) => {
                let state = self.into_state(state);
                (phi_query.matmul(state.clone()), state)
            }
            (true, Implementation::Reference) => {
                let (keys, state) = self.aligned(seq_q, state);
                reference::causal(phi_query, keys, state)
            }
            (true, Implementation::Auto | Implementation::Fused) => {
                let (keys, state) = self.aligned(seq_q, state);
                chunked::causal(phi_query, keys, state, order.chunk)
            }
        }
    }

    /// As many keys as queries: those before the first query go into the state, and keys that add nothing
    /// stand where queries have none.
    fn aligned(self, seq_q: usize, state: Tensor<4>) -> (Self, Tensor<4>) {
        let [batch, n_heads, seq_kv, n_features] = self.phi.dims();
        let earlier = seq_kv.saturating_sub(seq_q);
        if earlier > 0 {
            let (before, now) = self.split(earlier);
            return (now, before.into_state(state));
        }
        let missing = seq_q - seq_kv;
        if missing == 0 {
            return (self, state);
        }
        let device = self.phi.device();
        let dtype = self.phi.dtype();
        let d_value = self.values.dims()[3];
        let none = |width| Tensor::zeros([batch, n_heads, missing, width], (&device, dtype));
        let keys = Self {
            phi: Tensor::cat(vec![none(n_features), self.phi], 2),
            values: Tensor::cat(vec![none(d_value), self.values], 2),
            log_gate: (self.log_gate).map(|gate| {
                let open = Tensor::zeros([batch, n_heads, missing], (&device, dtype));
                Tensor::cat(vec![open, gate], 2)
            }),
        };
        (keys, state)
    }

    /// The state after these keys: of each is left what the gates behind it leave.
    fn into_state(self, state: Tensor<4>) -> Tensor<4> {
        let [batch, n_heads, n, _] = self.phi.dims();
        if n == 0 {
            return state;
        }
        let (phi, state) = match self.log_gate {
            None => (self.phi, state),
            Some(gate) => {
                let so_far = gate.cumsum(2).unsqueeze_dim::<4>(3);
                let all = (so_far.clone()).slice([0..batch, 0..n_heads, n - 1..n]);
                let behind = (all.clone() - so_far).exp();
                (self.phi * behind, state * all.exp())
            }
        };
        state + phi.swap_dims(2, 3).matmul(self.values)
    }

    /// The first `n` keys, and the others.
    fn split(self, n: usize) -> (Self, Self) {
        let [batch, n_heads, seq_kv, _] = self.phi.dims();
        let part = |rows: std::ops::Range<usize>| Self {
            phi: self.phi.clone().slice([0..batch, 0..n_heads, rows.clone()]),
            values: (self.values.clone()).slice([0..batch, 0..n_heads, rows.clone()]),
            log_gate: (self.log_gate.clone())
                .map(|gate| gate.slice([0..batch, 0..n_heads, rows.clone()])),
        };
        (part(0..n), part(n..seq_kv))
    }
}

/// The sums of values over those of ones, the last column. A sum of ones below `floor` becomes `floor`, without
/// gradient: what it estimates is positive.
fn divided(sums: Tensor<4>, floor: f64) -> Tensor<4> {
    let [batch, n_heads, seq_q, width] = sums.dims();
    let rows = [0..batch, 0..n_heads, 0..seq_q];
    let [a, b, c] = rows;
    let above = sums
        .clone()
        .slice([a.clone(), b.clone(), c.clone(), 0..width - 1]);
    let below = sums.slice([a, b, c, width - 1..width]);
    let is_small = below.clone().lower_elem(floor);
    above / below.mask_fill(is_small, floor)
}
