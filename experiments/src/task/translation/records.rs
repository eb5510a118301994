//! Scores → run records → the table.

use std::path::PathBuf;

use anyhow::Result;
use sparta_ops::pruning::GlobalMask;
use sparta_results::{Expected, MaskKind, Metric, RunRecord, paper};

use super::rows::{PairRow, line_label, normalizer_label};
use super::samples;
use super::stages::{Arm, PairWork, Session};
use crate::protocol::records::{self, go_on, kind, shares};
use crate::protocol::run::now;
use crate::protocol::{ModelFolder, Row, RunFolder};
use crate::recipe::translation::{PrunedName, TranslationRecipe};
use crate::recipe::{NormalizerName, Recipe};

/// Name of the baselines' row.
const NO_MODEL: &str = "no model";

/// Where the record of a dense model is.
pub(super) fn dense_path(work: &PairWork<'_>, folder: &ModelFolder) -> PathBuf {
    work.record_path(folder.identity.seed, &folder.identity.run)
}

/// Where the record of the last baseline is.
pub(super) fn baseline_path(work: &PairWork<'_>, seed: u64) -> PathBuf {
    work.record_path(seed, MaskKind::WordTranslation.as_str())
}

/// A row of files stands in one line of the table, but p = 0 in one for each type that is pruned.
fn line_run(folder: &ModelFolder, line: PrunedName, n_lines: usize) -> String {
    match n_lines {
        1 => folder.identity.run.clone(),
        _ => format!("{}-{}", folder.identity.run, line.label()),
    }
}

/// Where the last record of a row is.
pub(super) fn last_path(session: &Session<'_>, arm: &Arm, row: &PairRow) -> PathBuf {
    let folder = arm.branch.row(&row.name());
    let lines = row.lines(session.work.recipe, arm.normalizer);
    let run = lines.last().map_or_else(
        || folder.identity.run.clone(),
        |&line| line_run(&folder, line, lines.len()),
    );
    session.work.record_path(arm.branch.seed(), &run)
}

fn blank(
    session: &Session<'_>,
    (seed, run): (u64, &str),
    row: &str,
    mask: MaskKind,
) -> Result<RunRecord> {
    let signature = session.data.signature(session.work.recipe)?;
    let score = (Metric::Bleu, signature);
    Ok(session.work.blank_record((seed, run), row, mask, score))
}

/// Scores what needs no network.
pub(super) fn baselines(session: &Session<'_>, seed: u64) -> Result<()> {
    let started = now();
    for (mask, value) in session.data.baselines(session.work.recipe)? {
        let record = blank(session, (seed, mask.as_str()), NO_MODEL, mask)?;
        session.work.save_baseline(record, value, started)?;
        session.work.note(&format!("{mask}: test BLEU {value:.2}"));
    }
    Ok(())
}

/// Writes the record of a dense model.
pub(super) fn dense(
    session: &Session<'_>,
    arm: &Arm,
    folder: &ModelFolder,
    score: f64,
) -> Result<()> {
    let record = describe_dense(session, arm, folder)?;
    session.work.save_score(record, folder, score)
}

fn describe_dense(session: &Session<'_>, arm: &Arm, folder: &ModelFolder) -> Result<RunRecord> {
    let identity = &folder.identity;
    let label = normalizer_label(arm.normalizer);
    let run = (identity.seed, identity.run.as_str());
    let mut record = blank(session, run, label, MaskKind::None)?;
    record.p_nominal = Some(0.0);
    record.p_effective = Some(0.0);
    record.p_token_weighted = Some(0.0);
    record.paper = paper::reference(&session.work.recipe.paper.normalizers, label, 0.0);
    Ok(record)
}

/// Writes the records of a model trained again: one for each line of the table it stands in.
pub(super) fn row(
    session: &Session<'_>,
    arm: &Arm,
    row: &PairRow,
    mask: Option<&GlobalMask>,
    score: f64,
) -> Result<()> {
    let folder = arm.branch.row(&row.name());
    for record in describe_row(session, arm, row, mask)? {
        session.work.save_score(record, &folder, score)?;
    }
    Ok(())
}

