//! Tables whose columns are tasks (GLUE) or measures (SQuAD): one line a mask and p, the paper's below ours.

use std::collections::BTreeMap;

use crate::error::{Result, ResultsError};
use crate::metric::Metric;
use crate::metric::glue::{self, GlueColumn};
use crate::paper;
use crate::record::{MaskKind, RunRecord};
use crate::render::aggregate::{Aggregate, Group, Percent, aggregate, mean, standard_deviation};
use crate::render::expected::unanswered;
use crate::render::report::{ReportOptions, labels, left_out};

/// What stands in columns and lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A column for each task, and their average; lines by mask and p. The row of a record is the name of its
    /// [`GlueColumn`], or of another task.
    Glue,
    /// A column for exact match, F1, time and memory; lines by kernel, mask and p. The row of a record is one of
    /// [`SQUAD_KERNELS`].
    Squad,
}

/// Rows of the SQuAD table: attention without a mask, attention that computes all scores and hides some, and attention
/// that skips hidden blocks. The last one has its place also while nothing has run it.
pub const SQUAD_KERNELS: [&str; 3] = ["dense", "masked-dense", "block-sparse"];

/// Measures of the SQuAD table and the paper's tables of them: by p, or by kernel and p.
const SQUAD_METRICS: [(Metric, Published); 4] = [
    (Metric::ExactMatch, Published::Quality("exact")),
    (Metric::AnswerF1, Published::Quality("f1")),
    (Metric::Seconds, Published::Cost(paper::SQUAD_TIME)),
    (Metric::Gigabytes, Published::Cost(paper::SQUAD_MEMORY)),
];

#[derive(Clone, Copy)]
enum Published {
    /// A row of [`paper::SQUAD`].
    Quality(&'static str),
    /// A table with a row for each kernel.
    Cost(&'static str),
}

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
    pub(super) groups: Vec<(String, Group)>,
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
    let mut keys: Vec<(usize, String, Metric, String)> = groups
        .iter()
        .filter_map(|(label, group)| table.column_key(label, group))
        .collect();
    keys.extend(
        table.places(
            &waiting
                .iter()
                .map(|(run, _)| run.row.as_str())
                .collect::<Vec<_>>(),
            &keys,
        ),
    );
    keys.sort();
    keys.dedup();
    table.columns = columns(&keys);

    let mut lines: BTreeMap<(usize, String, u8, Option<Percent>), OverviewLine> = BTreeMap::new();
    for (label, group) in &groups {
        let Some(key) = table.column_key(label, group) else {
            continue;
        };
        let Some(at) = keys.iter().position(|other| *other == key) else {
            continue;
        };
        let line = table.line(&mut lines, label, group.key.mask, group.key.p);
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
        let line = table.line(&mut lines, &run.row, mask, p);
        for (at, (_, row, _, _)) in keys.iter().enumerate() {
            let waits = match layout {
                Layout::Glue => *row == run.row,
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
                MaskKind::Ap,
                Some(Percent::new(p)),
            );
        }
    }
    table.lines = lines.into_values().collect();
    let published = |line: &OverviewLine| -> Vec<Option<f64>> {
        keys.iter()
            .map(|(_, row, metric, _)| published(layout, line, row, *metric))
            .collect()
    };
    table
        .lines
        .iter_mut()
        .for_each(|line| line.paper = published(line));
    if layout == Layout::Glue {
        table.add_average(&keys, &groups);
    }
    table.groups = groups;
    Ok(table)
}

impl Overview {
    /// Order, row, metric and signature of the column that a group stands in; `None` for scores that have no column.
    fn column_key(&self, label: &str, group: &Group) -> Option<(usize, String, Metric, String)> {
        let (metric, signature) = (group.key.metric, group.key.signature.clone());
        match self.layout {
            Layout::Glue => {
                let column = GlueColumn::of_name(&group.key.row);
                let is_shown = column.is_none_or(|column| column.metric() == metric);
                is_shown.then(|| (glue_place(column), label.to_owned(), metric, signature))
            }
            Layout::Squad => {
                let at = SQUAD_METRICS.iter().position(|(of, _)| *of == metric)?;
                Some((at, String::new(), metric, signature))
            }
        }
    }

