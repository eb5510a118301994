//! Keys and values that are kept while a decoder writes one token after the other.

use burn::prelude::*;
use sparta_ops::attention::append_positions;

use super::mechanism::MechanismState;
use super::paged::PagedCache;
use crate::masks::LayerMask;

/// What a decoder's layer knows of the tokens that it has read.
#[derive(Debug, Clone)]
// One a layer, as large as its tensors: a box would only hide them.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Cache {
    /// Their keys and values, and which rows of the batch go on, where not all do in their order.
    Keys(KeyValue, Option<Tensor<1, Int>>),
    /// What a mechanism that carries a state keeps of them.
    State(MechanismState),
    /// Their keys and values in pages on the host.
    Pages(PagedCache),
}

impl Cache {
    /// The rows of the batch at `index`, in that order.
    pub(crate) fn select(self, index: Tensor<1, Int>) -> Self {
        match self {
            // Copied when the next position is there.
            Self::Keys(keys, None) => Self::Keys(keys, Some(index)),
            Self::Keys(keys, Some(before)) => Self::Keys(keys, Some(before.select(0, index))),
            Self::State(state) => Self::State(state.select(index)),
            Self::Pages(pages) => Self::Pages(pages.select(index)),
        }
    }
}

/// Keys and values of a layer, by head.
#[derive(Debug, Clone)]
pub(crate) struct KeyValue {
    /// `[batch, n_heads, seq_kv, d_head]`.
    pub(crate) key: Tensor<4>,
    /// `[batch, n_heads, seq_kv, d_head]`.
    pub(crate) value: Tensor<4>,
}

/// What [`super::MultiHeadAttention::attend`] works on; masks are `true` where hidden and of the exact
/// size.
#[derive(Debug, Clone)]
pub(crate) struct CachedInput {
    /// `[batch, seq_q, d_model]`.
    pub(crate) query: Tensor<3>,
    pub(crate) keys: KeyValue,
    pub(crate) causal: bool,
    /// `[batch, seq_kv]`.
    pub(crate) key_padding: Option<Tensor<2, Bool>>,
    /// `[n_heads, seq_q, seq_kv]`.
    pub(crate) global_mask: Option<LayerMask>,
    pub(crate) return_weights: bool,
}

impl KeyValue {
    /// Adds positions after those that are here, in these rows of the batch.
    pub(crate) fn append(self, rows: Option<Tensor<1, Int>>, new: Self) -> Self {
        let append = |kept: Tensor<4>, new: Tensor<4>| match &rows {
            Some(rows) => append_positions(kept, rows.clone(), new),
            None => Tensor::cat(vec![kept, new], 2),
        };
        Self {
            key: append(self.key, new.key),
            value: append(self.value, new.value),
        }
    }

    /// The rows of the batch at `index`, in that order.
    pub(crate) fn select(self, index: Tensor<1, Int>) -> Self {
        Self {
            key: self.key.select(0, index.clone()),
            value: self.value.select(0, index),
        }
    }
}
