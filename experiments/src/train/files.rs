//! What training leaves in the folder of a model, and for how long.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::selection;

/// File name of the checkpoint inside the folder of a run.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// File name of the metrics inside the folder of a run: what is a function of recipe, seed and kind of processor.
pub const METRICS: &str = "metrics.jsonl";
/// File name of the times inside the folder of a run, which are none.
pub const TIMING: &str = "timing.jsonl";

/// The last line of a training's times.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Timing {
    /// Steps that were made.
    pub(crate) step: u64,
    /// What they took.
    pub(crate) seconds: f64,
}

impl Timing {
    /// What a step took.
    pub(crate) fn step_seconds(self) -> Option<f64> {
        (self.step > 0).then(|| self.seconds / self.step as f64)
    }
}

/// How far the training in the folder of a model is, by its last logged step.
pub(crate) fn last_timing(model: &Path) -> Option<Timing> {
    let text = std::fs::read_to_string(model.join(TIMING)).ok()?;
    // The last line may be half written.
    let mut lines = text.lines().rev();
    lines.find_map(|line| serde_json::from_str(line).ok())
}

/// The files in the folder of a run that were needed to go on, and are not any more once its module is saved.
///
/// # Errors
/// A folder that cannot be read.
pub fn leftovers(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = || format!("cannot read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == CHECKPOINT || selection::is_needed_to_go_on(&name) {
            files.push(path);
        }
    }
    Ok(files)
}
