//! Causal linear attention in chunks: matrix products inside a chunk, the state from one to the next.

use burn::tensor::{Bool, Tensor};

use super::{Keys, states};
use crate::primitive::HIDDEN;

/// What [`super::reference::causal`] gives. With `c_i = Σ_{l ≤ i} log g_l` inside a chunk and S₀ the state
/// before it, the sums are `Σ_{j ≤ i} (φq_i·φk_j) e^{c_i − c_j} v_j + e^{c_i} φq_iᵀ S₀`, and the state after it
/// is `e^{c_C} S₀ + Σ_j e^{c_C − c_j} φk_j v_jᵀ`: no exponent is positive.
///
/// # Shapes
/// As there.
pub(super) fn causal(
    phi_query: Tensor<4>,
    keys: Keys,
    state: Tensor<4>,
    chunk: usize,
) -> (Tensor<4>, Tensor<4>) {
    let [batch, n_heads, n, n_features] = phi_query.dims();
    let [.., width] = keys.values.dims();
    let device = phi_query.device();
    let size = chunk.min(n);
    let n_chunks = n.div_ceil(size);
    let rows = batch * n_heads;
    let fold = |tensor: Tensor<4>| {
        let last = tensor.dims()[3];
        extended(tensor, n_chunks * size).reshape([rows, n_chunks, size, last])
    };
    let (query, key, values) = (fold(phi_query), fold(keys.phi), fold(keys.values));
    let square = [rows, n_chunks, size, size];
    let later = Tensor::<2, Bool>::tril_mask([size, size], 0, &device)
        .reshape([1, 1, size, size])
        .expand(square);

    let scores = query.clone().matmul(key.clone().swap_dims(2, 3));
    let (scores, reading, adding, log_left) = match keys.log_gate {
        None => (scores.mask_fill(later, 0.0), query, key, None),
        Some(gate) => {
            let so_far = fold(gate.unsqueeze_dim(3)).cumsum(2);
            let all = (so_far.clone()).slice([0..rows, 0..n_chunks, size - 1..size]);
            let between = so_far.clone() - so_far.clone().swap_dims(2, 3);
            let between = between.mask_fill(later, HIDDEN).exp();
            let adding = key * (all.clone() - so_far.clone()).exp();
            (
                scores * between,
                query * so_far.exp(),
                adding,
                Some(all.reshape([rows, n_chunks])),
            )
        }
    };
    let inside = scores.matmul(values.clone());
    let added = adding.swap_dims(2, 3).matmul(values);

    let states = states::of_chunks(
        state.reshape([rows, 1, n_features * width]),
        added.reshape([rows, n_chunks, n_features * width]),
        log_left,
    );
    let before = (states.clone())
        .slice([0..rows, 0..n_chunks])
        .reshape([rows, n_chunks, n_features, width]);
    let state = states.slice([0..rows, n_chunks..n_chunks + 1]);
    let sums = inside + reading.matmul(before);
    let sums = sums.reshape([batch, n_heads, n_chunks * size, width]);
    let state = state.reshape([batch, n_heads, n_features, width]);
    (sums.slice([0..batch, 0..n_heads, 0..n]), state)
}

/// Rows of zeros behind, up to `n`: keys that add nothing and leave the state as it is.
fn extended(tensor: Tensor<4>, n: usize) -> Tensor<4> {
    let [batch, n_heads, rows, width] = tensor.dims();
    if rows == n {
        return tensor;
    }
    let shape = [batch, n_heads, n - rows, width];
    let zeros = Tensor::zeros(shape, (&tensor.device(), tensor.dtype()));
    Tensor::cat(vec![tensor, zeros], 2)
}
