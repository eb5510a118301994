//! Scores → run records → the table.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use sparta_datasets::Split;
use sparta_ops::pruning::{GlobalMask, Sparsity, SparsityReport};
use sparta_results::metric::ngram;
use sparta_results::{
    Expected, MaskKind, Metric, Perplexity, PerplexitySignature, ReportOptions, RunRecord, Status,
    load_all, paper,
};

use super::folder::{ModelFolder, RunFolder};
use super::rows::Row;
use super::stages::{Session, TrainedNote, now};
use crate::recipe::Recipe;
use crate::train::{Diverged, short};

/// Name of the table's row: the network.
const ROW: &str = "transformer-xl";

/// One line about what a mask hides.
pub(super) fn describe_sparsity(row: &Row, sparsity: &Sparsity) -> String {
    let blocks = sparsity
        .blocks
        .iter()
        .map(|b| {
            format!(
                "{:.1} % of {}×{} blocks",
                100.0 * b.share,
                b.block_size,
                b.block_size
            )
        })
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "mask {}: hides {:.1} % of the legal cells, {:.1} % of their uses, {blocks}",
        row.name(),
        100.0 * sparsity.effective,
        100.0 * sparsity.token_weighted
    )
}

fn id(recipe: &Recipe, seed: u64, run: &str) -> String {
    format!(
        "{}-{}-seed{seed}-{run}",
        recipe.table,
        short(&recipe.hash())
    )
}

/// Where the record of a model is.
pub(super) fn path(session: &Session<'_>, folder: &ModelFolder) -> PathBuf {
    let id = id(session.recipe, folder.identity.seed, &folder.identity.run);
    session.folder.records().join(format!("{id}.run.json"))
}

/// Where the record of the last n-gram model is.
pub(super) fn ngram_path(session: &Session<'_>, seed: u64) -> PathBuf {
    let id = id(session.recipe, seed, MaskKind::Trigram.as_str());
    session.folder.records().join(format!("{id}.run.json"))
}

/// The protocol of the test score.
fn signature(session: &Session<'_>) -> Result<String> {
    let model = &session.recipe.model;
    let n_targets = session.data.tokens(Split::Test).len().saturating_sub(1) as u64;
    let mut signature = PerplexitySignature::word(
        session.recipe.data.corpus.name(),
        Split::Test.name(),
        model.tgt_len,
        model.mem_len,
        session.data.vocab_size,
        n_targets,
    )?
    .with("batch", session.recipe.eval.batch_size)?;
    if model.clamp_len > 0 {
        signature = signature.with("clamp", model.clamp_len)?;
    }
    if model.same_length {
        signature = signature.with("same", "yes")?;
    }
    Ok(signature.to_string())
}

fn blank(session: &Session<'_>, seed: u64, run: &str, mask: MaskKind) -> Result<RunRecord> {
    let versions = [("sparta", env!("CARGO_PKG_VERSION")), ("burn", "0.22.1")];
    Ok(RunRecord {
        id: id(session.recipe, seed, run),
        table: session.recipe.table.clone(),
        row: ROW.to_owned(),
        recipe_hash: session.recipe.hash(),
        recipe: session.recipe.to_toml(),
        seed,
        device: session.opened.choice.to_string(),
        mask,
        mask_seed: None,
        p_nominal: None,
        p_effective: None,
        p_token_weighted: None,
        metric: Metric::Perplexity,
        value: None,
        signature: signature(session)?,
        paper: None,
        steps: 0,
        tokens_per_second: None,
        started: now(),
        finished: None,
        status: Status::Running,
        versions: versions
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect::<BTreeMap<_, _>>(),
    })
}

/// Counts and scores the n-gram models.
pub(super) fn ngrams(session: &Session<'_>, seed: u64) -> Result<()> {
    let started = now();
    let data = &session.data;
    let (train, test) = (data.tokens(Split::Train), data.tokens(Split::Test));
    for baseline in ngram::baselines(train, test, data.vocab_size)? {
        let mask = baseline.mask;
        let mut record = blank(session, seed, mask.as_str(), mask)?;
        record.value = Some(baseline.perplexity.ppl());
        record.device = "cpu".to_owned();
        record.started = started;
        record.finished = Some(now());
        record.status = Status::Completed;
        record.save(session.folder.records())?;
        super::note(
            session.request.quiet,
            &format!("{mask}: test perplexity {:.2}", baseline.perplexity.ppl()),
        );
    }
    Ok(())
}

