//! Moses' rules for cutting running text into words and punctuation, and for the way back.
//!
//! Results equal those of `tokenizer.perl`, `detokenizer.perl` and `normalize-punctuation.perl` on
//! the texts that `tests/parity/moses.py` compares, in three states ([`Release`]): the scripts
//! have changed under one version number, and texts prepared at different times differ. The lists
//! of abbreviations (`prefixes`) are our own. Lines of which all ten outputs that are compared (three states, with and
//! without escapes, hyphens cut, normalised, and put together again) agree, and how many words of the original's list the
//! rules and lists here treat as it does:
//!
//! | | real lines | agree | made-up lines | agree | words of the original | as here | texts |
//! |---|--:|--:|--:|--:|--:|--:|---|
//! | de | 82,907 | 82,907 | 5,000 | 5,000 | 298 | 296 | 1, 4, 5 |
//! | en | 119,951 | 119,951 | 5,000 | 5,000 | 105 | 105 | 1, 6, 7 |
//! | fr | 92,391 | 92,391 | 5,000 | 5,000 | 144 | 143 | 1, 2, 3 |
//! | cs | 83,183 | 83,183 | 5,000 | 5,000 | 347 | 312 | 1, 2, 3, 4 |
//! | ro | 90,820 | 90,820 | 5,000 | 5,000 | 38 | 36 | 3, 6, 7 |
//! | ja | 94,013 | 94,013 | 5,000 | 5,000 | as en | as en | 2, 3 |
//!
//! For other languages the rules are those that the original has for them too: English abbreviations, and apostrophes that stand
//! alone; no text of them was compared.
//!
//! Texts: (1) Multi30k's training set, (2) Debian's `libreoffice-help-*` and (3) `manpages-*`, (4) `fortunes-*`, (5) the corpus
//! that is shipped, (6) WMT16's `newsdev2016`, (7) pairs from Debian's descriptions, manual pages and programs.
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