fn describe_row(
    session: &Session<'_>,
    arm: &Arm,
    row: &PairRow,
    mask: Option<&GlobalMask>,
) -> Result<Vec<RunRecord>> {
    let recipe = session.work.recipe;
    let folder = arm.branch.row(&row.name());
    let types = row.pruned.types();
    let pattern = || Ok(session.work.load_pattern(&arm.branch)?.only(&types));
    let (effective, token_weighted) = shares(mask, pattern)?;
    let lines = row.lines(recipe, arm.normalizer);
    let describe = |&line: &PrunedName| {
        let label = line_label(recipe, arm.normalizer, line);
        let run = line_run(&folder, line, lines.len());
        let seed = arm.branch.seed();
        let mut record = blank(session, (seed, &run), &label, kind(Some(&row.row)))?;
        record.p_nominal = Some(f64::from(row.row.p()));
        record.p_effective = Some(effective);
        record.p_token_weighted = Some(token_weighted);
        record.mask_seed = row.row.mask_seed(seed);
        record.mask_block_size = row.row.block_size();
        let table = match line {
            PrunedName::SelfOnly => &recipe.paper.self_only,
            PrunedName::EncoderSelf | PrunedName::DecoderSelf | PrunedName::Cross => {
                &recipe.paper.by_type
            }
        };
        // The published masks are of cells.
        record.paper = match row.row.block_size() {
            None => paper::reference(table, &label, f64::from(row.row.p())),
            Some(_) => None,
        };
        Ok(record)
    };
    lines.iter().map(describe).collect()
}

/// Leaves a record of a run that diverged; other errors leave none, the run can go on.
pub(super) fn failed(
    session: &Session<'_>,
    arm: &Arm,
    row: Option<(&PairRow, Option<&GlobalMask>)>,
    error: &anyhow::Error,
    started: u64,
) {
    session.work.note_failure(error, started, || match row {
        None => describe_dense(session, arm, &arm.branch.dense()),
        Some((row, mask)) => {
            let mut records = describe_row(session, arm, row, mask)?;
            records
                .pop()
                .ok_or_else(|| anyhow::anyhow!("{} stands in no line", row.name()))
        }
    });
}

/// What the table should have, and the command for what it lacks.
fn expected(recipe: &TranslationRecipe, folder: &RunFolder) -> Vec<Expected> {
    let command = go_on::<TranslationRecipe>(folder, &recipe.prune.masks.block_sizes);
    let mut all = Vec::new();
    let mut add = |label: String, row: Option<&Row>, seed| {
        all.push(Expected {
            row: label,
            mask: kind(row),
            block_size: row.and_then(Row::block_size),
            p: Some(row.map_or(0.0, |row| f64::from(row.p()))),
            seed,
            mask_seed: row.and_then(|row| row.mask_seed(seed)),
            command: command.clone(),
        });
    };
    for &seed in recipe.seeds() {
        for &name in &recipe.model.normalizers {
            add(normalizer_label(name).to_owned(), None, seed);
        }
        for &name in &recipe.model.normalizers {
            for row in PairRow::all(recipe, name) {
                for line in row.lines(recipe, name) {
                    let label = line_label(recipe, name, line);
                    add(label, Some(&row.row), seed);
                }
            }
        }
    }
    all
}

/// Makes the table and the samples from what the run folder holds; see [`records::report`].
///
/// # Errors
/// A folder without records.
pub(super) fn report(recipe: &TranslationRecipe, folder: &RunFolder) -> Result<()> {
    let title = format!(
        "{}: test BLEU by normaliser, and under attention pruning ({}, {} thresholds, {} semantics)",
        recipe.table(),
        recipe.retrain.start.name(),
        recipe.prune.threshold.scope.name(),
        recipe.prune.threshold.semantics.name()
    );
    let samples = samples::report(recipe, folder)?;
    records::report(folder, title, expected(recipe, folder), &samples)
}

/// Models of one seed whose translations are shown: the dense ones, and each type at its largest p.
pub(super) fn models(
    recipe: &TranslationRecipe,
    folder: &RunFolder,
    seed: u64,
) -> Vec<(String, ModelFolder)> {
    let branch = |name: NormalizerName| folder.branch(recipe, seed, name.name());
    let dense = recipe.model.normalizers.iter().map(|&name| {
        let label = normalizer_label(name).to_owned();
        (label, branch(name).dense())
    });
    let rows = recipe.model.normalizers.iter().flat_map(|&name| {
        let largest = recipe.prune.masks.p.iter().copied().max().unwrap_or(0);
        let shown = |row: &PairRow| matches!(row.row, Row::Ap { p } if p == largest);
        let rows = PairRow::all(recipe, name).into_iter().filter(shown);
        rows.map(move |row| {
            let label = line_label(recipe, name, row.pruned);
            let label = format!("{label}, p = {largest}");
            (label, branch(name).row(&row.name()))
        })
        .collect::<Vec<_>>()
    });
    dense.chain(rows).collect()
}