    /// Columns that have their place although nothing stands in them yet.
    fn places(
        &self,
        waiting: &[&str],
        keys: &[(usize, String, Metric, String)],
    ) -> Vec<(usize, String, Metric, String)> {
        let is_new = |(_, row, metric, _): &(usize, String, Metric, String)| {
            !keys
                .iter()
                .any(|(_, other, of, _)| other == row && of == metric)
        };
        let places: Vec<_> = match self.layout {
            Layout::Glue => {
                let columns = waiting.iter().filter_map(|row| GlueColumn::of_name(row));
                let key = |column: GlueColumn| {
                    let name = column.name().to_owned();
                    (
                        glue_place(Some(column)),
                        name,
                        column.metric(),
                        String::new(),
                    )
                };
                columns.map(key).collect()
            }
            Layout::Squad => {
                let measures = SQUAD_METRICS.iter().enumerate();
                measures
                    .map(|(at, (metric, _))| (at, String::new(), *metric, String::new()))
                    .collect()
            }
        };
        places.into_iter().filter(is_new).collect()
    }

    /// The line of a kernel, mask and p, made if it is not there.
    fn line<'a>(
        &self,
        lines: &'a mut BTreeMap<(usize, String, u8, Option<Percent>), OverviewLine>,
        label: &str,
        mask: MaskKind,
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
            (MaskKind::Random, Some(_)) => 1,
            (_, Some(_)) => 2,
            (_, None) => 3,
        };
        let key = (
            place.unwrap_or(SQUAD_KERNELS.len()),
            row.clone(),
            10 * order + rank(mask, p),
            p,
        );
        let n = self.columns.len();
        lines.entry(key).or_insert_with(|| OverviewLine {
            row,
            mask,
            p,
            p_effective: None,
            ours: vec![None; n],
            paper: vec![None; n],
            missing: vec![Vec::new(); n],
        })
    }

    /// The last column of GLUE's table, where at least two columns can be averaged.
    fn add_average(
        &mut self,
        keys: &[(usize, String, Metric, String)],
        groups: &[(String, Group)],
    ) {
        let of = |(_, row, _, _): &(usize, String, Metric, String)| GlueColumn::of_name(row);
        let averaged: Vec<usize> = (0..keys.len())
            .filter(|&at| of(&keys[at]).is_some_and(GlueColumn::is_averaged))
            .collect();
        let mut rows: Vec<&String> = averaged.iter().map(|&at| &keys[at].1).collect();
        rows.dedup();
        // A task of two signatures has no one score to take.
        if averaged.len() < 2 || rows.len() < averaged.len() {
            return;
        }
        let n_all = GlueColumn::ALL
            .into_iter()
            .filter(|column| column.is_averaged())
            .count();
        let is_whole = averaged.len() == n_all;
        let name = match is_whole {
            true => "average".to_owned(),
            false => format!("average of {}", averaged.len()),
        };
        for line in &mut self.lines {
            let ours: Option<Vec<&Ours>> =
                averaged.iter().map(|&at| line.ours[at].as_ref()).collect();
            let runs: Option<Vec<&Group>> = averaged
                .iter()
                .map(|&at| {
                    let is_cell = |(label, group): &&(String, Group)| {
                        let (_, row, metric, signature) = &keys[at];
                        let key = &group.key;
                        label == row
                            && key.metric == *metric
                            && key.signature == *signature
                            && key.mask == line.mask
                            && key.p == line.p
                    };
                    groups.iter().find(is_cell).map(|(_, group)| group)
                })
                .collect();
            line.ours
                .push(ours.and_then(|ours| average_of(&ours, runs.as_deref())));
            let paper: Option<Vec<f64>> = averaged.iter().map(|&at| line.paper[at]).collect();
            let published = line
                .p
                .and_then(|p| paper::value(paper::GLUE, paper::GLUE_AVERAGE, p.get()));
            line.paper.push(match is_whole {
                true => published.filter(|_| paper.is_some()),
                false => paper.and_then(|values| mean(&values)),
            });
            line.missing.push(Vec::new());
        }
        self.columns.push(OverviewColumn {
            name,
            metric: None,
            signature: String::new(),
        });
    }
}

