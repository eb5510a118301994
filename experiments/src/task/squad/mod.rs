//! The SQuAD table: fine-tune → observe → prune → fine-tune again under the mask → exact match, F1, and
//! the time and memory of training steps with attention that holds all scores and with one that skips blocks.

mod cost;
mod kernels;
mod subject;

pub use cost::{Measure, measure};

use anyhow::Result;
use sparta_ops::attention::Implementation;
use sparta_results::load_all;
use sparta_results::render::Layout;

use super::encoder::{self, DryRun, Pretrained, Session, Sources};
use crate::device;
use crate::protocol::{Fetch, Request, Run, RunFolder, Stage, note};
use crate::recipe::{Recipe, SquadRecipe};
use crate::train::watch;
use kernels::Kernels;
use subject::SpanSubject;

/// Does what was asked; the table goes to standard output, everything else to standard error.
///
/// # Errors
/// One error with its causes, each saying what to do next.
pub fn run(request: &Request<SquadRecipe>) -> Result<()> {
    let recipe = &request.recipe;
    let folder = RunFolder::of(recipe, request.out.as_deref());
    if request.stage == Stage::Report && !request.dry_run {
        return report(recipe, &folder);
    }
    let sources = Sources::of(request).or_remembered(&folder)?;
    let from = sources.data.as_deref();
    if request.dry_run {
        let pretrained = Pretrained::open_or_sizes(&recipe.model, sources.weights.as_deref())?
            .computed_by(request.attention);
        let opened = device::open(request.device, SquadRecipe::PROGRAM)?;
        let kernels = Kernels::new(recipe, &opened, request.attention)?;
        let mut dry = DryRun::start(request, &folder, &pretrained)?;
        let of = |corpus, recipe: &SquadRecipe| {
            SpanSubject::new(corpus, recipe, &pretrained.wordpiece, &folder, &kernels)
        };
        match subject::load(recipe, from, Fetch::Never) {
            Ok(corpus) => {
                let subject = of(corpus, recipe)?;
                dry.step(&subject, &subject.description)?;
            }
            Err(error) if from.is_some() => return Err(error),
            Err(_) => {
                let (corpus, n_train) = subject::stand_in(recipe)?;
                dry.stand_in_step(&of(corpus, recipe)?, recipe.data.corpus.as_str(), n_train)?;
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
    let corpus = subject::load(recipe, from, fetch)?;
    if request.stage == Stage::Prepare {
        folder.enter(recipe, false)?;
        return pretrained.enter(recipe.model.network, &folder, &sources);
    }
    let work = Run::begin(request, folder)?;
    pretrained.enter(recipe.model.network, &work.folder, &sources)?;
    work.note(&format!("weights: {}", pretrained.origin));
    let kernels = Kernels::new(recipe, &work.opened, request.attention)?;
    let subject = SpanSubject::new(
        corpus,
        recipe,
        &pretrained.wordpiece,
        &work.folder,
        &kernels,
    )?;
    note(request.quiet, &subject.description);
    let session = Session { work, pretrained };
    for &seed in recipe.seeds() {
        session.run(&subject, seed, request.stage)?;
    }
    match request.stage {
        Stage::Eval | Stage::Reproduce => report(recipe, &session.work.folder),
        Stage::Prepare | Stage::Report | Stage::Train | Stage::Observe | Stage::Prune => Ok(()),
    }
}

/// Makes the table from what the run folder holds.
fn report(recipe: &SquadRecipe, folder: &RunFolder) -> Result<()> {
    let is_there = |kernel: Implementation| -> Result<bool> {
        let records = load_all(folder.records())?;
        Ok(records.iter().any(|r| r.row == kernels::rows(kernel)[0]))
    };
    // Every kernel that ran has all lines: those of one say what is missing.
    let kernel = match is_there(Implementation::Reference)? {
        true => Implementation::Reference,
        false if is_there(Implementation::Fused)? => Implementation::Fused,
        false => Implementation::Reference,
    };
    let rows = kernels::rows(kernel).map(str::to_owned);
    encoder::report(recipe, folder, Layout::Squad, &[rows])
}
