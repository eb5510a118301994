//! What a run leaves behind: one JSON file per trained and scored model.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Result, ResultsError};
use crate::metric::Metric;

/// Version of the file format that this crate writes and reads.
pub const SCHEMA: u64 = 1;
const FILE_END: &str = "run.json";

/// What hid attention cells in a run, or which baseline without attention stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskKind {
    /// Nothing hidden. With `p_nominal` 0 it is the p = 0 row of a table; without it, the dense checkpoint before the
    /// further steps of all rows.
    None,
    /// The mask of the smallest average attention.
    Ap,
    /// The same, ranked and hidden in whole blocks of cells; the record says of which size.
    ApBlocks,
    /// As many cells as `Ap` hides, drawn at random.
    Random,
    /// No network: a unigram model.
    Unigram,
    /// No network: a Kneser–Ney bigram model.
    Bigram,
    /// No network: a Kneser–Ney trigram model.
    Trigram,
    /// No network: the source sentence as its own translation.
    CopySource,
    /// No network: every word replaced by its most frequent translation.
    WordTranslation,
    /// No network: the most frequent class for every example.
    Majority,
    /// No network: a threshold on the share of a question's words that the sentence has.
    WordOverlap,
}

impl MaskKind {
    /// The word in records and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Ap => "ap",
            Self::ApBlocks => "ap-blocks",
            Self::Random => "random",
            Self::Unigram => "unigram",
            Self::Bigram => "bigram",
            Self::Trigram => "trigram",
            Self::CopySource => "copy-source",
            Self::WordTranslation => "word-translation",
            Self::Majority => "majority",
            Self::WordOverlap => "word-overlap",
        }
    }

    /// The word in tables, with the edge of the blocks if it has some: `ap-blocks-64`.
    pub fn label(self, block_size: Option<u64>) -> String {
        match block_size {
            Some(size) => format!("{self}-{size}"),
            None => self.to_string(),
        }
    }

    /// Whether the row is an n-gram model, which has no p.
    pub fn is_ngram(self) -> bool {
        match self {
            Self::None | Self::Ap | Self::ApBlocks | Self::Random => false,
            Self::CopySource | Self::WordTranslation => false,
            Self::Majority | Self::WordOverlap => false,
            Self::Unigram | Self::Bigram | Self::Trigram => true,
        }
    }

    /// Whether the row has no network, and so no p: an n-gram model or a translation without a model.
    pub fn is_baseline(self) -> bool {
        match self {
            Self::None | Self::Ap | Self::ApBlocks | Self::Random => false,
            Self::CopySource | Self::WordTranslation => true,
            Self::Majority | Self::WordOverlap => true,
            Self::Unigram | Self::Bigram | Self::Trigram => true,
        }
    }
}

impl fmt::Display for MaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

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
/// All p are in percent, 0 to 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Name, unique in its table; letters, digits and `._=+-`. Names the file.
    pub id: String,
    /// Table the run belongs to.
    pub table: String,
    /// Row of that table, in general the name of the recipe.
    pub row: String,
    /// Hash of what all runs of a row share: the resolved recipe without seed, mask seed, p, mask kind and device. Runs
    /// are averaged only if it is equal.
    pub recipe_hash: String,
    /// The resolved recipe as TOML.
    pub recipe: String,
    /// Training seed.
    pub seed: u64,
    /// Device that trained.
    pub device: String,
    /// Who computed attention there: `auto: fused`, `fused`, `reference`; none for baselines and in records from before
    /// there was a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    /// What hid attention cells.
    pub mask: MaskKind,
    /// Seed of a random mask.
    pub mask_seed: Option<u64>,
    /// Edge of the blocks, in cells, of a mask of whole blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_block_size: Option<u64>,
    /// Share of cells asked to be hidden; none for baselines.
    pub p_nominal: Option<f64>,
    /// Share of the legal cells that is hidden.
    pub p_effective: Option<f64>,
    /// Share of the legal cells that is hidden, each cell weighted by how often the data uses it.
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
    /// Training speed in target tokens; none for baselines.
    pub tokens_per_second: Option<f64>,
    /// Start, in seconds since 1970.
    pub started: u64,
    /// End, in seconds since 1970.
    pub finished: Option<u64>,
    /// How it ended.
    pub status: Status,
    /// Program and library versions by name.
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

    /// Writes the record into `dir`, made if need be, and returns the file's path. An older record of the same id is
    /// replaced, at once or not at all.
    ///
    /// # Errors
    /// [`ResultsError::Invalid`] for a record that contradicts itself, [`ResultsError::Io`] if the disk refuses.
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
        let record: Self = serde_json::from_value(fields.into()).map_err(bad)?;
        record.validate()?;
        Ok(record)
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
        for (name, share) in [
            ("p_nominal", self.p_nominal),
            ("p_effective", self.p_effective),
            ("p_token_weighted", self.p_token_weighted),
        ] {
            if share.is_some_and(|p| !(0.0..=100.0).contains(&p)) {
                return fail(format!("{name} is {share:?}, expected 0 to 100 percent"));
            }
        }
        let fits = match (self.mask, self.p_nominal) {
            (MaskKind::None, p) => p.is_none_or(|p| p == 0.0),
            (MaskKind::Ap | MaskKind::ApBlocks | MaskKind::Random, p) => p.is_some(),
            (MaskKind::Unigram | MaskKind::Bigram | MaskKind::Trigram, p)
            | (MaskKind::CopySource | MaskKind::WordTranslation, p)
            | (MaskKind::Majority | MaskKind::WordOverlap, p) => p.is_none(),
        };
        if !fits {
            let found = self.p_nominal;
            return fail(format!(
                "mask `{}` with p_nominal {found:?}; `ap`, `ap-blocks` and `random` need one, `none` has 0 or none, baselines have none",
                self.mask
            ));
        }
        if (self.mask == MaskKind::ApBlocks) != self.mask_block_size.is_some() {
            return fail(format!(
                "mask `{}` with mask_block_size {:?}; `ap-blocks` needs one, other masks have none",
                self.mask, self.mask_block_size
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
            return fail("value, tokens_per_second and paper must be finite; leave a value out and say `diverged`".into());
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
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tmp-");
    // Temporary files are private by default; results are for everybody the umask lets in.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
