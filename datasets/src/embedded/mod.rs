//! Small real corpora that travel inside the program.
//!
//! Licences, origins and the reading rules stand in `datasets/data/README.md`.

mod libreoffice_help;
mod question_sentence;
mod state_of_the_union;

pub(crate) use libreoffice_help::libreoffice_help_origins;
pub use libreoffice_help::{libreoffice_help, libreoffice_help_text};
pub(crate) use question_sentence::question_origins;
pub use question_sentence::{new_wiki, question_sentence, squad_dev};
pub(crate) use state_of_the_union::state_of_the_union_origins;
pub use state_of_the_union::{Address, addresses, split_of_year, state_of_the_union};

use crate::{Error, Result};

/// The text of a compiled-in xz file; `name` is the file's, for the message.
fn decode(name: &'static str, mut compressed: &[u8], capacity: usize) -> Result<String> {
    let damaged = |cause: String| Error::DamagedBuiltin { name, cause };
    let mut decoded = Vec::with_capacity(capacity);
    lzma_rs::xz_decompress(&mut compressed, &mut decoded)
        .map_err(|error| damaged(format!("{error:?}")))?;
    String::from_utf8(decoded).map_err(|error| damaged(error.to_string()))
}
