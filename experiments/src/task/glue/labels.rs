//! The labels of the user's own files, which a trained model is of no use without.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sparta_datasets::classification::Labels;

use crate::io::{read_text, write_text};
use crate::protocol::RunFolder;

/// What remembers them in the run folder.
const FILE: &str = "data/labels.json";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Classes(Vec<String>),
    Score,
}

/// Keeps the labels of a run, once: those of the same files are the same.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn save(folder: &RunFolder, labels: &Labels) -> Result<()> {
    let path = folder.root().join(FILE);
    if path.exists() {
        return Ok(());
    }
    let kept = match labels {
        Labels::Classes(names) => Kept::Classes(names.iter().map(ToString::to_string).collect()),
        Labels::Score => Kept::Score,
    };
    write_text(&path, &(serde_json::to_string_pretty(&kept)? + "\n"))
}

/// The labels of the run that a path is in.
///
/// # Errors
/// A file that is missing or damaged.
pub(super) fn of_run(path: &Path) -> Result<Labels> {
    let found = RunFolder::containing(path)
        .map(|(run, _)| run.root().join(FILE))
        .filter(|file| file.is_file());
    let again = "`glue --out RUN --resume` with the run's `--data` writes it";
    let file = found
        .with_context(|| format!("no {FILE} in the run folder of {}; {again}", path.display()))?;
    let text = read_text(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let damaged = || format!("{} is damaged; delete it: {again}", file.display());
    let kept = serde_json::from_str(&text).with_context(damaged)?;
    Ok(match kept {
        Kept::Score => Labels::Score,
        Kept::Classes(names) => {
            let names: Vec<_> = names.into_iter().map(Into::into).collect();
            Labels::Classes(names.into())
        }
    })
}
