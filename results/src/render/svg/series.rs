//! What the lines of a plot are.

use crate::chart::{Line, Mark, SERIES};
use crate::condition::MaskFamily;
use crate::error::{Result, ResultsError};
use crate::render::aggregate::Group;
use crate::render::number::difference;
use crate::render::score_table::{Row, ScoreTable};

/// One line of a plot: (p, value, sd) by rising p.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) line: Line,
    pub(super) points: Vec<(f64, f64, f64)>,
}

impl Series {
    /// Whether it has nothing but a dense run.
    pub(super) fn is_dense(&self) -> bool {
        self.points.iter().all(|&(p, ..)| p == 0.0)
    }
}

/// Refuses numbers that have no place in a plot.
pub(super) fn finite<'a>(series: impl IntoIterator<Item = &'a Series>) -> Result<()> {
    for Series { name, points, .. } in series {
        for (p, value, sd) in points {
            if !(p.is_finite() && value.is_finite() && sd.is_finite()) {
                let problem = format!("{name} has the value {value}, which is not finite");
                return Err(ResultsError::Plot(problem));
            }
        }
    }
    Ok(())
}

/// The look of the series at a place: its colour and mark, and dashes where colours start again.
pub(super) fn look(at: usize) -> Line {
    let line = Line::new(SERIES[at % SERIES.len()], Mark::of(at));
    match at / SERIES.len() % 2 {
        0 => line,
        _ => line.dashed(),
    }
}

/// Each row and column with a score, with its look.
fn looks(table: &ScoreTable) -> Vec<(Row<'_>, MaskFamily, Line)> {
    let columns = table.columns();
    let rows = table.rows().into_iter();
    let all = rows.flat_map(|row| columns.iter().map(move |&column| (row, column)));
    let is_there = |(row, column): &(Row<'_>, MaskFamily)| {
        let mut lines = table.printed_row(row);
        lines.any(|line| line.group(*column).is_some())
    };
    all.filter(is_there)
        .enumerate()
        .map(|(at, (row, column))| (row, column, look(at)))
        .collect()
}

/// Our series: for each row the masks of each column, with `value(group, dense mean)` at each p.
pub(super) fn ours(
    table: &ScoreTable,
    value: impl Fn(&Group, Option<f64>) -> Option<(f64, f64)>,
) -> Vec<Series> {
    let n_rows = table.rows().len();
    let n_columns = table.columns().len();
    let draw = |(row, column, line): (Row<'_>, MaskFamily, Line)| {
        let dense_line = table.printed_row(&row).next().and_then(|line| line.dense());
        let dense_group = dense_line.and_then(|line| line.group(column));
        let dense = dense_group.map(|group| group.mean);
        // Masks with rows of their own start from the same dense run as the others.
        let start = dense_line.filter(|line| line.row != row);
        let lines = start.into_iter().chain(table.printed_row(&row));
        let points = lines.filter_map(|line| {
            let (value, sd) = value(line.group(column)?, dense)?;
            Some((line.line.p.get(), value, sd))
        });
        let name = match (n_rows, n_columns) {
            (1, _) => column.to_string(),
            (_, 1) => row.to_string(),
            _ => format!("{row}, {column}"),
        };
        Series {
            name,
            line,
            points: points.collect(),
        }
    };
    looks(table)
        .into_iter()
        .map(draw)
        .filter(|series| !series.points.is_empty())
        .collect()
}

/// The changes of the published rows in the look of ours, each set of numbers once, and the corpora
/// they were taken on.
pub(super) fn paper(table: &ScoreTable) -> (Vec<Series>, Vec<String>) {
    let how = table.metric.difference();
    let looks = looks(table);
    let mut series: Vec<Series> = Vec::new();
    let mut corpora = Vec::new();
    for row in table.rows() {
        let dense = table.printed_row(&row).next().and_then(|line| line.dense());
        let Some(dense) = dense.and_then(|line| line.paper()) else {
            continue;
        };
        let points = table.printed_row(&row).filter_map(|line| {
            let value = line.paper()?.value;
            Some((line.line.p.get(), difference(how, value, dense.value), 0.0))
        });
        let points: Vec<_> = points.collect();
        let line = looks.iter().find(|(of, ..)| *of == row);
        let Some(&(.., line)) = line else { continue };
        if points.len() > 1 && !series.iter().any(|old| old.points == points) {
            if !corpora.contains(&dense.corpus) {
                corpora.push(dense.corpus.clone());
            }
            series.push(Series {
                name: row.to_string(),
                line,
                points,
            });
        }
    }
    (series, corpora)
}
