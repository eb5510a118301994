//! Records as files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use atomicwrites::{AllowOverwrite, AtomicFile};
use serde::Serialize;

use super::RunRecord;
use crate::error::{Result, ResultsError};

/// Version of the file format that this crate writes and reads.
pub const SCHEMA: u64 = 1;
const FILE_END: &str = "run.json";

/// The keys of a file.
type Fields = serde_json::Map<String, serde_json::Value>;

/// The record as it stands in the file.
#[derive(Serialize)]
struct Stored<'a> {
    schema: u64,
    #[serde(flatten)]
    record: &'a RunRecord,
}

impl RunRecord {
    /// File of this record in `dir`: `<id>.run.json`.
    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.{FILE_END}", self.id))
    }

    /// Writes the record into `dir`, made if need be, and returns the file's path. An older record
    /// of the same id is replaced, at once or not at all. A score or percentage beyond a bound by
    /// rounding error alone (1e-9 of the bound) is written as the bound.
    ///
    /// # Errors
    /// [`ResultsError::Invalid`] for a record that contradicts itself, [`ResultsError::Io`] if the
    /// disk refuses.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<PathBuf> {
        let record = &self.without_rounding();
        record.validate()?;
        let dir = dir.as_ref();
        let path = self.path(dir);
        let stored = Stored {
            schema: SCHEMA,
            record,
        };
        let mut text =
            serde_json::to_string_pretty(&stored).map_err(|cause| ResultsError::BadRecord {
                path: path.clone(),
                cause,
            })?;
        text.push('\n');
        write_atomic(&path, text.as_bytes())?;
        Ok(path)
    }

    /// Reads one record.
    ///
    /// # Errors
    /// Unreadable file, no run record, another schema, or a record that contradicts itself.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bad = |cause| ResultsError::BadRecord {
            path: path.to_path_buf(),
            cause,
        };
        // As bytes: what is no text is no record, and told as that.
        let text = fs::read(path).map_err(|source| ResultsError::io("read", path, source))?;
        let mut fields: Fields = serde_json::from_slice(&text).map_err(bad)?;
        let found = fields
            .remove("schema")
            .and_then(|schema| schema.as_u64())
            .unwrap_or(0);
        if found != SCHEMA {
            return Err(ResultsError::Schema {
                path: path.to_path_buf(),
                found,
                expected: SCHEMA,
            });
        }
        let record: Self = serde_json::from_value(fields.clone().into()).map_err(bad)?;
        if let Some(key) = record.unknown(&fields).map_err(bad)? {
            return Err(ResultsError::UnknownKey {
                path: path.to_path_buf(),
                key,
            });
        }
        let record = record.without_rounding();
        record.validate()?;
        Ok(record)
    }

    /// The first key of the file that no record has. (`deny_unknown_fields` does not go with `flatten`.)
    fn unknown(&self, fields: &Fields) -> serde_json::Result<Option<String>> {
        let written = serde_json::to_value(self)?;
        let is_known = |key: &str| written.get(key).is_some() || is_read(fields, key);
        Ok(fields.keys().find(|key| !is_known(key)).cloned())
    }
}

/// Whether records have a key, which is not written where it is empty: what is of no field's type is refused under it, and passed
/// over under any other.
fn is_read(fields: &Fields, key: &str) -> bool {
    let of_no_type = serde_json::json!([[]]);
    let mut fields = fields.clone();
    fields.insert(key.to_owned(), of_no_type);
    serde_json::from_value::<RunRecord>(fields.into()).is_err()
}

/// Reads every `*.run.json` (or `run.json`) below `dir`, sorted by path.
///
/// # Errors
/// [`ResultsError::NoRuns`] without such a folder; the first file that cannot be read, by name.
pub fn load_all(dir: impl AsRef<Path>) -> Result<Vec<RunRecord>> {
    files(dir.as_ref())?.iter().map(RunRecord::load).collect()
}

/// A file that is no record, with what is wrong.
pub type Damaged = (PathBuf, ResultsError);

/// As [`load_all`], but past files that cannot be read: the records of the others, and these files with what is wrong.
///
/// # Errors
/// [`ResultsError::NoRuns`] without such a folder; a folder that cannot be read.
pub fn load_readable(dir: impl AsRef<Path>) -> Result<(Vec<RunRecord>, Vec<Damaged>)> {
    let (mut records, mut damaged) = (Vec::new(), Vec::new());
    for file in files(dir.as_ref())? {
        match RunRecord::load(&file) {
            Ok(record) => records.push(record),
            Err(error) => damaged.push((file, error)),
        }
    }
    Ok((records, damaged))
}

/// The files of records below a folder, sorted by path.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Err(ResultsError::NoRuns(dir.to_path_buf()));
    }
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let read = |source| ResultsError::io("read", dir, source);
    for entry in fs::read_dir(dir).map_err(read)? {
        let entry = entry.map_err(read)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(read)?;
        if name.starts_with('.') {
            continue;
        } else if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if name == FILE_END || name.ends_with(&format!(".{FILE_END}")) {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Writes `bytes` to a temporary file beside `path`, flushes it and renames it.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let failed = |source| ResultsError::io("write", path, source);
    fs::create_dir_all(dir).map_err(failed)?;
    AtomicFile::new(path, AllowOverwrite)
        .write(|file| file.write_all(bytes))
        .map_err(|error| failed(error.into()))
}
