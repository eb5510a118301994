//! Ω-regularised argmax.

use super::Figure;
use super::check::Check;
use super::table::{Lines, optional};
use crate::chart::{
    Axis, Cell, ColourBar, Key, Line, Mark, Page, Panel, Rect, SERIES, Svg, heat_map,
};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Ω-regularised argmax, from softmax (α = 1) over α-entmax to argmax: the probability of the first
/// of two classes with scores (t, 0), and of the first of three with scores (t₁, t₂, 0). File: `omega`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OmegaFigure {
    /// Two classes, a curve for each mapping.
    pub two: Vec<OmegaCurve>,
    /// Three classes, a surface for each mapping.
    pub three: Vec<OmegaSurface>,
}

/// Two classes under one mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OmegaCurve {
    /// As shown, such as `softmax`, `1.25-entmax`; its α is written beside it.
    pub name: String,
    /// α; none for argmax, its limit.
    pub alpha: Option<f64>,
    /// Scores t of the first class, rising; the second class has 0.
    pub t: Vec<f64>,
    /// Probability of the first class at each t.
    pub p: Vec<f64>,
}

/// Three classes under one mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OmegaSurface {
    /// As shown.
    pub name: String,
    /// α; none for argmax, its limit.
    pub alpha: Option<f64>,
    /// The scores t₁, and the scores t₂, at which it was evaluated: rising, evenly spaced.
    pub t: Vec<f64>,
    /// Probability of the first class, `[t₂][t₁]`.
    pub p: Vec<Vec<f32>>,
    /// Number of classes with a probability above 0, `[t₂][t₁]`.
    pub support: Vec<Vec<u8>>,
}

