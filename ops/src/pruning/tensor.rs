//! Where patterns and masks meet tensors.

use burn::prelude::*;
use burn::tensor::{Bool, DType, FloatDType, TensorData};

use super::cells::AttentionType;
use super::error::PruningError;
use super::global_mask::GlobalMask;
use super::observation::{ObservedBlock, Placement, Valid};
use super::pattern::AttentionPattern;
use crate::attention::BlockMask;

impl AttentionPattern {
    /// Adds the attention weights of a batch; they are summed over the batch on their device and
    /// only the sum is read back.
    ///
    /// Half-precision weights are summed in f32.
    ///
    /// # Shapes
    /// `weights`: `[batch, n_heads, seq_q, seq_kv]`
    ///
    /// # Errors
    /// As [`observe`](AttentionPattern::observe), and [`PruningError::Read`] if the device fails.
    ///
    /// # Source
    /// Rugina et al. 2020 (arXiv 2012.02030), section 3: the mean attention of the training set.
    pub fn observe_tensor(
        &mut self,
        attention_type: AttentionType,
        layer: usize,
        weights: Tensor<4>,
        placement: &Placement,
    ) -> Result<(), PruningError> {
        let [batch, heads, rows, cols] = weights.dims();
        let block = ObservedBlock { heads, rows, cols };
        let key = (attention_type, layer);
        block.check(key, &self.layer(key)?.grid, batch, placement)?;
        if batch * heads * rows * cols == 0 {
            return Ok(());
        }
        let weights = match weights.dtype() {
            DType::F64 | DType::F32 => weights,
            _ => weights.cast(FloatDType::F32),
        };
        let weights = match self.counted_part(placement) {
            None => weights,
            Some(valid) => {
                let padded = padded_cells(valid, rows, cols, &weights.device());
                weights.mask_fill(padded.expand([batch, heads, rows, cols]), 0.0)
            }
        };
        let sums = weights
            .sum_dim(0)
            .try_into_vec_as::<f64>()
            .map_err(|error| PruningError::Read {
                reason: error.to_string(),
            })?;
        self.observe_sum(
            attention_type,
            layer,
            &sums,
            [heads, rows, cols],
            batch,
            placement,
        )
    }
}

/// `[batch, 1, rows, cols]`, true where a cell is padding.
fn padded_cells(valid: &[Valid], rows: usize, cols: usize, device: &Device) -> Tensor<4, Bool> {
    let mut padded = vec![true; valid.len() * rows * cols];
    for (example, part) in valid.iter().enumerate() {
        for row in part.rows.clone() {
            let start = (example * rows + row) * cols;
            padded[start + part.cols.start..start + part.cols.end].fill(false);
        }
    }
    Tensor::from_data(
        TensorData::new(padded, [valid.len(), 1, rows, cols]),
        device,
    )
}

impl GlobalMask {
    /// The mask of one layer for `rows × cols` cells, counted from the first row and column.
    ///
    /// Cells that the mask does not have are visible in `corrected` and hidden in `paper`
    /// semantics, as [`cells`](GlobalMask::cells) says.
    ///
    /// # Shapes
    /// `[n_heads, rows, cols]`, `true` = hidden
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`].
    ///
    /// # Source
    /// Rugina et al. 2020, section 3: the global mask of a layer.
    pub fn tensor(
        &self,
        attention_type: AttentionType,
        layer: usize,
        rows: usize,
        cols: usize,
        device: &Device,
    ) -> Result<Tensor<3, Bool>, PruningError> {
        let cells = self.cells(attention_type, layer, rows, cols)?;
        let n_heads = self.grid(attention_type, layer)?.n_heads;
        Ok(Tensor::from_data(
            TensorData::new(cells, [n_heads, rows, cols]),
            device,
        ))
    }

    /// The mask of one layer for `rows × cols` cells as blocks, for fused attention: see
    /// [`tensor`](GlobalMask::tensor).
    ///
    /// # Shapes
    /// - of the cells: `[n_heads, rows, cols]`
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`], [`PruningError::KernelBlock`] for a block size that kernels do
    /// not have.
    pub fn block_mask(
        &self,
        attention_type: AttentionType,
        layer: usize,
        rows: usize,
        cols: usize,
        block_size: usize,
        device: &Device,
    ) -> Result<BlockMask, PruningError> {
        let cells = self.cells(attention_type, layer, rows, cols)?;
        let n_heads = self.grid(attention_type, layer)?.n_heads;
        let hidden = |head, row, col| cells[(head * rows + row) * cols + col];
        Ok(BlockMask::new(
            block_size,
            [n_heads, rows, cols],
            hidden,
            device,
        )?)
    }
}
