//! Writing translations: greedy and beam search.

mod beam;
mod candidates;
mod config;
mod stepper;

pub use beam::{Hypothesis, beam_search};
pub use config::{DecodeConfig, Stop};
