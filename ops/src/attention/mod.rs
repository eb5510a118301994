//! Scaled dot-product attention with sparse weights and any combination of masks.

mod options;
mod reference;

use burn::tensor::Tensor;

pub use options::{AttentionError, AttentionOptions, AttentionOutput, Normalizer};

/// `context = normaliser(scale·query·keyᵀ + bias, masks)·value`.
///
/// # Shapes
/// - query: `[batch, n_heads, seq_q, d_head]`
/// - key: `[batch, n_heads, seq_kv, d_head]`, value: `[batch, n_heads, seq_kv, d_value]`
/// - context: `[batch, n_heads, seq_q, d_value]`
/// - weights, if asked for: `[batch, n_heads, seq_q, seq_kv]`
///
/// Masks are `true` where a key is hidden. A query whose keys are all hidden gets a zero context and
/// zero gradients. Causal masks are aligned bottom right: the last query sees every key.
///
/// # Panics
/// With the message of [`try_sparse_attention`]'s error.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use sparta_ops::attention::{AttentionOptions, Normalizer, sparse_attention};
/// let device = Device::flex();
/// let x = Tensor::<4>::random([2, 4, 7, 8], Distribution::Default, &device);
/// let options = AttentionOptions::new(Normalizer::Entmax15).causal();
/// let output = sparse_attention(x.clone(), x.clone(), x, options);
/// assert_eq!(output.context.dims(), [2, 4, 7, 8]);
/// ```
pub fn sparse_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: AttentionOptions,
) -> AttentionOutput {
    try_sparse_attention(query, key, value, options)
        .unwrap_or_else(|error| panic!("sparse_attention: {error}"))
}

/// [`sparse_attention`] that reports bad arguments.
///
/// # Errors
/// A shape that does not fit the query's, named with what was expected.
pub fn try_sparse_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: AttentionOptions,
) -> Result<AttentionOutput, AttentionError> {
    options.check(query.dims(), key.dims(), value.dims())?;
    Ok(reference::attend(query, key, value, options))
}
