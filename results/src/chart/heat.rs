//! Heat maps.

use super::number::significant;
use super::svg::{Rect, Svg, Text};
use super::{Colour, HIDDEN, Shade, ZERO};

/// What a cell shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    /// A value on the scale, 0 to 1.
    Value(f64),
    /// Exactly zero.
    Zero,
    /// Not there: hidden by a mask, or no key that the query may see.
    Hidden,
}

impl Cell {
    /// A weight on a scale whose end is `max`; 0 has its own colour, none is hidden.
    pub(crate) fn of(weight: Option<f64>, scale: impl Fn(f64) -> f64) -> Self {
        match weight {
            Some(0.0) => Self::Zero,
            Some(weight) => Self::Value(scale(weight)),
            None => Self::Hidden,
        }
    }

    /// Cells of one number look alike: a step of the scale, or one of the two others.
    fn class(self) -> usize {
        match self {
            Self::Value(value) => Shade(value).step(),
            Self::Zero => Shade::STEPS,
            Self::Hidden => Shade::STEPS + 1,
        }
    }

    pub(crate) fn colour(self) -> Colour {
        match self {
            Self::Value(value) => Shade(value).colour(),
            Self::Zero => ZERO,
            Self::Hidden => HIDDEN,
        }
    }

    /// The colour of text on it.
    pub(crate) fn ink(self) -> Colour {
        match self {
            Self::Value(value) => Shade(value).ink(),
            Self::Zero | Self::Hidden => Colour(0x22, 0x22, 0x22),
        }
    }
}

/// Draws rows of cells, the first row on top, into `area`. Cells of a colour are one path, runs of
/// them one rectangle, so that files stay small.
pub(crate) fn heat_map(svg: &mut Svg, area: Rect, rows: &[Vec<Cell>]) {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    if n_columns == 0 {
        return;
    }
    let mut paths: Vec<(Option<Colour>, String)> = vec![(None, String::new()); Shade::STEPS + 2];
    for (y, row) in rows.iter().enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a.class() == b.class()) {
            let (colour, path) = &mut paths[run[0].class()];
            *colour = Some(run[0].colour());
            path.push_str(&format!("M{x} {y}h{0}v1h-{0}z", run.len()));
            x += run.len();
        }
    }
    let scale = (
        area.width / n_columns as f64,
        area.height / rows.len() as f64,
    );
    svg.open_cells((area.x, area.y), scale);
    for (colour, path) in &paths {
        if let Some(colour) = colour {
            svg.path(path, *colour);
        }
    }
    svg.close();
    svg.rect(area, None, Some((Colour(0x99, 0x99, 0x99), 0.8)));
}

/// The legend of a heat map's scale.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColourBar {
    pub(crate) name: String,
    /// Places on the scale, 0 to 1, and the numbers there.
    pub(crate) ticks: Vec<(f64, String)>,
    /// What the colour of exact zeros says, where there are any.
    pub(crate) zero: Option<String>,
    /// What the colour of hidden cells says, where there are any.
    pub(crate) hidden: Option<String>,
}

impl ColourBar {
    /// A scale from 0 to `max`, on which the root of a value is shown where `is_root`.
    pub(crate) fn new(name: &str, max: f64, is_root: bool) -> Self {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|at: f64| {
            let value = if is_root { at * at } else { at } * max;
            (at, significant(value, 2))
        });
        Self {
            name: name.to_owned(),
            ticks: ticks.to_vec(),
            zero: None,
            hidden: None,
        }
    }

    /// Draws it from `(x, y)`, 34 px high.
    pub(crate) fn draw(&self, svg: &mut Svg, (x, y): (f64, f64)) {
        let style = Text::size(12.0);
        svg.text((x, y + 11.0), &self.name, style);
        let left = x + super::text_width(&self.name, 12.0) + 10.0;
        let (width, height) = (190.0, 13.0);
        let steps: Vec<Cell> = (0..Shade::STEPS)
            .map(|step| Cell::Value((step as f64 + 0.5) / Shade::STEPS as f64))
            .collect();
        let bar = Rect {
            x: left,
            y,
            width,
            height,
        };
        heat_map(svg, bar, &[steps]);
        for (at, label) in &self.ticks {
            let place = (left + at * width, y + height + 13.0);
            svg.text(place, label, Text::size(11.0).middle());
        }
        let mut left = left + width + 30.0;
        let others = [(&self.zero, Cell::Zero), (&self.hidden, Cell::Hidden)];
        for (text, cell) in others {
            let Some(text) = text else { continue };
            let rect = Rect {
                x: left,
                y,
                width: 18.0,
                height,
            };
            svg.rect(
                rect,
                Some(cell.colour()),
                Some((Colour(0x99, 0x99, 0x99), 0.8)),
            );
            svg.text((left + 24.0, y + 11.0), text, style);
            left += 24.0 + super::text_width(text, 12.0) + 22.0;
        }
    }
}
