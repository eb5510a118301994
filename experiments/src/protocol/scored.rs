//! The scored models of a run folder, and what scoring left beside each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sparta_results::metric::Outcomes;
use sparta_results::{MaskFamily, MaskRows, Metric, RunRecord, Status};

use super::folder::{MODEL, TRAINED};

/// A model of a run folder with its records.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScoredModel {
    /// Its folder.
    pub(crate) path: PathBuf,
    /// Its seed.
    pub(crate) seed: u64,
    /// Folder of its variant and data set; empty where a seed has one dense model.
    pub(crate) arm: String,
    /// `dense`, or its row.
    pub(crate) row: String,
    /// Its completed records.
    pub(crate) records: Vec<RunRecord>,
}

/// One score of a model, unit by unit of the test set.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitScores {
    /// Which score.
    pub metric: Metric,
    /// Its protocol.
    pub signature: String,
    /// What the units are: `sentences`.
    pub units: &'static str,
    /// What each adds.
    pub outcomes: Outcomes,
    /// Hash of what is expected of each unit: test sets of one signature differ where it does.
    pub test_set: String,
}

impl ScoredModel {
    /// Whether its parameters are there.
    pub(crate) fn has_parameters(&self) -> bool {
        self.path.join(MODEL).is_file()
    }

    /// Name in records: `softmax-dense`.
    fn record_name(&self) -> String {
        self.name().replace('/', "-")
    }

    /// Name in the run folder: `softmax/dense`.
    pub(crate) fn name(&self) -> String {
        match self.arm.as_str() {
            "" => self.row.clone(),
            arm => format!("{arm}/{}", self.row),
        }
    }
}

/// Which of some models, by seed and the name in records, a record is of. Names begin like those of others (`p0` and
/// `p0-cross`): the longest is meant.
pub(crate) fn owner(models: &[(u64, String)], record: &RunRecord) -> Option<usize> {
    let (_, name) = (record.id).split_once(&format!("-seed{}-", record.seed))?;
    let is_of = |at: &usize| {
        let (seed, model) = &models[*at];
        let rest = name.strip_prefix(model.as_str());
        *seed == record.seed && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    (0..models.len())
        .filter(is_of)
        .max_by_key(|&at| models[at].1.len())
}

/// The trained models of a run folder that have completed records, by seed and name; the dense model of an arm first.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn models(root: &Path, records: &[RunRecord]) -> Result<Vec<ScoredModel>> {
    let mut found: Vec<ScoredModel> = Vec::new();
    for entry in read(root)? {
        let name = name(&entry);
        let seed = name
            .strip_prefix("seed-")
            .and_then(|seed| seed.parse().ok());
        if let Some(seed) = seed {
            collect(&entry, seed, "", &mut found)?;
        }
    }
    let is_row = |model: &ScoredModel| model.row != "dense";
    found.sort_by_cached_key(|model| {
        (
            model.seed,
            model.arm.clone(),
            is_row(model),
            model.row.clone(),
        )
    });
    let names: Vec<(u64, String)> = found.iter().map(|of| (of.seed, of.record_name())).collect();
    let mut of_model: BTreeMap<usize, Vec<RunRecord>> = BTreeMap::new();
    for record in records.iter().filter(|r| r.status == Status::Completed) {
        if let Some(at) = owner(&names, record) {
            of_model.entry(at).or_default().push(record.clone());
        }
    }
    let with_records = |(at, model): (usize, ScoredModel)| {
        let mut records = of_model.remove(&at)?;
        // What is kept beside a model is what it wrote with the right rows of its mask, where it wrote with others too.
        let rows = |of: &RunRecord| of.condition.family().map(MaskFamily::rows);
        let is_other = |of: &RunRecord| rows(of) == Some(MaskRows::Paper);
        if !records.iter().all(is_other) {
            records.retain(|of| !is_other(of));
        }
        Some(ScoredModel { records, ..model })
    };
    Ok(found
        .into_iter()
        .enumerate()
        .filter_map(with_records)
        .collect())
}

/// Adds the models below a folder of an arm, or of arms.
fn collect(folder: &Path, seed: u64, arm: &str, found: &mut Vec<ScoredModel>) -> Result<()> {
    let model = |path: PathBuf, row: String| ScoredModel {
        path,
        seed,
        arm: arm.to_owned(),
        row,
        records: Vec::new(),
    };
    for entry in read(folder)? {
        match name(&entry).as_str() {
            "dense" => {
                found.extend(is_trained(&entry).then(|| model(entry.clone(), "dense".into())))
            }
            "rows" => {
                let rows = read(&entry)?.into_iter().filter(|row| is_trained(row));
                found.extend(rows.map(|row| model(row.clone(), name(&row))));
            }
            "masks" => {}
            other => {
                let arm = match arm {
                    "" => other.to_owned(),
                    arm => format!("{arm}/{other}"),
                };
                collect(&entry, seed, &arm, found)?;
            }
        }
    }
    Ok(())
}

fn is_trained(model: &Path) -> bool {
    model.join(TRAINED).is_file()
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The folders in a folder, by name.
fn read(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = || format!("cannot read {}", folder.display());
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.is_dir() && !name(&path).starts_with('.') {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}
