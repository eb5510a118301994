//! The sparsity report: how much a mask really hides.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::blocks::BlockState;
use super::cells::AttentionType;
use super::error::PruningError;
use super::global_mask::{GlobalMask, MaskKind};
use super::pattern::AttentionPattern;
use super::threshold::{Scope, Semantics};
use super::weighing::Weighing;
use crate::attention::BLOCK_SIZES;

/// Blocks of one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BlockSparsity {
    /// Rows, and columns, of a block.
    pub block_size: usize,
    /// Blocks with at least one legal cell.
    pub n_blocks: u64,
    /// Those of them whose legal cells are all hidden.
    pub n_skipped: u64,
    /// `n_skipped / n_blocks`.
    pub share: f64,
}

/// What is hidden of a head, or of everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sparsity {
    /// Legal cells within the observed bounds that a static pattern, if there is one, does not hide.
    pub legal_cells: u64,
    /// Those of them that are hidden.
    pub hidden_cells: u64,
    /// `hidden_cells / legal_cells`: the effective fraction.
    pub effective: f64,
    /// Legal cells that no observed example used: the threshold does not know them.
    #[serde(default)]
    pub unobserved_cells: u64,
    /// How often the legal cells were used by the observed examples.
    pub uses: u64,
    /// How many of these uses fell on hidden cells.
    pub hidden_uses: u64,
    /// `hidden_uses / uses`: the token-weighted fraction.
    pub token_weighted: f64,
    /// Blocks of each of [`BLOCK_SIZES`].
    pub blocks: Vec<BlockSparsity>,
}

