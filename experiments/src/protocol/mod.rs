//! The paper's method for any task: [`method`] says in which order, [`task`] what a task must give; beside them the run
//! folder, masks, rows and records.

pub(crate) mod cost;
pub(crate) mod data_files;
mod diverged;
mod dry_run;
pub(crate) mod find;
mod folder;
pub(crate) mod given;
pub(crate) mod init;
mod lock;
mod masks;
pub mod method;
mod needs;
pub(crate) mod program;
pub(crate) mod records;
pub(crate) mod rows;
pub(crate) mod run;
pub(crate) mod scored;
mod stage;
pub mod task;
pub(crate) mod variant;

pub use cost::{Cost, Decoding};
pub(crate) use cost::{available_memory, gigabytes};
pub use folder::{ArmFolder, ModelFolder, RunFolder};
pub use lock::RunLock;
pub use masks::AttentionLayers;
pub(crate) use needs::build_of;
pub use records::TableRequest;
pub use rows::{Arm, Row};
pub use run::Run;
pub use scored::UnitScores;
pub(crate) use stage::note;
pub use stage::{Fetch, Request, Stage};
pub use task::{
    Amount, BaselineLine, BothMasks, ExampleIds, Examples, Label, Line, MaskedModel, Observation,
    Observed, Phase, Scoring, Side, Task,
};
pub use variant::{Pruned, Variant};

use anyhow::Result;

use crate::io::with_way_out;
use crate::profile::Profiler;
use crate::recipe::Recipe;
use method::Protocol;

/// Does what a program was asked; the table goes to standard output, everything else to standard error.
///
/// # Errors
/// One error with its causes, each saying what to do next.
pub fn main<T: Task>(request: &Request<T::Recipe>) -> Result<()> {
    let folder = RunFolder::of(&request.recipe, request.out.as_deref());
    let again = match request.stage {
        Stage::Prepare | Stage::Report => "run the command again",
        Stage::Train | Stage::Observe | Stage::Prune | Stage::Eval | Stage::Reproduce => {
            "go on with `--resume`"
        }
    };
    work::<T>(request).map_err(|error| with_way_out(error, again, Some(folder.root())))
}

fn work<T: Task>(request: &Request<T::Recipe>) -> Result<()> {
    variant::check_masks(&T::variants(&request.recipe)?, request.recipe.masks())?;
    given::check(request)?;
    if request.stage.goes_on() && !request.dry_run {
        let folder = RunFolder::of(&request.recipe, request.out.as_deref());
        let begin = format!("begin one with `{} train`", T::Recipe::PROGRAM);
        folder.ensure_run(request.stage.word(), &begin)?;
    }
    // It holds the run folder until everything is there, and what became of it is noted.
    let run = Run::new(request);
    let profiler = request.profile.then(Profiler::start);
    let outcome = match request.dry_run {
        true => dry_run::run::<T>(&run),
        false => run.end(stages::<T>(&run)),
    };
    let measured = match profiler {
        Some(profiler) if request.dry_run => profiler.finish(None),
        // Also of a run that was stopped; not over its error.
        Some(profiler) if run.is_entered() => profiler.finish(Some(run.folder.root())),
        // What was refused measured nothing, and the folder may be another run's.
        Some(_) | None => Ok(()),
    };
    outcome.and(measured)
}

fn stages<T: Task>(run: &Run<'_, T::Recipe>) -> Result<()> {
    match run.request.stage {
        Stage::Report => records::report::<T>(run),
        Stage::Prepare => {
            let quiet = run.request.quiet;
            let task = T::open(run, Fetch::Allowed { quiet })?;
            run.keep_choice()?;
            for line in task.describe() {
                run.note(&line);
            }
            Ok(())
        }
        Stage::Train | Stage::Observe | Stage::Prune => {
            let given_up = Protocol::<T>::open(run)?.go()?;
            diverged::check(&given_up)
        }
        Stage::Eval | Stage::Reproduce => {
            let given_up = Protocol::<T>::open(run)?.go()?;
            run.tracker().begin(Stage::Report)?;
            // Where all of them diverged there is no table, which is not what is to be said.
            let reported = records::report::<T>(run);
            diverged::check(&given_up)?;
            reported
        }
    }
}
