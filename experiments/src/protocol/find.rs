//! The model that a path names, and the run folder it is in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::folder::{ArmFolder, ModelFolder, RunFolder};
use crate::recipe::Recipe;

/// A model inside a run folder.
#[derive(Debug)]
pub(crate) struct Found<R> {
    /// The run folder.
    pub(crate) run: RunFolder,
    /// Its recipe.
    pub(crate) recipe: R,
    /// What the model was made with.
    pub(crate) branch: ArmFolder,
    /// The branch's name.
    pub(crate) name: String,
    /// The model.
    pub(crate) folder: ModelFolder,
    /// The row it was trained again for, if it was.
    pub(crate) row: Option<String>,
}

/// A branch of a recipe and the rows that may be in it.
type NamedBranch = (String, Vec<String>);

/// Finds the run a path is in, and the model it names; a run alone means its first dense model. `branches`
/// are those a recipe may have.
///
/// # Errors
/// A path that is in no run folder, or names no model of it.
pub(crate) fn find<R: Recipe>(
    path: &Path,
    branches: impl Fn(&R) -> Vec<NamedBranch>,
) -> Result<Found<R>> {
    // Paths of the run are compared with what was typed.
    let path: PathBuf = path.components().collect();
    let program = R::PROGRAM;
    ensure!(
        path.is_dir(),
        "no folder {}; give a run folder (runs/…) or the folder of a model in it, e.g. \
         RUN/seed-1/NAME/dense",
        path.display()
    );
    let root = path
        .ancestors()
        .find(|p| p.join("recipe.toml").is_file())
        .ok_or_else(|| {
            anyhow!(
                "{} is in no run folder (no recipe.toml above it); make one with `{program}`",
                path.display()
            )
        })?;
    let recipe_path = root.join("recipe.toml");
    let text = std::fs::read_to_string(&recipe_path)
        .with_context(|| format!("cannot read {}", recipe_path.display()))?;
    let recipe = R::parse(&text, &[]).with_context(|| recipe_path.display().to_string())?;
    let run = RunFolder::of(&recipe, Some(root));
    for seed in seeds(root) {
        for (name, rows) in branches(&recipe) {
            let branch = run.branch(&recipe, seed, &name);
            let dense = branch.dense();
            let chosen = match path == root {
                true => dense.path.is_dir().then_some((dense, None)),
                false if path == dense.path => Some((dense, None)),
                false => {
                    let models = rows.into_iter().map(|row| (branch.row(&row), Some(row)));
                    models.into_iter().find(|(model, _)| model.path == path)
                }
            };
            if let Some((folder, row)) = chosen {
                return Ok(Found {
                    run,
                    recipe,
                    branch,
                    name,
                    folder,
                    row,
                });
            }
        }
    }
    ensure!(
        path != root,
        "the run {} has no model yet (no seed-N in it); run `{program} train --recipe {} --out {}`",
        root.display(),
        recipe_path.display(),
        root.display()
    );
    bail!(
        "{} is no model of the run {}; its models are seed-N/NAME/dense and seed-N/NAME/rows/ROW",
        path.display(),
        root.display()
    )
}

/// Seeds that a run folder has, smallest first.
fn seeds(root: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut seeds: Vec<u64> = entries
        .filter_map(|e| e.file_name().to_str()?.strip_prefix("seed-")?.parse().ok())
        .collect();
    seeds.sort_unstable();
    seeds
}
