//! Tables whose columns are tasks (GLUE) or measures (SQuAD): one line a mask and p, the paper's below ours.

mod average;
mod key;
mod print;
mod published;

use std::collections::BTreeMap;

use crate::error::{Result, ResultsError};
use crate::metric::Metric;
use crate::record::{MaskKind, RunRecord};
use crate::render::aggregate::{Aggregate, Group, Percent, aggregate};
use crate::render::expected::unanswered;
use crate::render::report::{ReportOptions, labels, left_out};
use key::Key;
use published::published;

/// Order of lines: kernel, kind of mask, size of its blocks, p.
type LineKey = (usize, String, u8, Option<u64>, Option<Percent>);

/// What stands in columns and lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A column for each task, and their average; lines by mask and p. The row of a record is the name of its
    /// [`GlueColumn`](crate::metric::glue::GlueColumn), or of another task.
    Glue,
    /// A column for exact match, F1, time and memory; lines by kernel, mask and p. The row of a record is one of
    /// [`SQUAD_KERNELS`].
    Squad,
}

/// Rows of the SQuAD table: attention without a mask, attention that computes all scores and hides some, and attention
/// that skips hidden blocks. The last one has its place also while nothing has run it.
pub const SQUAD_KERNELS: [&str; 3] = ["dense", "masked-dense", "block-sparse"];

/// One column: scores of one signature.
#[derive(Debug, Clone, PartialEq)]
pub struct OverviewColumn {
    /// Its head.
    pub name: String,
    /// Its score; `None` for an average of columns.
    pub metric: Option<Metric>,
    /// Protocol of its scores; empty where nothing has run.
    pub signature: String,
}

/// A number of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Ours {
    /// Mean over seeds.
    pub mean: f64,
    /// Standard deviation over seeds, where there are several.
    pub sd: Option<f64>,
    /// Number of runs.
    pub n: usize,
}

/// One mask and p (of one kernel), a cell for each column.
#[derive(Debug, Clone, PartialEq)]
pub struct OverviewLine {
    /// Kernel; empty in GLUE's table.
    pub row: String,
    /// What hid attention cells, or which baseline it is.
    pub mask: MaskKind,
    /// Edge of the mask's blocks, where it has some.
    pub block_size: Option<u64>,
    /// Nominal p; none for baselines.
    pub p: Option<Percent>,
    /// Least and greatest effective share over the columns, in percent.
    pub p_effective: Option<(f64, f64)>,
    /// Our numbers.
    pub ours: Vec<Option<Ours>>,
    /// The published numbers.
    pub paper: Vec<Option<f64>>,
    /// Marks of missing runs.
    pub missing: Vec<Vec<usize>>,
}

/// A table ready to print.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// Heading.
    pub title: String,
    /// What stands in columns and lines.
    pub layout: Layout,
    /// The columns.
    pub columns: Vec<OverviewColumn>,
    /// The lines: p rises within a kernel and mask, baselines come last.
    pub lines: Vec<OverviewLine>,
    /// Commands of missing runs; the mark `[k]` in a cell names the k-th, counted from one.
    pub missing: Vec<String>,
    /// What else must be known.
    pub notes: Vec<String>,
    groups: Vec<(String, Group)>,
}