/// The mean over tasks, with its spread over seeds where every task has the same seeds.
fn average_of(ours: &[&Ours], runs: Option<&[&Group]>) -> Option<Ours> {
    let means: Vec<f64> = ours.iter().map(|ours| ours.mean).collect();
    let runs = runs.unwrap_or_default();
    let first = runs.first()?;
    let alike = runs.iter().all(|group| group.seeds == first.seeds);
    let by_seed = |at: usize| {
        mean(
            &runs
                .iter()
                .map(|group| group.values[at])
                .collect::<Vec<_>>(),
        )
    };
    let averages: Option<Vec<f64>> = (0..first.n).filter(|_| alike).map(by_seed).collect();
    let averages = averages.unwrap_or_default();
    Some(Ours {
        mean: mean(&means)?,
        sd: standard_deviation(&averages),
        n: averages.len().max(1),
    })
}

fn glue_place(column: Option<GlueColumn>) -> usize {
    let place = column.and_then(|column| GlueColumn::ALL.iter().position(|of| *of == column));
    place.unwrap_or(GlueColumn::ALL.len())
}

/// Masks of one kind of line are kept apart, but the dense run and the mask of the paper are one series.
fn rank(mask: MaskKind, p: Option<Percent>) -> u8 {
    match (mask, p) {
        (MaskKind::None | MaskKind::Ap, Some(_)) => 0,
        (mask, _) => mask as u8,
    }
}

fn columns(keys: &[(usize, String, Metric, String)]) -> Vec<OverviewColumn> {
    let head = |(_, row, metric, _): &(usize, String, Metric, String)| {
        let name = row.split_once('@').map_or(row.as_str(), |(name, _)| name);
        let is_usual = GlueColumn::of_name(name).is_some_and(|column| column.metric() == *metric);
        match (row.is_empty(), is_usual) {
            (true, _) => metric.label().to_owned(),
            (false, true) => row.clone(),
            (false, false) => format!("{row}, {}", metric.label()),
        }
    };
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let column = |key: &(usize, String, Metric, String)| {
        let name = head(key);
        let n = seen.entry(name.clone()).or_default();
        *n += 1;
        OverviewColumn {
            name: if *n == 1 {
                name
            } else {
                format!("{name} #{n}")
            },
            metric: Some(key.2),
            signature: key.3.clone(),
        }
    };
    keys.iter().map(column).collect()
}

/// The paper's number for a cell; its masks are its own, so random ones have none.
fn published(layout: Layout, line: &OverviewLine, row: &str, metric: Metric) -> Option<f64> {
    let p = line.p.filter(|_| line.mask == MaskKind::Ap)?.get();
    match layout {
        Layout::Glue => {
            let column =
                glue::GlueColumn::of_name(row).filter(|column| column.metric() == metric)?;
            paper::value(paper::GLUE, column.name(), p)
        }
        Layout::Squad => {
            let kernel = match line.row.as_str() {
                "dense" => "cuda",
                "block-sparse" => "triton",
                _ => return None,
            };
            let (_, published) = SQUAD_METRICS.iter().find(|(of, _)| *of == metric)?;
            match published {
                Published::Quality(row) => {
                    paper::value(paper::SQUAD, row, p).filter(|_| kernel == "triton")
                }
                Published::Cost(table) => paper::value(table, kernel, p),
            }
        }
    }
}
