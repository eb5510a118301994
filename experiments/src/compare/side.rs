//! What a path names: a run folder with its models, one model, or the model of a record.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sparta_results::{Metric, RunRecord, WEIGHTS, load_all};

use crate::analysis::{ProgramName, program_of};
use crate::protocol::build_of;
use crate::protocol::program::{recipe_of, with_task};
use crate::protocol::rows::all_models;
use crate::protocol::scored::{self, ScoredModel};
use crate::protocol::{RunFolder, Task, UnitScores};
use crate::version::typed;

/// How far outcomes may be from the score of the record, relative to it: sums are taken in another order.
const CLOSE: f64 = 1e-6;
/// The same of correlations, whose numbers earlier versions kept to four decimals.
const CLOSE_CORRELATION: f64 = 1e-3;

/// What one path names.
#[derive(Debug, Clone)]
pub(super) struct Side {
    /// The path as it was typed.
    pub(super) path: PathBuf,
    /// Whether it is a run folder, whose models are meant.
    pub(super) is_run: bool,
    /// The models, by seed, variant and row.
    pub(super) models: Vec<Model>,
    /// Whether its recipe makes p = 0, the dense model after as many further steps as the rows.
    pub(super) has_control: bool,
    /// What scores models of the run.
    pub(super) eval: String,
    /// Where its records are.
    pub(super) records: PathBuf,
}

/// A scored model.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// What it is called.
    pub(super) name: String,
    /// The run folder.
    pub(super) root: PathBuf,
    program: ProgramName,
    /// Its folder and records.
    pub(super) scored: ScoredModel,
}

impl Side {
    /// Finds what a path names.
    ///
    /// # Errors
    /// A path that is in no run folder, or a run, model or record without a scored model.
    pub(super) fn of(path: &Path) -> Result<Self> {
        ensure!(
            path.exists(),
            "there is no {}; give run folders, folders of models in them (RUN/seed-1/dense), or run records",
            path.display()
        );
        let (folder, path) = RunFolder::containing(path).with_context(|| {
            format!(
                "{} is in no run folder (no recipe.toml in it or above it); make one with `lm`, `iwslt`, `glue`, \
                 `squad` or `mlm`",
                path.display()
            )
        })?;
        let root = folder.root();
        let program = program_of(root)?;
        let eval = format!(
            "{} eval --recipe {} --out {} --resume",
            program,
            typed(&folder.recipe()),
            typed(root)
        );
        ensure!(
            folder.records().is_dir(),
            "{} has no records yet; score its models with `{eval}`",
            root.display()
        );
        let records = load_all(folder.records())?;
        let models = scored::models(root, &records)?;
        let only = match path.is_file() {
            true => Some(RunRecord::load(&path)?),
            false => None,
        };
        let is_run = path == root;
        let is_named = |model: &ScoredModel| match &only {
            Some(record) => model.records.iter().any(|of| of.id == record.id),
            None => is_run || model.path == path,
        };
        let model = |mut scored: ScoredModel| {
            if let Some(record) = &only {
                scored.records.retain(|of| of.id == record.id);
            }
            Model {
                name: scored.path.display().to_string(),
                root: root.to_owned(),
                program,
                scored,
            }
        };
        let known: Vec<String> = models
            .iter()
            .map(|of| of.path.display().to_string())
            .collect();
        let models: Vec<Model> = models.into_iter().filter(is_named).map(model).collect();
        if models.is_empty() {
            match known.is_empty() {
                true => bail!(
                    "{} has no trained and scored model (published runs keep records alone; a run that is not finished \
                     goes on with `{}`)",
                    root.display(),
                    eval.replace(" eval ", " reproduce ")
                ),
                false => bail!(
                    "{} is no trained and scored model of {}; those are {}",
                    path.display(),
                    root.display(),
                    known.join(", ")
                ),
            }
        }
        let has_control = with_task!(program, T => {
            let recipe = recipe_of::<<T as Task>::Recipe>(root)?;
            let models = all_models::<T>(&recipe, &folder)?;
            models.iter().flat_map(|(_, row)| row).any(|row| row.mask.is_none())
        });
        Ok(Self {
            path,
            is_run,
            models,
            has_control,
            eval,
            records: folder.records(),
        })
    }
}

