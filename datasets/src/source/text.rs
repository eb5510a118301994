//! Reading text files.

use std::fs;
use std::path::Path;

use crate::{Error, Result};

/// A whole file as text; `next` says what to do when it is not UTF-8.
///
/// # Errors
/// [`Error::WrongFile`] for other bytes, [`Error::Io`].
pub(crate) fn read_utf8(path: &Path, next: impl FnOnce() -> String) -> Result<String> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    String::from_utf8(bytes).map_err(|error| Error::WrongFile {
        path: path.to_owned(),
        expected: "UTF-8 text".to_owned(),
        found: format!(
            "another byte at offset {}",
            error.utf8_error().valid_up_to()
        ),
        next: next(),
    })
}
