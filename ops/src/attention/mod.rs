//! Scaled dot-product attention with sparse weights and any combination of masks.

mod autodiff;
mod block_mask;
mod calls;
mod contract;
mod dropout;
mod error;
mod fused;
mod implementation;
pub(crate) mod kept;
pub mod linear;
pub mod linformer;
pub mod lsh;
pub mod nystrom;
mod options;
mod packing;
pub mod pages;
mod reference;
mod span;

use burn::tensor::{Bool, DType, Tensor};

pub use block_mask::{BLOCK_SIZES, BlockMask, HIDDEN_BLOCK, VISIBLE_BLOCK};
pub use calls::{Calls, calls};
pub use contract::{
    AttentionExtras, AttentionGrads, AttentionSaved, AttentionSpec, MaybeBool, MaybeFloat, MaybeInt,
};
#[cfg(feature = "cube")]
pub(crate) use contract::{
    AttentionExtrasMetadata, AttentionGradsMetadata, AttentionSavedMetadata, MaybeFloatMetadata,
};
pub use dropout::Dropout;
pub use error::AttentionError;
pub use implementation::Implementation;
pub use kept::append_positions;
pub use options::{AttentionOptions, AttentionOutput, Normalizer, RelativeTerm};
pub use packing::Packing;
pub use span::Span;

pub(crate) use autodiff::forward as tracked_forward;
pub(crate) use dropout::dropout_mask;
pub(crate) use implementation::draw_seed;
#[cfg(any(
    feature = "flex",
    feature = "ndarray",
    feature = "tch",
    feature = "cube"
))]
pub(crate) use packing::visible_keys;

/// `context = normaliser(scale·query·keyᵀ + bias, masks)·value`, with a [`Span`] of weights that it limits.
///
/// # Shapes
/// - query: `[batch, n_heads, seq_q, d_head]`
/// - key: `[batch, n_kv_heads, seq_kv, d_head]`, value: `[batch, n_kv_heads, seq_kv, d_value]`, where
///   `n_kv_heads` divides `n_heads`: head h reads head `h / (n_heads / n_kv_heads)`
/// - context: `[batch, n_heads, seq_q, d_value]`
/// - weights, if asked for: `[batch, n_heads, seq_q, seq_kv]`
///
/// Masks are `true` where a key is hidden. A query whose keys are all hidden gets a zero context and
/// zero gradients. Causal masks are aligned bottom right: the last query sees every key.
///
/// The readable definition and the fused kernels ([`Implementation`]) agree to rounding, dropout
/// included; on flex and ndarray the fused ones give the same bits whatever the number of threads.
/// Every number but α and the lengths of a span is read in the query's type. In half types the definition computes in the type
/// itself, as fast as a device multiplies matrices in it: a score beyond 65,504 is +∞ in f16, and its row NaN. The kernels compute
/// in f32 and round once.
///
/// # Panics
/// With the message of [`try_sparse_attention`]'s error.
///
/// # Source
/// Vaswani et al. 2017, section 3.2.1, with the row mappings of Peters, Niculae & Martins 2019 and Correia,
/// Niculae & Martins 2019; tiles of scores as in FlashAttention (Dao et al. 2022).
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

/// [`sparse_attention`] that reports arguments that do not fit. It does not look at values: a NaN or +∞ among scores gives a
/// row of NaN.
///
/// # Shapes
/// As [`sparse_attention`].
///
/// # Errors
/// A shape that does not fit the query's, named with what was expected; an implementation that cannot
/// serve the request.
pub fn try_sparse_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mut options: AttentionOptions,
) -> Result<AttentionOutput, AttentionError> {
    options.check(query.dims(), key.dims(), value.dims())?;
    let device = query.device();
    let sizes = [query.dims()[2], key.dims()[2]];
    let implementation = options.resolve_for(&device, query.dtype(), sizes)?;
    options.fold_lengths(key.dims()[2]);
    options.hide_by_bias(query.dtype());
    options.draw_seed(&device, implementation);
    let output = match implementation {
        Implementation::Reference => reference::attend(query, key, value, options),
        Implementation::Auto | Implementation::Fused => fused::attend(query, key, value, options),
    };
    calls::count(output.implementation);
    Ok(output)
}

/// Half types are computed in f32.
fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// Rows of zeros where a key is hidden, `[batch, n_heads, seq_kv, …]`.
fn without_hidden(tensor: Tensor<4>, padding: Option<&Tensor<2, Bool>>) -> Tensor<4> {
    let Some(padding) = padding else {
        return tensor;
    };
    let shape @ [batch, _, seq_kv, _] = tensor.dims();
    if shape.contains(&0) {
        return tensor;
    }
    let hidden = padding.clone().reshape([batch, 1, seq_kv, 1]);
    tensor.mask_fill(hidden.expand(shape), 0.0)
}
