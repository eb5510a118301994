//! Reading text files, and saying what a file is that is none.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::{Error, Result};

/// Why bytes are no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoText {
    /// What they are instead.
    pub found: String,
    /// What to do about it, where the bytes say it.
    pub next: Option<&'static str>,
}

impl fmt::Display for NoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = self.next.unwrap_or(
            "if it is text of another encoding, convert it: `iconv -f ENCODING -t UTF-8 FILE > NEW`",
        );
        write!(f, "expected UTF-8 text, found {}; {next}", self.found)
    }
}

impl std::error::Error for NoText {}

const GUNZIP: &str = "unpack it: `gunzip FILE`";
const UNZIP: &str = "unpack it: `unzip FILE`";
const WEIGHTS: &str = "give the text file that lies beside the weights";
const UTF_16: &str = "convert it: `iconv -f UTF-16 -t UTF-8 FILE > NEW`";

/// Files that are taken for texts by mistake, by their first bytes, none of which a text has.
const BINARY: [(&[u8], &str, &str); 11] = [
    (b"\x1f\x8b", "gzip-compressed data", GUNZIP),
    (
        b"PK\x03\x04",
        "a zip archive (or weights of PyTorch)",
        UNZIP,
    ),
    (b"PK\x05\x06", "an empty zip archive", UNZIP),
    (
        b"\xfd7zXZ\0",
        "xz-compressed data",
        "unpack it: `unxz FILE`",
    ),
    (
        b"BZh91AY&SY",
        "bzip2-compressed data",
        "unpack it: `bunzip2 FILE`",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "zstd-compressed data",
        "unpack it: `unzstd FILE`",
    ),
    (b"\x80\x02", "a pickle of Python", WEIGHTS),
    (b"\x80\x04", "a pickle of Python", WEIGHTS),
    (b"\xff\xfe", "UTF-16 text", UTF_16),
    (b"\xfe\xff", "UTF-16 text", UTF_16),
    (
        b"SPARTATK",
        "a token store of this program",
        "give the text that it was made from",
    ),
];

/// Bytes as text.
///
/// ```
/// use sparta_datasets::source::text_of;
/// let error = text_of(b"\x1f\x8b\x08\0".to_vec()).unwrap_err().to_string();
/// assert_eq!(
///     error,
///     "expected UTF-8 text, found gzip-compressed data (its first bytes are 1f 8b); unpack it: `gunzip FILE`"
/// );
/// ```
///
/// # Errors
/// What the bytes are instead.
pub fn text_of(bytes: Vec<u8>) -> Result<String, NoText> {
    let known = BINARY.iter().find(|(start, ..)| bytes.starts_with(start));
    if let Some(&(start, what, next)) = known {
        let start: Vec<String> = start.iter().map(|byte| format!("{byte:02x}")).collect();
        return Err(NoText {
            found: format!("{what} (its first bytes are {})", start.join(" ")),
            next: Some(next),
        });
    }
    if is_safetensors(&bytes) {
        return Err(NoText {
            found: "a safetensors file".to_owned(),
            next: Some(WEIGHTS),
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
        let line = match line {
            0 => String::new(),
            before => format!(" in line {}", before + 1),
        };
        NoText {
            found: format!("another byte at offset {at}{line}: {:02x}", bytes[at]),
            next: None,
        }
    })
}

/// Whether bytes start with the length of a JSON object and that object.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return false;
    };
    let fits = u64::from_le_bytes(*length) <= rest.len() as u64;
    fits && length[4..] == [0; 4] && rest.starts_with(b"{\"")
}

/// A whole file as text; `next` says what to do when it is not UTF-8 and does not say itself what it is.
///
/// # Errors
/// [`Error::WrongFile`] for other bytes, with what they are; [`Error::Io`].
pub(crate) fn read_utf8(path: &Path, next: impl FnOnce() -> String) -> Result<String> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    text_of(bytes).map_err(|no_text| no_text.of(path, next))
}

impl NoText {
    /// The error for a file.
    pub(crate) fn of(self, path: &Path, next: impl FnOnce() -> String) -> Error {
        Error::WrongFile {
            path: path.to_owned(),
            expected: "UTF-8 text".to_owned(),
            found: self.found,
            next: self.next.map_or_else(next, str::to_owned),
        }
    }
}
