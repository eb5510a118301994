//! Time and memory of attention.

use plotters::prelude::*;

use super::series::{OURS, PAPER, Series};
use super::{Axis, SIZE, nominal_p, panel, plot_error, values_of, y_range};
use crate::bench::{BenchRow, BenchShape, DENSE};
use crate::error::{Result, ResultsError};
use crate::paper;

/// Time and memory, above against the number of tokens, below the change against the same kernel
/// without a mask against nominal p, with the paper's change for BERT base on SQuAD (its
/// block-sparse kernel at p = 90). A panel without rows stays out.
///
/// # Errors
/// [`ResultsError::Empty`] if nothing can be drawn, [`ResultsError::Plot`] if drawing fails.
pub fn cost(rows: &[BenchRow]) -> Result<String> {
    let lengths = [by_length(rows, true), by_length(rows, false)];
    let sweeps = [by_p(rows, true), by_p(rows, false)];
    let halves = [&lengths, &sweeps]
        .into_iter()
        .filter(|panels| panels.iter().any(|series| !series.is_empty()))
        .count();
    if halves == 0 {
        return Err(ResultsError::Empty);
    }
    let mut text = String::new();
    {
        let size = (SIZE.0, SIZE.1 * halves as u32);
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE).map_err(plot_error)?;
        let mut areas = root.split_evenly((halves, 2)).into_iter();
        let captions = [
            ("time of forward and backward", "milliseconds"),
            ("memory beside the inputs", "MiB"),
        ];
        for ((caption, unit), series) in captions.into_iter().zip(&lengths) {
            if let Some(area) = (lengths.iter().any(|s| !s.is_empty()))
                .then(|| areas.next())
                .flatten()
            {
                let axes = [tokens(series), powers(unit, series)];
                panel(
                    &area,
                    caption,
                    axes,
                    series,
                    &SeriesLabelPosition::UpperLeft,
                )?;
            }
        }
        let captions = ["time", "memory"].map(|what| format!("change of {what} under a mask"));
        for (caption, series) in captions.iter().zip(&sweeps) {
            if let Some(area) = areas.next() {
                let axes = [nominal_p(), values_of("change (%)", series)];
                panel(
                    &area,
                    caption,
                    axes,
                    series,
                    &SeriesLabelPosition::LowerLeft,
                )?;
            }
        }
        root.present().map_err(plot_error)?;
    }
    Ok(text)
}

/// Tokens as powers of two.
fn tokens(series: &[Series]) -> Axis<'static> {
    let points = || series.iter().flat_map(|series| &series.points);
    let low = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let high = points().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
    Axis {
        name: "tokens",
        range: low - 0.25..high + 0.25,
        labels: 1 + (high - low).max(1.0) as usize,
        format: Some(|power| format!("{:.0}", power.exp2())),
    }
}

/// A measure as powers of ten.
fn powers<'a>(name: &'a str, series: &[Series]) -> Axis<'a> {
    let points = series.iter().flat_map(|series| &series.points);
    Axis {
        name,
        range: y_range(points.map(|&(_, value, sd)| (value, sd))),
        labels: 6,
        format: Some(|power| {
            let value = 10f64.powf(power);
            let decimals = (1.0 - power).ceil().clamp(0.0, 3.0) as usize;
            format!("{value:.decimals$}")
        }),
    }
}

fn row_value(row: &BenchRow, time: bool) -> f64 {
    match time {
        true => row.ours_ms,
        false => row.peak_bytes / f64::from(1 << 20),
    }
}

