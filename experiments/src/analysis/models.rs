//! The models of a run that a path names, and what figures call them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sparta_results::figure::Source;

use super::figures::Observed;
use super::open::run_folder_of;
use super::request::Analyze;
use crate::protocol::find::{find, in_seeds, seeds};
use crate::protocol::run::TrainingSummary;
use crate::protocol::{Arm, ModelFolder, Row, RunFolder, Task, Variant};
use crate::recipe::Recipe;
use crate::version::typed;

/// One model to read.
pub(super) struct Chosen {
    pub(super) arm: Arm,
    pub(super) row: Option<Row>,
    /// As figures call it.
    pub(super) label: String,
}

impl Chosen {
    /// Its folder.
    pub(super) fn folder(&self) -> ModelFolder {
        self.arm.model(self.row.as_ref())
    }
}

/// The models that a path names, and those of the whole run.
pub(super) struct Models<R> {
    pub(super) recipe: R,
    pub(super) folder: RunFolder,
    pub(super) chosen: Vec<Chosen>,
    /// Their seed.
    pub(super) seed: u64,
    /// The dense models of all seeds, for masks and curves.
    pub(super) all: Vec<Observed>,
    /// The run and which of its models, for people.
    pub(super) name: String,
    /// What it learned from, for people.
    pub(super) corpus: String,
    /// Where the figures go.
    pub(super) out: PathBuf,
}

/// Names of variants in figures: the mechanism, with the data set where there are several.
fn labels(variants: &[Variant]) -> Vec<String> {
    let several = variants.iter().any(|of| of.dataset != variants[0].dataset);
    let name = |of: &Variant| {
        let label = of.mechanisms.label();
        let is_other = |other: &&Variant| {
            other.mechanisms != of.mechanisms && other.mechanisms.label() == label
        };
        // Two with one name, such as α-entmax with two bounds, are told apart by their words.
        let mechanism = match variants.iter().find(is_other) {
            None => label,
            Some(_) => of.mechanisms.to_string(),
        };
        match several {
            true => format!("{}, {mechanism}", dataset(of)),
            false => mechanism,
        }
    };
    variants.iter().map(name).collect()
}

/// The folder of a data set, where variants have such.
pub(super) fn dataset(of: &Variant) -> String {
    let name = of.folder.split('/').next().unwrap_or_default();
    name.to_owned()
}

