//! Run records of a task, and the table made from them.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use sparta_ops::pruning::{AttentionPattern, GlobalMask, SparsityReport};
use sparta_results::render::Layout;
use sparta_results::{Expected, MaskKind, Metric, ReportOptions, RunRecord, Status, load_all};

use super::folder::{ModelFolder, RunFolder};
use super::rows::Row;
use super::run::{Run, TrainingSummary, attention_label, now};
use crate::recipe::Recipe;
use crate::train::{Diverged, short};
use crate::version;

/// The kind of mask a row has; no row is the dense checkpoint.
pub(crate) fn kind(row: Option<&Row>) -> MaskKind {
    match row {
        None | Some(Row::Dense) => MaskKind::None,
        Some(Row::Ap { .. }) => MaskKind::Ap,
        Some(Row::Blocks { .. }) => MaskKind::ApBlocks,
        Some(Row::Random { .. }) => MaskKind::Random,
    }
}

/// The shares of legal cells and of their uses that a mask hides, in per cent.
pub(crate) fn shares(
    mask: Option<&GlobalMask>,
    pattern: impl FnOnce() -> Result<AttentionPattern>,
) -> Result<(f64, f64)> {
    let Some(mask) = mask else {
        return Ok((0.0, 0.0));
    };
    let total = SparsityReport::new(mask, &pattern()?)?.total;
    Ok((100.0 * total.effective, 100.0 * total.token_weighted))
}

impl<R: Recipe> Run<'_, R> {
    /// Name of a record: what is scored, with a branch's `/` as `-`.
    pub(crate) fn record_id(&self, seed: u64, run: &str) -> String {
        format!(
            "{}-{}-seed{seed}-{}",
            self.recipe.table(),
            short(&self.recipe.hash()),
            run.replace('/', "-")
        )
    }

    /// Where a record is.
    pub(crate) fn record_path(&self, seed: u64, run: &str) -> PathBuf {
        let id = self.record_id(seed, run);
        self.folder.records().join(format!("{id}.run.json"))
    }

    /// Who computes attention.
    fn attention(&self) -> Option<String> {
        let asked = self.request.attention;
        let found = asked.on(&self.opened.device).ok()?;
        Some(attention_label(asked, found))
    }

    /// A record of a run that has no score yet.
    pub(crate) fn blank_record(
        &self,
        (seed, run): (u64, &str),
        row: &str,
        mask: MaskKind,
        (metric, signature): (Metric, String),
    ) -> RunRecord {
        RunRecord {
            id: self.record_id(seed, run),
            table: self.recipe.table().to_owned(),
            row: row.to_owned(),
            recipe_hash: self.recipe.hash(),
            recipe: self.recipe.to_toml(),
            seed,
            device: self.opened.choice.to_string(),
            attention: self.attention(),
            mask,
            mask_seed: None,
            mask_block_size: None,
            p_nominal: None,
            p_effective: None,
            p_token_weighted: None,
            metric,
            value: None,
            signature,
            paper: None,
            steps: 0,
            tokens_per_second: None,
            started: now(),
            finished: None,
            status: Status::Running,
            versions: version::versions(),
        }
    }

    /// Completes the record of a trained and scored network, and saves it.
    pub(crate) fn save_score(
        &self,
        mut record: RunRecord,
        folder: &ModelFolder,
        value: f64,
    ) -> Result<()> {
        let trained = TrainingSummary::load(folder)?;
        record.value = Some(value);
        record.steps = trained.steps;
        record.tokens_per_second = Some(trained.tokens_per_second);
        record.started = trained.started;
        record.finished = Some(now());
        record.status = Status::Completed;
        record.save(self.folder.records())?;
        Ok(())
    }

    /// Completes the record of a baseline without a network, and saves it.
    pub(crate) fn save_baseline(
        &self,
        mut record: RunRecord,
        value: f64,
        started: u64,
    ) -> Result<()> {
        record.value = Some(value);
        record.device = "cpu".to_owned();
        record.attention = None;
        record.started = started;
        record.finished = Some(now());
        record.status = Status::Completed;
        record.save(self.folder.records())?;
        Ok(())
    }

    /// Leaves a record of a run that diverged; other errors leave none, the run can go on.
    pub(crate) fn note_failure(
        &self,
        error: &anyhow::Error,
        started: u64,
        record: impl FnOnce() -> Result<RunRecord>,
    ) {
        let Some(diverged) = error.downcast_ref::<Diverged>() else {
            return;
        };
        let saved = record().and_then(|mut record| {
            record.steps = diverged.step;
            record.started = started;
            record.finished = Some(now());
            record.status = Status::Diverged;
            record.id += "-diverged";
            record.save(self.folder.records()).context("record")
        });
        if let Err(error) = saved {
            eprintln!("the run record could not be written: {error:#}");
        }
    }
}

/// The command that makes what a table lacks, masks of such blocks included.
pub(crate) fn go_on<R: Recipe>(folder: &RunFolder, block_sizes: &[usize]) -> String {
    let sizes: Vec<String> = block_sizes.iter().map(usize::to_string).collect();
    let with_blocks = match sizes.is_empty() {
        true => String::new(),
        false => format!(" --set prune.block_sizes=[{}]", sizes.join(",")),
    };
    format!(
        "{} reproduce --recipe {} --out {} --resume{with_blocks}",
        R::PROGRAM,
        folder.root().join("recipe.toml").display(),
        folder.root().display()
    )
}

/// Makes the table from the records of the run folder: files in it, and the text on standard
/// output, with `extra` after it.
///
/// # Errors
/// A folder without records.
pub(crate) fn report(
    folder: &RunFolder,
    title: String,
    expected: Vec<Expected>,
    extra: &str,
) -> Result<()> {
    let records = load_all(folder.records())?;
    let options = ReportOptions { title, expected };
    let report = sparta_results::report(&records, &options)?;
    let files = report.write(folder.root())?;
    print(&report.terminal(None), extra, &files);
    Ok(())
}

/// Makes a table whose columns are tasks or measures; see [`report`].
///
/// # Errors
/// A folder without records.
pub(crate) fn overview(
    folder: &RunFolder,
    layout: Layout,
    title: String,
    expected: Vec<Expected>,
) -> Result<()> {
    let records = load_all(folder.records())?;
    let options = ReportOptions { title, expected };
    let overview = sparta_results::render::overview(&records, layout, &options)?;
    let files = overview.write(folder.root())?;
    print(&overview.terminal(None), "", &files);
    Ok(())
}

fn print(table: &str, extra: &str, files: &[PathBuf]) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is the reader's choice and no error.
    let _ = writeln!(out, "{}", table.trim_end());
    let _ = write!(out, "{extra}");
    for file in files {
        let _ = writeln!(out, "{}", file.display());
    }
}
