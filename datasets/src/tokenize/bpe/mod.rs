//! Byte-pair encoding of words into subwords (Sennrich et al. 2016), equal to subword-nmt 0.3.
//!
//! ```
//! use sparta_datasets::tokenize::bpe::{Bpe, LearnOptions, learn, remove_bpe};
//!
//! let text = "low low low lower lower newest newest newest widest widest\n";
//! let codes = learn([text], &LearnOptions::merges(6))?;
//! let bpe = Bpe::new(codes);
//! let line = bpe.segment_line("lowest newer");
//! assert_eq!(line, "lo@@ west ne@@ we@@ r");
//! assert_eq!(remove_bpe(&line), "lowest newer");
//! # Ok::<(), sparta_datasets::Error>(())
//! ```

// Ours, and not the BPE of the `tokenizers` crate: codes and cuts are held to subword-nmt byte for
// byte, and that crate breaks ties of the learner by id, keeps no `--vocabulary-threshold`, drops a
// character that no code holds, takes the last rank of a merge that is listed twice, and merges one
// place at a time where subword-nmt merges all of a pair and looks again.
mod apply;
mod codes;
mod learn;
mod vocabulary;

pub use apply::Bpe;
pub use codes::BpeCodes;
pub use learn::{LearnOptions, learn};
pub use vocabulary::BpeVocabulary;

/// Mark at the end of a piece that is not the last of its word.
pub const SEPARATOR: &str = "@@";
/// Mark inside the codes for the end of a word.
const END_OF_WORD: &str = "</w>";

/// Joins the pieces of each word: `low@@ est` → `lowest`.
///
/// Same as `sed -r 's/(@@ )|(@@ ?$)//g'`: a mark at the end of the line goes too.
pub fn remove_bpe(line: &str) -> String {
    let joined = line.replace("@@ ", "");
    match joined.strip_suffix(SEPARATOR) {
        Some(stem) => stem.to_owned(),
        None => joined,
    }
}
