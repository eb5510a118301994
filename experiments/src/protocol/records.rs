//! Scores → run records → the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sparta_datasets::source::Origins;
use sparta_ops::attention::{Calls, Implementation};
use sparta_ops::pruning::{GlobalMask, SparsityReport};
use sparta_results::render::{Layout, mechanisms, pivot};
use sparta_results::{
    Condition, Expected, Metric, ReportOptions, RunRecord, Status, THEN, TRAINED_BY, WEIGHTS,
    load_all, paper,
};

use super::data_files;
use super::folder::{ModelFolder, RunFolder};
use super::rows::{Arm, Row};
use super::run::{ObservationSummary, Run, TrainingSummary, now, remove};
use super::stage::Stage;
use super::task::{BaselineLine, Label, Line, Task};
use super::variant::Variant;
use crate::device::DeviceChoice;
use crate::io::{in_one_line, print_line, say, terminal_width};
use crate::recipe::{LayoutName, Recipe, RetrainStart};
use crate::train::{Diverged, TrainedBy, short};
use crate::version::{self, typed};

/// The model that records are about.
pub(crate) struct Subject<'a> {
    pub(crate) arm: &'a Arm,
    /// The row it was trained again for; none is the dense model.
    pub(crate) row: Option<&'a Row>,
    pub(crate) mask: Option<&'a GlobalMask>,
    pub(crate) device: DeviceChoice,
    /// Number of parameters of its network.
    pub(crate) parameters: usize,
    /// The files of its data set, where a run has several data sets.
    pub(crate) files: Option<&'a Origins>,
    /// The sha256 of the pretrained weights that it started from.
    pub(crate) weights: Option<String>,
}

/// What was measured of a trained model besides its scores.
pub(crate) struct Measured<'a> {
    /// Its training.
    pub(crate) summary: &'a TrainingSummary,
    /// Calls of attention while it was scored.
    pub(crate) scored: Calls,
    /// What was watched of its mechanisms.
    pub(crate) observed: BTreeMap<String, f64>,
}

/// What the record of a model that diverged has at the end of its name.
const DIVERGED: &str = "-diverged";

/// What earlier versions say of a model whose calls they did not count.
const NOT_COUNTED: &str = "(not counted)";

/// Which implementation was asked for, and which computed attention in so many calls; of a masked model also that of
/// the pattern its mask is made from: `auto: fused 82 %, reference 18 %; pattern: reference`.
fn attention_words(
    asked: Implementation,
    calls: Option<Calls>,
    pattern: Option<Option<Calls>>,
) -> String {
    let model = match (asked, calls) {
        (Implementation::Auto, Some(calls)) => format!("auto: {calls}"),
        (Implementation::Auto, None) => format!("auto {NOT_COUNTED}"),
        (Implementation::Reference | Implementation::Fused, Some(calls)) => calls.to_string(),
        (Implementation::Reference | Implementation::Fused, None) => NOT_COUNTED.to_owned(),
    };
    match pattern {
        None => model,
        Some(Some(calls)) => format!("{model}; pattern: {calls}"),
        Some(None) => format!("{model}; pattern {NOT_COUNTED}"),
    }
}

