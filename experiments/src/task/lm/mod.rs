//! The language-model table: train → observe → prune → train again under each mask → test.

mod cost;
mod data;
mod dry_run;
mod folder;
mod lesson;
mod network;
mod pass;
mod records;
mod rows;
mod stages;

pub use cost::Cost;
pub use data::LmData;
pub use folder::{ModelFolder, RunFolder};
pub use lesson::LmLesson;
pub use rows::Row;

use std::path::PathBuf;

use anyhow::Result;

use crate::device::{self, DeviceChoice};
use crate::recipe::Recipe;
use crate::train::{short, watch};
use stages::Session;

/// A stage of the table, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Vocabulary and token stores.
    Prepare,
    /// The dense model.
    Train,
    /// Its mean attention.
    Observe,
    /// Masks, and training again under each.
    Prune,
    /// Test scores and run records.
    Eval,
    /// The table, from the run records alone.
    Report,
    /// All stages in order.
    Reproduce,
}

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to do.
    pub stage: Stage,
    /// The recipe, edits applied.
    pub recipe: Recipe,
    /// Where to compute.
    pub device: DeviceChoice,
    /// Resolve and try only.
    pub dry_run: bool,
    /// Go on in a run folder that exists.
    pub resume: bool,
    /// The run folder, if not the default one.
    pub out: Option<PathBuf>,
    /// Folder with the corpus files.
    pub data: Option<PathBuf>,
    /// No progress output.
    pub quiet: bool,
}

/// Does what was asked; the table goes to standard output, everything else to standard error.
///
/// # Errors
/// One error with its causes, each saying what to do next.
pub fn run(request: &Request) -> Result<()> {
    let folder = RunFolder::of(&request.recipe, request.out.as_deref());
    if request.dry_run {
        return dry_run::run(request, &folder);
    }
    if request.stage == Stage::Report {
        return records::report(&request.recipe, &folder);
    }
    watch::listen()?;
    let fresh = request.stage == Stage::Reproduce && !request.resume;
    if request.stage == Stage::Prepare {
        folder.enter(&request.recipe, false)?;
        let data = data::prepare(
            &request.recipe,
            &folder,
            request.data.as_deref(),
            data::Fetch::Allowed,
        )?;
        note(request.quiet, &stages::describe(&data));
        return Ok(());
    }
    let opened = device::open(request.device)?;
    folder.enter(&request.recipe, fresh)?;
    note(
        request.quiet,
        &format!(
            "sparta {} · recipe {} ({}) · device {} · run folder {}",
            env!("CARGO_PKG_VERSION"),
            request.recipe.table,
            short(&request.recipe.hash()),
            opened.note,
            folder.root().display()
        ),
    );
    Session::new(request, folder, opened)?.run(request.stage)
}

/// A line for the person at the terminal.
fn note(quiet: bool, line: &str) {
    if !quiet {
        eprintln!("{line}");
    }
}
