//! Calls in which nobody reads, or nothing: of no example, no query or no key.

use burn::prelude::*;
use sparta_ops::attention::{AttentionOptions, AttentionOutput, Implementation, sparse_attention};

use super::{Continued, Mechanism, MechanismState};

/// Whether a call has no pair of a query and a key.
pub(super) fn has_no_cell(query: &Tensor<4>, key: &Tensor<4>) -> bool {
    let [batch, _, seq_q, _] = query.dims();
    batch * seq_q * key.dims()[2] == 0
}

/// What a call without a pair gives by any mechanism: zeros, with zero gradients in the queries.
///
/// # Shapes
/// As [`Mechanism::attend`].
///
/// # Panics
/// If a shape does not fit the others.
pub(super) fn of_no_cell(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    return_weights: bool,
) -> AttentionOutput {
    let options = AttentionOptions {
        return_weights,
        implementation: Implementation::Reference,
        ..AttentionOptions::default()
    };
    sparse_attention(query, key, value, options)
}

/// What makes features of rows, of which there may be none: not every backend has products of nothing.
///
/// # Shapes
/// - rows: `[batch, n_heads, n, d_head]`, output: `[batch, n_heads, n, n_features]`
pub(super) fn mapped(
    rows: Tensor<4>,
    n_features: usize,
    map: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let [batch, n_heads, n, _] = rows.dims();
    match n {
        0 => {
            let shape = [batch, n_heads, 0, n_features];
            Tensor::zeros(shape, (&rows.device(), rows.dtype()))
        }
        _ => map(rows),
    }
}

impl Mechanism {
    /// [`Self::attend_from`] of a batch of no example. Its state is that of one example, of which nothing is taken.
    pub(super) fn of_no_example(
        &self,
        [query, key, value]: [Tensor<4>; 3],
        state: Option<MechanismState>,
        causal: bool,
    ) -> Continued {
        let device = query.device();
        let state = state.unwrap_or_else(|| {
            let one = [&query, &key, &value].map(|rows| {
                let [_, n_heads, n, width] = rows.dims();
                Tensor::zeros([1, n_heads, n, width], (&device, rows.dtype()))
            });
            let options = AttentionOptions {
                causal,
                ..AttentionOptions::default()
            };
            let of_one = self.go_on(one, None, options).state;
            of_one.select(Tensor::zeros([0], &device))
        });
        Continued {
            output: of_no_cell(query, key, value, false),
            state,
        }
    }
}
