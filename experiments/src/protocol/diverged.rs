//! Models whose training diverged: the others of a table are made, and the process ends with what is to be done about
//! these.

use anyhow::{Context, Result, bail};

use super::method::Protocol;
use super::rows::{Arm, Row};
use super::task::Task;
use crate::recipe::Recipe;
use crate::train::{Diverged, Identity};

/// A model that there is none of, because its training diverged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GivenUp {
    /// What became of it.
    why: String,
    /// The key of the learning rate that it was trained with.
    key: &'static str,
    /// What the recipe says there.
    lr: f64,
}

/// An error where models diverged, with what to type next.
///
/// # Errors
/// One that names each of them.
pub(super) fn check(given_up: &[GivenUp]) -> Result<()> {
    if given_up.is_empty() {
        return Ok(());
    }
    let mut edits: Vec<String> = Vec::new();
    for GivenUp { key, lr, .. } in given_up {
        let edit = format!("--set {key}={:.2e}", lr / 3.0);
        if !edits.contains(&edit) {
            edits.push(edit);
        }
    }
    let why: Vec<&str> = given_up.iter().map(|of| of.why.as_str()).collect();
    bail!(
        "{}; what does not need it is done. Make the table with a smaller learning rate, e.g. `{} --out DIR`, or `--resume` \
         by another build or device",
        why.join("; "),
        edits.join(" ")
    )
}

impl<T: Task> Protocol<'_, T> {
    /// Whether there is a model after its training; one that diverged is added to those that are given up, with all that
    /// are made from it.
    ///
    /// # Errors
    /// Any other failure.
    pub(super) fn survives(
        &self,
        trained: Result<()>,
        (arm, row): (&Arm, Option<&Row>),
        given_up: &mut Vec<GivenUp>,
    ) -> Result<bool> {
        let why = match trained {
            Ok(()) => return Ok(true),
            Err(error) => error.downcast::<Diverged>()?.to_string(),
        };
        self.give_up(why, (arm, row), given_up);
        Ok(false)
    }

    /// Whether there is a model to score or observe, of a process that trains none; else why not is added.
    ///
    /// # Errors
    /// What the task has to say against the row.
    pub(super) fn is_there(
        &self,
        (arm, row): (&Arm, Option<&Row>),
        given_up: &mut Vec<GivenUp>,
    ) -> Result<bool> {
        let folder = arm.model(row);
        let lines = self.task.lines(&arm.variant, row, &self.on)?;
        let records = self.run.diverged(&folder, &lines);
        let Some(record) = records.first().filter(|_| !folder.has_weights()) else {
            return Ok(true);
        };
        if self.has_records(arm, row)? {
            return Ok(true);
        }
        let name = record.file_name().context("a record has no name")?;
        let why = format!(
            "training of `{}` of seed {} diverged ({})",
            folder.identity.run,
            folder.identity.seed,
            name.to_string_lossy()
        );
        self.give_up(why, (arm, row), given_up);
        Ok(false)
    }

    fn give_up(&self, why: String, (arm, row): (&Arm, Option<&Row>), given_up: &mut Vec<GivenUp>) {
        self.run.note(&format!("{why}; the others go on"));
        let recipe = self.run.recipe;
        let start = recipe.retrain_start();
        let rows = Row::all(&arm.variant.pruned, recipe.masks());
        let rows = rows.iter().filter(|row| row.is_trained_again(start));
        let lost: Vec<Identity> = match row {
            Some(row) => vec![arm.model(Some(row)).identity],
            None => std::iter::once(None)
                .chain(rows.map(Some))
                .map(|row| arm.model(row).identity)
                .collect(),
        };
        self.run.tracker().given_up(&lost);
        let (key, lr) = match (row, recipe.retrain_lr()) {
            (Some(_), Some(lr)) => ("retrain.lr", lr),
            (Some(_), None) | (None, _) => ("train.lr", recipe.lr()),
        };
        given_up.push(GivenUp { why, key, lr });
    }
}
