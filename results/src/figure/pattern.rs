//! Mean attention patterns and the masks made from them.

use serde::{Deserialize, Serialize};

use super::Figure;
use super::check::Check;
use super::grid::Grid;
use super::layout::file_part;
use super::source::Source;
use super::table::Lines;
use crate::chart::{
    Cell, ColourBar, Page, Rect, Svg, Text, attention_name, heat_map, percent, variant_name,
};
use crate::error::Result;

/// The mean attention of every head of one attention type over the training set, beside each the
/// global mask made from it (AP, figures of attention patterns). File: `pattern-TYPE`, or
/// `pattern-TYPE-VARIANT` where `named_by_variant`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternFigure {
    /// What was measured.
    pub source: Source,
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Whether the file names the variant, because a run has several.
    pub named_by_variant: bool,
    /// The mask in words, such as `p = 60 %`; none where there is no mask.
    pub mask: Option<String>,
    /// Every head of every layer.
    pub heads: Vec<HeadPattern>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadPattern {
    /// Layer, from 0.
    pub layer: usize,
    /// Head, from 0.
    pub head: usize,
    /// Mean attention weight; exact zeros have a colour of their own.
    pub mean: Grid,
    /// Share of the cells that the mask hides, 0 or 1 where the grid is not made smaller.
    pub hidden: Option<Grid>,
    /// Effective sparsity: share of the legal cells that the mask hides.
    pub effective: Option<f64>,
}

/// A mean attention weight: the root of it against the root of the greatest, so that the small ones
/// of long rows are seen.
fn root_scale(max: f64) -> impl Fn(f64) -> f64 {
    move |weight| (weight / max.max(1e-12)).max(0.0).sqrt()
}

