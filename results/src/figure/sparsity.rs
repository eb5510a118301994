//! How much global masks hide.

use serde::{Deserialize, Serialize};

use super::Figure;
use super::check::Check;
use super::source::Source;
use super::table::Lines;
use crate::chart::{
    Cell, ColourBar, Page, Rect, Svg, Text, attention_name, heat_map, percent, short,
};
use crate::error::Result;

/// Effective and token-weighted sparsity of every head, and the share of blocks that a
/// block-sparse kernel has left, for one or several masks. File: `pattern-sparsity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparsityFigure {
    /// What was measured.
    pub source: Source,
    /// An entry for each mask and attention type.
    pub masks: Vec<MaskSparsity>,
}

/// One attention type under one mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskSparsity {
    /// The mask in words, such as `AP` or `blocks of 16`, with its variant where there are several.
    pub mask: String,
    /// Attention type.
    pub attention: String,
    /// Nominal share of hidden cells, 0 to 1.
    pub nominal: f64,
    /// Share of the legal cells that are hidden, `[layer][head]`.
    pub effective: Vec<Vec<f64>>,
    /// The same with each cell weighted by how often examples used it, `[layer][head]`.
    pub token_weighted: Vec<Vec<f64>>,
    /// Blocks left, an entry for each size.
    pub blocks: Vec<BlocksLeft>,
}

/// Blocks of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlocksLeft {
    /// Rows, and columns, of a block.
    pub block_size: usize,
    /// Share of the blocks with a legal cell that are not hidden as a whole, `[layer][head]`.
    pub left: Vec<Vec<f64>>,
}

impl Figure for SparsityFigure {
    fn name(&self) -> String {
        "pattern-sparsity".to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.masks.is_empty(), || {
            "the run has no global mask; prune at some p first".into()
        })?;
        for of in &self.masks {
            let name = format!("{}, {}", of.mask, of.attention);
            check.within(&format!("nominal p of {name}"), [of.nominal], 0.0, 1.0)?;
            for (what, values) in of.measures() {
                check.heads(&format!("{what} of {name}"), values, (0.0, 1.0))?;
                check.alike(&format!("measures of {name}"), values, &of.effective)?;
            }
        }
        Ok(())
    }

    fn csv(&self) -> Result<String> {
        let head = [
            "mask",
            "attention",
            "nominal",
            "layer",
            "head",
            "measure",
            "share",
        ];
        let mut lines = Lines::new(&head);
        for of in &self.masks {
            for (what, values) in of.measures() {
                for (layer, heads) in values.iter().enumerate() {
                    for (head, value) in heads.iter().enumerate() {
                        let mut line = vec![of.mask.clone(), of.attention.clone()];
                        line.extend([of.nominal.to_string(), layer.to_string(), head.to_string()]);
                        line.extend([what.clone(), value.to_string()]);
                        lines.push(line);
                    }
                }
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let mut page = Page::new("What global masks hide of every head");
        page.note(&self.source.line());
        page.note(
            "A row is a layer, a column a head, a number percent. Effective: share of the legal cells that are \
             hidden. Token-weighted: each cell counts as often as examples use it. Blocks left: share of the \
             blocks that a block-sparse kernel must compute.",
        );
        page.colour_bar(&ColourBar::new("share", 1.0, false));
        for of in &self.masks {
            page.heading(&of.heading());
            let measures: Vec<_> = of.measures().collect();
            let n_heads = of.effective.first().map_or(1, Vec::len);
            let n_columns = if n_heads > 8 { 3 } else { 5 };
            for measures in measures.chunks(n_columns) {
                let height = 36.0 + ROW * of.effective.len() as f64;
                let frames = page.row(n_columns, height, 16.0);
                for ((what, values), frame) in measures.iter().zip(frames) {
                    draw(&mut page.svg, frame, what, values);
                }
            }
        }
        Ok(page.finish())
    }
}

const ROW: f64 = 18.0;

impl MaskSparsity {
    /// Every measure with its name.
    fn measures(&self) -> impl Iterator<Item = (String, &[Vec<f64>])> {
        let blocks = self.blocks.iter().map(|of| {
            let name = format!("blocks of {} left", of.block_size);
            (name, of.left.as_slice())
        });
        let two = [
            ("effective".to_owned(), self.effective.as_slice()),
            ("token-weighted".to_owned(), self.token_weighted.as_slice()),
        ];
        two.into_iter().chain(blocks)
    }

    fn heading(&self) -> String {
        let attention = attention_name(&self.attention);
        let nominal = percent(self.nominal, 0);
        format!("{}, nominal p = {nominal}, {attention}", self.mask)
    }
}

fn draw(svg: &mut Svg, frame: Rect, what: &str, values: &[Vec<f64>]) {
    let n_heads = values.first().map_or(1, Vec::len);
    let mean = values.iter().flatten().sum::<f64>() / (n_heads * values.len()).max(1) as f64;
    let title = format!("{what} ({}\u{a0}%)", short(100.0 * mean, 1));
    svg.text((frame.x, frame.y + 12.0), &title, Text::size(11.0).bold());
    let area = Rect {
        x: frame.x + 14.0,
        y: frame.y + 30.0,
        width: (frame.width - 14.0).min(34.0 * n_heads as f64),
        height: ROW * values.len() as f64,
    };
    let row = |heads: &Vec<f64>| heads.iter().map(|&share| Cell::Value(share)).collect();
    let rows: Vec<Vec<Cell>> = values.iter().map(row).collect();
    heat_map(svg, area, &rows);
    let (width, style) = (area.width / n_heads as f64, Text::size(10.0).middle());
    for head in 0..n_heads {
        let x = area.x + width * (head as f64 + 0.5);
        svg.text((x, area.y - 3.0), &(head + 1).to_string(), style);
    }
    for (layer, (shares, cells)) in values.iter().zip(&rows).enumerate() {
        let y = area.y + ROW * (layer as f64 + 0.5) + 4.0;
        svg.text((area.x - 7.0, y), &(layer + 1).to_string(), style);
        for (head, (share, cell)) in shares.iter().zip(cells).enumerate() {
            let x = area.x + width * (head as f64 + 0.5);
            svg.text((x, y), &short(100.0 * share, 0), style.colour(cell.ink()));
        }
    }
}
