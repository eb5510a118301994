//! The SQuAD table: exact match, F1, and the time and memory of training steps with attention that holds all scores and
//! with one that skips blocks.

mod answer;
mod answers;
mod attend;
mod corpus;
mod cost;
mod export;
mod kernels;
mod score;
mod subject;

pub use answer::{AnswerRequest, answer};
pub use attend::attend;
pub use cost::{Measure, measure};
pub use export::export;

use super::encoder::Encoder;

/// Answers in paragraphs.
pub type Squad = Encoder<subject::SpanHead>;
