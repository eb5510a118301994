//! Files appear whole or not at all: written beside their place, then renamed into it.

use std::fs::{self, File};
use std::path::Path;

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
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sparta-");
    #[cfg(unix)]
    {
        // The default of `tempfile` is 0600; a data file follows the user's umask instead.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder
        .tempfile_in(folder)
        .map_err(Error::io("create a file in", folder))?;
    write(temporary.as_file_mut())?;
    temporary
        .as_file()
        .sync_all()
        .map_err(Error::io("write", path))?;
    temporary
        .persist(path)
        .map_err(|error| Error::io("create", path)(error.error))?;
    Ok(())
}
