//! Parts of dot-product attention: what a row of scores has besides its normaliser.

mod nape;
mod pattern;
mod scale;
mod visible;

pub use nape::{Nape, Slopes};
pub(crate) use pattern::{Place, StaticMasks};
pub use scale::{RowScale, ScaleConfig};
pub(crate) use visible::visible_keys;
