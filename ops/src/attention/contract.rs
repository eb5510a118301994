//! What a backend's fused attention takes and gives: tensors of one backend, and options that are none.

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, ExtensionType};

use super::{Dropout, Packing};
use crate::entmax::Mapping;

/// A float tensor that may not be there: [`ExtensionType`] takes an enum of tensors, but no [`Option`] of one.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "cube"))]
pub enum MaybeFloat<B: Backend> {
    /// It is there.
    Some(FloatTensor<B>),
    /// It is not.
    None,
}

/// A bool tensor that may not be there; see [`MaybeFloat`].
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "cube"))]
pub enum MaybeBool<B: Backend> {
    /// It is there.
    Some(BoolTensor<B>),
    /// It is not.
    None,
}

/// An int tensor that may not be there; see [`MaybeFloat`].
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "cube"))]
pub enum MaybeInt<B: Backend> {
    /// It is there.
    Some(IntTensor<B>),
    /// It is not.
    None,
}

/// The tensors of attention other than query, key and value; see [`super::AttentionOptions`] for shapes.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "cube"))]
pub struct AttentionExtras<B: Backend> {
    /// One α per head, `[n_heads]`, instead of the mapping.
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
    /// The row normaliser, where there is no α per head.
    pub mapping: Mapping,
    /// Multiplies query·keyᵀ and the relative term.
    pub scale: f64,
    /// Hide keys after the query, aligned bottom right.
    pub causal: bool,
    /// Packed sequences.
    pub packing: Option<Packing>,
    /// The size of the layout's blocks; 0 without a layout.
    pub block_size: usize,
    /// Attention dropout.
    pub dropout: Option<Dropout>,
}

/// What a backend's forward leaves for its own backward: no other reads it.
///
/// It must not grow with `seq_q · seq_kv`, bits of blocks excepted.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "cube"))]
pub struct AttentionSaved<B: Backend> {
    /// Numbers of each row (threshold or log-sum-exp, and the like) in f32 or f64.
    pub rows: FloatTensor<B>,
    /// Which blocks hold a weight.
    pub blocks: IntTensor<B>,
}

/// Gradients of attention, each with the shape and type of what it is the gradient in.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(feature = "cube"))]
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
