//! Tables of labelled texts: fine-tune → observe → prune → fine-tune again under each mask → scores,
//! task by task.

mod corpus;
mod predict;
mod prediction;
mod subject;

pub use predict::{Predict, predict};

use anyhow::Result;
use sparta_results::render::Layout;

use super::encoder::{self, DryRun, Pretrained, Session, Sources};
use crate::protocol::{Fetch, Request, Run, RunFolder, Stage, note};
use crate::recipe::{GlueRecipe, Recipe};
use crate::train::watch;
use subject::TextSubject;

/// Does what was asked; the table goes to standard output, everything else to standard error.
///
/// # Errors
/// One error with its causes, each saying what to do next.
pub fn run(request: &Request<GlueRecipe>) -> Result<()> {
    let recipe = &request.recipe;
    let folder = RunFolder::of(recipe, request.out.as_deref());
    if request.stage == Stage::Report && !request.dry_run {
        return report(recipe, &folder);
    }
    let sources = Sources::of(request).or_remembered(&folder)?;
    let tasks = recipe.classification_tasks()?;
    if request.dry_run {
        let pretrained = Pretrained::open_or_sizes(&recipe.model, sources.weights.as_deref())?
            .computed_by(request.attention);
        let mut dry = DryRun::start(request, &folder, &pretrained)?;
        for task in tasks {
            match corpus::load(task, sources.data.as_deref(), Fetch::Never) {
                Ok(loaded) => {
                    let subject = TextSubject::new(task, &loaded, recipe, &pretrained.wordpiece)?;
                    dry.step(&subject, &subject.description)?;
                }
                Err(error) if sources.data.is_some() => return Err(error),
                Err(_) => {
                    let (loaded, n_train) = corpus::stand_in(task, recipe);
                    let subject = TextSubject::new(task, &loaded, recipe, &pretrained.wordpiece)?;
                    dry.stand_in_step(&subject, task.name(), n_train)?;
                }
            }
        }
        dry.finish();
        return Ok(());
    }
    watch::listen()?;
    let pretrained =
        Pretrained::open(&recipe.model, sources.weights.as_deref())?.computed_by(request.attention);
    let fetch = match request.stage {
        Stage::Prepare => Fetch::Allowed,
        Stage::Train | Stage::Observe | Stage::Prune => Fetch::Never,
        Stage::Eval | Stage::Report | Stage::Reproduce => Fetch::Never,
    };
    let mut subjects = Vec::new();
    for task in tasks {
        let loaded = corpus::load(task, sources.data.as_deref(), fetch)?;
        let subject = TextSubject::new(task, &loaded, recipe, &pretrained.wordpiece)?;
        note(request.quiet, &subject.description);
        subjects.push(subject);
    }
    if request.stage == Stage::Prepare {
        folder.enter(recipe, false)?;
        return pretrained.enter(recipe.model.network, &folder, &sources);
    }
    let work = Run::begin(request, folder)?;
    pretrained.enter(recipe.model.network, &work.folder, &sources)?;
    work.note(&format!("weights: {}", pretrained.origin));
    let session = Session { work, pretrained };
    for &seed in recipe.seeds() {
        for subject in &subjects {
            session.run(subject, seed, request.stage)?;
        }
    }
    match request.stage {
        Stage::Eval | Stage::Reproduce => report(recipe, &session.work.folder),
        Stage::Prepare | Stage::Report | Stage::Train | Stage::Observe | Stage::Prune => Ok(()),
    }
}

/// Makes the table from what the run folder holds.
fn report(recipe: &GlueRecipe, folder: &RunFolder) -> Result<()> {
    let tasks = recipe.classification_tasks()?;
    let rows = tasks.into_iter().flat_map(corpus::rows);
    let rows: Vec<_> = rows.map(|row| [row.clone(), row]).collect();
    encoder::report(recipe, folder, Layout::Glue, &rows)
}