impl Figure for OmegaFigure {
    fn name(&self) -> String {
        "omega".to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.two.is_empty() && !self.three.is_empty(), || {
            "it needs curves of two classes and surfaces of three".into()
        })?;
        for of in &self.two {
            check.rising(&format!("t of {}", of.name), &of.t)?;
            check.that(of.t.len() == of.p.len() && of.t.len() > 1, || {
                let (t, p) = (of.t.len(), of.p.len());
                format!("{}: {p} probabilities at {t} scores", of.name)
            })?;
            check.within(&of.name, of.p.iter().copied(), 0.0, 1.0)?;
        }
        for of in &self.three {
            check.rising(&format!("t of {}", of.name), &of.t)?;
            let (n, p) = (of.t.len(), of.p.iter().flatten().map(|&p| f64::from(p)));
            check.within(&of.name, p, 0.0, 1.0)?;
            check.matrix(&of.name, &of.p, n, n)?;
            check.matrix(&format!("support of {}", of.name), &of.support, n, n)?;
            let is_size = of.support.iter().flatten().all(|n| (1..=3).contains(n));
            check.that(is_size, || {
                format!("{}: a support of three classes has 1 to 3 of them", of.name)
            })?;
        }
        Ok(())
    }

    fn csv(&self) -> Result<String> {
        let mut lines = Lines::new(&["classes", "mapping", "alpha", "t1", "t2", "p1", "support"]);
        for of in &self.two {
            for (t, p) in of.t.iter().zip(&of.p) {
                let mut line = vec!["2".to_owned(), of.name.clone(), optional(of.alpha)];
                line.extend([t.to_string(), String::new(), p.to_string(), String::new()]);
                lines.push(line);
            }
        }
        for of in &self.three {
            for (t2, (p, support)) in of.t.iter().zip(of.p.iter().zip(&of.support)) {
                for (t1, (p, support)) in of.t.iter().zip(p.iter().zip(support)) {
                    let mut line = vec!["3".to_owned(), of.name.clone(), optional(of.alpha)];
                    line.extend([t1.to_string(), t2.to_string(), p.to_string()]);
                    line.push(support.to_string());
                    lines.push(line);
                }
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let mut page = Page::new("Ω-regularised argmax: from softmax to argmax");
        let dashes = ["", "8 3", "3 3", "", "8 3 2 3", "2 2"];
        let line = |at: usize| Line {
            dash: dashes[at % dashes.len()],
            ..Line::new(SERIES[at % SERIES.len()], Mark::None)
        };
        page.heading("Two classes with scores (t, 0): probability of the first");
        let names = self.two.iter().enumerate();
        let keys = names.map(|(at, of)| {
            let name = format!("{} ({})", bare(&of.name), alpha_of(of.alpha));
            Key::Line(name, line(at))
        });
        page.legend(&keys.collect::<Vec<_>>());
        let ends = self.two.iter().flat_map(|of| &of.t).copied();
        let (low, high) = ends.fold((0.0, 0.0), |(low, high): (f64, f64), t| {
            (low.min(t), high.max(t))
        });
        if let Some(&frame) = page.row(1, 270.0, 0.0).first() {
            let (x, y) = (
                Axis::linear("t", low, high, 9),
                Axis::linear("p₁", 0.0, 1.0, 5),
            );
            let mut panel = Panel::new(&mut page.svg, frame, "", x, y);
            for (at, of) in self.two.iter().enumerate() {
                let points = of.t.iter().zip(&of.p);
                let points: Vec<_> = points.map(|(&t, &p)| Some((t, p))).collect();
                panel.line(&points, line(at));
            }
        }
        self.surfaces(&mut page);
        Ok(page.finish())
    }
}

/// A name without the α that it may end in, which is written from the number.
fn bare(name: &str) -> &str {
    name.split(" (α").next().unwrap_or(name)
}

/// α as it is written beside the name of a mapping.
fn alpha_of(alpha: Option<f64>) -> String {
    alpha.map_or("α → ∞".to_owned(), |alpha| format!("α = {alpha}"))
}

/// Height of a surface's panel, which makes its area about square.
const SIDE: f64 = 186.0;
/// Room for the numbers of the left panel.
const LEFT: f64 = 50.0;

impl OmegaFigure {
    /// Small heat maps of three classes: above the probability, below the size of the support.
    fn surfaces(&self, page: &mut Page) {
        let n_columns = self.three.len().clamp(3, 6);
        let has_zero = (self.three.iter()).any(|of| of.p.iter().flatten().any(|p| *p == 0.0));
        page.heading("Three classes with scores (t₁, t₂, 0): probability of the first");
        let mut bar = ColourBar::new("p₁", 1.0, false);
        bar.zero = has_zero.then(|| "exactly 0".to_owned());
        page.colour_bar(&bar);
        for of in self.three.chunks(n_columns) {
            let frames = page.panels(n_columns, SIDE, 10.0, LEFT);
            for (at, (of, frame)) in of.iter().zip(frames).enumerate() {
                let cell = |p: &f32| Cell::of(Some(f64::from(*p)), |p| p);
                of.draw(
                    &mut page.svg,
                    frame,
                    at == 0,
                    of.p.iter().map(|row| row.iter().map(cell)),
                );
            }
        }
        page.heading("The same three classes: how many have a probability above 0");
        let classes = [
            (3u8, Cell::Value(0.15)),
            (2, Cell::Value(0.5)),
            (1, Cell::Value(0.9)),
        ];
        let key = |&(n, cell): &(u8, Cell)| Key::Area(format!("{n}"), cell.colour());
        page.legend(&classes.iter().map(key).collect::<Vec<_>>());
        for of in self.three.chunks(n_columns) {
            let frames = page.panels(n_columns, SIDE, 10.0, LEFT);
            for (at, (of, frame)) in of.iter().zip(frames).enumerate() {
                let cell = |n: &u8| {
                    let class = classes.iter().find(|(of, _)| of == n);
                    class.map_or(Cell::Hidden, |(_, cell)| *cell)
                };
                let rows = of.support.iter().map(|row| row.iter().map(cell));
                of.draw(&mut page.svg, frame, at == 0, rows);
            }
        }
    }
}

impl OmegaSurface {
    /// A heat map over t₁ (to the right) and t₂ (upwards).
    fn draw(
        &self,
        svg: &mut Svg,
        frame: Rect,
        is_left: bool,
        rows: impl DoubleEndedIterator<Item = impl Iterator<Item = Cell>>,
    ) {
        let (low, high) = match self.t.as_slice() {
            [low, .., high] => (*low, *high),
            [] | [_] => (0.0, 1.0),
        };
        let (x, y) = (
            Axis::linear("t₁", low, high, 3),
            Axis::linear("t₂", low, high, 3),
        );
        let y = if is_left { y } else { y.unlabelled() };
        // α stands below the name, so that every title has two lines.
        let title = format!("{}\n{}", bare(&self.name), alpha_of(self.alpha));
        let panel = Panel::new(svg, frame, &title, x, y);
        let inside = panel.inside;
        let rows: Vec<Vec<Cell>> = rows.rev().map(Iterator::collect).collect();
        heat_map(svg, inside, &rows);
    }
}
