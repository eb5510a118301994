//! What a run leaves behind: one JSON file per trained and scored model.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use atomicwrites::{AllowOverwrite, AtomicFile};
use serde::de::Error;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::error::{Result, ResultsError};
use crate::metric::Metric;

/// Version of the file format that this crate writes and reads.
pub const SCHEMA: u64 = 1;
/// The name among a record's versions that the git commit of the program has.
pub const COMMIT: &str = "commit";
/// What stands there where the program was not built from a git checkout.
const UNKNOWN: &str = "unknown";
const FILE_END: &str = "run.json";
/// Keys that a file may lack.
const OPTIONAL: [&str; 3] = ["variant", "attention", "mask_block_size"];

/// How a run ended; only completed runs reach a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Still going, or killed.
    Running,
    /// Trained to the end and scored.
    Completed,
    /// Stopped by the user at a checkpoint.
    Interrupted,
    /// Stopped at a loss or gradient that was not finite.
    Diverged,
}

impl Status {
    /// The word in records and notes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Interrupted => "interrupted",
            Self::Diverged => "diverged",
        }
    }
}

/// A published number that stands beside ours, with the words that say what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperReference {
    /// The published value.
    pub value: f64,
    /// The corpus it was taken on, in general not ours.
    pub corpus: String,
    /// Model, protocol and publication.
    pub note: String,
}

