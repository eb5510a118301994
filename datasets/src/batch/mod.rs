//! Token ids → batches.

mod lm_stream;

pub use lm_stream::{IGNORE, LmBatch, LmStream};