impl<R: Recipe> Run<'_, R> {
    /// Name of a record: what is scored, with a `/` as `-`.
    fn record_id(&self, seed: u64, name: &str) -> String {
        format!(
            "{}-{}-seed{seed}-{}",
            self.recipe.table(),
            short(&self.recipe.hash()),
            name.replace('/', "-")
        )
    }

    fn path_of(&self, id: &str) -> PathBuf {
        self.folder.records().join(format!("{id}.run.json"))
    }

    /// Where the record of a model's line is.
    pub(crate) fn record_path(&self, folder: &ModelFolder, line: &Line) -> PathBuf {
        let identity = &folder.identity;
        self.path_of(&self.record_id(identity.seed, &record_name(&identity.run, line)))
    }

    /// The records that say of a model that its training diverged: by its name and, of earlier versions, that of a line.
    pub(crate) fn diverged(&self, folder: &ModelFolder, lines: &[Line]) -> Vec<PathBuf> {
        let identity = &folder.identity;
        let of_lines = lines.iter().map(|line| record_name(&identity.run, line));
        let mut paths: Vec<PathBuf> = std::iter::once(identity.run.clone())
            .chain(of_lines)
            .map(|name| self.path_of(&(self.record_id(identity.seed, &name) + DIVERGED)))
            .filter(|path| path.exists())
            .collect();
        paths.dedup();
        paths
    }

    /// Takes away what an earlier process said of a model that has its scores now.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn forget_diverged(&self, folder: &ModelFolder, lines: &[Line]) -> Result<()> {
        remove(&self.diverged(folder, lines))
    }

    /// Where the record of a baseline is.
    pub(crate) fn baseline_path(&self, seed: u64, line: &BaselineLine) -> PathBuf {
        self.path_of(&self.record_id(seed, &line.file))
    }

    fn blank(
        &self,
        (seed, name): (u64, &str),
        row: &str,
        condition: Condition,
        (metric, signature): (Metric, &str),
        files: Option<&Origins>,
    ) -> Result<RunRecord> {
        Ok(RunRecord {
            id: self.record_id(seed, name),
            table: self.recipe.table().to_owned(),
            row: row.to_owned(),
            variant: None,
            recipe_hash: self.recipe.hash(),
            recipe: self.recipe.to_toml(),
            seed,
            device: "cpu".to_owned(),
            precision: None,
            attention: None,
            condition,
            p_nominal: None,
            p_effective: None,
            p_token_weighted: None,
            metric,
            value: None,
            signature: signature.to_owned(),
            paper: None,
            steps: 0,
            tokens_per_second: None,
            parameters: None,
            peak_gigabytes: None,
            observed: BTreeMap::new(),
            started: now(),
            finished: None,
            status: Status::Running,
            command: Some(version::command()),
            versions: version::versions(),
            data: data_files::hashes(&self.folder, files)?,
        })
    }

    /// Records of a model without their values, one a line.
    ///
    /// # Errors
    /// A pattern that is missing; a run folder that does not say what its data are.
    pub(crate) fn describe(&self, subject: &Subject<'_>, lines: &[Line]) -> Result<Vec<RunRecord>> {
        let Subject { arm, row, mask, .. } = *subject;
        let seed = arm.folder.seed();
        let folder = arm.model(row);
        // Fractions of the legal cells and of their uses that the mask hides, in per cent.
        let (effective, token_weighted) = match (mask, row) {
            (Some(mask), Some(row)) => {
                let pattern = self.load_pattern(&arm.folder)?.only(&row.pruned.types);
                let total = SparsityReport::new(mask, &pattern)?.total;
                (100.0 * total.effective, 100.0 * total.token_weighted)
            }
            (None, _) | (_, None) => (0.0, 0.0),
        };
        let condition = row.map_or(Condition::Dense, |row| row.condition(seed));
        let describe = |line: &Line| -> Result<RunRecord> {
            let p = line.label.p;
            let name = record_name(&folder.identity.run, line);
            let score = (line.metric, line.signature.as_str());
            let published = line
                .paper
                .as_ref()
                .filter(|_| arm.variant.has_published() && row.is_none_or(Row::has_published));
            let blank = self.blank(
                (seed, &name),
                &line.label.row,
                condition.decoded(line.label.rows),
                score,
                subject.files,
            )?;
            let weights = subject.weights.iter();
            let weights = weights.map(|sha256| (WEIGHTS.to_owned(), sha256.clone()));
            Ok(RunRecord {
                data: blank.data.into_iter().chain(weights).collect(),
                variant: arm.variant.label(),
                device: subject.device.to_string(),
                precision: half_of(self.recipe),
                attention: line.attention.map(|of| of.as_str().to_owned()),
                parameters: Some(subject.parameters as u64),
                p_nominal: p,
                p_effective: p.map(|_| effective),
                p_token_weighted: p.map(|_| token_weighted),
                paper: published.and_then(|(table, row)| paper::reference(table, row, p?)),
                ..blank
            })
        };
        lines.iter().map(describe).collect()
    }

    /// What trained the dense model that a row's model went on from; nothing where it began anew.
    fn trained_before(&self, subject: &Subject<'_>) -> Result<Vec<TrainedBy>> {
        let dense = subject.arm.folder.dense();
        let is_from_dense =
            subject.row.is_some() && self.recipe.retrain_start() == RetrainStart::Dense;
        match is_from_dense && dense.trained().exists() {
            true => Ok(TrainingSummary::load(&dense)?.by),
            false => Ok(Vec::new()),
        }
    }

    /// Completes the records of a trained and scored model, and saves them; those that are there stay as they are.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn save_scores(
        &self,
        subject: &Subject<'_>,
        records: Vec<RunRecord>,
        values: &[f64],
        measured: &Measured<'_>,
    ) -> Result<()> {
        let summary = measured.summary;
        let calls = summary.attention.map(|trained| trained + measured.scored);
        let pattern = match subject.mask {
            None => None,
            Some(_) => Some(ObservationSummary::load(&subject.arm.folder)?.map(|s| s.attention)),
        };
        let before = self.trained_before(subject)?;
        for (record, &value) in records.into_iter().zip(values) {
            let words = || attention_words(self.request.attention, calls, pattern);
            // What is only measured of a model has nothing of its training.
            let record = match record.attention {
                None => made_by(record, &before, &summary.by),
                Some(_) => record,
            };
            let done = RunRecord {
                attention: Some(record.attention.clone().unwrap_or_else(words)),
                value: Some(value),
                steps: summary.steps,
                tokens_per_second: Some(summary.tokens_per_second),
                peak_gigabytes: summary.peak_gigabytes,
                observed: measured.observed.clone(),
                started: summary.started,
                finished: Some(now()),
                status: Status::Completed,
                ..record
            };
            if !self.path_of(&done.id).exists() {
                done.save(self.folder.records())?;
            }
        }
        Ok(())
    }

    /// Saves the record of a baseline without a network.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn save_baseline(
        &self,
        seed: u64,
        line: &BaselineLine,
        value: f64,
        started: u64,
    ) -> Result<()> {
        let score = (line.metric, line.signature.as_str());
        let record = RunRecord {
            value: Some(value),
            started,
            finished: Some(now()),
            status: Status::Completed,
            ..self.blank(
                (seed, &line.file),
                &line.row,
                line.baseline.into(),
                score,
                line.files.as_ref(),
            )?
        };
        record.save(self.folder.records())?;
        self.note(&format!(
            "{}: {} {} {value:.2}",
            line.baseline,
            line.row,
            line.metric.label()
        ));
        Ok(())
    }

    /// Leaves a record of a run that diverged; other errors leave none, the run can go on.
    pub(crate) fn note_failure(
        &self,
        error: &anyhow::Error,
        started: u64,
        records: impl FnOnce() -> Result<Vec<RunRecord>>,
    ) {
        let Some(diverged) = error.downcast_ref::<Diverged>() else {
            return;
        };
        let save = |records: Vec<RunRecord>| -> Result<()> {
            let record = records.into_iter().last().context("no line to record")?;
            let record = RunRecord {
                id: self.record_id(record.seed, &diverged.identity.run) + DIVERGED,
                steps: diverged.step,
                started,
                finished: Some(now()),
                status: Status::Diverged,
                ..record
            };
            record.save(self.folder.records())?;
            Ok(())
        };
        if let Err(error) = records().and_then(save) {
            let why = in_one_line(&error);
            say(format_args!("the run record could not be written: {why}"));
        }
    }
}

