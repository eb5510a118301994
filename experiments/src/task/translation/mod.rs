//! The translation tables: a dense model for each normaliser → observe → prune by attention type →
//! train again under each mask → BLEU.

mod batch;
mod corpus;
mod cost;
mod data;
mod dry_run;
mod lesson;
mod network;
mod pass;
mod records;
mod rows;
mod samples;
mod score;
mod search;
mod stages;
mod translate;

pub use data::PairData;
pub use lesson::TranslationLesson;
pub use translate::{Translate, translate};

use anyhow::Result;

use crate::protocol::{Fetch, Request, Run, RunFolder, Stage, note};
use crate::recipe::TranslationRecipe;
use crate::train::watch;
use stages::Session;

/// Does what was asked; the table goes to standard output, everything else to standard error.
///
/// # Errors
/// One error with its causes, each saying what to do next.
pub fn run(request: &Request<TranslationRecipe>) -> Result<()> {
    let folder = RunFolder::of(&request.recipe, request.out.as_deref());
    if request.dry_run {
        return dry_run::run(request, &folder);
    }
    if request.stage == Stage::Report {
        return records::report(&request.recipe, &folder);
    }
    watch::listen()?;
    if request.stage == Stage::Prepare {
        folder.enter(&request.recipe, false)?;
        let from = request.data.as_deref();
        let data = data::prepare(&request.recipe, &folder, from, Fetch::Allowed)?;
        note(request.quiet, &stages::describe(&data));
        return Ok(());
    }
    Session::new(Run::begin(request, folder)?)?.run(request.stage)
}
