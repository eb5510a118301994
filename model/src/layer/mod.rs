//! The building blocks, each a Burn module with its configuration.

mod adaptive;
mod adaptive_embedding;
mod adaptive_softmax;
mod attention;
pub(crate) mod dropout;
mod encoder;
mod feed_forward;
pub(crate) mod key_value;
pub mod mechanism;
mod norm;
mod output_map;
pub(crate) mod paged;
pub(crate) mod parameter;
mod placed;
mod positional;
mod relative_attention;
mod reshaped;
pub(crate) mod sinusoids;

pub use adaptive::AdaptiveConfig;
pub use adaptive_embedding::AdaptiveEmbedding;
pub use adaptive_softmax::AdaptiveSoftmax;
pub use attention::{
    AttentionInput, MultiHeadAttention, MultiHeadAttentionConfig, MultiHeadAttentionOutput,
};
pub use encoder::{AttentionBlock, AttentionBlockConfig, EncoderLayer, EncoderLayerConfig};
pub use feed_forward::{Activation, FeedForward, FeedForwardConfig};
pub use mechanism::{
    Abilities, AdaptiveSpan, DotProduct, DotProductConfig, EntmaxAlpha, Favor, FavorConfig,
    FavorKernel, GateConfig, HeadGate, HeadShape, Linformer, LinformerConfig, Lsh, LshConfig,
    Mechanism, MechanismConfig, MechanismState, MechanismsByType, NormalizerConfig, Nystrom,
    NystromConfig, Rfa, RfaConfig, RowNormalizer, SpanConfig, SpanStart,
};
pub use norm::{LayerNorm, LayerNormConfig};
pub use output_map::OutputMap;
pub use paged::{PageReport, Paging};
pub use parameter::WeightInit;
pub use placed::{Learned, LearnedName, PlacedMechanism};
pub use positional::relative_positions;
pub use relative_attention::{
    Past, RelativeAttention, RelativeAttentionConfig, RelativeAttentionInput,
    RelativeAttentionOutput,
};