/// A record with the devices that trained its model, and the builds that did where they are not this one alone; also those that trained
/// the model before, from which it was made.
fn made_by(record: RunRecord, before: &[TrainedBy], by: &[TrainedBy]) -> RunRecord {
    if by.is_empty() {
        return record;
    }
    let mut devices: Vec<&str> = by.iter().map(|of| of.device.as_str()).collect();
    devices.dedup();
    let trained = devices.join(THEN);
    let commits = before.iter().chain(by).map(|of| of.commit.as_str());
    let mut commits: Vec<&str> = commits.collect();
    commits.dedup();
    let mut versions = record.versions;
    if record.device != trained {
        versions.insert("scored on".to_owned(), record.device);
    }
    if commits != [version::COMMIT] {
        versions.insert(TRAINED_BY.to_owned(), commits.join(THEN));
    }
    RunRecord {
        device: trained,
        versions,
        ..record
    }
}

/// What the records of a recipe's models say of their precision: nothing of f32, as records from before there was a choice.
fn half_of(recipe: &impl Recipe) -> Option<String> {
    let precision = recipe.precision();
    (!precision.is_full()).then(|| precision.to_string())
}

/// Refuses records of another recipe than that of their folder.
pub(crate) fn ensure_one_recipe(root: &Path, records: &[RunRecord], hash: &str) -> Result<()> {
    for record in records {
        ensure!(
            record.recipe_hash == hash,
            "{} holds the record {} of another recipe (hash {} and not {}); move it to the run folder of its own recipe",
            root.display(),
            record.id,
            short(&record.recipe_hash),
            short(hash)
        );
    }
    Ok(())
}

