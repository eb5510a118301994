//! Pivot tables of scores: columns are tasks (GLUE) or measures (SQuAD), lines are conditions and
//! p, the paper's below ours.

mod average;
mod key;
mod lines;
mod print;
mod published;

use crate::condition::Condition;
use crate::error::{Result, ResultsError};
use crate::metric::Metric;
use crate::record::RunRecord;
use crate::render::aggregate::{Aggregate, Group, Percent, aggregate};
use crate::render::expected::unanswered;
use crate::render::report::{ReportOptions, build_notes, label, labels, left_out, majority_note};
use published::published;

/// What stands in columns and lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PivotLayout {
    /// A column for each task, and their average; lines by mask and p. The row of a record is the
    /// name of its [`GlueColumn`](crate::metric::glue::GlueColumn), or of another task.
    Glue,
    /// A column for exact match, F1, time and memory; lines by kernel, mask and p. The row of a
    /// record is one of [`SQUAD_KERNELS`].
    Squad,
    /// The same of questions that no published table has: none of its numbers and lines stand beside.
    OwnSquad,
}

/// Rows of the SQuAD table: attention without a mask, attention that computes all scores and hides
/// some, and attention that skips hidden blocks. The last one has its place also while nothing has
/// run it.
pub const SQUAD_KERNELS: [&str; 3] = ["dense", "masked-dense", "block-sparse"];

/// One column: scores of one signature.
#[derive(Debug, Clone, PartialEq)]
pub struct PivotColumn {
    /// Its head.
    pub name: String,
    /// Its score; `None` for an average of columns.
    pub metric: Option<Metric>,
    /// Protocol of its scores; empty where nothing has run.
    pub signature: String,
}

/// A number of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanScore {
    /// Mean over seeds.
    pub mean: f64,
    /// Standard deviation over seeds, where there are several.
    pub sd: Option<f64>,
    /// Number of runs; of an average over columns that of seeds.
    pub n: usize,
    /// Each run's, with its seed; of an average over columns each seed's.
    pub runs: Vec<(u64, f64)>,
}

/// One condition and p (of one kernel and variant), a cell for each column.
#[derive(Debug, Clone, PartialEq)]
pub struct PivotLine {
    /// Kernel; empty in GLUE's table.
    pub row: String,
    /// Which of the networks, where there are several.
    pub variant: Option<String>,
    /// Dense, under a mask, or a baseline.
    pub condition: Condition,
    /// Nominal p; none for baselines.
    pub p: Option<Percent>,
    /// Least and greatest effective percentage over the columns.
    pub p_effective: Option<(f64, f64)>,
    /// The same of the percentage that is weighted by uses.
    pub p_token_weighted: Option<(f64, f64)>,
    /// Our numbers.
    pub ours: Vec<Option<MeanScore>>,
    /// The published numbers.
    pub paper: Vec<Option<f64>>,
    /// Marks of missing runs.
    pub missing: Vec<Vec<usize>>,
}

/// A table ready to print.
#[derive(Debug, Clone, PartialEq)]
pub struct PivotTable {
    /// Heading.
    pub title: String,
    /// What stands in columns and lines.
    pub layout: PivotLayout,
    /// The columns.
    pub columns: Vec<PivotColumn>,
    /// The lines: p rises within a kernel, variant and mask, baselines come last.
    pub lines: Vec<PivotLine>,
    /// Commands of missing runs; the mark `[k]` in a cell names the k-th, counted from one.
    pub missing: Vec<String>,
    /// What else must be known.
    pub notes: Vec<String>,
    groups: Vec<(String, Group)>,
}

/// Lays out the records of one table with tasks or measures as columns.
///
/// Seeds are averaged as [`aggregate()`] does. Scores of different signatures, and of different
/// recipes of one row, never share a column or line. GLUE's table has the score of the paper for
/// each task (further ones are in the csv), and the plain mean of the columns that the paper
/// averages, over the seeds that all of them have: of all nine, named `average`, or of those at hand,
/// named so; the paper's beside it is the mean of the same columns.
///
/// # Errors
/// [`ResultsError::Empty`] if no record is completed.
pub fn pivot(
    records: &[RunRecord],
    layout: PivotLayout,
    options: &ReportOptions,
) -> Result<PivotTable> {
    let Aggregate {
        groups,
        unfinished,
        replaced,
    } = aggregate(records, options.is_mixed);
    if groups.is_empty() {
        return Err(ResultsError::Empty);
    }
    let mut notes = left_out(&unfinished, &replaced);
    notes.extend(majority_note(&groups));
    notes.extend(build_notes(&groups));
    let groups = labelled(groups);
    let (waiting, missing) = unanswered(records, &options.expected);

    let keys = key::keys(layout, &groups, &waiting);
    let mut lines = lines::lines(layout, &keys, &groups, &waiting, &options.expected);
    for line in &mut lines {
        line.paper = keys
            .iter()
            .map(|key| published(layout, line, key))
            .collect();
    }
    let mut table = PivotTable {
        title: options.title_of(records),
        layout,
        columns: key::columns(&keys),
        lines,
        missing,
        notes,
        groups: Vec::new(),
    };
    if layout == PivotLayout::Glue {
        average::add(&mut table, &keys);
    }
    table.groups = groups;
    Ok(table)
}

/// The groups with the printed names of their rows.
fn labelled(groups: Vec<Group>) -> Vec<(String, Group)> {
    let labels = labels(&groups);
    let named = |group: Group| (label(&labels, &group.key), group);
    groups.into_iter().map(named).collect()
}
