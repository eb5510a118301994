//! sha256, taken while data streams by.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A running sha256 that ends as lower-case hexadecimal.
///
/// ```
/// let mut hasher = sparta_datasets::source::Sha256Hex::new();
/// hasher.update(b"abc");
/// assert!(hasher.finish().starts_with("ba7816bf"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sha256Hex(Sha256);

impl Sha256Hex {
    /// The hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The 64 hexadecimal digits.
    pub fn finish(self) -> String {
        hex(&self.finish_bytes())
    }

    /// The 32 bytes.
    pub fn finish_bytes(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// Adds what is left of a reader.
    pub(crate) fn update_from(&mut self, reader: &mut impl Read) -> std::io::Result<()> {
        let mut buffer = vec![0; 1 << 18];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(()),
                n => self.update(&buffer[..n]),
            }
        }
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// sha256 of bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Sha256Hex::new();
    hasher.update(bytes);
    hasher.finish()
}

/// sha256 of a file in hexadecimal.
///
/// # Errors
/// [`Error::Io`].
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Sha256Hex::new();
    hasher
        .update_from(&mut file)
        .map_err(Error::io("read", path))?;
    Ok(hasher.finish())
}
