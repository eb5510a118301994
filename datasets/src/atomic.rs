//! Files appear whole or not at all.

use std::fs::{self, File};
use std::path::Path;

use atomicwrites::{AllowOverwrite, AtomicFile};

use crate::{Error, Result};

/// Writes `path` through a temporary file in the same folder, made durable and renamed at the end.
///
/// When `write` fails, nothing appears at `path`, and what was there before stays.
///
/// # Errors
/// [`Error::Io`] of any step, and whatever `write` returns.
pub(crate) fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<()>,
) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    let written = AtomicFile::new(path, AllowOverwrite).write(write);
    written.map_err(|error| match error {
        atomicwrites::Error::Internal(cause) => Error::io("write", path)(cause),
        atomicwrites::Error::User(error) => error,
    })
}
