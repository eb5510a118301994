//! Plot of rows that differ in something other than p.

use std::collections::BTreeSet;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::series::{OURS, PAPER};
use super::{Area, FONT, SIZE, plot_error, y_range};
use crate::condition::MaskFamily;
use crate::error::{Result, ResultsError};
use crate::render::score_table::{Printed, ScoreTable};

/// Scores of rows that have no p but 0, one dot a row. Left: ours with bars of one standard
/// deviation. Right: the paper's on their own scale, because its corpus is another.
///
/// # Errors
/// [`ResultsError::Empty`] if the table has no line with a score, [`ResultsError::Plot`] if drawing
/// fails.
pub fn by_row(table: &ScoreTable) -> Result<String> {
    let is_scored = |line: &Printed<'_>| line.group(MaskFamily::Ap).is_some();
    let lines: Vec<Printed<'_>> = table.printed().filter(is_scored).collect();
    let names: Vec<String> = lines.iter().map(|line| line.row.to_string()).collect();
    if names.is_empty() {
        return Err(ResultsError::Empty);
    }
    let ours = lines.iter().enumerate().filter_map(|(at, line)| {
        let group = line.group(MaskFamily::Ap)?;
        Some((at, group.mean, group.sd.unwrap_or(0.0)))
    });
    let paper = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, line.paper()?.value, 0.0)));
    let (label, arrow) = (table.metric.label(), table.metric.arrow());
    let corpora: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| Some(line.paper()?.corpus.as_str()))
        .collect();
    let corpora: Vec<&str> = corpora.into_iter().collect();
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(plot_error)?;
        let (left, right) = root.split_horizontally(SIZE.0 / 2);
        dots(
            &left,
            &format!("{label} {arrow} on our corpus"),
            (label, OURS[0]),
            &names,
            ours.collect(),
        )?;
        let paper: Vec<_> = paper.collect();
        if !paper.is_empty() {
            let caption = format!("paper, {}", corpora.join(", "));
            dots(&right, &caption, (label, PAPER), &names, paper)?;
        }
        root.present().map_err(plot_error)?;
    }
    Ok(text)
}

/// One dot with its bar above each name that has a value: (place of the name, value, sd).
fn dots(
    area: &Area<'_>,
    caption: &str,
    (y_name, colour): (&str, RGBColor),
    names: &[String],
    points: Vec<(usize, f64, f64)>,
) -> Result<()> {
    let y = y_range(points.iter().map(|&(_, value, sd)| (value, sd)));
    let x = -0.5..names.len() as f64 - 0.5;
    let bottom = y.start;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 17))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d(x, y)
        .map_err(plot_error)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_desc(y_name)
        .y_labels(8)
        .label_style((FONT, 13))
        .max_light_lines(0)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()
        .map_err(plot_error)?;
    // The axis has numbers only, so names are written where it would write them.
    let style = TextStyle::from((FONT, 13)).pos(Pos::new(HPos::Center, VPos::Top));
    for (at, name) in names.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(at as f64, bottom));
        let (left, top) = area.get_base_pixel();
        area.draw(&Text::new(
            name.clone(),
            (x - left, y - top + 8),
            style.clone(),
        ))
        .map_err(plot_error)?;
    }
    let points = || points.iter().map(|&(at, value, sd)| (at as f64, value, sd));
    let bars = points()
        .filter(|(.., sd)| *sd > 0.0)
        .map(|(at, value, sd)| {
            PathElement::new(
                vec![(at, value - sd), (at, value + sd)],
                colour.stroke_width(1),
            )
        });
    chart.draw_series(bars).map_err(plot_error)?;
    let dots = points().map(|(at, value, _)| Circle::new((at, value), 4, colour.filled()));
    chart.draw_series(dots).map_err(plot_error)?;
    Ok(())
}
