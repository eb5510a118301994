//! What the lines of a plot are.

use plotters::prelude::RGBColor;

use crate::render::aggregate::Group;
use crate::render::number::difference;
use crate::render::section::{Line, Section, row_name};

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

/// The columns of a line that are drawn, with their names.
type Drawn = (&'static str, fn(&Line) -> Option<&Group>);
const COLUMNS: [Drawn; 2] = [("ap", Line::ap), ("random", Line::random)];

/// A row, and the size of its masks' blocks.
type Row<'a> = (&'a str, Option<u64>);

/// Each row and column with a score, with its colour.
fn coloured(section: &Section) -> impl Iterator<Item = (Row<'_>, Drawn, RGBColor)> {
    let all = rows(section)
        .into_iter()
        .flat_map(|row| COLUMNS.map(|column| (row, column)));
    let is_there = |(row, column): &(Row<'_>, Drawn)| {
        let mut lines = section.lines.iter().filter(|line| place(line) == *row);
        lines.any(|line| column.1(line).is_some())
    };
    all.filter(is_there)
        .zip(OURS.into_iter().cycle())
        .map(|((row, column), colour)| (row, column, colour))
}

/// Our series: for each row the AP mask and the random masks, with `value(group, dense mean)` at each p.
pub(super) fn ours(
    section: &Section,
    value: impl Fn(&Group, Option<f64>) -> Option<(f64, f64)>,
) -> Vec<Series> {
    let n_rows = rows(section).len();
    let n_columns = if section.has_random() { 2 } else { 1 };
    let named = |row: Row<'_>| row_name(row.0, row.1);
    let draw = |(row, (mask, column), colour): (Row<'_>, Drawn, RGBColor)| {
        let dense_line = section.dense(row.0);
        let dense = dense_line.and_then(column).map(|group| group.mean);
        // Masks of blocks start from the same dense run as masks of cells.
        let start = dense_line.filter(|line| place(line) != row);
        let lines = section.lines.iter().filter(|line| place(line) == row);
        let lines = start.into_iter().chain(lines);
        let points = lines.filter_map(|line| {
            let (value, sd) = value(column(line)?, dense)?;
            Some((line.p.get(), value, sd))
        });
        let name = match (n_rows, n_columns) {
            (1, _) => mask.to_string(),
            (_, 1) => named(row),
            _ => format!("{}, {mask}", named(row)),
        };
        Series {
            name,
            colour,
            dashed: false,
            points: points.collect(),
        }
    };
    coloured(section)
        .map(draw)
        .filter(|series| !series.points.is_empty())
        .collect()
}

/// The changes of the published rows: one line if they are all the same, else one for each row in the colour of ours.
pub(super) fn paper(section: &Section) -> Vec<Series> {
    let how = section.metric.difference();
    let mut series: Vec<Series> = Vec::new();
    let mut corpora = Vec::new();
    for row in rows(section) {
        let Some(dense) = section.dense(row.0).and_then(|line| line.paper.as_ref()) else {
            continue;
        };
        let lines = section.lines.iter().filter(|line| place(line) == row);
        let points = lines.filter_map(|line| {
            let value = line.paper.as_ref()?.value;
            Some((line.p.get(), difference(how, value, dense.value), 0.0))
        });
        let points: Vec<_> = points.collect();
        let colour = coloured(section)
            .find(|(of, ..)| *of == row)
            .map_or(PAPER, |(.., of)| of);
        if points.len() > 1 && !series.iter().any(|old| old.points == points) {
            corpora.push(&dense.corpus);
            series.push(Series {
                name: format!("paper, {}", row_name(row.0, row.1)),
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

fn place(line: &Line) -> Row<'_> {
    (&line.row, line.block_size)
}

fn rows(section: &Section) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = section.lines.iter().map(place).collect();
    rows.dedup();
    rows
}
