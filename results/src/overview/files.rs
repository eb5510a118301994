//! The files of a report.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::Overview;
use super::text::{COMMON_HEADS, CSV_HEAD};
use crate::error::{Result, ResultsError};
use crate::record::write_atomic;

/// What the first lines of the files say, so that no other file is overwritten.
pub(super) const MADE_BY: &str = "made by sparta report";
/// How far into a file that is looked for.
const HEAD_BYTES: u64 = 400;

/// A form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `index.html`.
    Html,
    /// `REPORT.md`.
    Markdown,
    /// `REPORT.tex`.
    Latex,
    /// `REPORT.csv`.
    Csv,
    /// `REPORT.json`.
    Json,
}

impl Format {
    /// The name of the file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Html => "index.html",
            Self::Markdown => "REPORT.md",
            Self::Latex => "REPORT.tex",
            Self::Csv => "REPORT.csv",
            Self::Json => "REPORT.json",
        }
    }
}

impl Overview {
    /// The content of a file.
    ///
    /// # Errors
    /// Numbers that a form cannot write.
    pub fn text(&self, format: Format) -> Result<String> {
        match format {
            Format::Html => Ok(self.html()),
            Format::Markdown => Ok(self.markdown()),
            Format::Latex => Ok(self.latex()),
            Format::Csv => self.csv(),
            Format::Json => self.json(),
        }
    }

    /// Writes the files into a folder, or none of them; returns their paths.
    ///
    /// # Errors
    /// [`ResultsError::NotOurs`] for a file that is there and was not made by a report,
    /// [`ResultsError::Io`] if the disk refuses.
    pub fn write(&self, folder: &Path, formats: &[Format]) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for &format in formats {
            let path = folder.join(format.file());
            refuse_others(&path)?;
            files.push((path, self.text(format)?));
        }
        for (path, text) in &files {
            write_atomic(path, text.as_bytes())?;
        }
        Ok(files.into_iter().map(|(path, _)| path).collect())
    }
}

/// Refuses to overwrite what a report has not made.
fn refuse_others(path: &Path) -> Result<()> {
    let bytes = match first_bytes(path, HEAD_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ResultsError::io("read", path, error)),
    };
    let head = String::from_utf8_lossy(&bytes);
    match head.contains(MADE_BY) || head.starts_with(&CSV_HEAD[..COMMON_HEADS].join(",")) {
        true => Ok(()),
        false => Err(ResultsError::NotOurs(path.to_path_buf())),
    }
}

/// The first `n` bytes of a file. What is no regular file is not opened: a device or a pipe may never end.
///
/// # Errors
/// No such file, no regular one, or one that cannot be read.
pub fn first_bytes(path: &Path, n: u64) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(n).read_to_end(&mut bytes)?;
    Ok(bytes)
}
