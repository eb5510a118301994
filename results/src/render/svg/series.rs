//! What the lines of a plot are.

use plotters::prelude::RGBColor;

use crate::condition::MaskFamily;
use crate::render::aggregate::Group;
use crate::render::number::difference;
use crate::render::score_table::{Row, ScoreTable};

/// Okabe and Ito's colours, which stay apart for colour-blind eyes.
pub(super) const OURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(178, 160, 0),
];
pub(super) const PAPER: RGBColor = RGBColor(110, 110, 110);

/// One line of a plot: (p, value, sd) by rising p.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) colour: RGBColor,
    /// Dashed lines are published ones that need the colour of their row.
    pub(super) dashed: bool,
    pub(super) points: Vec<(f64, f64, f64)>,
}

/// Each row and column with a score, with its colour.
fn coloured(table: &ScoreTable) -> Vec<(Row<'_>, MaskFamily, RGBColor)> {
    let columns = table.columns();
    let rows = table.rows().into_iter();
    let all = rows.flat_map(|row| columns.iter().map(move |&column| (row, column)));
    let is_there = |(row, column): &(Row<'_>, MaskFamily)| {
        let mut lines = table.printed_row(row);
        lines.any(|line| line.group(*column).is_some())
    };
    all.filter(is_there)
        .zip(OURS.into_iter().cycle())
        .map(|((row, column), colour)| (row, column, colour))
        .collect()
}

/// Our series: for each row the masks of each column, with `value(group, dense mean)` at each p.
pub(super) fn ours(
    table: &ScoreTable,
    value: impl Fn(&Group, Option<f64>) -> Option<(f64, f64)>,
) -> Vec<Series> {
    let n_rows = table.rows().len();
    let n_columns = table.columns().len();
    let draw = |(row, column, colour): (Row<'_>, MaskFamily, RGBColor)| {
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
            colour,
            dashed: false,
            points: points.collect(),
        }
    };
    coloured(table)
        .into_iter()
        .map(draw)
        .filter(|series| !series.points.is_empty())
        .collect()
}

/// The changes of the published rows: one line if they are all the same, else one for each row in
/// the colour of ours.
pub(super) fn paper(table: &ScoreTable) -> Vec<Series> {
    let how = table.metric.difference();
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
        let colour = coloured(table)
            .into_iter()
            .find(|(of, ..)| *of == row)
            .map_or(PAPER, |(.., of)| of);
        if points.len() > 1 && !series.iter().any(|old| old.points == points) {
            corpora.push(&dense.corpus);
            series.push(Series {
                name: format!("paper, {row}"),
                colour,
                dashed: true,
                points,
            });
        }
    }
    if let ([only], [corpus]) = (series.as_mut_slice(), corpora.as_slice()) {
        only.name = format!("paper, {corpus}");
        only.colour = PAPER;
        only.dashed = false;
    }
    series
}
