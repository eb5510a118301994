//! Causal linear attention as it is defined, one key after the other.

use burn::tensor::Tensor;

use super::Keys;

/// `S_i = g_i S_{i−1} + φk_i v_iᵀ`, read by `φq_iᵀ S_i`.
///
/// # Shapes
/// - φq: `[batch, n_heads, n, n_features]`, keys: as many
/// - state: `[batch, n_heads, n_features, width]`; sums: `[batch, n_heads, n, width]`
pub(super) fn causal(
    phi_query: Tensor<4>,
    keys: Keys,
    mut state: Tensor<4>,
) -> (Tensor<4>, Tensor<4>) {
    let [batch, n_heads, n, _] = phi_query.dims();
    let row = |tensor: &Tensor<4>, i: usize| {
        let rows = [0..batch, 0..n_heads, i..i + 1];
        tensor.clone().slice(rows)
    };
    let mut sums = Vec::with_capacity(n);
    for i in 0..n {
        if let Some(gate) = &keys.log_gate {
            let gate = gate.clone().slice([0..batch, 0..n_heads, i..i + 1]);
            state = state * gate.exp().unsqueeze_dim(3);
        }
        state = state
            + row(&keys.phi, i)
                .swap_dims(2, 3)
                .matmul(row(&keys.values, i));
        sums.push(row(&phi_query, i).matmul(state.clone()));
    }
    (Tensor::cat(sums, 2), state)
}
