//! The global mask: one set of hidden cells for all examples.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::bits::BitMatrix;
use super::block_threshold;
use super::blocks::BlockLayout;
use super::cells::{AttentionType, Grid, LayerKey, unknown_layer};
use super::error::PruningError;
use super::file::Document;
use super::pattern::AttentionPattern;
use super::static_pattern::{Kept, StaticPattern};
use super::threshold::{self, Scope, Semantics};
use super::weighing::Weighing;

/// How the hidden cells of a mask were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskKind {
    /// From an attention pattern: the cells of smallest mean.
    Ap,
    /// From an attention pattern: the blocks of cells of smallest mean.
    ApBlocks {
        /// Rows, and columns, of a block.
        block_size: usize,
    },
    /// Drawn at random, as many as another mask hides.
    Random {
        /// The seed of the draw.
        seed: u64,
    },
    /// What a static pattern hides.
    Static {
        /// The pattern.
        pattern: StaticPattern,
    },
}

impl MaskKind {
    /// The name used in files and tables: `ap`, `ap-blocks`, `random` or `static`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ap => "ap",
            Self::ApBlocks { .. } => "ap-blocks",
            Self::Random { .. } => "random",
            Self::Static { .. } => "static",
        }
    }

    /// Rows, and columns, of the blocks that are hidden whole, if they are.
    pub const fn block_size(self) -> Option<usize> {
        match self {
            Self::ApBlocks { block_size } => Some(block_size),
            Self::Ap | Self::Random { .. } | Self::Static { .. } => None,
        }
    }

    /// What files hold beside the name, and what it is.
    pub(super) fn detail(self) -> Option<(&'static str, String)> {
        match self {
            Self::Ap => None,
            Self::ApBlocks { block_size } => Some(("block_size", block_size.to_string())),
            Self::Random { seed } => Some(("seed", seed.to_string())),
            Self::Static { pattern } => Some(("pattern", pattern.to_string())),
        }
    }

    /// The kind of that name in a file, none for another word.
    pub(super) fn read(
        name: &str,
        document: &Document,
        path: &Path,
    ) -> Result<Option<Self>, PruningError> {
        Ok(Some(match name {
            "ap" => Self::Ap,
            "ap-blocks" => Self::ApBlocks {
                block_size: document.parse(path, "block_size")?,
            },
            "random" => Self::Random {
                seed: document.parse(path, "seed")?,
            },
            "static" => Self::Static {
                pattern: document.pattern(path, "pattern")?,
            },
            _ => return Ok(None),
        }))
    }
}

