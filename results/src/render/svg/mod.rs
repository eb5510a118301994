//! Plots as SVG text. The same table gives the same bytes on every machine: no fonts are measured,
//! no time is written.

mod by_row;
mod cost;
mod series;

pub use by_row::by_row;
pub use cost::cost;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::{Result, ResultsError};
use crate::metric::Difference;
use crate::render::number::difference;
use crate::render::score_table::ScoreTable;
use series::{Series, ours, paper};

const SIZE: (u32, u32) = (1040, 460);
const FONT: &str = "sans-serif";
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One side of a panel.
struct Axis<'a> {
    name: &'a str,
    range: Range<f64>,
    /// About so many labels.
    labels: usize,
    /// How a label is written, if not as a plain number.
    format: Option<fn(f64) -> String>,
}

/// Nominal p from 0 to 100 %.
fn nominal_p() -> Axis<'static> {
    Axis {
        name: "nominal p (%)",
        range: 0.0..100.0,
        labels: 11,
        format: Some(|p| format!("{p:.0}")),
    }
}

/// Every value of some series, with room around them.
fn values_of<'a>(name: &'a str, series: &[Series]) -> Axis<'a> {
    let points = series.iter().flat_map(|series| &series.points);
    Axis {
        name,
        range: y_range(points.map(|&(_, value, sd)| (value, sd))),
        labels: 8,
        format: None,
    }
}

/// Score against nominal p. Left: our values under the masks of each family, with bars of one
/// standard deviation. Right: the change against p = 0, in percent or in points, with the paper's,
/// because its corpus is another; rows of one p only stand on the left alone.
///
/// # Errors
/// [`ResultsError::Empty`] if the table has no line with a score, [`ResultsError::Plot`] if drawing
/// fails.
pub fn p_sweep(table: &ScoreTable) -> Result<String> {
    let values = ours(table, |group, _| {
        Some((group.mean, group.sd.unwrap_or(0.0)))
    });
    if values.is_empty() {
        return Err(ResultsError::Empty);
    }
    let metric = table.metric;
    let (how, label) = (metric.difference(), metric.label());
    let mut changes = ours(table, |group, dense| {
        let sd = group.sd.unwrap_or(0.0);
        let sd = match how {
            Difference::Relative => 100.0 * sd / dense?,
            Difference::Points => sd,
        };
        Some((difference(how, group.mean, dense?), sd))
    });
    changes.extend(paper(table));
    changes.retain(|series| series.points.len() > 1);

    let unit = match how {
        Difference::Relative => "change (%)",
        Difference::Points => "change (points)",
    };
    // Where lines that get worse with p leave room.
    let legend = if metric.is_higher_better() {
        SeriesLabelPosition::LowerLeft
    } else {
        SeriesLabelPosition::UpperLeft
    };
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(plot_error)?;
        let (left, right) = root.split_horizontally(SIZE.0 / 2);
        let caption = format!("{label} {} on our corpus", metric.arrow());
        let y = values_of(label, &values);
        panel(&left, &caption, [nominal_p(), y], &values, &legend)?;
        let caption = format!("change of {label} against p = 0");
        let y = values_of(unit, &changes);
        panel(&right, &caption, [nominal_p(), y], &changes, &legend)?;
        root.present().map_err(plot_error)?;
    }
    Ok(text)
}

fn panel(
    area: &Area<'_>,
    caption: &str,
    [x, y]: [Axis<'_>; 2],
    series: &[Series],
    legend: &SeriesLabelPosition,
) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 17))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d(x.range, y.range)
        .map_err(plot_error)?;
    let write = |format: Option<fn(f64) -> String>| {
        move |value: &f64| format.map_or_else(|| value.to_string(), |write| write(*value))
    };
    let (write_x, write_y) = (write(x.format), write(y.format));
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x.name)
        .y_desc(y.name)
        .x_labels(x.labels)
        .x_label_formatter(&write_x)
        .y_labels(y.labels);
    if y.format.is_some() {
        mesh.y_label_formatter(&write_y);
    }
    mesh.label_style((FONT, 13))
        .max_light_lines(0)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()
        .map_err(plot_error)?;
    for Series {
        name,
        colour,
        dashed,
        points,
    } in series
    {
        let colour = *colour;
        let line = points.iter().map(|&(p, value, _)| (p, value));
        let style = colour.stroke_width(2);
        let drawn = if *dashed {
            chart.draw_series(DashedLineSeries::new(line.clone(), 6, 4, style))
        } else {
            chart.draw_series(LineSeries::new(line.clone(), style))
        };
        // In the legend a dashed line is a short one.
        let length = if *dashed { 8 } else { 18 };
        drawn
            .map_err(plot_error)?
            .label(name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + length, y)], style));
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
        .position(legend.clone())
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

/// All values with their bars (value, sd) and a margin; a little room where they are all equal.
fn y_range(values: impl Iterator<Item = (f64, f64)> + Clone) -> Range<f64> {
    let low = values
        .clone()
        .map(|(value, sd)| value - sd)
        .fold(f64::INFINITY, f64::min);
    let high = values
        .map(|(value, sd)| value + sd)
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
