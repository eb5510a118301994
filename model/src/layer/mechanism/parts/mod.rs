//! Parts that dot-product attention may have besides its row normaliser: words of recipes after a `+`.

mod gate;
mod nape;
mod pattern;
mod scale;
mod span;
mod visible;

pub use gate::{GateConfig, HeadGate};
pub use nape::{Nape, Slopes};
pub(crate) use pattern::{Place, StaticMasks};
pub use scale::{RowScale, ScaleConfig};
pub use span::{AdaptiveSpan, SpanConfig, SpanStart};
pub(crate) use visible::visible_keys;