impl<R: Recipe> Models<R> {
    /// Finds them.
    ///
    /// # Errors
    /// A path in no run folder, or without a trained model.
    pub(super) fn find<T: Task<Recipe = R>>(path: &Path, request: &Analyze) -> Result<Self> {
        let (run, path) = run_folder_of(path)?;
        let there = in_seeds(run.root());
        let with_found = |recipe: &R| {
            let mut recipe = recipe.clone();
            recipe.choose_found(&there);
            recipe
        };
        let found = find::<T>(&path, |recipe| T::variants(&with_found(recipe)))?;
        let (recipe, folder) = (with_found(&found.recipe), found.run);
        let root = folder.root().to_owned();
        let is_whole = path == root;
        let variants = T::variants(&recipe)?;
        let names = labels(&variants);
        let seeds = seeds(&root);
        let trained = |seed: u64| {
            let arms = variants.iter().zip(&names).map(|(variant, label)| {
                let arm = Arm::of(&folder, &recipe, seed, variant.clone());
                (arm, label.clone())
            });
            let arms = arms.filter(|(arm, _)| arm.model(None).trained().is_file());
            arms.collect::<Vec<_>>()
        };
        let several = variants.iter().any(|of| of.dataset != variants[0].dataset);
        let observed = |(arm, variant): (Arm, String)| Observed {
            dataset: match several {
                true => dataset(&arm.variant),
                false => String::new(),
            },
            variant,
            arm,
        };
        let all = seeds
            .iter()
            .flat_map(|&seed| trained(seed))
            .map(observed)
            .collect();
        let shown = root.file_name().map_or_else(
            || root.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        let (chosen, seed, name, out) = match is_whole {
            true => {
                let seed = match request.seed {
                    Some(seed) => seed,
                    None => *seeds
                        .iter()
                        .find(|&&seed| !trained(seed).is_empty())
                        .with_context(|| no_model::<R>(&root))?,
                };
                let chosen: Vec<Chosen> = trained(seed)
                    .into_iter()
                    .map(|(arm, label)| Chosen {
                        arm,
                        row: None,
                        label,
                    })
                    .collect();
                if chosen.is_empty() {
                    let with: Vec<String> = seeds.iter().map(u64::to_string).collect();
                    bail!(
                        "{} has no trained model of seed {seed}; it has the seeds {}",
                        root.display(),
                        with.join(", ")
                    );
                }
                let out = match request.seed {
                    // The figures of the run itself are those of its first seed.
                    Some(seed) => root.join(format!("seed-{seed}")),
                    None => root.clone(),
                };
                (chosen, seed, format!("{shown}, seed {seed}"), out)
            }
            false => {
                ensure!(
                    request.seed.is_none(),
                    "{} is a model of one seed; leave `--seed` out, or give the run folder {}",
                    path.display(),
                    root.display()
                );
                TrainingSummary::load(&found.folder)?;
                let at = variants.iter().position(|of| *of == found.arm.variant);
                let label = at.and_then(|at| names.get(at)).cloned();
                let identity = &found.folder.identity;
                let seed = identity.seed;
                let name = format!("{shown}, seed {seed}, {}", identity.run);
                let chosen = Chosen {
                    arm: found.arm,
                    row: found.row,
                    label: label.unwrap_or_default(),
                };
                (vec![chosen], seed, name, path)
            }
        };
        let titles: Vec<&str> = recipe
            .needs()?
            .corpora
            .iter()
            .map(|of| of.title())
            .collect();
        Ok(Self {
            corpus: titles.join(", "),
            recipe,
            folder,
            chosen,
            seed,
            all,
            name,
            out: out.join("figures"),
        })
    }

    /// What is measured of parameters alone.
    pub(super) fn parameters(&self, of: &Chosen) -> Source {
        Source {
            run: format!("{}, {}", self.name, of.label),
            corpus: self.corpus.clone(),
            n_sequences: None,
        }
    }

    /// Names and folders of the models whose training is drawn.
    pub(super) fn curves(&self, prefix: Option<&str>) -> Vec<(String, PathBuf)> {
        let of = |folder: &ModelFolder, name: String| {
            let name = match prefix {
                Some(prefix) => format!("{prefix}: {name}"),
                None => name,
            };
            (name, folder.path.clone())
        };
        // A model alone, or the dense models of all seeds.
        match self.chosen.as_slice() {
            [one] if one.row.is_some() => {
                let folder = one.folder();
                let name = folder.identity.run.clone();
                vec![of(&folder, name)]
            }
            chosen => {
                let mut seeds: Vec<u64> = self.all.iter().map(|of| of.arm.folder.seed()).collect();
                seeds.dedup();
                let is_whole = self.out == self.folder.root().join("figures");
                let named = |arm: &&Observed| {
                    is_whole || chosen.iter().any(|of| of.arm.folder == arm.arm.folder)
                };
                let several = is_whole && seeds.len() > 1;
                let shown = self.all.iter().filter(named);
                let name = |arm: &Observed| match several {
                    true => format!("{}, seed {}", arm.variant, arm.arm.folder.seed()),
                    false => arm.variant.clone(),
                };
                shown
                    .map(|arm| of(&arm.arm.model(None), name(arm)))
                    .collect()
            }
        }
    }
}

fn no_model<R: Recipe>(root: &Path) -> String {
    format!(
        "the run {} has no trained model yet; run `{} train --out {} --resume`",
        root.display(),
        R::PROGRAM,
        typed(root)
    )
}

/// The folders of logs of a run, for curves of several runs.
///
/// # Errors
/// As [`Models::find`].
pub(super) fn logs<T: Task>(
    path: &Path,
    request: &Analyze,
    prefix: &str,
) -> Result<Vec<(String, PathBuf)>> {
    Ok(Models::<T::Recipe>::find::<T>(path, request)?.curves(Some(prefix)))
}