fn describe_row(
    session: &Session<'_>,
    record: &mut RunRecord,
    row: &Row,
    mask: Option<&GlobalMask>,
) -> Result<()> {
    let p = f64::from(row.p());
    let reference = &session.recipe.paper;
    record.p_nominal = Some(p);
    record.mask_seed = row.mask_seed(record.seed);
    record.paper = paper::reference(&reference.table, &reference.row, p);
    (record.p_effective, record.p_token_weighted) = match mask {
        None => (Some(0.0), Some(0.0)),
        Some(mask) => {
            let pattern = session.load_pattern(record.seed)?;
            let total = SparsityReport::new(mask, &pattern)?.total;
            (
                Some(100.0 * total.effective),
                Some(100.0 * total.token_weighted),
            )
        }
    };
    Ok(())
}

fn kind(row: Option<&Row>) -> MaskKind {
    match row {
        None | Some(Row::Dense) => MaskKind::None,
        Some(Row::Ap { .. }) => MaskKind::Ap,
        Some(Row::Random { .. }) => MaskKind::Random,
    }
}

/// Writes the record of a trained and scored network; no row means the dense checkpoint.
pub(super) fn network(
    session: &Session<'_>,
    folder: &ModelFolder,
    row: Option<(&Row, Option<&GlobalMask>)>,
    score: Perplexity,
) -> Result<()> {
    let trained = TrainedNote::load(folder)?;
    let identity = &folder.identity;
    let mut record = blank(
        session,
        identity.seed,
        &identity.run,
        kind(row.map(|(r, _)| r)),
    )?;
    if let Some((row, mask)) = row {
        describe_row(session, &mut record, row, mask)?;
    }
    record.value = Some(score.ppl());
    record.steps = trained.steps;
    record.tokens_per_second = Some(trained.tokens_per_second);
    record.started = trained.started;
    record.finished = Some(now());
    record.status = Status::Completed;
    record.save(session.folder.records())?;
    Ok(())
}

/// Leaves a record of a run that diverged; other errors leave none, the run can go on.
pub(super) fn failed(
    session: &Session<'_>,
    folder: &ModelFolder,
    error: &anyhow::Error,
    started: u64,
) {
    let Some(diverged) = error.downcast_ref::<Diverged>() else {
        return;
    };
    let rows = Row::all(session.recipe);
    let row = rows.iter().find(|r| r.name() == folder.identity.run);
    let identity = &folder.identity;
    let saved = blank(session, identity.seed, &identity.run, kind(row)).and_then(|mut record| {
        if let Some(row) = row {
            let mask = session.load_mask(identity.seed, row)?;
            describe_row(session, &mut record, row, mask.as_ref())?;
        }
        record.steps = diverged.step;
        record.started = started;
        record.finished = Some(now());
        record.status = Status::Diverged;
        record.id += "-diverged";
        record.save(session.folder.records()).context("record")
    });
    if let Err(error) = saved {
        eprintln!("the run record could not be written: {error:#}");
    }
}

/// What the table should have, and the command for what it lacks.
fn expected(recipe: &Recipe, folder: &RunFolder) -> Vec<Expected> {
    let command = format!(
        "lm reproduce --recipe {} --out {} --resume",
        folder.root().join("recipe.toml").display(),
        folder.root().display()
    );
    let mut all = Vec::new();
    for &seed in &recipe.seeds {
        for row in Row::all(recipe) {
            all.push(Expected {
                row: ROW.to_owned(),
                mask: kind(Some(&row)),
                p: Some(f64::from(row.p())),
                seed,
                mask_seed: row.mask_seed(seed),
                command: command.clone(),
            });
        }
    }
    all
}

/// Makes the table from the records of the run folder: files in it, and the text on standard
/// output.
///
/// # Errors
/// A folder without records.
pub(super) fn report(recipe: &Recipe, folder: &RunFolder) -> Result<()> {
    let records = load_all(folder.records())?;
    let options = ReportOptions {
        title: format!(
            "{}: test perplexity under attention pruning ({}, {} thresholds, {} semantics)",
            recipe.table,
            recipe.retrain.mode.name(),
            recipe.prune.scope.name(),
            recipe.prune.semantics.name()
        ),
        expected: expected(recipe, folder),
    };
    let report = sparta_results::report(&records, &options)?;
    let files = report.write(folder.root())?;
    let mut out = std::io::stdout().lock();
    // A closed pipe is the reader's choice and no error.
    let _ = writeln!(out, "{}", report.terminal(None).trim_end());
    for file in files {
        let _ = writeln!(out, "{}", file.display());
    }
    Ok(())
}