/// `ap`, `ap-blocks of 16×16`, `random (seed 7)` or `static local(w=16)`.
impl fmt::Display for MaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.as_str();
        match self {
            Self::Ap => f.write_str(name),
            Self::ApBlocks { block_size } => write!(f, "{name} of {block_size}×{block_size}"),
            Self::Random { seed } => write!(f, "{name} (seed {seed})"),
            Self::Static { pattern } => write!(f, "{name} {pattern}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct MaskLayer {
    pub(super) grid: Grid,
    /// Hidden cells, a matrix for each head.
    pub(super) heads: Vec<BitMatrix>,
    /// Cells the pattern had observations of.
    pub(super) observed: BitMatrix,
    /// Cells that the network can see at all.
    pub(super) kept: Kept,
}

impl MaskLayer {
    /// Whether a legal cell was observed of a head that can see it.
    pub(super) fn is_candidate(&self, head: usize, row: usize, col: usize) -> bool {
        self.observed.get(row, col) && !self.kept.hides(head, row, col)
    }
}

/// The hidden cells of every attention type, layer and head, one bit a cell, `true` = hidden.
///
/// Rows and columns are those of the pattern's [`Grid`]: with [`CellRule::Causal`] the first
/// `memory` columns are memory, also when a model's memory is still short.
///
/// [`CellRule::Causal`]: super::CellRule::Causal
///
/// # Source
/// arXiv 2012.02030, steps "threshold" and "retrain with the mask".
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalMask {
    pub(super) kind: MaskKind,
    pub(super) p: f64,
    pub(super) weighing: Weighing,
    pub(super) scope: Scope,
    pub(super) semantics: Semantics,
    pub(super) corpus: String,
    pub(super) model: String,
    pub(super) layers: BTreeMap<LayerKey, MaskLayer>,
}

impl GlobalMask {
    /// Hides the fraction `p` (0 to 1) of the cells, those of smallest mean, as [`Semantics`] and
    /// [`Scope`] define it.
    ///
    /// `corrected` hides the nearest whole number to `p · N` of the N legal observed cells.
    /// `paper` hides all cells ≤ the `round_half_even((N − 1)·p)`-th of all N cells of the
    /// observed bounds, illegal ones included, and everything outside the bounds.
    ///
    /// # Errors
    /// `p` outside 0 to 1, a layer without observations, or padding observed otherwise than the
    /// semantics asks.
    pub fn from_pattern(
        pattern: &AttentionPattern,
        p: f64,
        scope: Scope,
        semantics: Semantics,
    ) -> Result<Self, PruningError> {
        let hidden = threshold::select(pattern, p, scope, semantics)?;
        let how = (Weighing::Cells, scope, semantics);
        Ok(Self::of_cells(pattern, MaskKind::Ap, p, how, hidden))
    }

    /// Hides the fraction `p` (0 to 1) of the *uses* of the cells, those of smallest mean first: `corrected` semantics, in
    /// which a cell counts as often as observed examples use it.
    ///
    /// Let c₁, c₂, … be the legal observed cells of a [`Scope`] in ascending order of mean, equal ones in the order of
    /// [`from_pattern`](Self::from_pattern), and `u_k` the number of observed examples that have both the query and the key
    /// of c_k. Hidden are c₁ … c_n with the n for which `Σ_{k ≤ n} u_k` is nearest to `p · Σ_k u_k`; of two as near, the even
    /// one. Padding is used by nobody. Where all cells are used equally often, it is the mask of `from_pattern`.
    ///
    /// # Errors
    /// As [`from_pattern`](Self::from_pattern).
    pub fn from_pattern_by_uses(
        pattern: &AttentionPattern,
        p: f64,
        scope: Scope,
    ) -> Result<Self, PruningError> {
        let hidden = threshold::select_by_uses(pattern, p, scope)?;
        let how = (Weighing::Uses, scope, Semantics::Corrected);
        Ok(Self::of_cells(pattern, MaskKind::Ap, p, how, hidden))
    }

    /// Hides about the fraction `p` (0 to 1) of the legal observed cells in whole blocks of
    /// `block_size × block_size`, those of smallest mean: what it hides, a block-sparse kernel skips.
    ///
    /// Of the blocks of each [`Scope`], in the order of their means, as many are hidden as bring the fraction
    /// of hidden cells nearest to `p`. Semantics are `corrected`.
    ///
    /// # Errors
    /// As [`from_pattern`](Self::from_pattern), and [`PruningError::BlockSize`].
    pub fn from_pattern_in_blocks(
        pattern: &AttentionPattern,
        p: f64,
        scope: Scope,
        block_size: usize,
    ) -> Result<Self, PruningError> {
        Self::in_blocks(pattern, p, scope, (block_size, Weighing::Cells))
    }

    /// Hides about the fraction `p` (0 to 1) of the *uses* of the legal observed cells in whole blocks: the blocks of
    /// [`from_pattern_in_blocks`](Self::from_pattern_in_blocks) in the same order, as many as bring the fraction of hidden
    /// uses nearest to `p`.
    ///
    /// # Errors
    /// As [`from_pattern_in_blocks`](Self::from_pattern_in_blocks).
    pub fn from_pattern_in_blocks_by_uses(
        pattern: &AttentionPattern,
        p: f64,
        scope: Scope,
        block_size: usize,
    ) -> Result<Self, PruningError> {
        Self::in_blocks(pattern, p, scope, (block_size, Weighing::Uses))
    }

    fn in_blocks(
        pattern: &AttentionPattern,
        p: f64,
        scope: Scope,
        (block_size, weighing): (usize, Weighing),
    ) -> Result<Self, PruningError> {
        let hidden = block_threshold::select(pattern, p, scope, block_size, weighing)?;
        let kind = MaskKind::ApBlocks { block_size };
        let how = (weighing, scope, Semantics::Corrected);
        Ok(Self::of_cells(pattern, kind, p, how, hidden))
    }

    fn of_cells(
        pattern: &AttentionPattern,
        kind: MaskKind,
        p: f64,
        (weighing, scope, semantics): (Weighing, Scope, Semantics),
        mut hidden: threshold::Hidden,
    ) -> Self {
        let mut layers = BTreeMap::new();
        for (key, cells) in pattern.layers() {
            let heads = hidden.remove(&key).unwrap_or_default();
            let layer = MaskLayer {
                grid: cells.grid,
                heads,
                observed: cells.observed(),
                kept: cells.kept.clone(),
            };
            layers.insert(key, layer);
        }
        let header = pattern.header();
        let (corpus, model) = (header.corpus.clone(), header.model.clone());
        Self {
            kind,
            p,
            weighing,
            scope,
            semantics,
            corpus,
            model,
            layers,
        }
    }

    /// What a static pattern hides of layers with these grids, every legal cell of which counts as observed: the
    /// mask of a network that sees these cells only.
    ///
    /// Positions beyond the grids stay visible (`corrected` semantics); `p` is the share of legal cells that is
    /// hidden.
    ///
    /// # Errors
    /// [`PruningError::StaticPattern`], [`PruningError::StaticGrid`].
    pub fn from_static(
        pattern: StaticPattern,
        grids: impl IntoIterator<Item = ((AttentionType, usize), Grid)>,
    ) -> Result<Self, PruningError> {
        let mut layers = BTreeMap::new();
        let (mut n_hidden, mut n_legal) = (0, 0);
        for (key, grid) in grids {
            pattern.check_grid(key, &grid)?;
            let heads = pattern.bits(&grid);
            let mut observed = BitMatrix::new(grid.n_rows, grid.n_cols);
            for row in 0..grid.n_rows {
                for col in 0..grid.n_cols.min(grid.rule.legal_cols(row)) {
                    observed.set(row, col, true);
                    n_legal += grid.n_heads;
                    n_hidden += heads.iter().filter(|bits| bits.get(row, col)).count();
                }
            }
            let kept = Kept::default();
            let layer = MaskLayer {
                grid,
                heads,
                observed,
                kept,
            };
            layers.insert(key, layer);
        }
        Ok(Self {
            kind: MaskKind::Static { pattern },
            p: n_hidden as f64 / (n_legal as f64).max(1.0),
            weighing: Weighing::Cells,
            scope: Scope::Head,
            semantics: Semantics::Corrected,
            corpus: String::new(),
            model: String::new(),
            layers,
        })
    }

    /// How the cells were chosen.
    pub const fn kind(&self) -> MaskKind {
        self.kind
    }

    /// The nominal fraction, 0 to 1.
    pub const fn p(&self) -> f64 {
        self.p
    }

    /// What p is a fraction of: cells, or uses of them.
    pub const fn weighing(&self) -> Weighing {
        self.weighing
    }

    /// Which cells shared a threshold.
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// What p is a fraction of.
    pub const fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// The corpus of the pattern, in its caller's words.
    pub fn corpus(&self) -> &str {
        &self.corpus
    }

    /// The model of the pattern, in its caller's words.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The attention types and layers that the mask has.
    pub fn layers(&self) -> impl Iterator<Item = (AttentionType, usize)> + '_ {
        self.layers.keys().copied()
    }

    /// The grid of a layer.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`].
    pub fn grid(&self, attention_type: AttentionType, layer: usize) -> Result<&Grid, PruningError> {
        Ok(&self.layer((attention_type, layer))?.grid)
    }

    /// The extent of the observed cells of a layer: one past the last row and column.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`].
    pub fn bounds(
        &self,
        attention_type: AttentionType,
        layer: usize,
    ) -> Result<(usize, usize), PruningError> {
        let MaskLayer { grid, observed, .. } = self.layer((attention_type, layer))?;
        Ok(threshold::bounds(observed, grid))
    }

    /// Whether a cell is hidden. A row or column that the mask does not have is visible in
    /// `corrected` and hidden in `paper` semantics.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`], [`PruningError::UnknownHead`].
    pub fn hidden(
        &self,
        attention_type: AttentionType,
        layer: usize,
        head: usize,
        row: usize,
        col: usize,
    ) -> Result<bool, PruningError> {
        let mask = self.layer((attention_type, layer))?;
        if head >= mask.heads.len() {
            let n_heads = mask.heads.len();
            return Err(PruningError::UnknownHead {
                attention_type,
                layer,
                head,
                n_heads,
            });
        }
        Ok(self.bit(mask, head, row, col))
    }

    /// The mask of a layer for `rows × cols` cells counted from the first row and column:
    /// `[n_heads, rows, cols]` row by row, `true` = hidden.
    ///
    /// More rows or columns than the mask has are visible in `corrected` and hidden in `paper`
    /// semantics; fewer are the upper left part.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`].
    pub fn cells(
        &self,
        attention_type: AttentionType,
        layer: usize,
        rows: usize,
        cols: usize,
    ) -> Result<Vec<bool>, PruningError> {
        let mask = self.layer((attention_type, layer))?;
        let mut cells = Vec::with_capacity(mask.heads.len() * rows * cols);
        for head in 0..mask.heads.len() {
            for row in 0..rows {
                cells.extend((0..cols).map(|col| self.bit(mask, head, row, col)));
            }
        }
        Ok(cells)
    }

    /// The state of each block of `block_size × block_size` of a layer for `rows × cols` cells.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`], [`PruningError::BlockSize`].
    pub fn block_layout(
        &self,
        attention_type: AttentionType,
        layer: usize,
        rows: usize,
        cols: usize,
        block_size: usize,
    ) -> Result<BlockLayout, PruningError> {
        let mask = self.layer((attention_type, layer))?;
        BlockLayout::new(&mask.grid, (rows, cols), block_size, |head, row, col| {
            self.bit(mask, head, row, col) || mask.kept.hides(head, row, col)
        })
    }

    /// Checks that the mask was made for a model of this size.
    ///
    /// # Errors
    /// [`PruningError::Shape`], [`PruningError::UnknownLayer`].
    pub fn check_shape(
        &self,
        attention_type: AttentionType,
        layer: usize,
        heads: usize,
        rows: usize,
        cols: usize,
    ) -> Result<(), PruningError> {
        let &Grid {
            n_heads,
            n_rows,
            n_cols,
            ..
        } = self.grid(attention_type, layer)?;
        if (n_heads, n_rows, n_cols) == (heads, rows, cols) {
            return Ok(());
        }
        let (mask_heads, mask_rows, mask_cols) = (n_heads, n_rows, n_cols);
        Err(PruningError::Shape {
            attention_type,
            layer,
            heads,
            rows,
            cols,
            mask_heads,
            mask_rows,
            mask_cols,
        })
    }

    pub(super) fn layer(&self, key: LayerKey) -> Result<&MaskLayer, PruningError> {
        self.layers
            .get(&key)
            .ok_or_else(|| unknown_layer(key, self.layers()))
    }

    fn bit(&self, mask: &MaskLayer, head: usize, row: usize, col: usize) -> bool {
        if row < mask.grid.n_rows && col < mask.grid.n_cols {
            return mask.heads[head].get(row, col);
        }
        match self.semantics {
            Semantics::Corrected => false,
            Semantics::Paper => true,
        }
    }
}
