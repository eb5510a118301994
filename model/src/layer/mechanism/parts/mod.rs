//! Parts of dot-product attention: what a row of scores has besides its normaliser.

mod pattern;

pub(crate) use pattern::{Place, StaticMasks};