impl Sparsity {
    fn empty() -> Self {
        let blocks = BLOCK_SIZES.map(|block_size| BlockSparsity {
            block_size,
            n_blocks: 0,
            n_skipped: 0,
            share: 0.0,
        });
        Self {
            legal_cells: 0,
            hidden_cells: 0,
            effective: 0.0,
            unobserved_cells: 0,
            uses: 0,
            hidden_uses: 0,
            token_weighted: 0.0,
            blocks: blocks.to_vec(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.legal_cells += other.legal_cells;
        self.hidden_cells += other.hidden_cells;
        self.unobserved_cells += other.unobserved_cells;
        self.uses += other.uses;
        self.hidden_uses += other.hidden_uses;
        for (mine, more) in self.blocks.iter_mut().zip(&other.blocks) {
            mine.n_blocks += more.n_blocks;
            mine.n_skipped += more.n_skipped;
        }
        self.set_shares();
    }

    fn set_shares(&mut self) {
        self.effective = fraction(self.hidden_cells, self.legal_cells);
        self.token_weighted = fraction(self.hidden_uses, self.uses);
        for block in &mut self.blocks {
            block.share = fraction(block.n_skipped, block.n_blocks);
        }
    }
}

/// `part / whole`, and 0 of nothing.
fn fraction(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// The sparsity of one head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadSparsity {
    /// The attention type.
    pub attention_type: AttentionType,
    /// The layer.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// What is hidden of it.
    pub sparsity: Sparsity,
}

/// What a mask hides, by head and in total.
///
/// The nominal p says what was asked. `effective` is the fraction of legal cells, `token_weighted`
/// weighs each cell by how often real examples used it (short sentences never reach the cells
/// far out), and the blocks' fractions say what a block-sparse kernel can skip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SparsityReport {
    /// How the cells were chosen.
    pub kind: MaskKind,
    /// The nominal fraction, 0 to 1.
    pub p: f64,
    /// What it is a fraction of: cells, or uses of them.
    #[serde(default)]
    pub weighing: Weighing,
    /// Which cells shared a threshold.
    pub scope: Scope,
    /// Which cells count, and what becomes of padding.
    pub semantics: Semantics,
    /// Every head of every layer.
    pub heads: Vec<HeadSparsity>,
    /// All heads together.
    pub total: Sparsity,
}

impl SparsityReport {
    /// Counts what `mask` hides; `pattern` says how often each cell is used.
    ///
    /// # Errors
    /// [`PruningError::Mismatch`] or [`PruningError::UnknownLayer`] if the pattern has other
    /// layers or grids than the mask.
    pub fn new(mask: &GlobalMask, pattern: &AttentionPattern) -> Result<Self, PruningError> {
        let mut heads = Vec::new();
        let mut total = Sparsity::empty();
        for (attention_type, layer) in mask.layers() {
            let grid = mask.grid(attention_type, layer)?;
            let counted = &pattern.layer((attention_type, layer))?.grid;
            if grid != counted {
                let (left, right) = (grid.to_string(), counted.to_string());
                let what = "the grids of mask and pattern";
                return Err(PruningError::Mismatch { what, left, right });
            }
            let layer_heads = layer_sparsity(mask, pattern, attention_type, layer)?;
            for (head, sparsity) in layer_heads.into_iter().enumerate() {
                total.add(&sparsity);
                heads.push(HeadSparsity {
                    attention_type,
                    layer,
                    head,
                    sparsity,
                });
            }
        }
        Ok(Self {
            kind: mask.kind(),
            p: mask.p(),
            weighing: mask.weighing(),
            scope: mask.scope(),
            semantics: mask.semantics(),
            heads,
            total,
        })
    }
}

/// The sparsity of each head of a layer, within the observed bounds.
fn layer_sparsity(
    mask: &GlobalMask,
    pattern: &AttentionPattern,
    attention_type: AttentionType,
    layer: usize,
) -> Result<Vec<Sparsity>, PruningError> {
    let grid = mask.grid(attention_type, layer)?;
    let cells = pattern.layer((attention_type, layer))?;
    let (rows, cols) = mask.bounds(attention_type, layer)?;
    let hidden = mask.cells(attention_type, layer, rows, cols)?;
    let mut heads = vec![Sparsity::empty(); grid.n_heads];

    for (head, sparsity) in heads.iter_mut().enumerate() {
        for row in 0..rows {
            for col in 0..cols.min(grid.rule.legal_cols(row)) {
                if cells.kept.hides(head, row, col) {
                    continue;
                }
                let uses = cells.count(row, col);
                sparsity.legal_cells += 1;
                sparsity.unobserved_cells += u64::from(uses == 0);
                sparsity.uses += uses;
                if hidden[(head * rows + row) * cols + col] {
                    sparsity.hidden_cells += 1;
                    sparsity.hidden_uses += uses;
                }
            }
        }
    }
    for (index, block_size) in BLOCK_SIZES.into_iter().enumerate() {
        let layout = mask.block_layout(attention_type, layer, rows, cols, block_size)?;
        for (head, sparsity) in heads.iter_mut().enumerate() {
            let n_illegal = layout.count(head, BlockState::Illegal);
            let block = &mut sparsity.blocks[index];
            block.n_blocks = (layout.head(head).len() - n_illegal) as u64;
            block.n_skipped = layout.count(head, BlockState::Hidden) as u64;
        }
    }
    heads.iter_mut().for_each(Sparsity::set_shares);
    Ok(heads)
}

impl fmt::Display for Sparsity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9.2} {:>9.2}",
            100.0 * self.effective,
            100.0 * self.token_weighted
        )?;
        self.blocks
            .iter()
            .try_for_each(|block| write!(f, " {:>9.2}", 100.0 * block.share))
    }
}

impl fmt::Display for SparsityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            p,
            weighing,
            scope,
            semantics,
            heads,
            total,
        } = self;
        writeln!(
            f,
            "mask {kind}, nominal {:.2} % of the {weighing}, threshold by {scope}, {semantics} semantics",
            100.0 * p
        )?;
        write!(
            f,
            "{:<13} {:>5} {:>5} {:>9} {:>9}",
            "% hidden of", "layer", "head", "legal", "tokens"
        )?;
        BLOCK_SIZES
            .iter()
            .try_for_each(|size| write!(f, " {:>9}", format!("blocks{size}")))?;
        writeln!(f)?;
        for HeadSparsity {
            attention_type,
            layer,
            head,
            sparsity,
        } in heads
        {
            writeln!(f, "{attention_type:<13} {layer:>5} {head:>5} {sparsity}")?;
        }
        write!(f, "{:<13} {:>5} {:>5} {total}", "total", "", "")
    }
}
