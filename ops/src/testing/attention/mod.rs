//! The catalogue of attention, to which every implementation on every device is held.

mod catalogue;
mod run;

pub use catalogue::{AttentionCase, Masks, Rule, Terms};
