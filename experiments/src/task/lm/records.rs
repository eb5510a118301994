//! Scores → run records → the table.

use std::path::PathBuf;

use anyhow::Result;
use sparta_datasets::Split;
use sparta_datasets::baseline::ngram;
use sparta_ops::pruning::GlobalMask;
use sparta_results::{
    Baseline, Condition, Expected, Metric, Perplexity, PerplexitySignature, RunRecord, paper,
};

use super::stages::{LmWork, Session};
use crate::protocol::records::{self, condition, go_on, shares};
use crate::protocol::run::now;
use crate::protocol::{ArmFolder, ModelFolder, Row, RunFolder};
use crate::recipe::{LmRecipe, Recipe};

/// Name of the table's row: the network.
const ROW: &str = "transformer-xl";

/// Where the record of a model is.
pub(super) fn path(work: &LmWork<'_>, folder: &ModelFolder) -> PathBuf {
    work.record_path(folder.identity.seed, &folder.identity.run)
}

/// Where the record of the last n-gram model is.
pub(super) fn ngram_path(work: &LmWork<'_>, seed: u64) -> PathBuf {
    work.record_path(seed, Baseline::Trigram.as_str())
}

/// The protocol of the test score.
fn signature(session: &Session<'_>) -> Result<String> {
    let recipe = session.work.recipe;
    let model = &recipe.model;
    let n_targets = session.data.tokens(Split::Test).len().saturating_sub(1) as u64;
    let mut signature = PerplexitySignature::word(
        recipe.data.corpus.name(),
        Split::Test.name(),
        model.tgt_len,
        model.mem_len,
        session.data.vocab_size,
        n_targets,
    )?
    .with("batch", recipe.eval.batch_size)?;
    if model.clamp_len > 0 {
        signature = signature.with("clamp", model.clamp_len)?;
    }
    if model.same_length {
        signature = signature.with("same", "yes")?;
    }
    Ok(signature.to_string())
}

fn blank(session: &Session<'_>, seed: u64, run: &str, condition: Condition) -> Result<RunRecord> {
    let score = (Metric::Perplexity, signature(session)?);
    Ok(session
        .work
        .blank_record((seed, run), ROW, condition, score))
}

/// Counts and scores the n-gram models.
pub(super) fn ngrams(session: &Session<'_>, seed: u64) -> Result<()> {
    let started = now();
    let data = &session.data;
    let (train, test) = (data.tokens(Split::Train), data.tokens(Split::Test));
    let names = [Baseline::Unigram, Baseline::Bigram, Baseline::Trigram];
    let scores = ngram::scores(train, test, data.vocab_size)?;
    for (baseline, score) in names.into_iter().zip(scores) {
        let value = score.ppl();
        let record = blank(session, seed, baseline.as_str(), baseline.into())?;
        session.work.save_baseline(record, value, started)?;
        session
            .work
            .note(&format!("{baseline}: test perplexity {value:.2}"));
    }
    Ok(())
}

/// A record of a network; no row means the dense checkpoint.
fn describe(
    session: &Session<'_>,
    branch: &ArmFolder,
    folder: &ModelFolder,
    row: Option<(&Row, Option<&GlobalMask>)>,
) -> Result<RunRecord> {
    let identity = &folder.identity;
    let condition = condition(row.map(|(r, _)| r), identity.seed);
    let mut record = blank(session, identity.seed, &identity.run, condition)?;
    if let Some((row, mask)) = row {
        let p = f64::from(row.p());
        let reference = &session.work.recipe.paper;
        record.p_nominal = Some(p);
        // The published masks are of cells.
        record.paper = match row.block_size() {
            None => paper::reference(&reference.table, &reference.row, p),
            Some(_) => None,
        };
        let (effective, token_weighted) = shares(mask, || session.work.load_pattern(branch))?;
        record.p_effective = Some(effective);
        record.p_token_weighted = Some(token_weighted);
    }
    Ok(record)
}

/// Writes the record of a trained and scored network; no row means the dense checkpoint.
pub(super) fn network(
    session: &Session<'_>,
    branch: &ArmFolder,
    folder: &ModelFolder,
    row: Option<(&Row, Option<&GlobalMask>)>,
    score: Perplexity,
) -> Result<()> {
    let record = describe(session, branch, folder, row)?;
    session.work.save_score(record, folder, score.ppl())
}

/// Leaves a record of a run that diverged; other errors leave none, the run can go on.
pub(super) fn failed(
    session: &Session<'_>,
    branch: &ArmFolder,
    folder: &ModelFolder,
    error: &anyhow::Error,
    started: u64,
) {
    let rows = session.rows();
    let row = rows.iter().find(|r| r.name() == folder.identity.run);
    session.work.note_failure(error, started, || {
        let mask = match row {
            Some(row) => session.load_mask(branch, row)?,
            None => None,
        };
        describe(session, branch, folder, row.map(|r| (r, mask.as_ref())))
    });
}

/// What the table should have, and the command for what it lacks.
fn expected(recipe: &LmRecipe, folder: &RunFolder) -> Vec<Expected> {
    let rows = Row::all(&recipe.prune.masks);
    let of_seed = |&seed: &u64| {
        rows.iter().map(move |row| Expected {
            row: ROW.to_owned(),
            variant: None,
            condition: row.condition(seed),
            p: Some(f64::from(row.p())),
            seed,
            command: go_on::<LmRecipe>(folder, &recipe.prune.masks.block_sizes),
        })
    };
    recipe.seeds().iter().flat_map(of_seed).collect()
}

/// Makes the table from the records of the run folder; see [`records::report`].
///
/// # Errors
/// A folder without records.
pub(super) fn report(recipe: &LmRecipe, folder: &RunFolder) -> Result<()> {
    let title = format!(
        "{}: test perplexity under attention pruning ({}, {} thresholds, {} semantics)",
        recipe.table(),
        recipe.retrain.start.name(),
        recipe.prune.threshold.scope.name(),
        recipe.prune.threshold.semantics.name()
    );
    records::report(folder, title, expected(recipe, folder), "")
}
