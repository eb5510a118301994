//! Scores → run records → the table.

use std::path::PathBuf;

use anyhow::Result;
use sparta_ops::pruning::GlobalMask;
use sparta_results::render::Layout;
use sparta_results::{Expected, RunRecord, paper};

use super::stages::Session;
use super::subject::{Column, Subject};
use crate::protocol::records::{self, go_on, kind, shares};
use crate::protocol::run::now;
use crate::protocol::{ArmFolder, ModelFolder, Row, RunFolder};
use crate::recipe::{EncoderRecipe, RetrainStart};

/// Name of the record of one column.
fn run(folder: &ModelFolder, column: &Column) -> String {
    format!("{}-{}", folder.identity.run, column.name())
}

/// Where the last record of a model is.
pub(super) fn last_path<R: EncoderRecipe, S: Subject>(
    session: &Session<'_, R>,
    subject: &S,
    folder: &ModelFolder,
) -> PathBuf {
    let columns = subject.columns();
    let name = columns.last().map_or_else(String::new, |c| run(folder, c));
    session.work.record_path(folder.identity.seed, &name)
}

/// Whether the dense model is a row of the table or what stands before it.
fn dense_p<R: EncoderRecipe>(recipe: &R) -> Option<f64> {
    match recipe.retrain_start() {
        RetrainStart::Pretrained | RetrainStart::Scratch => Some(0.0),
        RetrainStart::Dense => None,
    }
}

/// Writes what needs no network, unless it is there.
pub(super) fn baselines<R: EncoderRecipe, S: Subject>(
    session: &Session<'_, R>,
    subject: &S,
    seed: u64,
) -> Result<()> {
    let (work, started) = (&session.work, now());
    for baseline in subject.baselines()? {
        let column = &subject.columns()[baseline.column];
        let run = format!("{}-{}-{}", subject.name(), baseline.mask, column.name());
        let path = work.record_path(seed, &run);
        if work.is_finished(&path, "the score of the baselines")? {
            continue;
        }
        let score = (column.metric, column.signature.clone());
        let record = work.blank_record((seed, &run), &column.row, baseline.mask, score);
        work.save_baseline(record, baseline.value, started)?;
        work.note(&format!(
            "{}: {} {} {:.2}",
            baseline.mask,
            column.row,
            column.metric.label(),
            baseline.value
        ));
    }
    Ok(())
}

fn describe<R: EncoderRecipe, S: Subject>(
    session: &Session<'_, R>,
    subject: &S,
    branch: &ArmFolder,
    (row, mask): (Option<&Row>, Option<&GlobalMask>),
) -> Result<Vec<RunRecord>> {
    let folder = match row {
        None => branch.dense(),
        Some(row) => branch.row(&row.name()),
    };
    let (effective, token_weighted) = shares(mask, || session.work.load_pattern(branch))?;
    let p = match row {
        None => dense_p(session.work.recipe),
        Some(row) => Some(f64::from(row.p())),
    };
    let describe = |column: &Column| {
        let run = run(&folder, column);
        let seed = branch.seed();
        let score = (column.metric, column.signature.clone());
        let work = &session.work;
        let line = match mask {
            None => &column.row,
            Some(_) => &column.masked_row,
        };
        let mut record = work.blank_record((seed, &run), line, kind(row), score);
        if let Some(attention) = column.attention {
            record.attention = Some(attention.as_str().to_owned());
        }
        record.p_nominal = p;
        record.p_effective = p.map(|_| effective);
        record.p_token_weighted = p.map(|_| token_weighted);
        record.mask_seed = row.and_then(|row| row.mask_seed(seed));
        record.mask_block_size = row.and_then(Row::block_size);
        record.paper = column
            .paper
            .as_ref()
            .filter(|_| record.mask_block_size.is_none())
            .and_then(|(table, row)| paper::reference(table, row, p?));
        record
    };
    Ok(subject.columns().iter().map(describe).collect())
}

/// Writes the records of a model.
pub(super) fn scores<R: EncoderRecipe, S: Subject>(
    session: &Session<'_, R>,
    subject: &S,
    branch: &ArmFolder,
    (row, mask): (Option<&Row>, Option<&GlobalMask>),
    values: &[f64],
) -> Result<()> {
    let folder = match row {
        None => branch.dense(),
        Some(row) => branch.row(&row.name()),
    };
    let records = describe(session, subject, branch, (row, mask))?;
    for (record, &value) in records.into_iter().zip(values) {
        session.work.save_score(record, &folder, value)?;
    }
    Ok(())
}

/// Leaves records of a run that diverged; other errors leave none, the run can go on.
pub(super) fn failed<R: EncoderRecipe, S: Subject>(
    session: &Session<'_, R>,
    subject: &S,
    branch: &ArmFolder,
    row: Option<(&Row, Option<&GlobalMask>)>,
    error: &anyhow::Error,
    started: u64,
) {
    session.work.note_failure(error, started, || {
        let of = (row.map(|(row, _)| row), row.and_then(|(_, mask)| mask));
        let mut records = describe(session, subject, branch, of)?;
        records
            .pop()
            .ok_or_else(|| anyhow::anyhow!("{} has no score", subject.name()))
    });
}

/// What the table should have, and the command for what it lacks.
fn expected<R: EncoderRecipe>(
    recipe: &R,
    rows: &[[String; 2]],
    folder: &RunFolder,
) -> Vec<Expected> {
    let masks = recipe.masks();
    let command = go_on::<R>(folder, &masks.block_sizes);
    let mut all = Vec::new();
    for &seed in recipe.seeds() {
        for [row, masked_row] in rows {
            for masked in Row::all(masks) {
                let line = match masked {
                    Row::Dense => row,
                    Row::Ap { .. } | Row::Blocks { .. } | Row::Random { .. } => masked_row,
                };
                all.push(Expected {
                    row: line.clone(),
                    mask: kind(Some(&masked)),
                    block_size: masked.block_size(),
                    p: Some(f64::from(masked.p())),
                    seed,
                    mask_seed: masked.mask_seed(seed),
                    command: command.clone(),
                });
            }
        }
    }
    all
}

/// Makes the table from the records of the run folder; `rows` are the rows it should have, without and
/// with a mask.
///
/// # Errors
/// A folder without records.
pub(in crate::task) fn report<R: EncoderRecipe>(
    recipe: &R,
    folder: &RunFolder,
    layout: Layout,
    rows: &[[String; 2]],
) -> Result<()> {
    let title = format!(
        "{}: {} under attention pruning ({}, {} thresholds, {} semantics)",
        recipe.table(),
        recipe.model().network.name(),
        recipe.retrain_start().words(),
        recipe.threshold().scope.name(),
        recipe.threshold().semantics.name()
    );
    records::overview(folder, layout, title, expected(recipe, rows, folder))
}
