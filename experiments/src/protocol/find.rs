//! The model that a path names, and the run folder it is in.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::folder::{ModelFolder, RunFolder};
use super::rows::{Arm, Row};
use super::task::Task;
use super::variant::Variant;
use crate::analysis::program_of_text;
use crate::io::read_text;
use crate::recipe::Recipe;
use crate::version::typed;

/// A model inside a run folder.
#[derive(Debug)]
pub(crate) struct Found<R> {
    /// The run folder.
    pub(crate) run: RunFolder,
    /// Its recipe.
    pub(crate) recipe: R,
    /// The variant and its folder.
    pub(crate) arm: Arm,
    /// The model.
    pub(crate) folder: ModelFolder,
    /// The row it was trained again for, if it was.
    pub(crate) row: Option<Row>,
}

/// Finds the run a path is in, and the model it names; a run alone means its first dense model. `variants` are those
/// that may be there.
///
/// # Errors
/// A path that is in no run folder, or names no model of it.
pub(crate) fn find<T: Task>(
    path: &Path,
    variants: impl Fn(&T::Recipe) -> Result<Vec<Variant>>,
) -> Result<Found<T::Recipe>> {
    let program = T::Recipe::PROGRAM;
    ensure!(
        path.is_dir(),
        "no folder {}; give a run folder (runs/…) or the folder of a model in it, e.g. \
         RUN/seed-1/NAME/dense",
        path.display()
    );
    let (run, path) = RunFolder::containing(path).ok_or_else(|| {
        anyhow!(
            "{} is in no run folder (no recipe.toml in it or above it); make one with `{program}`",
            path.display()
        )
    })?;
    let (root, recipe_path) = (run.root(), run.recipe());
    let text = read_text(&recipe_path)
        .with_context(|| format!("cannot read {}", recipe_path.display()))?;
    let recipe = match T::Recipe::parse(&text, &[]) {
        Ok(recipe) => recipe,
        Err(error) => return Err(not_of_program(root, &recipe_path, &text, program, error)),
    };
    for seed in seeds(root) {
        for variant in variants(&recipe)? {
            let arm = Arm::of(&run, &recipe, seed, variant);
            let rows = Row::all(&arm.variant.pruned, recipe.masks());
            let mut models = [None].into_iter().chain(rows.into_iter().map(Some));
            let chosen = match path == root {
                true => arm.model(None).path.is_dir().then_some(None),
                false => models.find(|row| arm.model(row.as_ref()).path == path),
            };
            if let Some(row) = chosen {
                return Ok(Found {
                    folder: arm.model(row.as_ref()),
                    run: run.clone(),
                    recipe,
                    arm,
                    row,
                });
            }
        }
    }
    ensure!(
        path != root,
        "the run {} has no model yet (no seed-N in it); run `{program} train --recipe {} --out {}`",
        root.display(),
        typed(&recipe_path),
        typed(root)
    );
    bail!(
        "{} is no model of the run {}; its models are seed-N/NAME/dense and seed-N/NAME/rows/ROW",
        path.display(),
        root.display()
    )
}

/// Why the recipe of a run is none of a program: because it is one of another, or for the reason that reading it gave.
fn not_of_program(
    root: &Path,
    recipe: &Path,
    text: &str,
    program: &str,
    error: anyhow::Error,
) -> anyhow::Error {
    match program_of_text(recipe, text) {
        Ok(other) if other.as_str() != program => anyhow!(
            "{} is a run of `{other}`, and not of `{program}`: give a run of `{program}` (`sparta runs` lists runs with \
             their programs)",
            root.display()
        ),
        _ => error.context(recipe.display().to_string()),
    }
}

/// Names of what is in the folders of a run's seeds: those of variants, or of their data sets.
pub(crate) fn in_seeds(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for seed in seeds(root) {
        let entries = std::fs::read_dir(root.join(format!("seed-{seed}")));
        let entries = entries.into_iter().flatten().flatten();
        names.extend(entries.filter_map(|e| e.file_name().into_string().ok()));
    }
    names.sort();
    names.dedup();
    names
}

/// Seeds that a run folder has, smallest first.
pub(crate) fn seeds(root: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut seeds: Vec<u64> = entries
        .filter_map(|e| e.file_name().to_str()?.strip_prefix("seed-")?.parse().ok())
        .collect();
    seeds.sort_unstable();
    seeds
}
