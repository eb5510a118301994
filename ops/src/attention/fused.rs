//! From options to the backend's fused attention.

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, ExtensionType};
use burn::tensor::Tensor;

use super::{AttentionOptions, AttentionOutput, Dropout, Implementation, Normalizer, Packing};
use crate::SpartaBackend;
use crate::entmax::Mapping;

/// A float tensor that may not be there.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
pub enum MaybeFloat<B: Backend> {
    /// It is there.
    Some(FloatTensor<B>),
    /// It is not.
    None,
}

/// A bool tensor that may not be there.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
pub enum MaybeBool<B: Backend> {
    /// It is there.
    Some(BoolTensor<B>),
    /// It is not.
    None,
}

/// An int tensor that may not be there.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
pub enum MaybeInt<B: Backend> {
    /// It is there.
    Some(IntTensor<B>),
    /// It is not.
    None,
}

/// What attention takes beside query, key and value; see [`AttentionOptions`] for shapes.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
pub struct AttentionExtras<B: Backend> {
    /// One α a head, `[n_heads]`, instead of the mapping.
    #[extension_type]
    pub alpha: MaybeFloat<B>,
    /// `[batch or 1, n_heads, seq_q, seq_kv]`.
    #[extension_type]
    pub bias: MaybeFloat<B>,
    /// The relative term's query, `[batch, n_heads, seq_q, d_head]`; there are positions if it is there.
    #[extension_type]
    pub position_query: MaybeFloat<B>,
    /// `[n_heads, n_positions, d_head]`.
    #[extension_type]
    pub positions: MaybeFloat<B>,
    /// `[batch, seq_kv]`.
    #[extension_type]
    pub key_padding: MaybeBool<B>,
    /// `[n_heads or 1, seq_q, seq_kv]`.
    #[extension_type]
    pub global_mask: MaybeBool<B>,
    /// `[seq_q, seq_kv]`.
    #[extension_type]
    pub extra_mask: MaybeBool<B>,
    /// [`super::BlockMask`]'s layout, `[n_heads or 1, n_block_rows, n_block_cols]`; there are cells if it
    /// is there.
    #[extension_type]
    pub layout: MaybeInt<B>,
    /// The cells of partial blocks, `[n_partial, block, block]`.
    #[extension_type]
    pub cells: MaybeBool<B>,
}

/// The options of attention that are no tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionSpec {
    /// The row normaliser, where there is no α a head.
    pub mapping: Mapping,
    /// Multiplies query·keyᵀ and the relative term.
    pub scale: f64,
    /// Hide keys after the query, aligned bottom right.
    pub causal: bool,
    /// Packed sequences.
    pub packing: Option<Packing>,
    /// The edge of the layout's blocks; 0 without a layout.
    pub block_size: usize,
    /// Attention dropout.
    pub dropout: Option<Dropout>,
}

/// What a backend's forward leaves for its own backward: no other reads it.
///
/// It must not grow with `seq_q · seq_kv`, bits of blocks excepted.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
pub struct AttentionSaved<B: Backend> {
    /// Numbers of each row (threshold or log-sum-exp, and the like) in f32 or f64.
    pub rows: FloatTensor<B>,
    /// Which blocks hold a weight.
    pub blocks: IntTensor<B>,
}

/// Gradients of attention, each with the shape and type of what it is the gradient in.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
pub struct AttentionGrads<B: Backend> {
    /// In the query.
    pub query: FloatTensor<B>,
    /// In the key.
    pub key: FloatTensor<B>,
    /// In the value.
    pub value: FloatTensor<B>,
    /// In α; there if α is.
    #[extension_type]
    pub alpha: MaybeFloat<B>,
    /// In the bias; there if it was wanted.
    #[extension_type]
    pub bias: MaybeFloat<B>,
    /// In the relative term's query; there if that is.
    #[extension_type]
    pub position_query: MaybeFloat<B>,
    /// In the positions; there if they are.
    #[extension_type]
    pub positions: MaybeFloat<B>,
}

macro_rules! maybe {
    ($($name:ident, $primitive:ident;)*) => {$(
        impl<B: Backend> From<Option<$primitive<B>>> for $name<B> {
            fn from(option: Option<$primitive<B>>) -> Self {
                match option {
                    Some(tensor) => Self::Some(tensor),
                    None => Self::None,
                }
            }
        }

        impl<B: Backend> $name<B> {
            /// As the standard library's type.
            pub fn into_option(self) -> Option<$primitive<B>> {
                match self {
                    Self::Some(tensor) => Some(tensor),
                    Self::None => None,
                }
            }

            /// A borrowed [`Self::into_option`].
            pub fn as_option(&self) -> Option<&$primitive<B>> {
                match self {
                    Self::Some(tensor) => Some(tensor),
                    Self::None => None,
                }
            }
        }
    )*};
}

maybe! {
    MaybeFloat, FloatTensor;
    MaybeBool, BoolTensor;
    MaybeInt, IntTensor;
}

pub(super) fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: AttentionOptions,
) -> AttentionOutput {
    let d_head = query.dims()[3];
    let alpha = match &options.normalizer {
        Normalizer::Entmax(alpha) => Some(alpha.clone().into_dispatch()),
        Normalizer::Softmax | Normalizer::Sparsemax | Normalizer::Entmax15 => None,
    };
    let spec = AttentionSpec {
        mapping: match options.normalizer {
            Normalizer::Softmax => Mapping::Softmax,
            Normalizer::Sparsemax => Mapping::Sparsemax,
            Normalizer::Entmax15 | Normalizer::Entmax(_) => Mapping::Entmax15,
        },
        scale: options.scale.unwrap_or(1.0 / (d_head as f64).sqrt()),
        causal: options.causal,
        packing: options.packing,
        block_size: options
            .block_mask
            .as_ref()
            .map_or(0, |mask| mask.block_size()),
        dropout: (options.dropout > 0.0).then(|| Dropout {
            share: options.dropout,
            seed: options.dropout_seed.unwrap_or_default(),
        }),
    };
    let (position_query, positions) = match options.relative {
        Some(term) => (
            Some(term.query.into_dispatch()),
            Some(term.positions.into_dispatch()),
        ),
        None => (None, None),
    };
    let (layout, cells) = match options.block_mask {
        Some(mask) => (
            Some(mask.layout.into_dispatch()),
            Some(mask.cells.into_dispatch()),
        ),
        None => (None, None),
    };
    let extras = AttentionExtras {
        alpha: alpha.into(),
        bias: options.bias.map(Tensor::into_dispatch).into(),
        position_query: position_query.into(),
        positions: positions.into(),
        key_padding: options.key_padding.map(Tensor::into_dispatch).into(),
        global_mask: options.global_mask.map(Tensor::into_dispatch).into(),
        extra_mask: options.extra_mask.map(Tensor::into_dispatch).into(),
        layout: layout.into(),
        cells: cells.into(),
    };
    let (context, _) = <Dispatch as SpartaBackend>::attention_forward(
        query.into_dispatch(),
        key.into_dispatch(),
        value.into_dispatch(),
        extras,
        spec,
    );
    AttentionOutput {
        context: Tensor::from_dispatch(context),
        weights: None,
        implementation: Implementation::Fused,
    }
}
