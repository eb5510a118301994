//! Unpacking the published zip archives.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::Limited;
use crate::atomic::write_atomically;
use crate::{Error, Result};

/// Unpacks the named files, wherever they lie in the archive, into `dir`; each appears whole or
/// not at all.
///
/// Only the last part of a member's path is used, so no member can be written outside `dir`.
///
/// # Errors
/// [`Error::BadArchive`] when the archive does not decode or lacks a file; [`Error::Io`].
pub(crate) fn unpack(archive: &Path, names: &[String], dir: &Path) -> Result<()> {
    let bad = |cause: String| Error::BadArchive {
        path: archive.to_owned(),
        cause,
    };
    let file = File::open(archive).map_err(Error::io("read", archive))?;
    let packed = file.metadata().map_err(Error::io("read", archive))?.len();
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| bad(error.to_string()))?;
    for name in names {
        let is_named = |member: &&str| member.rsplit('/').next() == Some(name);
        let member = zip.file_names().find(is_named).map(str::to_owned);
        let member = member.ok_or_else(|| bad(format!("it holds no {name}")))?;
        let entry = zip
            .by_name(&member)
            .map_err(|error| bad(error.to_string()))?;
        let mut entry = Limited::new(entry, packed);
        let target: PathBuf = dir.join(name);
        write_atomically(&target, |file| {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let n = entry
                    .read(&mut buffer)
                    .map_err(|error| bad(format!("{member}: {error}")))?;
                if n == 0 {
                    return Ok(());
                }
                file.write_all(&buffer[..n])
                    .map_err(Error::io("write", &target))?;
            }
        })?;
    }
    Ok(())
}
