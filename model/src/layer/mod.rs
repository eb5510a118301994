//! The building blocks, each a Burn module with its configuration.

mod adaptive_embedding;
mod adaptive_softmax;
mod attention;
pub(crate) mod dropout;
mod feed_forward;
mod normalizer;
pub(crate) mod parameter;
mod positional;
mod relative_attention;

pub use adaptive_embedding::{AdaptiveConfig, AdaptiveEmbedding};
pub use adaptive_softmax::AdaptiveSoftmax;
pub use attention::{
    AttentionInput, MultiHeadAttention, MultiHeadAttentionConfig, MultiHeadAttentionOutput,
};
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use normalizer::{NormalizerConfig, RowNormalizer};
pub use positional::relative_positions;
pub use relative_attention::{
    RelativeAttention, RelativeAttentionConfig, RelativeAttentionInput, RelativeAttentionOutput,
};