/// The model's name, and what a line adds to it.
fn record_name(run: &str, line: &Line) -> String {
    match line.file.as_str() {
        "" => run.to_owned(),
        file => format!("{run}-{file}"),
    }
}

/// The command that makes what a table lacks.
fn go_on<R: Recipe>(recipe: &R, folder: &RunFolder) -> String {
    format!(
        "{} reproduce --recipe {} --out {} --resume {}",
        R::PROGRAM,
        typed(&folder.recipe()),
        typed(folder.root()),
        recipe.choice()
    )
}

/// What the table should have, and the command for what it lacks; `labels` names the lines of a model.
pub(crate) fn expected<T: Task>(
    recipe: &T::Recipe,
    folder: &RunFolder,
    labels: impl Fn(&Variant, Option<&Row>) -> Vec<Label>,
) -> Result<Vec<Expected>> {
    let command = go_on(recipe, folder);
    let start = recipe.retrain_start();
    let variants = T::variants(recipe)?;
    let mut all = Vec::new();
    for &seed in recipe.seeds() {
        let mut add = |variant: &Variant, row: Option<&Row>| {
            for label in labels(variant, row) {
                // Without p it stands before the rows of a table of p, not among them.
                if label.p.is_none() && recipe.layout() == LayoutName::P {
                    continue;
                }
                all.push(Expected {
                    row: label.row,
                    variant: variant.label(),
                    condition: row
                        .map_or(Condition::Dense, |row| row.condition(seed))
                        .decoded(label.rows),
                    p: label.p,
                    seed,
                    command: command.clone(),
                });
            }
        };
        for variant in &variants {
            add(variant, None);
        }
        for variant in &variants {
            let rows = Row::all(&variant.pruned, recipe.masks());
            for row in rows.iter().filter(|row| row.is_trained_again(start)) {
                add(variant, Some(row));
            }
        }
    }
    Ok(all)
}

/// How the table of a recipe is laid out, of which `p` is the layout where p is what stands in its rows.
pub(crate) fn layout(recipe: &impl Recipe, p: Layout) -> Layout {
    match recipe.layout() {
        LayoutName::P => p,
        LayoutName::Mechanism => Layout::Mechanisms,
    }
}

/// The title of the table of a recipe, of which `p` is that where p is what stands in its rows.
pub(crate) fn title(recipe: &impl Recipe, p: String) -> String {
    match recipe.layout() {
        LayoutName::P => p,
        LayoutName::Mechanism => format!(
            "{}: attention mechanisms, their scores and what they cost",
            recipe.table()
        ),
    }
}

