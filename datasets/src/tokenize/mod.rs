//! Text → words → ids.

mod normalize;
mod word;

pub use normalize::normalize_line;
pub use word::{EOS, UNK, Vocabulary, count_tokens};