impl Figure for PatternFigure {
    fn name(&self) -> String {
        let name = format!("pattern-{}", file_part(&self.attention));
        match self.named_by_variant {
            true => format!("{name}-{}", file_part(&self.variant)),
            false => name,
        }
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.heads.is_empty(), || "no head was observed".into())?;
        for of in &self.heads {
            let name = format!("layer {}, head {}", of.layer, of.head);
            of.mean
                .check(&check, &format!("mean attention of {name}"))?;
            if let Some(hidden) = &of.hidden {
                hidden.check(&check, &format!("mask of {name}"))?;
            }
            check.within(&format!("sparsity of {name}"), of.effective, 0.0, 1.0)?;
        }
        Ok(())
    }

    fn csv(&self) -> Result<String> {
        let widest = self
            .heads
            .iter()
            .flat_map(|of| of.mean.cells.iter().map(Vec::len));
        let widest = widest.max().unwrap_or(0);
        let names = ["layer", "head", "what", "query", "bin"].map(str::to_owned);
        let keys = (0..widest).map(|key| format!("key_{key}"));
        let head: Vec<String> = names.into_iter().chain(keys).collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let mut lines = Lines::new(&head);
        for of in &self.heads {
            let grids = [("mean", Some(&of.mean)), ("hidden", of.hidden.as_ref())];
            for (what, grid) in grids {
                let Some(grid) = grid else { continue };
                for (row, cells) in grid.cells.iter().enumerate() {
                    let mut line = vec![of.layer.to_string(), of.head.to_string()];
                    line.extend([what.to_owned(), (row * grid.bin).to_string()]);
                    line.push(grid.bin.to_string());
                    let cell = |at: usize| cells.get(at).copied().flatten();
                    let text = |at| cell(at).map_or(String::new(), |of: f32| of.to_string());
                    line.extend((0..widest).map(text));
                    lines.push(line);
                }
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let attention = attention_name(&self.attention);
        let mut page = Page::new(&format!(
            "Mean attention of every head: {attention}, {}",
            variant_name(&self.variant)
        ));
        page.note(&self.source.line());
        let mut explained = "Queries from top to bottom, keys from left to right".to_owned();
        if let Some(mask) = &self.mask {
            explained += &format!(
                "; to the right of each pattern its mask ({mask}; blue is left, grey hidden), with the share of the \
                 legal cells that it hides"
            );
        }
        let bins = self.heads.iter().map(|of| of.mean.bin).max().unwrap_or(1);
        if bins > 1 {
            explained += &format!("; a cell is the mean of {bins} × {bins} positions");
        }
        page.note(&(explained + "."));
        let cells = || {
            self.heads
                .iter()
                .flat_map(|of| of.mean.cells.iter().flatten())
        };
        let max = cells()
            .flatten()
            .fold(0.0, |max: f64, &weight| max.max(f64::from(weight)));
        let mut bar = ColourBar::new("mean weight", max, true);
        bar.zero = cells()
            .any(|of| *of == Some(0.0))
            .then(|| "exactly 0".to_owned());
        let has_illegal = cells().any(Option::is_none);
        bar.hidden = match (self.mask.is_some(), has_illegal) {
            (true, true) => Some("hidden, or never visible".to_owned()),
            (true, false) => Some("hidden".to_owned()),
            (false, true) => Some("never visible".to_owned()),
            (false, false) => None,
        };
        page.colour_bar(&bar);
        let n_heads = self.heads.iter().map(|of| of.head + 1).max().unwrap_or(1);
        let n_layers = self.heads.iter().map(|of| of.layer + 1).max().unwrap_or(1);
        let has_masks = self.heads.iter().any(|of| of.hidden.is_some());
        // Heads of a layer stand in lines of about the same length.
        let most = if has_masks { 6 } else { 8 };
        let n_columns = n_heads.div_ceil(n_heads.div_ceil(most)).max(2);
        for layer in 0..n_layers {
            page.heading(&format!("layer {}", layer + 1));
            let heads: Vec<&HeadPattern> =
                self.heads.iter().filter(|of| of.layer == layer).collect();
            for heads in heads.chunks(n_columns) {
                let width =
                    (crate::chart::WIDTH - 28.0 - 10.0 * (n_columns - 1) as f64) / n_columns as f64;
                let width = width.min(220.0);
                let height = heads.iter().map(|of| of.height(width)).fold(0.0, f64::max);
                let frames = page.row(n_columns, height, 10.0);
                for (of, frame) in heads.iter().zip(frames) {
                    of.draw(&mut page.svg, Rect { width, ..frame }, max);
                }
            }
        }
        Ok(page.finish())
    }
}

impl HeadPattern {
    /// Width of one picture: half of the frame beside a mask.
    fn side(&self, width: f64) -> f64 {
        match self.hidden {
            Some(_) => (width - 4.0) / 2.0,
            None => width,
        }
    }

    fn height(&self, width: f64) -> f64 {
        let grid = &self.mean;
        let ratio = grid.n_queries as f64 / grid.n_keys.max(1) as f64;
        18.0 + self.side(width) * ratio.clamp(0.25, 2.0)
    }

    fn draw(&self, svg: &mut Svg, frame: Rect, max: f64) {
        let mut title = format!("head {}", self.head + 1);
        if let Some(effective) = self.effective {
            title += &format!(", {}", percent(effective, 1));
        }
        svg.text((frame.x, frame.y + 11.0), &title, Text::size(11.0));
        let area = Rect {
            x: frame.x,
            y: frame.y + 16.0,
            width: self.side(frame.width),
            height: self.height(frame.width) - 18.0,
        };
        let scale = root_scale(max);
        let rows = self.mean.rows(|weight| Cell::of(weight, &scale));
        heat_map(svg, area, &rows);
        if let Some(hidden) = &self.hidden {
            let area = Rect {
                x: area.right() + 4.0,
                ..area
            };
            // What is left is dark, so that a mask looks like the pattern it was made from.
            let rows = hidden.rows(|share| match share {
                None | Some(1.0) => Cell::Hidden,
                Some(share) => Cell::Value(0.75 * (1.0 - share)),
            });
            heat_map(svg, area, &rows);
        }
    }
}
