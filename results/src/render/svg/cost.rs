//! Time and memory of attention.

use super::series::{Series, finite, look};
use super::sweep::legend;
use crate::bench::{BenchRow, BenchShape, DENSE};
use crate::chart::{Axis, Colour, Line, Mark, PAPER, Page, Panel, Rect, Svg};
use crate::error::{Result, ResultsError};
use crate::paper;

/// Time and memory, above against the number of tokens, below the change against the same kernel
/// without a mask against nominal p, with the paper's change for BERT base on SQuAD (its
/// block-sparse kernel at p = 90). A panel without rows stays out.
///
/// # Errors
/// [`ResultsError::Empty`] if nothing can be drawn, [`ResultsError::Plot`] for a number that is not
/// finite.
pub fn cost(rows: &[BenchRow]) -> Result<String> {
    let lengths = ["", FORWARD].map(|pass| [true, false].map(|time| by_length(rows, time, pass)));
    let sweeps = [by_p(rows, true), by_p(rows, false)];
    let has_some = |of: &[Vec<Series>; 2]| of.iter().any(|series| !series.is_empty());
    if !lengths.iter().any(has_some) && !has_some(&sweeps) {
        return Err(ResultsError::Empty);
    }
    finite(lengths.iter().flatten().chain(&sweeps).flatten())?;
    let mut page = Page::new("Cost of attention");
    let headings = [
        "Forward and backward, against the number of tokens",
        "Forward, against the number of tokens",
    ];
    for (heading, lengths) in headings.into_iter().zip(&lengths) {
        if !has_some(lengths) {
            continue;
        }
        page.heading(heading);
        legend(&mut page, lengths.iter().flatten());
        let captions = [
            ("time", "milliseconds"),
            ("memory beside the inputs", "MiB"),
        ];
        let frames = page.row(2, 280.0, 16.0);
        for (((caption, unit), series), frame) in captions.into_iter().zip(lengths).zip(frames) {
            let x = Axis::powers_of_two("tokens", places(series));
            let y = Axis::log(unit, values(series));
            draw(&mut page.svg, frame, caption, [x, y], series);
        }
    }
    if has_some(&sweeps) {
        page.heading("Change under a mask, against the same kernel without one");
        legend(&mut page, sweeps.iter().flatten());
        let frames = page.row(2, 290.0, 16.0);
        for ((caption, series), frame) in ["time", "memory"].into_iter().zip(&sweeps).zip(frames) {
            let x = Axis::linear("nominal p (%)", -4.0, 100.0, 11);
            let y = Axis::around("change (%)", values(series), 6);
            draw(&mut page.svg, frame, caption, [x, y], series);
        }
    }
    Ok(page.finish())
}

fn places(series: &[Series]) -> impl Iterator<Item = f64> {
    series
        .iter()
        .flat_map(|series| &series.points)
        .map(|point| point.0)
}

fn values(series: &[Series]) -> impl Iterator<Item = f64> {
    series
        .iter()
        .flat_map(|series| &series.points)
        .map(|point| point.1)
}

fn draw(svg: &mut Svg, frame: Rect, title: &str, [x, y]: [Axis; 2], series: &[Series]) {
    let mut panel = Panel::new(svg, frame, title, x, y);
    if series.is_empty() {
        panel.empty("no such row in the summary");
    }
    for Series { line, points, .. } in series {
        let points: Vec<_> = points.iter().map(|&(x, y, _)| Some((x, y))).collect();
        panel.line(&points, *line);
    }
}

/// What stands beside ours for comparison.
fn beside(colour: Colour, dash: &'static str) -> Line {
    Line {
        dash,
        ..Line::new(colour, Mark::None)
    }
}

fn row_value(row: &BenchRow, time: bool) -> f64 {
    match time {
        true => row.ours_ms,
        false => row.peak_bytes / f64::from(1 << 20),
    }
}

/// What the case of a forward pass alone ends in.
const FORWARD: &str = "/forward";

/// The rows without a mask of the heads for which the longest sequence was timed, of forward and backward or of the pass
/// that their case ends in: ours, for time what it was timed against, for memory what the scores alone would take.
fn by_length(rows: &[BenchRow], time: bool, pass: &str) -> Vec<Series> {
    let plain = |row: &BenchRow| {
        let name = row.case.strip_suffix(pass)?;
        let is_plain = row.p == 0.0 && !name.contains('/') && row.shape.ends_with("/s1");
        let of = row.sizes().filter(|of| of.seq_q == of.seq_kv)?;
        let row = BenchRow {
            case: name.to_owned(),
            ..row.clone()
        };
        is_plain.then_some((row, of))
    };
    let rows: Vec<(BenchRow, BenchShape)> = rows.iter().filter_map(plain).collect();
    let heads = |of: &BenchShape| (of.batch, of.n_heads, of.d_head);
    let Some((_, longest)) = rows.iter().max_by_key(|(_, of)| of.seq_q) else {
        return Vec::new();
    };
    let rows = || rows.iter().filter(|(_, of)| heads(of) == heads(longest));
    let mut named: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    let mut add = |name: String, of: &BenchShape, value: f64| {
        let point = (of.seq_q as f64, value);
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
    let drawn = named
        .into_iter()
        .enumerate()
        .map(|(at, (name, mut points))| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let is_ours = rows().any(|(row, _)| row.case == name);
            let line = match (is_ours, time) {
                (true, _) => look(at),
                (false, true) => Line {
                    mark: Mark::Square,
                    ..beside(PAPER, "6 4")
                },
                (false, false) => Line {
                    mark: Mark::Diamond,
                    ..beside(PAPER, "2 3")
                },
            };
            Series {
                name,
                line,
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
                line: look(named.len()),
                name,
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
    let reference = |name: &str, line: Line, from: f64, to: f64| Series {
        name: name.to_owned(),
        line,
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
        let what = if time { "time" } else { "memory" };
        let name = format!("paper, SQuAD at p = 90, {what}: {change:.1} %").replace('-', "−");
        let dash = if time { "8 3" } else { "8 3 2 3" };
        named.push(reference(&name, beside(PAPER, dash), change, change));
    }
    if time {
        let line = beside(Colour(170, 170, 170), "2 3");
        named.push(reference("what is hidden costs nothing", line, 0.0, -100.0));
    }
    named
}
