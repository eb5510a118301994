//! Which files a corpus was read from.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checksum::{Sha256Hex, sha256, sha256_file};
use crate::{Error, Result};

/// A file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its name in a corpus that the program knows: `RTE/train.tsv`. None of the user's own files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it was; of a file inside the program its name alone.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its sha256 in hexadecimal, as `sha256sum` prints it.
    pub sha256: String,
}

impl Origin {
    /// A file as it is, read as a stream.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
        Ok(Self {
            name: None,
            path: path.to_owned(),
            bytes: metadata.len(),
            sha256: sha256_file(path)?,
        })
    }

    /// A file of a known corpus as it is, under its name there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn known(path: &Path, name: String) -> Result<Self> {
        let of = Self::of(path)?;
        Ok(Self {
            name: Some(name),
            ..of
        })
    }

    /// A file inside the program, as it is packed there.
    pub(crate) fn shipped(name: &str, packed: &[u8]) -> Self {
        Self {
            name: Some(name.to_owned()),
            path: name.into(),
            bytes: packed.len() as u64,
            sha256: sha256(packed),
        }
    }

    /// What it is called in run records: its name in the corpus, or that of the user's file.
    pub fn label(&self) -> String {
        let file = || self.path.file_name().unwrap_or(self.path.as_os_str());
        let name = self.name.clone();
        name.unwrap_or_else(|| file().to_string_lossy().into_owned())
    }

    /// Whether it is inside the program.
    pub fn is_shipped(&self) -> bool {
        let name = self.name.as_deref();
        name.is_some_and(|name| self.path == Path::new(name))
    }
}

/// The files of a corpus, in the order in which they were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins(pub Vec<Origin>);

impl Origins {
    /// The name that a corpus of the user's own has in signatures, `files-` and 12 digits of a sha256 over those of its files:
    /// the same for the same bytes, wherever they lie.
    pub fn name(&self) -> String {
        let mut hasher = Sha256Hex::new();
        for origin in &self.0 {
            hasher.update(origin.sha256.as_bytes());
            hasher.update(b"\n");
        }
        format!("files-{}", &hasher.finish()[..12])
    }

    /// The sha256 of each file, by its [`Origin::label`].
    pub fn hashes(&self) -> BTreeMap<String, String> {
        let hash = |origin: &Origin| (origin.label(), origin.sha256.clone());
        self.0.iter().map(hash).collect()
    }
}