impl Model {
    /// Its scores unit by unit, held to its records.
    ///
    /// # Errors
    /// Nothing kept, or something that gives another score than the record says.
    pub(super) fn unit_scores(&self) -> Result<Vec<UnitScores>> {
        let (root, model) = (&self.root, &self.scored);
        let eval = format!(
            "{} eval --recipe {} --out {} --resume --seeds {}",
            self.program,
            typed(&RunFolder::at(root.clone()).recipe()),
            typed(root),
            model.seed
        );
        let scores = with_task!(self.program, T => {
            ensure!(
                model.path.join(T::KEPT).is_file(),
                "{} has no {}, which says what each unit of the test set adds: an earlier version scored the model, or it \
                 was removed; {}",
                model.path.display(),
                T::KEPT,
                match model.has_parameters() {
                    true => format!("add it with `{eval}` (records stay as they are)"),
                    false => format!(
                        "its parameters are gone too: delete its records in {} and go on with `{}`",
                        root.join("records").display(),
                        eval.replace(" eval ", " reproduce ")
                    ),
                }
            );
            let recipe = recipe_of::<<T as Task>::Recipe>(root)?;
            let scores = T::unit_scores(&recipe, &RunFolder::at(root.clone()), &model.path, &model.records)?;
            check(T::KEPT, model, &scores, &eval)?;
            scores
        });
        ensure!(
            !scores.is_empty(),
            "{} has only scores that are measured once (time, memory), which no test can compare",
            model.path.display()
        );
        Ok(scores)
    }

    /// The type that its network computed in.
    pub(super) fn precision(&self) -> &str {
        let records = self.scored.records.iter();
        let mut half = records.filter_map(|record| record.precision.as_deref());
        half.next().unwrap_or("f32")
    }

    /// The builds that made its records.
    pub(super) fn builds(&self) -> BTreeSet<String> {
        let records = self.scored.records.iter();
        records.map(build_of).collect()
    }

    /// A data file that the other model read with other content, by its name.
    pub(super) fn reads_other<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        let mut pairs = (self.scored.records.iter())
            .flat_map(|of| other.scored.records.iter().map(move |other| (of, other)));
        // Networks of other pretrained weights are compared as those of other recipes are.
        pairs.find_map(|(of, other)| of.differs_in(other).find(|name| *name != WEIGHTS))
    }

    /// The signatures of its records.
    pub(super) fn recorded(&self) -> impl Iterator<Item = &str> {
        self.scored
            .records
            .iter()
            .map(|record| record.signature.as_str())
    }

    /// Whether one of its records has a signature.
    pub(super) fn has_recorded(&self, signature: &str) -> bool {
        self.recorded().any(|of| of == signature)
    }
}

/// Refuses outcomes that give another score than the record has.
fn check(file: &str, model: &ScoredModel, scores: &[UnitScores], eval: &str) -> Result<()> {
    for score in scores {
        let close = match score.metric {
            Metric::Pearson | Metric::Spearman | Metric::PearsonSpearman => CLOSE_CORRELATION,
            _ => CLOSE,
        };
        let of_score = |record: &&RunRecord| {
            (record.metric, &record.signature) == (score.metric, &score.signature)
        };
        for record in model.records.iter().filter(of_score) {
            let (Some(said), found) = (record.value, score.outcomes.score()) else {
                continue;
            };
            ensure!(
                (said - found).abs() <= close * said.abs().max(1.0),
                "{} gives {} {found}, and the record {} says {said}: they are of different scorings; delete the record and \
                 the file, and score the model again with `{eval}`",
                model.path.join(file).display(),
                score.metric.label(),
                record.id
            );
        }
    }
    Ok(())
}