/// Lays out the records of one table with tasks or measures as columns.
///
/// Seeds are averaged as [`aggregate()`] does. Scores of different signatures, and of different recipes of one row, never
/// share a column or line. GLUE's table has the score of the paper for each task (further ones are in the csv), and the
/// plain mean of the columns that the paper averages: of all nine, named `average`, or of those at hand, named so; the
/// paper's beside it is the mean of the same columns.
///
/// # Errors
/// [`ResultsError::Empty`] if no record is completed.
pub fn overview(
    records: &[RunRecord],
    layout: Layout,
    options: &ReportOptions,
) -> Result<Overview> {
    let Aggregate {
        groups,
        unfinished,
        replaced,
    } = aggregate(records);
    if groups.is_empty() {
        return Err(ResultsError::Empty);
    }
    let labels = labels(&groups);
    let label =
        |group: &Group| labels[&(group.key.row.clone(), group.key.recipe_hash.clone())].clone();
    let groups: Vec<(String, Group)> = groups
        .into_iter()
        .map(|group| (label(&group), group))
        .collect();
    let (waiting, missing) = unanswered(records, &options.expected);

    let mut table = Overview {
        title: options.title_of(records),
        layout,
        columns: Vec::new(),
        lines: Vec::new(),
        missing,
        notes: left_out(&unfinished, &replaced),
        groups: Vec::new(),
    };
    let keys_of_runs = groups
        .iter()
        .filter_map(|(label, group)| Key::of(layout, label, group));
    let mut keys: Vec<Key> = keys_of_runs.collect();
    for place in Key::places(layout, waiting.iter().map(|(run, _)| run.row.as_str())) {
        if !keys.iter().any(|key| key.is_like(&place)) {
            keys.push(place);
        }
    }
    keys.sort();
    keys.dedup();
    table.columns = key::columns(&keys);

    let mut lines: BTreeMap<LineKey, OverviewLine> = BTreeMap::new();
    for (label, group) in &groups {
        let key = Key::of(layout, label, group);
        let Some(at) = key.and_then(|key| keys.iter().position(|other| *other == key)) else {
            continue;
        };
        let line = table.line(
            &mut lines,
            label,
            (group.key.mask, group.key.block_size),
            group.key.p,
        );
        line.ours[at] = Some(Ours {
            mean: group.mean,
            sd: group.sd,
            n: group.n,
        });
        if let Some(p) = group.p_effective {
            let (least, most) = line.p_effective.unwrap_or((p, p));
            line.p_effective = Some((least.min(p), most.max(p)));
        }
    }
    for (run, mark) in waiting {
        let p = run.p.map(Percent::new);
        let is_dense = p == Some(Percent::new(0.0));
        let mask = if is_dense { MaskKind::Ap } else { run.mask };
        let line = table.line(&mut lines, &run.row, (mask, run.block_size), p);
        for (at, key) in keys.iter().enumerate() {
            let waits = match layout {
                Layout::Glue => key.row == run.row,
                Layout::Squad => true,
            };
            if waits && !line.missing[at].contains(&mark) {
                line.missing[at].push(mark);
            }
        }
    }
    if layout == Layout::Squad {
        for p in [0.0, 90.0] {
            table.line(
                &mut lines,
                SQUAD_KERNELS[2],
                (MaskKind::Ap, None),
                Some(Percent::new(p)),
            );
        }
    }
    table.lines = lines.into_values().collect();
    for line in &mut table.lines {
        line.paper = keys
            .iter()
            .map(|key| published(layout, line, key))
            .collect();
    }
    if layout == Layout::Glue {
        average::add(&mut table, &keys, &groups);
    }
    table.groups = groups;
    Ok(table)
}

impl Overview {
    /// The line of a kernel, mask and p, made if it is not there.
    fn line<'a>(
        &self,
        lines: &'a mut BTreeMap<LineKey, OverviewLine>,
        label: &str,
        (mask, block_size): (MaskKind, Option<u64>),
        p: Option<Percent>,
    ) -> &'a mut OverviewLine {
        let row = match self.layout {
            Layout::Glue => String::new(),
            Layout::Squad => label.to_owned(),
        };
        let name = row.split_once('@').map_or(row.as_str(), |(name, _)| name);
        let place = SQUAD_KERNELS.iter().position(|kernel| *kernel == name);
        let order = match (mask, p) {
            (MaskKind::Ap | MaskKind::None, Some(_)) => 0,
            (MaskKind::ApBlocks, Some(_)) => 1,
            (MaskKind::Random, Some(_)) => 2,
            (_, Some(_)) => 3,
            (_, None) => 4,
        };
        let key = (
            place.unwrap_or(SQUAD_KERNELS.len()),
            row.clone(),
            10 * order + rank(mask, p),
            block_size,
            p,
        );
        let n = self.columns.len();
        lines.entry(key).or_insert_with(|| OverviewLine {
            row,
            mask,
            block_size,
            p,
            p_effective: None,
            ours: vec![None; n],
            paper: vec![None; n],
            missing: vec![Vec::new(); n],
        })
    }
}

/// Masks of one kind of line are kept apart, but the dense run and the mask of the paper are one series.
fn rank(mask: MaskKind, p: Option<Percent>) -> u8 {
    match (mask, p) {
        (MaskKind::None | MaskKind::Ap, Some(_)) => 0,
        (mask, _) => mask as u8,
    }
}
