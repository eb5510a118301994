//! A global mask as blocks: which are hidden as a whole, and the cells of those that are not.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::error::AttentionError;

/// A mask `[n_heads or 1, seq_q, seq_kv]` cut into square blocks, `true` = hidden.
///
/// A block is hidden, visible, or has cells of its own: memory is that of the partial blocks and one number
/// per block.
#[derive(Clone, Debug)]
pub struct BlockMask {
    block: usize,
    shape: [usize; 3],
    /// `[n_heads or 1, n_block_rows, n_block_cols]`: [`HIDDEN_BLOCK`], [`VISIBLE_BLOCK`], or `n + 1`
    /// where the cells are the n-th of `cells`.
    pub(super) layout: Tensor<3, Int>,
    /// The cells of the partial blocks, `[n_partial, block, block]`; one unread block where there are none.
    pub(super) cells: Tensor<3, Bool>,
    counts: [usize; 3],
}

/// The block sizes that kernels of fused attention have, rising.
pub const BLOCK_SIZES: [usize; 4] = [16, 32, 64, 128];

/// A block of which no cell can be seen.
pub const HIDDEN_BLOCK: i64 = -1;
/// A block of which every cell can be seen.
pub const VISIBLE_BLOCK: i64 = 0;

impl BlockMask {
    /// Cuts the mask that `hidden(head, query, key)` tells into blocks of one of [`BLOCK_SIZES`].
    ///
    /// # Errors
    /// [`AttentionError::BlockSize`].
    pub fn new(
        block: usize,
        shape: [usize; 3],
        hidden: impl Fn(usize, usize, usize) -> bool,
        device: &Device,
    ) -> Result<Self, AttentionError> {
        if !BLOCK_SIZES.contains(&block) {
            return Err(AttentionError::BlockSize(block));
        }
        Ok(Self::cut(block, shape, |_, _, _| None, hidden, device))
    }

    /// [`Self::new`] where `all_hidden(head, [first query, last], [first key, last])` can tell of a whole block
    /// whether every cell of it is hidden or none is, so that its cells are not asked.
    pub(super) fn cut(
        block: usize,
        shape: [usize; 3],
        all_hidden: impl Fn(usize, [usize; 2], [usize; 2]) -> Option<bool>,
        hidden: impl Fn(usize, usize, usize) -> bool,
        device: &Device,
    ) -> Self {
        let [n_heads, seq_q, seq_kv] = shape;
        let grid = [n_heads, seq_q.div_ceil(block), seq_kv.div_ceil(block)];
        let mut layout = Vec::with_capacity(grid.iter().product());
        let mut cells = Vec::new();
        let (mut n_partial, mut n_hidden) = (0, 0);
        for head in 0..n_heads {
            for row in 0..grid[1] {
                for col in 0..grid[2] {
                    let range = |at: usize, n: usize| [at * block, ((at + 1) * block).min(n) - 1];
                    if let Some(is_hidden) = all_hidden(head, range(row, seq_q), range(col, seq_kv))
                    {
                        n_hidden += usize::from(is_hidden);
                        layout.push(if is_hidden {
                            HIDDEN_BLOCK
                        } else {
                            VISIBLE_BLOCK
                        });
                        continue;
                    }
                    let first = cells.len();
                    let mut n_seen = 0;
                    let mut n_cells = 0;
                    for i in row * block..(row + 1) * block {
                        for j in col * block..(col + 1) * block {
                            let is_inside = i < seq_q && j < seq_kv;
                            let is_hidden = !is_inside || hidden(head, i, j);
                            n_cells += usize::from(is_inside);
                            n_seen += usize::from(!is_hidden);
                            cells.push(is_hidden);
                        }
                    }
                    let is_partial = n_seen > 0 && n_seen < n_cells;
                    n_partial += usize::from(is_partial);
                    n_hidden += usize::from(n_seen == 0);
                    layout.push(match (n_seen, is_partial) {
                        (0, _) => HIDDEN_BLOCK,
                        (_, true) => n_partial as i64,
                        (_, false) => VISIBLE_BLOCK,
                    });
                    if !is_partial {
                        cells.truncate(first);
                    }
                }
            }
        }
        let n_blocks = layout.len();
        if cells.is_empty() {
            cells.resize(block * block, false);
        }
        let device = device.clone().inner();
        let n_cells = cells.len() / (block * block);
        Self {
            block,
            shape,
            layout: Tensor::from_data(TensorData::new(layout, grid), &device),
            cells: Tensor::from_data(TensorData::new(cells, [n_cells, block, block]), &device),
            counts: [n_hidden, n_partial, n_blocks],
        }
    }

    /// Cuts a mask tensor, which is read from its device.
    ///
    /// # Shapes
    /// - mask: `[n_heads or 1, seq_q, seq_kv]`
    ///
    /// # Errors
    /// [`AttentionError::BlockSize`].
    pub fn from_tensor(mask: Tensor<3, Bool>, block: usize) -> Result<Self, AttentionError> {
        let (shape, device) = (mask.dims(), mask.device());
        let cells: Vec<bool> = mask.into_data().iter::<bool>().collect();
        let [_, seq_q, seq_kv] = shape;
        let hidden = |head, i, j| cells[(head * seq_q + i) * seq_kv + j];
        Self::new(block, shape, hidden, &device)
    }

    /// Rows, and columns, of a block.
    pub const fn block_size(&self) -> usize {
        self.block
    }

    /// `[n_heads or 1, seq_q, seq_kv]`.
    pub const fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The fraction of blocks of which no cell can be seen.
    pub fn fraction_hidden(&self) -> f64 {
        let [hidden, _, all] = self.counts;
        hidden as f64 / all as f64
    }

    /// Every cell.
    ///
    /// # Shapes
    /// - result: `[n_heads or 1, seq_q, seq_kv]`, `true` = hidden
    pub fn to_tensor(&self) -> Tensor<3, Bool> {
        let layout: Vec<i64> = self.layout.to_data().iter::<i64>().collect();
        let cells: Vec<bool> = self.cells.to_data().iter::<bool>().collect();
        let hidden = expand(&layout, &cells, self.block, self.shape);
        Tensor::from_data(TensorData::new(hidden, self.shape), &self.layout.device())
    }
}

/// The cells of a layout, row by row.
fn expand(layout: &[i64], cells: &[bool], block: usize, shape: [usize; 3]) -> Vec<bool> {
    let [n_heads, seq_q, seq_kv] = shape;
    let [rows, cols] = [seq_q.div_ceil(block), seq_kv.div_ceil(block)];
    let mut hidden = Vec::with_capacity(n_heads * seq_q * seq_kv);
    for head in 0..n_heads {
        for i in 0..seq_q {
            for j in 0..seq_kv {
                let code = layout[(head * rows + i / block) * cols + j / block];
                hidden.push(match code {
                    HIDDEN_BLOCK => true,
                    VISIBLE_BLOCK => false,
                    n => cells[((n as usize - 1) * block + i % block) * block + j % block],
                });
            }
        }
    }
    hidden
}
