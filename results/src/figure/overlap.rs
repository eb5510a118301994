//! How much global masks agree.

use serde::{Deserialize, Serialize};

use super::Figure;
use super::check::Check;
use super::source::Source;
use super::table::{Lines, optional};
use crate::chart::{Cell, ColourBar, Page, Rect, Svg, Text, fit, heat_map, text_width, wrap};
use crate::error::Result;

/// Jaccard overlap of the hidden cells of masks: |A ∩ B| / |A ∪ B|, 1 for equal masks, 0 for masks
/// without a common cell. File: `pattern-overlap`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlapFigure {
    /// What was measured.
    pub source: Source,
    /// A matrix for each thing that masks differ in.
    pub matrices: Vec<OverlapMatrix>,
}

/// The overlaps of some masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlapMatrix {
    /// What they differ in, such as `between seeds, encoder-self, p = 60 %`.
    pub title: String,
    /// The masks.
    pub labels: Vec<String>,
    /// Overlap, `[mask][mask]`, symmetric with 1 on the diagonal; none where two masks cannot be
    /// compared.
    pub overlap: Vec<Vec<Option<f64>>>,
    /// What random masks of the same size would have, where known.
    pub by_chance: Option<f64>,
}

impl Figure for OverlapFigure {
    fn name(&self) -> String {
        "pattern-overlap".to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.matrices.is_empty(), || {
            "two masks at least are needed; prune at another p, or with another seed".into()
        })?;
        for of in &self.matrices {
            let n = of.labels.len();
            check.matrix(&of.title, &of.overlap, n, n)?;
            check.within(
                &of.title,
                of.overlap.iter().flatten().flatten().copied(),
                0.0,
                1.0,
            )?;
            check.within(&of.title, of.by_chance, 0.0, 1.0)?;
        }
        Ok(())
    }

    fn csv(&self) -> Result<String> {
        let mut lines = Lines::new(&["matrix", "mask", "other", "overlap", "by_chance"]);
        for of in &self.matrices {
            for (mask, row) in of.labels.iter().zip(&of.overlap) {
                for (other, overlap) in of.labels.iter().zip(row) {
                    let names = [&of.title, mask, other].map(String::clone);
                    let numbers = [optional(*overlap), optional(of.by_chance)];
                    lines.push(names.into_iter().chain(numbers).collect());
                }
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let mut page = Page::new("Overlap of global masks");
        page.note(&self.source.line());
        page.note(
            "Jaccard overlap of the hidden cells: cells that both masks hide / cells that either hides.",
        );
        let mut bar = ColourBar::new("overlap", 1.0, false);
        let has_none = |of: &OverlapMatrix| of.overlap.iter().flatten().any(Option::is_none);
        let cannot = self.matrices.iter().any(has_none);
        bar.hidden = cannot.then(|| "cannot be compared".to_owned());
        page.colour_bar(&bar);
        let most = self
            .matrices
            .iter()
            .map(|of| of.labels.len())
            .max()
            .unwrap_or(1);
        let n_columns = if most > 5 { 1 } else { 2 };
        let width = (crate::chart::WIDTH - 48.0) / n_columns as f64;
        for of in self.matrices.chunks(n_columns) {
            let height = of.iter().map(|of| of.height(width)).fold(0.0, f64::max);
            let frames = page.row(n_columns, height, 20.0);
            for (of, frame) in of.iter().zip(frames) {
                of.draw(&mut page.svg, frame, width);
            }
        }
        Ok(page.finish())
    }
}

const LABEL: f64 = 11.5;
const LONGEST: f64 = 150.0;

impl OverlapMatrix {
    fn labels(&self) -> f64 {
        let widths = self.labels.iter().map(|label| text_width(label, LABEL));
        widths.fold(0.0, f64::max).min(LONGEST)
    }

    fn title(&self, width: f64) -> Vec<String> {
        let chance = (self.by_chance).map(|of| format!(" (by chance {of:.2})"));
        let title = format!("{}{}", self.title, chance.unwrap_or_default());
        // Bold letters are wider.
        wrap(&title, width, 1.07 * 13.0)
    }

    /// Room above the matrix for its title and the labels, turned by 60°.
    fn top(&self, width: f64) -> f64 {
        17.0 * self.title(width).len() as f64 + 0.87 * self.labels() + 14.0
    }

    fn cell(&self, width: f64) -> f64 {
        let room = width - 1.5 * self.labels() - 10.0;
        (room / self.labels.len().max(1) as f64).clamp(22.0, 46.0)
    }

    fn height(&self, width: f64) -> f64 {
        self.top(width) + 0.7 * self.cell(width) * self.labels.len() as f64 + 8.0
    }

    fn draw(&self, svg: &mut Svg, frame: Rect, width: f64) {
        for (at, line) in self.title(width).iter().enumerate() {
            let place = (frame.x, frame.y + 13.0 + 17.0 * at as f64);
            svg.text(place, line, Text::size(13.0).bold());
        }
        let cell = (self.cell(width), 0.7 * self.cell(width));
        let area = Rect {
            x: frame.x + self.labels() + 8.0,
            y: frame.y + self.top(width),
            width: cell.0 * self.labels.len() as f64,
            height: cell.1 * self.labels.len() as f64,
        };
        let shown = |overlap: &Option<f64>| overlap.map_or(Cell::Hidden, Cell::Value);
        let rows: Vec<Vec<Cell>> = (self.overlap.iter())
            .map(|row| row.iter().map(shown).collect())
            .collect();
        heat_map(svg, area, &rows);
        for (at, label) in self.labels.iter().enumerate() {
            let label = fit(label, LONGEST, LABEL);
            let y = area.y + cell.1 * (at as f64 + 0.5) + 4.0;
            svg.text((area.x - 5.0, y), &label, Text::size(LABEL).end());
            let x = area.x + cell.0 * (at as f64 + 0.5) + 3.0;
            svg.text((x, area.y - 5.0), &label, Text::size(LABEL).turn(-60.0));
        }
        for (row, (overlaps, cells)) in self.overlap.iter().zip(&rows).enumerate() {
            for (column, (overlap, shown)) in overlaps.iter().zip(cells).enumerate() {
                let Some(overlap) = overlap else { continue };
                let x = area.x + cell.0 * (column as f64 + 0.5);
                let y = area.y + cell.1 * (row as f64 + 0.5) + 4.0;
                let style = Text::size(11.0).middle().colour(shown.ink());
                svg.text((x, y), &format!("{overlap:.2}"), style);
            }
        }
    }
}