/// The rows without a mask of the heads for which the longest sequence was timed: ours, for time
/// what it was timed against, for memory what the scores alone would take.
fn by_length(rows: &[BenchRow], time: bool) -> Vec<Series> {
    let plain = |row: &&BenchRow| {
        let is_plain = row.p == 0.0 && !row.case.contains('/') && row.shape.ends_with("/s1");
        is_plain && row.sizes().is_some_and(|of| of.seq_q == of.seq_kv)
    };
    let rows: Vec<(&BenchRow, BenchShape)> = (rows.iter().filter(plain))
        .filter_map(|row| Some((row, row.sizes()?)))
        .collect();
    let heads = |of: &BenchShape| (of.batch, of.n_heads, of.d_head);
    let Some((_, longest)) = rows.iter().max_by_key(|(_, of)| of.seq_q) else {
        return Vec::new();
    };
    let rows = || rows.iter().filter(|(_, of)| heads(of) == heads(longest));
    let mut named: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    let mut add = |name: String, of: &BenchShape, value: f64| {
        let point = ((of.seq_q as f64).log2(), value.log10());
        match named.iter_mut().find(|(of, _)| *of == name) {
            Some((_, points)) if points.iter().all(|old| old.0 != point.0) => points.push(point),
            Some(_) => {}
            None => named.push((name, vec![point])),
        }
    };
    for (row, of) in rows() {
        add(row.case.clone(), of, row_value(row, time));
    }
    for (row, of) in rows() {
        let peer = row.peer.as_deref().filter(|peer| *peer != DENSE);
        if let (true, Some(peer), Some(ms)) = (time, peer, row.peer_ms) {
            add(peer.to_owned(), of, ms);
        }
        if !time {
            let scores = 4.0 * (of.batch * of.n_heads * of.seq_q * of.seq_kv) as f64;
            let name = "the scores alone would take".to_owned();
            add(name, of, scores / f64::from(1 << 20));
        }
    }
    let series = named.into_iter().zip(OURS.into_iter().cycle());
    let drawn = series.map(|((name, mut points), colour)| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let dashed = rows().all(|(row, _)| row.case != name);
        Series {
            name,
            colour: if dashed { PAPER } else { colour },
            dashed,
            points: points.into_iter().map(|(x, y)| (x, y, 0.0)).collect(),
        }
    });
    drawn.filter(|series| series.points.len() > 1).collect()
}

/// The changes that masks make, the least that can be hoped for and the paper's.
fn by_p(rows: &[BenchRow], time: bool) -> Vec<Series> {
    let dense = |row: &BenchRow, name: &str| {
        rows.iter().find(|other| {
            other.p == 0.0
                && other.case == name
                && (&other.shape, &other.device, &other.dtype)
                    == (&row.shape, &row.device, &row.dtype)
        })
    };
    let change = |row: &BenchRow, series: &str| {
        let (name, _) = series.split_once(", ")?;
        match time {
            true => row.time_change(),
            false => Some(100.0 * (row.peak_bytes / dense(row, name)?.peak_bytes - 1.0)),
        }
    };
    let mut named: Vec<Series> = Vec::new();
    for row in rows {
        let Some(name) = row.series() else { continue };
        let Some(change) = change(row, &name) else {
            continue;
        };
        let point = (row.p, change, 0.0);
        match named.iter_mut().find(|series| series.name == name) {
            Some(series) => series.points.push(point),
            None => named.push(Series {
                colour: OURS[named.len() % OURS.len()],
                name,
                dashed: false,
                points: vec![point],
            }),
        }
    }
    if named.is_empty() {
        return named;
    }
    for series in &mut named {
        series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    let reference = |name: &str, from: f64, to: f64| Series {
        name: name.to_owned(),
        colour: PAPER,
        dashed: true,
        points: vec![(0.0, from, 0.0), (100.0, to, 0.0)],
    };
    let table = if time {
        paper::SQUAD_TIME
    } else {
        paper::SQUAD_MEMORY
    };
    let published = |p| paper::value(table, "triton", p);
    if let (Some(before), Some(after)) = (published(0.0), published(90.0)) {
        let change = 100.0 * (after / before - 1.0);
        let name = format!("paper, SQuAD at p = 90: {change:.1} %").replace('-', "−");
        named.push(reference(&name, change, change));
    }
    if time {
        let mut ideal = reference("what is hidden costs nothing", 0.0, -100.0);
        ideal.colour = RGBColor(190, 190, 190);
        named.push(ideal);
    }
    named
}
