//! What is observed: the header of a pattern, the block of cells a batch covers, and the checks of
//! both.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::cells::{AttentionType, Grid, LayerKey};
use super::error::PruningError;
use super::static_pattern::{Kept, StaticPattern};

/// What a pattern does with the padded rows and columns that a [`Placement`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// A padded cell is no observation (`corrected` semantics).
    #[default]
    LeftOut,
    /// A padded cell counts like any other (`paper` semantics).
    AveragedIn,
}

impl Padding {
    /// The name used in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeftOut => "left out",
            Self::AveragedIn => "averaged in",
        }
    }
}

/// What a pattern is about: the layers with their grids, and where the numbers come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatternHeader {
    /// The corpus observed, in the caller's words.
    pub corpus: String,
    /// The model observed, in the caller's words (for instance a checkpoint's hash).
    pub model: String,
    /// What is done with padding.
    pub padding: Padding,
    /// The grid of each attention type and layer.
    pub grids: BTreeMap<(AttentionType, usize), Grid>,
    /// The static pattern of layers that have one, whose settings are in range ([`StaticPattern::check`]): cells that it hides
    /// are no candidates of a mask.
    pub static_patterns: BTreeMap<(AttentionType, usize), StaticPattern>,
}

impl PatternHeader {
    /// A header without layers.
    pub fn new(corpus: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            corpus: corpus.into(),
            model: model.into(),
            ..Self::default()
        }
    }

    /// Adds one layer.
    pub fn with(mut self, attention_type: AttentionType, layer: usize, grid: Grid) -> Self {
        self.grids.insert((attention_type, layer), grid);
        self
    }

    /// Adds layers `0..n_layers` of the same grid.
    pub fn with_layers(self, attention_type: AttentionType, n_layers: usize, grid: Grid) -> Self {
        (0..n_layers).fold(self, |header, layer| {
            header.with(attention_type, layer, grid)
        })
    }

    /// Says that layers `0..n_layers` see the cells of a static pattern only.
    pub fn with_static(
        mut self,
        attention_type: AttentionType,
        n_layers: usize,
        pattern: StaticPattern,
    ) -> Self {
        let layers = (0..n_layers).map(|layer| ((attention_type, layer), pattern));
        self.static_patterns.extend(layers);
        self
    }

    /// Chooses what is done with padding.
    pub fn with_padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }
}

/// The valid ranges of one example: the rows and columns of the observed block that are not padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Valid {
    /// Query positions that are not padding.
    pub rows: Range<usize>,
    /// Key positions that are not padding.
    pub cols: Range<usize>,
}

impl Valid {
    /// The first `rows` rows and `cols` columns (padding on the right).
    pub const fn first(rows: usize, cols: usize) -> Self {
        Self {
            rows: 0..rows,
            cols: 0..cols,
        }
    }
}

/// The offset of an observed block in the grid, and the valid ranges of its examples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// The grid row of the block's first row.
    pub row: usize,
    /// The grid column of the block's first column. With a memory of `mem_len` columns of which
    /// only the last `mlen` exist yet, it is `mem_len - mlen`.
    pub col: usize,
    /// The part of each example of the batch that is not padding; `None`: there is no padding.
    pub valid: Option<Vec<Valid>>,
}

impl Placement {
    /// A block without padding whose first cell is at (`row`, `col`).
    pub const fn at(row: usize, col: usize) -> Self {
        Self {
            row,
            col,
            valid: None,
        }
    }

    /// Says which part of each example is not padding.
    pub fn with_valid(mut self, valid: Vec<Valid>) -> Self {
        self.valid = Some(valid);
        self
    }
}

/// The shape of a block being observed.
#[derive(Debug, Clone, Copy)]
pub(super) struct ObservedBlock {
    pub(super) heads: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl ObservedBlock {
    /// Checks that the block lies in the grid and the valid ranges in the block.
    pub(super) fn check(
        self,
        key: LayerKey,
        grid: &Grid,
        batch: usize,
        placement: &Placement,
    ) -> Result<(), PruningError> {
        let Grid {
            n_heads,
            n_rows,
            n_cols,
            ..
        } = *grid;
        let ObservedBlock { heads, rows, cols } = self;
        let &Placement { row, col, .. } = placement;
        let fits = |from: usize, len, n| from.checked_add(len).is_some_and(|end| end <= n);
        if heads != n_heads || !fits(row, rows, n_rows) || !fits(col, cols, n_cols) {
            let (attention_type, layer) = key;
            return Err(PruningError::Placement {
                attention_type,
                layer,
                n_heads,
                n_rows,
                n_cols,
                heads,
                rows,
                cols,
                row,
                col,
            });
        }
        let Some(valid) = &placement.valid else {
            return Ok(());
        };
        if valid.len() != batch {
            let reason = format!("{} were given for a batch of {batch}", valid.len());
            return Err(PruningError::Valid { reason, batch });
        }
        let inside = |range: &Range<usize>, n| range.start <= range.end && range.end <= n;
        match valid
            .iter()
            .find(|v| !inside(&v.rows, rows) || !inside(&v.cols, cols))
        {
            None => Ok(()),
            Some(v) => {
                let reason = format!("{v:?} does not lie inside a block of {rows}×{cols}");
                Err(PruningError::Valid { reason, batch })
            }
        }
    }
}

pub(super) fn check_length(found: usize, shape: &[usize]) -> Result<(), PruningError> {
    let expected = shape.iter().product();
    if found == expected {
        return Ok(());
    }
    Err(PruningError::WeightsLength {
        shape: shape.to_vec(),
        expected,
        found,
    })
}

/// Refuses sums that no attention weights have.
pub(super) fn check_weights(
    (attention_type, layer): LayerKey,
    (grid, kept): (&Grid, &Kept),
    sums: &[f64],
    block: ObservedBlock,
    placement: &Placement,
) -> Result<(), PruningError> {
    for (index, line) in sums.chunks_exact(block.cols).enumerate() {
        let (head, row) = (index / block.rows, placement.row + index % block.rows);
        let legal = grid.rule.legal_cols(row).saturating_sub(placement.col);
        for (col, &value) in line.iter().enumerate() {
            let reason = if !(value >= 0.0 && value.is_finite()) {
                "attention weights are not negative and finite; pass the weights, not the scores"
            } else if col >= legal && value != 0.0 {
                "the cell is illegal under the cell rule; correct the placement or the rule"
            } else if value != 0.0 && kept.hides(head, row, placement.col + col) {
                "the static pattern hides the cell; correct the placement or the pattern"
            } else {
                continue;
            };
            let col = placement.col + col;
            return Err(PruningError::Weight {
                attention_type,
                layer,
                head,
                row,
                col,
                value,
                reason,
            });
        }
    }
    Ok(())
}
