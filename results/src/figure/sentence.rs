//! One head on one sentence.

use super::check::Check;
use crate::chart::{
    Cell, Colour, Rect, SERIES, Svg, Text, attention_name, fit, head_name, heat_map, short,
    text_width, variant_name,
};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The attention weights of one head on one sequence, as a picture with the pieces on both axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentenceWeights {
    /// Row normaliser.
    pub variant: String,
    /// Attention type.
    pub attention: String,
    /// Layer, from 0.
    pub layer: usize,
    /// Head, from 0.
    pub head: usize,
    /// Its α, where it is learned.
    pub alpha: Option<f64>,
    /// Pieces that ask, as displayed.
    pub queries: Vec<String>,
    /// Pieces that are attended to.
    pub keys: Vec<String>,
    /// Weights, `[query][key]`; none where the query must not see the key.
    pub weights: Vec<Vec<Option<f32>>>,
    /// Cells (query, key) that the score of the figure counts, outlined in the picture.
    pub counted: Vec<(usize, usize)>,
}

const LABEL: f64 = 11.0;
/// Longest label of a piece, in pixels.
const LONGEST: f64 = 92.0;

impl SentenceWeights {
    pub(super) fn check(&self, check: &Check) -> Result<()> {
        let name = format!("example of {}", self.name());
        let (n_queries, n_keys) = (self.queries.len(), self.keys.len());
        check.matrix(&name, &self.weights, n_queries, n_keys)?;
        let weights = self.weights.iter().flatten().flatten();
        check.within(&name, weights.map(|&weight| f64::from(weight)), 0.0, 1.0)?;
        check.within(&name, self.alpha, 1.0, 2.0)?;
        let is_there = |&(query, key): &(usize, usize)| query < n_queries && key < n_keys;
        check.that(self.counted.iter().all(is_there), || {
            format!("{name} counts a cell beyond its {n_queries} × {n_keys}")
        })
    }

    fn name(&self) -> String {
        format!("{}, {}", self.variant, head_name(self.layer, self.head))
    }

    /// Lines above the picture.
    fn title(&self) -> [String; 3] {
        let alpha = self.alpha.map(|alpha| format!(", α = {}", short(alpha, 2)));
        let head = head_name(self.layer, self.head);
        [
            format!("{head}{}", alpha.unwrap_or_default()),
            variant_name(&self.variant),
            attention_name(&self.attention),
        ]
    }

    fn longest(pieces: &[String]) -> f64 {
        let widths = pieces.iter().map(|piece| text_width(piece, LABEL));
        widths.fold(0.0, f64::max).min(LONGEST)
    }

    /// Width of the picture with cells of full size.
    pub(super) fn width(&self) -> f64 {
        let titles = self.title().map(|line| text_width(&line, 13.0));
        let labels = Self::longest(&self.queries) + 6.0 + 0.5 * Self::longest(&self.keys);
        let cells = 24.0 * self.keys.len() as f64;
        titles.into_iter().fold(labels + cells, f64::max)
    }

    /// Side of a cell in a picture of `width` pixels.
    fn cell(&self, width: f64) -> f64 {
        let room = width - Self::longest(&self.queries) - 6.0 - 0.5 * Self::longest(&self.keys);
        (room / self.keys.len().max(1) as f64).clamp(3.0, 24.0)
    }

    /// Height of the picture at a width.
    pub(super) fn height(&self, width: f64) -> f64 {
        58.0 + self.top() + self.cell(width) * self.queries.len() as f64
    }

    /// Room for the keys, which are turned by 60°.
    fn top(&self) -> f64 {
        0.87 * Self::longest(&self.keys) + 10.0
    }

    /// Draws the weights with the pieces on both axes.
    pub(super) fn draw(&self, svg: &mut Svg, frame: Rect, max: f64) {
        for (at, line) in self.title().iter().enumerate() {
            let style = match at {
                0 => Text::size(13.0).bold(),
                _ => Text::size(12.0),
            };
            let line = fit(line, frame.width, style.size);
            svg.text((frame.x, frame.y + 13.0 + 16.0 * at as f64), &line, style);
        }
        let cell = self.cell(frame.width);
        let area = Rect {
            x: frame.x + Self::longest(&self.queries) + 6.0,
            y: frame.y + 54.0 + self.top(),
            width: cell * self.keys.len() as f64,
            height: cell * self.queries.len() as f64,
        };
        let scale = |weight: f64| weight / max.max(1e-9);
        let of = |weight: &Option<f32>| Cell::of(weight.map(f64::from), scale);
        let rows: Vec<Vec<Cell>> = (self.weights.iter())
            .map(|row| row.iter().map(of).collect())
            .collect();
        heat_map(svg, area, &rows);
        for &(query, key) in &self.counted {
            let rect = Rect {
                x: area.x + cell * key as f64,
                y: area.y + cell * query as f64,
                width: cell,
                height: cell,
            };
            svg.rect(rect, None, Some((SERIES[1], 1.4)));
        }
        // Below 9 pixels, names would run into each other: every second, third … is written.
        let every = (10.0 / cell).ceil().max(1.0) as usize;
        let style = Text::size(LABEL).colour(Colour(0x33, 0x33, 0x33));
        for (at, piece) in self.queries.iter().enumerate().step_by(every) {
            let place = (area.x - 4.0, area.y + cell * (at as f64 + 0.5) + 4.0);
            svg.text(place, &fit(piece, LONGEST, LABEL), style.end());
        }
        for (at, piece) in self.keys.iter().enumerate().step_by(every) {
            let place = (area.x + cell * (at as f64 + 0.5) + 3.0, area.y - 5.0);
            svg.text(place, &fit(piece, LONGEST, LABEL), style.turn(-60.0));
        }
    }

    /// Greatest weight.
    pub(super) fn max(&self) -> f64 {
        let weights = self.weights.iter().flatten().flatten();
        weights.map(|&weight| f64::from(weight)).fold(0.0, f64::max)
    }
}
