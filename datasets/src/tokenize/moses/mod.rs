//! Moses' rules for cutting running text into words and punctuation, and for the way back.
//!
//! Results equal those of `tokenizer.perl`, `detokenizer.perl` and `normalize-punctuation.perl` on
//! the texts that `tests/parity/moses.py` compares, in three states ([`Release`]): the scripts
//! have changed under one version number, and texts prepared at different times differ. The lists
//! of abbreviations (`prefixes`) are our own, and shorter than those of Moses.
//!
//! ```
//! use sparta_datasets::tokenize::Language;
//! use sparta_datasets::tokenize::moses::{MosesDetokenizer, MosesTokenizer};
//!
//! let tokenizer = MosesTokenizer::new(Language::En);
//! let line = tokenizer.tokenize("Mr. Smith's \"plan\" costs $1,250.50... (net).");
//! assert_eq!(line, "Mr. Smith &apos;s &quot; plan &quot; costs $ 1,250.50 ... ( net ) .");
//! let detokenizer = MosesDetokenizer::new(Language::En);
//! assert_eq!(detokenizer.detokenize(&line), "Mr. Smith's \"plan\" costs $1,250.50... (net).");
//! ```

// Ours: the `tokenizers` crate has no Moses, whose several releases cut published corpora and scores
// apart, and there is no kept port of it in Rust.
mod class;
mod detokenize;
mod escape;
mod normalize;
mod prefixes;
mod release;
mod tokenize;

pub use detokenize::MosesDetokenizer;
pub use normalize::PunctuationNormalizer;
pub use release::Release;
pub use tokenize::{MosesTokenizer, TokenizerOptions};