/// What the records of a run folder cannot say of their table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRequest {
    /// Its title.
    pub title: String,
    /// What stands in its rows and columns.
    pub layout: Layout,
    /// The runs that it should have, and the commands that make them.
    pub expected: Vec<Expected>,
}

/// Makes the table from the records of the run folder: files in it, and the text on standard output.
///
/// # Errors
/// A folder without records.
pub(crate) fn report<T: Task>(run: &Run<'_, T::Recipe>) -> Result<()> {
    let (recipe, folder) = (run.recipe, &run.folder);
    let mut records = load_all(folder.records())?;
    if run.request.only_seeds && run.request.stage == Stage::Report {
        records = of_seeds(records, recipe.seeds(), folder)?;
    }
    let TableRequest {
        title,
        layout,
        expected,
    } = T::table(recipe, folder)?;
    if run.request.only_tasks && run.request.stage == Stage::Report {
        let there: BTreeSet<String> = records.iter().map(|of| of.row.clone()).collect();
        records.retain(|record| expected.iter().any(|of| of.row == record.row));
        ensure!(
            !records.is_empty(),
            "{} has no record of these tasks; it has those of {}",
            folder.root().display(),
            there.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    let options = ReportOptions {
        title,
        expected,
        is_mixed: run.request.is_mixed,
    };
    let (text, files) = match layout {
        Layout::P => {
            let report = sparta_results::report(&records, &options)?;
            (
                report.terminal(terminal_width()),
                report.write(folder.root())?,
            )
        }
        Layout::Pivot(layout) => {
            let table = pivot(&records, layout, &options)?;
            (
                table.terminal(terminal_width()),
                table.write(folder.root())?,
            )
        }
        Layout::Mechanisms => {
            let table = mechanisms(&records, &options)?;
            (
                table.terminal(terminal_width()),
                table.write(folder.root())?,
            )
        }
    };
    print(&text, &T::after_table(recipe, folder)?, &files)
}

/// The records of some seeds. A table says what makes those that it lacks.
///
/// # Errors
/// Seeds that no record is of.
fn of_seeds(records: Vec<RunRecord>, seeds: &[u64], folder: &RunFolder) -> Result<Vec<RunRecord>> {
    let there: BTreeSet<u64> = records.iter().map(|of| of.seed).collect();
    let words = |of: &[u64]| of.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    ensure!(
        seeds.iter().any(|seed| there.contains(seed)),
        "{} has no record of seed {}; it has those of {}",
        folder.root().display(),
        words(seeds),
        words(&there.iter().copied().collect::<Vec<_>>())
    );
    let is_asked = |of: &RunRecord| seeds.contains(&of.seed);
    Ok(records.into_iter().filter(is_asked).collect())
}

fn print(table: &str, extra: &str, files: &[PathBuf]) -> Result<()> {
    let mut text = format!("{}\n{extra}", table.trim_end());
    for file in files {
        text += &format!("{}\n", file.display());
    }
    print_line(text.trim_end_matches('\n'))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_is_told_as_it_was_computed() {
        let mixed = Calls {
            reference: 18,
            fused: 82,
        };
        let all = Calls {
            reference: 7,
            fused: 0,
        };
        let (auto, fused) = (Implementation::Auto, Implementation::Fused);
        for (found, expected) in [
            (attention_words(auto, Some(all), None), "auto: reference"),
            (attention_words(auto, None, None), "auto (not counted)"),
            (
                attention_words(fused, Some(mixed), None),
                "fused 82 %, reference 18 %",
            ),
            (
                attention_words(auto, Some(mixed), Some(Some(all))),
                "auto: fused 82 %, reference 18 %; pattern: reference",
            ),
            (
                attention_words(auto, Some(all), Some(None)),
                "auto: reference; pattern (not counted)",
            ),
        ] {
            assert_eq!(found, expected);
        }
    }
}
