//! What is in the cache and is not what it should be must not be found there again.

use std::fs;
use std::path::{Path, PathBuf};

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
            Err(Error::SetAside {
                problem: error.problem(),
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
