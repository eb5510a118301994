//! Hashes of files for which none was published: that of the first download is kept beside the file, as `FILE.sha256`
//! (of the form that `sha256sum --check` reads), also when the file itself is unpacked and deleted.

#[cfg(feature = "download")]
use std::io::Write;
use std::path::{Path, PathBuf};

use super::read_utf8;
#[cfg(feature = "download")]
use crate::atomic::write_atomically;
use crate::{Error, Result};

/// Where the hash of a file is recorded.
///
/// ```
/// let path = sparta_datasets::source::record_of("cache/de-en.tgz".as_ref());
/// assert_eq!(path, std::path::Path::new("cache/de-en.tgz.sha256"));
/// ```
#[must_use]
pub fn record_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

/// The sha256 that was recorded of a file when it was first downloaded, in lower-case hexadecimal; none if nothing was.
///
/// # Errors
/// [`Error::WrongFile`] for a record without a hash; [`Error::Io`].
pub fn recorded_sha256(path: &Path) -> Result<Option<String>> {
    let record = record_of(path);
    if !record.is_file() {
        return Ok(None);
    }
    let next = || "delete it, so that the next download is recorded".to_owned();
    let text = read_utf8(&record, next)?;
    let word = text.split_whitespace().next().unwrap_or_default();
    if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Some(word.to_ascii_lowercase()));
    }
    Err(Error::WrongFile {
        path: record,
        expected: "a sha256, 64 hexadecimal digits".to_owned(),
        found: format!("{word:?}"),
        next: next(),
    })
}

/// Records the sha256 of a file.
///
/// # Errors
/// [`Error::Io`].
#[cfg(feature = "download")]
pub(super) fn record(path: &Path, sha256: &str) -> Result<()> {
    let record = record_of(path);
    let name = path.file_name().unwrap_or(path.as_os_str());
    let line = format!("{sha256}  {}\n", name.to_string_lossy());
    write_atomically(&record, |file| {
        file.write_all(line.as_bytes())
            .map_err(Error::io("write", &record))
    })
}
