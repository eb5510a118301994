//! Which blocks of cells a kernel may skip.

use std::ops::Range;

use super::cells::Grid;
use super::error::PruningError;

/// What a block of cells holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockState {
    /// No legal cell: skipped with or without pruning.
    Illegal,
    /// Every legal cell is hidden: the mask lets a kernel skip it.
    Hidden,
    /// Some legal cells are hidden: a kernel must read the mask.
    Partial,
    /// No legal cell is hidden.
    Visible,
}

/// The state of every `block_size × block_size` block of each head; blocks at the right and
/// lower border may be smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLayout {
    block_size: usize,
    n_heads: usize,
    n_block_rows: usize,
    n_block_cols: usize,
    states: Vec<BlockState>,
}

impl BlockLayout {
    /// Sorts the cells of `rows × cols` into blocks; `hidden(head, row, col)` says what the mask
    /// does.
    pub(super) fn new(
        grid: &Grid,
        (rows, cols): (usize, usize),
        block_size: usize,
        hidden: impl Fn(usize, usize, usize) -> bool,
    ) -> Result<Self, PruningError> {
        if block_size == 0 {
            return Err(PruningError::BlockSize);
        }
        let (n_block_rows, n_block_cols) = (rows.div_ceil(block_size), cols.div_ceil(block_size));
        let mut states = Vec::with_capacity(grid.n_heads * n_block_rows * n_block_cols);
        let span = |block: usize, n| block * block_size..((block + 1) * block_size).min(n);
        for head in 0..grid.n_heads {
            for block_row in 0..n_block_rows {
                for block_col in 0..n_block_cols {
                    let (rows, cols) = (span(block_row, rows), span(block_col, cols));
                    states.push(state(grid, rows, cols, |row, col| hidden(head, row, col)));
                }
            }
        }
        Ok(Self {
            block_size,
            n_heads: grid.n_heads,
            n_block_rows,
            n_block_cols,
            states,
        })
    }

    /// Rows, and columns, of a block.
    pub const fn block_size(&self) -> usize {
        self.block_size
    }

    /// Heads.
    pub const fn n_heads(&self) -> usize {
        self.n_heads
    }

    /// Blocks from top to bottom and from left to right.
    pub const fn n_blocks(&self) -> (usize, usize) {
        (self.n_block_rows, self.n_block_cols)
    }

    /// The state of a block; `None` outside the layout.
    pub fn state(&self, head: usize, block_row: usize, block_col: usize) -> Option<BlockState> {
        if block_row >= self.n_block_rows || block_col >= self.n_block_cols {
            return None;
        }
        self.head(head)
            .get(block_row * self.n_block_cols + block_col)
            .copied()
    }

    /// The states of one head, row by row; empty for a head that is not there.
    pub fn head(&self, head: usize) -> &[BlockState] {
        let len = self.n_block_rows * self.n_block_cols;
        self.states.get(head * len..(head + 1) * len).unwrap_or(&[])
    }

    /// How many blocks of a head are in a state.
    pub fn count(&self, head: usize, state: BlockState) -> usize {
        self.head(head).iter().filter(|&&s| s == state).count()
    }
}

fn state(
    grid: &Grid,
    rows: Range<usize>,
    cols: Range<usize>,
    hidden: impl Fn(usize, usize) -> bool,
) -> BlockState {
    let (mut n_legal, mut n_hidden) = (0, 0);
    for row in rows {
        for col in cols.start..cols.end.min(grid.rule.legal_cols(row)) {
            n_legal += 1;
            n_hidden += usize::from(hidden(row, col));
        }
    }
    match n_hidden {
        _ if n_legal == 0 => BlockState::Illegal,
        0 => BlockState::Visible,
        n if n == n_legal => BlockState::Hidden,
        _ => BlockState::Partial,
    }
}
