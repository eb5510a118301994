//! Plots as SVG text. The same section gives the same bytes on every machine: no fonts are measured, no time is written.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::{Result, ResultsError};
use crate::render::aggregate::Group;
use crate::render::number::relative_change;
use crate::render::section::{Line, Section};

const SIZE: (u32, u32) = (1040, 460);
const FONT: &str = "sans-serif";
/// Okabe and Ito's colours, which stay apart for colour-blind eyes: AP and random masks of each row in turn.
const OURS: [[RGBColor; 2]; 3] = [
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0)],
    [RGBColor(0, 158, 115), RGBColor(230, 159, 0)],
    [RGBColor(86, 180, 233), RGBColor(204, 121, 167)],
];
const PAPER: RGBColor = RGBColor(110, 110, 110);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One line of a plot: (p, value, sd) by rising p.
struct Series {
    name: String,
    colour: RGBColor,
    points: Vec<(f64, f64, f64)>,
}

/// Score against nominal p. Left: our values under the AP mask and under random ones, with bars of one standard
/// deviation. Right: the change against p = 0 in percent, with the paper's, because its corpus is another.
///
/// # Errors
/// [`ResultsError::Empty`] if the section has no line with a score, [`ResultsError::Plot`] if drawing fails.
pub fn p_sweep(section: &Section) -> Result<String> {
    let values = ours(section, |group, _| {
        Some((group.mean, group.sd.unwrap_or(0.0)))
    });
    if values.is_empty() {
        return Err(ResultsError::Empty);
    }
    let mut changes = ours(section, |group, dense| {
        Some((
            relative_change(group.mean, dense?),
            100.0 * group.sd.unwrap_or(0.0) / dense?,
        ))
    });
    changes.extend(paper(section));

    let metric = section.metric;
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(plot_error)?;
        let (left, right) = root.split_horizontally(SIZE.0 / 2);
        panel(
            &left,
            &format!("{metric} {} on our corpus", metric.arrow()),
            &metric.to_string(),
            &values,
        )?;
        panel(
            &right,
            &format!("change of {metric} against p = 0"),
            "change (%)",
            &changes,
        )?;
        root.present().map_err(plot_error)?;
    }
    Ok(text)
}

/// Our series: for each row the AP mask and the random masks, with `value(group, dense mean)` at each p.
fn ours(
    section: &Section,
    value: impl Fn(&Group, Option<f64>) -> Option<(f64, f64)>,
) -> Vec<Series> {
    let mut series = Vec::new();
    let rows = rows(section);
    for (row, colours) in rows.iter().zip(OURS.iter().cycle()) {
        let columns = [
            ("ap", Line::ap as fn(&Line) -> Option<&Group>),
            ("random", Line::random),
        ];
        for ((mask, column), colour) in columns.into_iter().zip(*colours) {
            let dense = section.dense(row).and_then(column).map(|group| group.mean);
            let points = section
                .lines
                .iter()
                .filter(|line| line.row == *row)
                .filter_map(|line| {
                    let (value, sd) = value(column(line)?, dense)?;
                    Some((line.p.get(), value, sd))
                });
            let name = if rows.len() == 1 {
                mask.to_string()
            } else {
                format!("{row}, {mask}")
            };
            series.push(Series {
                name,
                colour,
                points: points.collect(),
            });
        }
    }
    series.retain(|series| !series.points.is_empty());
    series
}

/// The relative changes of the published row, one line for each that differs.
fn paper(section: &Section) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for row in rows(section) {
        let Some(dense) = section.dense(row).and_then(|line| line.paper.as_ref()) else {
            continue;
        };
        let points = section
            .lines
            .iter()
            .filter(|line| line.row == row)
            .filter_map(|line| {
                Some((
                    line.p.get(),
                    relative_change(line.paper.as_ref()?.value, dense.value),
                    0.0,
                ))
            });
        let new = Series {
            name: format!("paper, {}", dense.corpus),
            colour: PAPER,
            points: points.collect(),
        };
        if !series.iter().any(|old| old.points == new.points) {
            series.push(new);
        }
    }
    series
}

fn rows(section: &Section) -> Vec<&str> {
    let mut rows: Vec<&str> = section.lines.iter().map(|line| line.row.as_str()).collect();
    rows.dedup();
    rows
}

fn panel(area: &Area<'_>, caption: &str, y_name: &str, series: &[Series]) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 17))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..100.0, y_range(series))
        .map_err(plot_error)?;
    chart
        .configure_mesh()
        .x_desc("nominal p (%)")
        .y_desc(y_name)
        .x_labels(11)
        .x_label_formatter(&|p| format!("{p:.0}"))
        .y_labels(8)
        .label_style((FONT, 13))
        .max_light_lines(0)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()
        .map_err(plot_error)?;
    for Series {
        name,
        colour,
        points,
    } in series
    {
        let colour = *colour;
        let line = points.iter().map(|&(p, value, _)| (p, value));
        chart
            .draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)))
            .map_err(plot_error)?
            .label(name)
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
            });
        chart
            .draw_series(line.map(|point| Circle::new(point, 3, colour.filled())))
            .map_err(plot_error)?;
        let bars = points.iter().filter(|(_, _, sd)| *sd > 0.0);
        chart
            .draw_series(bars.flat_map(|&(p, value, sd)| error_bar(p, value, sd, colour)))
            .map_err(plot_error)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 13))
        .border_style(RGBColor(200, 200, 200))
        .background_style(WHITE.mix(0.85))
        .draw()
        .map_err(plot_error)
}

/// One upright with a cap at each end, `value ± sd`.
fn error_bar(p: f64, value: f64, sd: f64, colour: RGBColor) -> [PathElement<(f64, f64)>; 3] {
    let (low, high, cap) = (value - sd, value + sd, 0.7);
    [
        [(p, low), (p, high)],
        [(p - cap, low), (p + cap, low)],
        [(p - cap, high), (p + cap, high)],
    ]
    .map(|ends| PathElement::new(ends.to_vec(), colour.stroke_width(1)))
}

/// All values with their bars and a margin; a little room where they are all equal.
fn y_range(series: &[Series]) -> std::ops::Range<f64> {
    let ends = || series.iter().flat_map(|series| &series.points);
    let low = ends()
        .map(|(_, value, sd)| value - sd)
        .fold(f64::INFINITY, f64::min);
    let high = ends()
        .map(|(_, value, sd)| value + sd)
        .fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return 0.0..1.0;
    }
    let margin = (0.08 * (high - low)).max(0.005 * high.abs()).max(0.01);
    low - margin..high + margin
}

fn plot_error(error: impl std::fmt::Display) -> ResultsError {
    ResultsError::Plot(error.to_string())
}
