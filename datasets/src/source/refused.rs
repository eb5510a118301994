//! What is in the cache and is not what it should be must not be found there again.

use std::fs;
use std::path::{Path, PathBuf};

use super::record_of;
use crate::{Error, Result};

/// `result`; where it says that content is wrong, with the file or folder of the cache that has it set aside under
/// another name, which replaces what was set aside earlier.
///
/// # Errors
/// [`Error::SetAside`] in the place of such an error; others as they are. [`Error::Io`] where it cannot be renamed.
pub(crate) fn refused<T>(result: Result<T>, path: &Path) -> Result<T> {
    match result {
        Err(error) if error.is_of_content() && path.exists() => {
            let kept = aside(path);
            let _ = fs::remove_dir_all(&kept).or_else(|_| fs::remove_file(&kept));
            fs::rename(path, &kept).map_err(Error::io("rename", path))?;
            // An error page must not be what later downloads are compared with.
            let record = record_of(path);
            if record.is_file() {
                fs::rename(&record, record_of(&kept)).map_err(Error::io("rename", &record))?;
            }
            Err(Error::SetAside {
                cause: Box::new(error),
                kept,
            })
        }
        other => other,
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".refused");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A downloaded archive is downloaded again when it does not unpack, and kept when this machine is at fault.
    #[test]
    fn an_archive_of_wrong_content_goes_and_a_full_disk_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("a.zip");
        for content in ["an error page", "another"] {
            fs::write(&archive, content).unwrap();
            fs::write(record_of(&archive), "its hash").unwrap();
            let unpacked = crate::source::unpack(&archive, &["a".to_owned()], dir.path());
            let error = refused(unpacked, &archive).unwrap_err().to_string();
            assert!(!archive.exists(), "{error}");
            assert!(!record_of(&archive).exists(), "{error}");
            assert!(
                error.starts_with("cannot unpack ") && error.contains("a.zip.refused"),
                "{error}"
            );
            assert!(!error.contains("delete it"), "{error}");
            let kept = fs::read_to_string(dir.path().join("a.zip.refused")).unwrap();
            assert_eq!(kept, content);
        }
        fs::write(&archive, "good").unwrap();
        let full = Error::io("write", "b")(std::io::ErrorKind::StorageFull.into());
        assert!(matches!(
            refused::<()>(Err(full), &archive),
            Err(Error::Io { .. })
        ));
        assert!(archive.exists());
        refused(Ok(()), &archive).unwrap();
    }
}
