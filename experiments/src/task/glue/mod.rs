//! Tables of labelled texts: GLUE's tasks, and the shipped one.

mod attend;
mod corpus;
mod export;
mod labels;
mod predict;
mod prediction;
mod subject;
mod units;

pub use attend::attend;
pub use export::export;
pub use predict::{Predict, predict};

use super::encoder::Encoder;

/// Labelled texts, each task with models of its own.
pub type Glue = Encoder<subject::TextHead>;