/// One run: who made it, from what, and what came out.
///
/// All p are in percent, 0 to 100. In a file keys that are not known are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Name, unique in its table; letters, digits and `._=+-`. Names the file.
    pub id: String,
    /// Table the run belongs to.
    pub table: String,
    /// Row of that table, in general the name of the recipe.
    pub row: String,
    /// Which of a row's networks, where the table holds several that differ in their attention: a
    /// row normaliser (`softmax`, `entmax15`) or another mechanism. None where there is one, and
    /// for baselines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Hash of what all runs of a row share: the resolved recipe without seed, mask seed, p, mask
    /// and device. Runs are averaged only if it is equal.
    pub recipe_hash: String,
    /// The resolved recipe as TOML.
    pub recipe: String,
    /// Training seed.
    pub seed: u64,
    /// Device that trained.
    pub device: String,
    /// Which implementation of attention was asked for, and which ran: `auto: fused 82 %, reference
    /// 18 %`, `fused`, `reference`. None for baselines and in records from before there was a
    /// choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    /// Dense, under a mask, or a baseline.
    #[serde(flatten)]
    pub condition: Condition,
    /// Percentage of cells asked to be hidden; none for baselines.
    pub p_nominal: Option<f64>,
    /// Percentage of the legal cells that is hidden.
    pub p_effective: Option<f64>,
    /// Percentage of the legal cells that is hidden, each cell weighted by how often the data uses
    /// it.
    pub p_token_weighted: Option<f64>,
    /// Which score.
    pub metric: Metric,
    /// The score; none as long as the run is not completed.
    pub value: Option<f64>,
    /// Protocol of the score; equal strings compare, others never.
    pub signature: String,
    /// The published number beside ours.
    pub paper: Option<PaperReference>,
    /// Optimiser steps made.
    pub steps: u64,
    /// Target tokens per second of training; none for baselines.
    pub tokens_per_second: Option<f64>,
    /// Start, in seconds since 1970.
    pub started: u64,
    /// End, in seconds since 1970.
    pub finished: Option<u64>,
    /// How it ended.
    pub status: Status,
    /// Program and library versions by name; under [`COMMIT`] the git commit of the program.
    pub versions: BTreeMap<String, String>,
}

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
    /// of the same id is replaced, at once or not at all.
    ///
    /// # Errors
    /// [`ResultsError::Invalid`] for a record that contradicts itself, [`ResultsError::Io`] if the
    /// disk refuses.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<PathBuf> {
        self.validate()?;
        let dir = dir.as_ref();
        let path = self.path(dir);
        let stored = Stored {
            schema: SCHEMA,
            record: self,
        };
        let mut text =
            serde_json::to_string_pretty(&stored).map_err(|source| ResultsError::BadRecord {
                path: path.clone(),
                source,
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
        let bad = |source| ResultsError::BadRecord {
            path: path.to_path_buf(),
            source,
        };
        let text =
            fs::read_to_string(path).map_err(|source| ResultsError::io("read", path, source))?;
        let mut fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).map_err(bad)?;
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
        record.refuse_unknown(&fields).map_err(bad)?;
        record.validate()?;
        Ok(record)
    }

    /// Refuses keys that the record does not have. (`deny_unknown_fields` does not go with
    /// `flatten`.)
    fn refuse_unknown(
        &self,
        fields: &serde_json::Map<String, serde_json::Value>,
    ) -> serde_json::Result<()> {
        let known = serde_json::to_value(self)?;
        // Keys of optional fields are not written where they are empty.
        let is_known = |key: &str| known.get(key).is_some() || OPTIONAL.contains(&key);
        match fields.keys().find(|key| !is_known(key)) {
            Some(key) => Err(serde_json::Error::custom(format!("unknown field `{key}`"))),
            None => Ok(()),
        }
    }

    /// The git commit of the program that made the run: hexadecimal, with `-dirty` where the
    /// checkout had changes, or `unknown`. None in records from before it was noted.
    pub fn commit(&self) -> Option<&str> {
        self.versions.get(COMMIT).map(String::as_str)
    }

    /// Checks what the types cannot.
    fn validate(&self) -> Result<()> {
        let fail = |problem: String| {
            Err(ResultsError::Invalid {
                id: self.id.clone(),
                problem,
            })
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._=+-".contains(c);
        if self.id.is_empty() || self.id.starts_with('.') || !self.id.chars().all(plain) {
            return fail(
                "an id is made of letters, digits and `._=+-` and starts with no dot".into(),
            );
        }
        for (name, percentage) in [
            ("p_nominal", self.p_nominal),
            ("p_effective", self.p_effective),
            ("p_token_weighted", self.p_token_weighted),
        ] {
            if percentage.is_some_and(|p| !(0.0..=100.0).contains(&p)) {
                return fail(format!(
                    "{name} is {percentage:?}, expected 0 to 100 percent"
                ));
            }
        }
        let fits = match (self.condition, self.p_nominal) {
            (Condition::Dense, p) => p.is_none_or(|p| p == 0.0),
            (Condition::Masked(_), p) => p.is_some(),
            (Condition::Baseline(_), p) => p.is_none(),
        };
        if !fits {
            return fail(format!(
                "mask `{}` with p_nominal {:?}; masks need one, `none` has 0 or none, baselines have none",
                self.condition, self.p_nominal
            ));
        }
        let is_network = !matches!(self.condition, Condition::Baseline(_));
        if self
            .variant
            .as_ref()
            .is_some_and(|name| name.is_empty() || !is_network)
        {
            return fail(format!(
                "mask `{}` with variant {:?}; a network's variant has a name, baselines have none",
                self.condition, self.variant
            ));
        }
        if self.commit().is_some_and(|commit| !is_commit(commit)) {
            return fail(format!(
                "commit is {:?}; give 7 to 40 hexadecimal digits, `-dirty` after them if the checkout \
                 had changes, or `{UNKNOWN}`",
                self.commit()
            ));
        }
        let numbers = [
            self.value,
            self.tokens_per_second,
            self.paper.as_ref().map(|paper| paper.value),
        ];
        if numbers
            .into_iter()
            .flatten()
            .any(|number| !number.is_finite())
        {
            return fail(
                "value, tokens_per_second and paper must be finite; leave a value out and say `diverged`"
                    .into(),
            );
        }
        let range = self.metric.range();
        if self.value.is_some_and(|value| !range.contains(&value)) {
            let (found, metric) = (self.value, self.metric.label());
            return fail(format!(
                "value is {found:?}, but {metric} is {} to {}",
                range.start(),
                range.end()
            ));
        }
        if self.status == Status::Completed && self.value.is_none() {
            return fail("completed without a value; score it, or give another status".into());
        }
        Ok(())
    }
}

/// Whether `text` names a git commit, or says that it is unknown.
fn is_commit(text: &str) -> bool {
    let hash = text.strip_suffix("-dirty").unwrap_or(text);
    let is_hash = (7..=40).contains(&hash.len()) && hash.chars().all(|c| c.is_ascii_hexdigit());
    is_hash || text == UNKNOWN
}

/// Reads every `*.run.json` (or `run.json`) below `dir`, sorted by path.
///
/// # Errors
/// [`ResultsError::NoRuns`] without such a folder; the first file that cannot be read, by name.
pub fn load_all(dir: impl AsRef<Path>) -> Result<Vec<RunRecord>> {
    let dir = dir.as_ref();
    if !dir.is_dir() {
        return Err(ResultsError::NoRuns(dir.to_path_buf()));
    }
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort();
    files.iter().map(RunRecord::load).collect()
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
