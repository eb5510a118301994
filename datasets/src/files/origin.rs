//! Which files a corpus was read from.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::source::{Sha256Hex, sha256_file};
use crate::{Error, Result};

/// A file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Where it was.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its sha256 in hexadecimal, as `sha256sum` prints it.
    pub sha256: String,
}

impl Origin {
    /// A file as it is.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn of(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
        Ok(Self {
            path: path.to_owned(),
            bytes: metadata.len(),
            sha256: sha256_file(path)?,
        })
    }
}

/// The files of a corpus, in the order in which they were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins(pub Vec<Origin>);

impl Origins {
    /// The corpus's name in signatures, `files-` and 12 digits of a sha256 over those of its files: the same for the same
    /// bytes, wherever they lie.
    pub fn name(&self) -> String {
        let mut hasher = Sha256Hex::new();
        for origin in &self.0 {
            hasher.update(origin.sha256.as_bytes());
            hasher.update(b"\n");
        }
        format!("files-{}", &hasher.finish()[..12])
    }
}
