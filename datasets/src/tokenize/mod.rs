//! Text → words → ids.

pub mod bpe;
mod dictionary;
mod language;
pub mod moses;
mod normalize;
pub mod pretrained;
mod word;
pub mod wordpiece;

pub use dictionary::{Dictionary, DictionaryOptions};
pub use language::Language;
pub use normalize::normalize_line;
pub use word::{EOS, UNK, Vocabulary, count_tokens};
