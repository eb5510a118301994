//! Learning curves.

use super::Figure;
use super::check::Check;
use super::layout::distinct;
use super::table::{Lines, optional};
use crate::chart::{Axis, Key, Line, Mark, Page, Panel, SERIES};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Learning curves of one or several runs: loss, perplexity or BLEU, learning rate, gradient norm,
/// tokens per second, a panel each. File: `curves`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvesFigure {
    /// What stands on the x axis, such as `training step`.
    pub x: String,
    /// The panels.
    pub panels: Vec<CurvePanel>,
}

/// One measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePanel {
    /// What is measured, with its unit: `perplexity, valid`, `training speed (tokens/s)`.
    pub measure: String,
    /// Whether the y axis is logarithmic; then every value is above 0.
    pub log: bool,
    /// A line for each run.
    pub lines: Vec<CurveLine>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveLine {
    /// The run; the same run has the same colour in every panel.
    pub run: String,
    /// Places on the x axis, rising.
    pub x: Vec<f64>,
    /// Values; none where training gave none that is finite, a gap in the line.
    pub y: Vec<Option<f64>>,
    /// How many log lines a point is the mean of.
    pub every: u64,
}

impl CurveLine {
    /// The line through `points` (place, value), made shorter to at most `max` points by averaging
    /// neighbours. Values that are not finite leave a gap where a whole group of them is.
    pub fn of(run: impl Into<String>, points: &[(f64, f64)], max: usize) -> Self {
        let every = points.len().div_ceil(max.max(1)).max(1);
        let mean = |values: Vec<f64>| {
            let n = values.len() as f64;
            (n > 0.0).then(|| values.iter().sum::<f64>() / n)
        };
        let x = |of: &[(f64, f64)]| mean(of.iter().map(|point| point.0).collect());
        let y = |of: &[(f64, f64)]| {
            mean(
                (of.iter().map(|point| point.1))
                    .filter(|y| y.is_finite())
                    .collect(),
            )
        };
        let groups = || points.chunks(every);
        Self {
            run: run.into(),
            x: groups().filter_map(x).collect(),
            y: groups().map(y).collect(),
            every: every as u64,
        }
    }
}

impl Figure for CurvesFigure {
    fn name(&self) -> String {
        "curves".to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        let mut lines = self.panels.iter().flat_map(|panel| &panel.lines);
        check.that(lines.any(|line| !line.x.is_empty()), || {
            "no log line; train for at least one step that is logged".into()
        })?;
        for panel in &self.panels {
            for line in &panel.lines {
                let name = format!("{} of {}", panel.measure, line.run);
                check.rising(&format!("{}, {}", self.x, line.run), &line.x)?;
                check.that(line.x.len() == line.y.len(), || {
                    let (x, y) = (line.x.len(), line.y.len());
                    format!("{name}: {y} values at {x} places")
                })?;
                check.finite(&name, line.y.iter().flatten().copied())?;
                let is_positive = line.y.iter().flatten().all(|y| *y > 0.0);
                check.that(is_positive || !panel.log, || {
                    format!("{name} has a value of 0 or below, which no logarithmic axis has")
                })?;
            }
        }
        Ok(())
    }

    fn csv(&self) -> Result<String> {
        let mut lines = Lines::new(&["measure", "run", "x", "value", "mean_of"]);
        for panel in &self.panels {
            for line in &panel.lines {
                for (x, y) in line.x.iter().zip(&line.y) {
                    let names = [panel.measure.clone(), line.run.clone()];
                    let numbers = [x.to_string(), optional(*y), line.every.to_string()];
                    lines.push(names.into_iter().chain(numbers).collect());
                }
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let mut page = Page::new("Learning curves");
        let all = || self.panels.iter().flat_map(|panel| &panel.lines);
        let runs = distinct(all().map(|line| &line.run));
        // Runs from the ninth on share a colour with another one and differ by dashes.
        let dashes = ["", "6 3", "2 3", "9 3 2 3"];
        let line = |at: usize| Line {
            width: 1.5,
            dash: dashes[at / SERIES.len() % dashes.len()],
            ..Line::new(SERIES[at % SERIES.len()], Mark::None)
        };
        let key = |(at, run): (usize, &&str)| Key::Line((*run).to_owned(), line(at));
        page.legend(&runs.iter().enumerate().map(key).collect::<Vec<_>>());
        let places = || all().flat_map(|line| line.x.iter().copied());
        let (first, last) = (places().fold(0.0, f64::min), places().fold(1.0, f64::max));
        for panels in self.panels.chunks(2) {
            let frames = page.row(2, 215.0, 18.0);
            for (of, frame) in panels.iter().zip(frames) {
                let values = || {
                    of.lines
                        .iter()
                        .flat_map(|line| line.y.iter().flatten().copied())
                };
                let y = match of.log {
                    true => Axis::log("", values()),
                    false => Axis::around("", values(), 5),
                };
                let x = Axis::linear(&self.x, first, last, 5);
                let mut panel = Panel::new(&mut page.svg, frame, &of.measure, x, y);
                if values().next().is_none() {
                    panel.empty("no finite value was logged");
                }
                for of in &of.lines {
                    let at = runs.iter().position(|run| *run == of.run).unwrap_or(0);
                    let points = of.x.iter().zip(&of.y);
                    let points: Vec<_> = points.map(|(&x, y)| Some((x, (*y)?))).collect();
                    panel.line(&points, line(at));
                }
            }
        }
        let every = all().map(|line| line.every).max().unwrap_or(1);
        if every > 1 {
            page.note(&format!("A point is the mean of up to {every} log lines."));
        }
        let gaps = all().filter(|line| line.y.iter().any(Option::is_none));
        for run in distinct(gaps.map(|line| &line.run)) {
            page.note(&format!("{run}: a gap is where no value was finite."));
        }
        Ok(page.finish())
    }
}
