//! A score against nominal p.

use super::series::Series;
use crate::chart::{Axis, Key, Page, Panel, Rect, Svg};
use crate::metric::Difference;

/// One score: ours, and its change against p = 0 beside the published change.
pub(super) struct Sweep {
    /// The score with its arrow, and what it was taken on: `BLEU ↑ on our corpus`.
    pub(super) title: String,
    pub(super) how: Difference,
    pub(super) values: Vec<Series>,
    pub(super) changes: Vec<Series>,
    pub(super) paper: Vec<Series>,
    /// Where the published numbers were taken.
    pub(super) corpora: Vec<String>,
}

impl Sweep {
    /// Draws a row of panels: our values, our changes, and on the same axes the published ones.
    pub(super) fn draw(&self, page: &mut Page) {
        let unit = match self.how {
            Difference::Relative => "change (%)",
            Difference::Points => "change (points)",
        };
        let changes = || self.changes.iter().chain(&self.paper);
        let n_panels =
            1 + usize::from(changes().next().is_some()) + usize::from(!self.paper.is_empty());
        let frames = page.row(n_panels.max(2), 260.0, 12.0);
        let y = Axis::around("", values(self.values.iter()), 6);
        let mut frames = frames.into_iter();
        if let Some(frame) = frames.next() {
            draw(&mut page.svg, frame, &self.title, y, &self.values);
        }
        if changes().next().is_none() {
            return;
        }
        let y = Axis::around(unit, values(changes()), 6);
        let paper = format!("the same: paper, {}", self.corpora.join(", "));
        let panels = [
            ("change against p = 0", &self.changes),
            (&paper, &self.paper),
        ];
        for ((title, series), frame) in panels.into_iter().zip(frames) {
            draw(&mut page.svg, frame, title, y.clone(), series);
        }
    }
}

/// The legend of some series, each name once.
pub(super) fn legend<'a>(page: &mut Page, series: impl Iterator<Item = &'a Series>) {
    let mut keys: Vec<Key> = Vec::new();
    for series in series {
        let key = Key::Line(series.name.clone(), series.line);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    page.legend(&keys);
}

/// Every value with the ends of its bar.
fn values<'a>(series: impl Iterator<Item = &'a Series>) -> impl Iterator<Item = f64> {
    let points = series.flat_map(|series| &series.points);
    points.flat_map(|&(_, value, sd)| [value - sd, value + sd])
}

fn draw(svg: &mut Svg, frame: Rect, title: &str, y: Axis, series: &[Series]) {
    let x = Axis::linear("nominal p (%)", -4.0, 100.0, 6);
    let mut panel = Panel::new(svg, frame, title, x, y);
    if series.is_empty() {
        panel.empty("no run at p = 0 to compare with");
    }
    for Series { line, points, .. } in series {
        let places: Vec<_> = points
            .iter()
            .map(|&(p, value, _)| Some((p, value)))
            .collect();
        panel.line(&places, *line);
        for &(p, value, sd) in points.iter().filter(|(.., sd)| *sd > 0.0) {
            panel.error_bar(p, value, sd, line.colour);
        }
    }
}
