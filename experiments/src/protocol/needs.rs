//! What of a table is still to be made: a table goes on from records alone, without the models that they are of.
//!
//! A model that has all of its records is not trained again, whether its parameters are there or not, unless a model without
//! records is made from it. Records must be of this recipe, and of this build of the program unless they may be mixed.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use sparta_results::{RunRecord, load_all};

use super::method::Protocol;
use super::records::ensure_one_recipe;
use super::rows::{Arm, Row, all_models};
use super::run::TrainingSummary;
use super::stage::Stage;
use super::task::{Line, Task};
use crate::recipe::{Recipe, RetrainStart};
use crate::train::trained_so_far;
use crate::version;

/// Why the dense model of an arm must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DenseNeed {
    /// It need not.
    None,
    /// It has no record, or its stage was asked for.
    Own,
    /// A row is made from it.
    Row(Row),
}

impl DenseNeed {
    pub(super) const fn is_needed(&self) -> bool {
        match self {
            Self::None => false,
            Self::Own | Self::Row(_) => true,
        }
    }
}

/// What of an arm is still to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needs {
    /// Why the dense model must be there.
    pub(super) dense: DenseNeed,
    /// Rows whose models must be there.
    pub(super) rows: Vec<Row>,
}

impl<T: Task> Protocol<'_, T> {
    /// What must be there of an arm: all of it where a stage was asked for by itself, and of a whole table what it has no
    /// records of, and what that is made from.
    ///
    /// # Errors
    /// Those of [`Task::lines`].
    pub(super) fn needs(&self, arm: &Arm, rows: &[Row]) -> Result<Needs> {
        let start = self.run.recipe.retrain_start();
        if self.run.request.stage != Stage::Reproduce {
            return Ok(Needs {
                dense: DenseNeed::Own,
                rows: rows.to_vec(),
            });
        }
        let mut left = Vec::new();
        for row in rows.iter().filter(|row| row.is_trained_again(start)) {
            if !self.has_records(arm, Some(row))? {
                left.push(row.clone());
            }
        }
        let has_pattern = arm.folder.pattern().exists();
        let is_from_dense = |row: &&Row| {
            let is_observed = row.mask.is_none() || has_pattern;
            let starts_there = match start {
                RetrainStart::Dense => !arm.model(Some(row)).has_weights(),
                RetrainStart::Scratch | RetrainStart::Pretrained => false,
            };
            !is_observed || starts_there
        };
        let dense = match left.iter().find(is_from_dense) {
            _ if !self.has_records(arm, None)? => DenseNeed::Own,
            Some(row) => DenseNeed::Row(row.clone()),
            None => DenseNeed::None,
        };
        Ok(Needs { dense, rows: left })
    }

    /// Whether every score of a model has its record.
    ///
    /// # Errors
    /// Those of [`Task::lines`].
    pub(super) fn has_records(&self, arm: &Arm, row: Option<&Row>) -> Result<bool> {
        let [there, all] = self.count_records(arm, row)?;
        Ok(all > 0 && there == all)
    }

    /// How many scores of a model have their record, and how many there are.
    fn count_records(&self, arm: &Arm, row: Option<&Row>) -> Result<[usize; 2]> {
        let (folder, lines) = (
            arm.model(row),
            self.task.lines(&arm.variant, row, &self.on)?,
        );
        let is_there = |line: &&Line| self.run.record_path(&folder, line).exists();
        Ok([lines.iter().filter(is_there).count(), lines.len()])
    }

    /// Says which models are not trained again, and which are although they have records.
    pub(super) fn note_needs(&self, arm: &Arm, needs: &Needs) -> Result<()> {
        if self.run.request.stage != Stage::Reproduce {
            return Ok(());
        }
        let dense = arm.folder.dense();
        let name = |row: Option<&Row>| arm.model(row).identity.run;
        let seed = arm.folder.seed();
        match &needs.dense {
            DenseNeed::Row(row) if !dense.has_weights() => self.run.note(&format!(
                "{} of seed {seed} has its record and no parameters, and {} is made from it: it is trained again, and its \
                 record stays as it is",
                name(None),
                name(Some(row))
            )),
            DenseNeed::None | DenseNeed::Own | DenseNeed::Row(_) => {}
        }
        let rows = Row::all(&arm.variant.pruned, self.run.recipe.masks());
        let start = self.run.recipe.retrain_start();
        for row in needs.rows.iter().map(Some) {
            let [there, all] = self.count_records(arm, row)?;
            if there > 0 && !arm.model(row).has_weights() {
                self.run.note(&format!(
                    "{} of seed {seed} has {there} of {all} records and no parameters: it is trained again, and its records \
                     stay as they are",
                    name(row)
                ));
            }
        }
        let mut kept = Vec::new();
        if !needs.dense.is_needed() && !dense.has_weights() {
            kept.push(name(None));
        }
        for row in rows.iter().filter(|row| row.is_trained_again(start)) {
            if !needs.rows.contains(row) && !arm.model(Some(row)).has_weights() {
                kept.push(name(Some(row)));
            }
        }
        if !kept.is_empty() {
            self.run.note(&format!(
                "seed {seed}: {} not trained again, for the records are there: {}",
                if kept.len() == 1 { "is" } else { "are" },
                kept.join(", ")
            ));
        }
        Ok(())
    }

    /// Holds the records of the run folder to this recipe and, where scores are still to be made, to this build.
    ///
    /// # Errors
    /// A record of another recipe; records of another build, unless they may be mixed; each says what to do.
    pub(super) fn check_records(&self) -> Result<()> {
        let (run, root) = (self.run, self.run.folder.root());
        let records = match run.folder.records().is_dir() {
            true => load_all(run.folder.records())?,
            false => Vec::new(),
        };
        ensure_one_recipe(root, &records, &run.recipe.hash())?;
        if run.request.is_mixed {
            return Ok(());
        }
        let others = records.iter().filter(|of| !is_of_this_build(of));
        let mut builds: BTreeSet<String> = others.map(build_of).collect();
        let mut is_left = false;
        for (arm, row) in all_models::<T>(run.recipe, &run.folder)? {
            if self.has_records(&arm, row.as_ref())? {
                continue;
            }
            is_left = true;
            let folder = arm.model(row.as_ref());
            let by = match folder.has_weights() {
                true => TrainingSummary::load(&folder)?.by,
                false => trained_so_far(&folder.path),
            };
            let others = by.iter().filter(|of| of.commit != version::COMMIT);
            builds.extend(others.map(|of| format!("models by commit {}", of.commit)));
        }
        if builds.is_empty() || !is_left {
            return Ok(());
        }
        bail!(
            "{} has records or models of another build, and not all of its scores: they are of {}, and this is {} {}; go on with \
             `--mixed` (runs of several builds are then averaged), with the build that made them, or in a new folder by \
             `--out DIR`",
            root.display(),
            builds.into_iter().collect::<Vec<_>>().join(", "),
            version::VERSION,
            words(Some(version::COMMIT)),
        )
    }
}

/// Whether a record was made by this version and commit.
fn is_of_this_build(record: &RunRecord) -> bool {
    let version = record.versions.get("sparta").map(String::as_str);
    (version, record.build().as_deref()) == (Some(version::VERSION), Some(version::COMMIT))
}

/// The version and commit that made a record, in words.
pub(crate) fn build_of(record: &RunRecord) -> String {
    let version = record.versions.get("sparta").map_or("?", String::as_str);
    format!("{version} {}", words(record.build().as_deref()))
}

fn words(commit: Option<&str>) -> String {
    match commit {
        Some(commit) => format!("(commit {commit})"),
        None => "(without a commit)".to_owned(),
    }
}
