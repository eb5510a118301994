//! Plots of tables with a column per task or measure.

use std::collections::BTreeSet;

use super::bars::Bars;
use super::series::{Series, look};
use super::sweep::{Sweep, legend};
use crate::chart::Page;
use crate::condition::{Condition, MaskFamily};
use crate::error::{Result, ResultsError};
use crate::metric::{Difference, Metric};
use crate::render::aggregate::{Percent, change_over_shared_seeds};
use crate::render::number::{difference, short};
use crate::render::pivot::{PivotColumn, PivotLayout, PivotLine, PivotTable};

/// For each column with a score of ours: where lines have three p or more, the score against nominal
/// p, its change against p = 0, and on the same axes the published change; where they have fewer, a
/// bar a line, ours and the published ones.
///
/// # Errors
/// [`ResultsError::Empty`] if no column has a score, [`ResultsError::Plot`] for one that is not
/// finite.
pub fn pivot(table: &PivotTable) -> Result<String> {
    let has_score = |at: &usize| table.lines.iter().any(|line| line.ours[*at].is_some());
    let columns: Vec<usize> = (0..table.columns.len()).filter(has_score).collect();
    if columns.is_empty() {
        return Err(ResultsError::Empty);
    }
    let scores = table
        .lines
        .iter()
        .flat_map(|line| line.ours.iter().flatten());
    if !scores.into_iter().all(|score| score.mean.is_finite()) {
        return Err(ResultsError::Plot("a score is not finite".into()));
    }
    let mut page = Page::new(match table.layout {
        PivotLayout::Glue => "Scores by task against the share of attention cells hidden",
        PivotLayout::Squad | PivotLayout::OwnSquad => {
            "Question answering by attention kernel and mask"
        }
    });
    let run = table
        .lines
        .iter()
        .filter(|line| line.ours.iter().any(Option::is_some));
    let ps: BTreeSet<Percent> = run.filter_map(|line| line.p).collect();
    match ps.len() {
        0..3 => {
            let all: Vec<Bars> = columns.iter().map(|&at| bars(table, at)).collect();
            let names = all.iter().map(Bars::names_width).fold(0.0, f64::max);
            all.iter().for_each(|bars| bars.draw(&mut page, names));
        }
        _ => {
            let sweeps: Vec<(usize, Sweep)> =
                columns.iter().map(|&at| (at, sweep(table, at))).collect();
            legend(
                &mut page,
                sweeps.iter().flat_map(|(_, sweep)| &sweep.values),
            );
            for (_, sweep) in &sweeps {
                sweep.draw(&mut page);
            }
        }
    }
    Ok(page.finish())
}

/// The score of a column with its arrow.
fn title(column: &PivotColumn) -> String {
    format!(
        "{} {}",
        column.name,
        column.metric.map_or("↑", Metric::arrow)
    )
}

/// What tells a line apart from others of its p.
fn name(table: &PivotTable, line: &PivotLine) -> String {
    let mask = match (line.condition, line.p) {
        (Condition::Dense, Some(_)) => None,
        (condition, _) => Some(condition.description()),
    };
    let row = Some(line.row.clone()).filter(|row| !row.is_empty());
    let parts = [row, line.variant.clone(), mask];
    let name = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    match (name.is_empty(), table.layout) {
        (true, _) => "dense".to_owned(),
        (false, _) => name,
    }
}

fn bars(table: &PivotTable, at: usize) -> Bars {
    let column = &table.columns[at];
    let mut bars = Bars {
        title: title(column),
        decimals: column.metric.map_or(2, Metric::decimals),
        names: Vec::new(),
        ours: Vec::new(),
        paper: Vec::new(),
        corpora: table.corpora(at),
    };
    for line in &table.lines {
        let score = line.ours[at].as_ref();
        if score.is_none() && line.paper[at].is_none() {
            continue;
        }
        let p = line.p.map(|p| format!(", p = {}", short(p.get(), 3)));
        bars.names.push(name(table, line) + &p.unwrap_or_default());
        bars.ours.push(score.map(|score| (score.mean, score.sd)));
        bars.paper.push(line.paper[at]);
    }
    bars
}

/// What the lines of one curve share.
type Curve<'a> = (&'a str, Option<&'a str>, MaskFamily);

fn sweep(table: &PivotTable, at: usize) -> Sweep {
    let column = &table.columns[at];
    let how = column.metric.map_or(Difference::Points, Metric::difference);
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for line in &table.lines {
        if let Condition::Masked(mask) = line.condition {
            let curve = (line.row.as_str(), line.variant.as_deref(), mask.family);
            if line.ours.iter().any(Option::is_some) && !curves.contains(&curve) {
                curves.push(curve);
            }
        }
    }
    let mut sweep = Sweep {
        title: title(column),
        how,
        values: Vec::new(),
        changes: Vec::new(),
        paper: Vec::new(),
        corpora: table.corpora(at),
    };
    for (place, &curve) in curves.iter().enumerate() {
        let lines = || {
            let is_of = |line: &&PivotLine| match line.condition {
                Condition::Masked(mask) => {
                    (line.row.as_str(), line.variant.as_deref(), mask.family) == curve
                }
                Condition::Dense | Condition::Baseline(_) => false,
            };
            table.lines.iter().filter(is_of)
        };
        let Some(first) = lines().next() else {
            continue;
        };
        let dense = table.dense(first);
        let all = || dense.into_iter().chain(lines());
        let series = |points: Vec<(f64, f64, f64)>| Series {
            name: name(table, first),
            line: look(place),
            points,
        };
        let ours = |line: &PivotLine| {
            let score = line.ours[at].as_ref()?;
            Some((line.p?.get(), score.mean, score.sd.unwrap_or(0.0)))
        };
        let start = dense.and_then(|dense| dense.ours[at].as_ref());
        let change = |line: &PivotLine| {
            let (start, score) = (start?, line.ours[at].as_ref()?);
            let runs = [&score.runs[..], &start.runs];
            let (change, sd) = change_over_shared_seeds(how, runs)?;
            Some((line.p?.get(), change, sd))
        };
        let start = dense.and_then(|dense| dense.paper[at]);
        let published = |line: &PivotLine| {
            let value = line.paper[at]?;
            Some((line.p?.get(), difference(how, value, start?), 0.0))
        };
        sweep.values.push(series(all().filter_map(ours).collect()));
        sweep
            .changes
            .push(series(all().filter_map(change).collect()));
        sweep
            .paper
            .push(series(all().filter_map(published).collect()));
    }
    sweep.values.retain(|series| !series.points.is_empty());
    for changes in [&mut sweep.changes, &mut sweep.paper] {
        changes.retain(|series| series.points.len() > 1);
    }
    sweep
}
