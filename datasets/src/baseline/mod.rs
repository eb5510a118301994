//! What a network must beat before its table means anything: baselines that learn from the training
//! data alone, and the best guess that does not look.

mod majority;
pub mod ngram;
mod word_overlap;
mod word_translation;

pub use majority::majority;
pub use word_overlap::{OverlapRule, overlap};
pub use word_translation::WordTranslation;
