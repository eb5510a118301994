//! Parts that dot-product attention may have besides its row normaliser: words of recipes after a `+`.

mod gate;
mod pattern;
mod span;

pub use gate::{GateConfig, HeadGate};
pub(crate) use pattern::{Place, StaticMasks};
pub use span::{AdaptiveSpan, SpanConfig, SpanStart};
