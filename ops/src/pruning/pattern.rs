//! The attention pattern: how much each cell is used on average by a trained model.

use std::collections::BTreeMap;
use std::ops::Range;

use super::bits::BitMatrix;
use super::cells::{AttentionType, Grid, LayerKey, unknown_layer};
use super::error::PruningError;
use super::observation::{
    ObservedBlock, Padding, PatternHeader, Placement, Valid, check_length, check_weights,
};
use super::static_pattern::{Kept, StaticPattern};

/// Sums and counts of one layer. All heads see the same examples, so they share the counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cells {
    pub(super) grid: Grid,
    pub(super) sums: Vec<f64>,
    pub(super) counts: Vec<u64>,
    pub(super) kept: Kept,
}

impl Cells {
    fn new(grid: Grid, pattern: Option<StaticPattern>) -> Self {
        let sums = vec![0.0; grid.n_heads * grid.head_len()];
        Self {
            grid,
            sums,
            counts: vec![0; grid.head_len()],
            kept: Kept::new(pattern, &grid),
        }
    }

    /// Whether a legal cell was observed of a head that can see it.
    pub(super) fn is_candidate(&self, head: usize, row: usize, col: usize) -> bool {
        self.count(row, col) > 0 && !self.kept.hides(head, row, col)
    }

    pub(super) fn count(&self, row: usize, col: usize) -> u64 {
        self.counts[row * self.grid.n_cols + col]
    }

    /// The mean, 0 for a cell that was never observed.
    pub(super) fn mean(&self, head: usize, row: usize, col: usize) -> f64 {
        let cell = row * self.grid.n_cols + col;
        match self.counts[cell] {
            0 => 0.0,
            count => self.sums[head * self.grid.head_len() + cell] / count as f64,
        }
    }

    /// Which cells were observed.
    pub(super) fn observed(&self) -> BitMatrix {
        let mut bits = BitMatrix::new(self.grid.n_rows, self.grid.n_cols);
        for row in 0..self.grid.n_rows {
            for col in 0..self.grid.n_cols {
                bits.set(row, col, self.count(row, col) > 0);
            }
        }
        bits
    }

    /// The sums' slice of one block row.
    fn row_mut(&mut self, head: usize, row: usize, cols: Range<usize>) -> &mut [f64] {
        let start = head * self.grid.head_len() + row * self.grid.n_cols;
        &mut self.sums[start + cols.start..start + cols.end]
    }
}

/// The running mean of the attention weights of every cell:
/// `mean[type, layer, head, i, j] = Σ over examples having (i, j) of weight / number of those`.
///
/// Sums are kept in f64, so after `n` observations a mean is exact to about `n · 1.1e-16`
/// relative; counts are exact. Patterns of parts of a corpus [`merge`](Self::merge) into the
/// pattern of the whole.
///
/// # Source
/// arXiv 2012.02030, step "observe".
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionPattern {
    pub(super) header: PatternHeader,
    pub(super) padding_seen: bool,
    pub(super) layers: BTreeMap<LayerKey, Cells>,
}

impl AttentionPattern {
    /// A pattern without observations.
    ///
    /// # Panics
    /// If a static pattern of the header is out of range: with the message of [`StaticPattern::check`]'s error.
    pub fn new(header: PatternHeader) -> Self {
        let layers = header
            .grids
            .iter()
            .map(|(&key, &grid)| {
                let pattern = header.static_patterns.get(&key).copied();
                (key, Cells::new(grid, pattern))
            })
            .collect();
        Self {
            header,
            padding_seen: false,
            layers,
        }
    }

    /// What the pattern is about.
    pub const fn header(&self) -> &PatternHeader {
        &self.header
    }

    /// Whether any observed example had padding.
    pub const fn padding_seen(&self) -> bool {
        self.padding_seen
    }

    /// The mean weight of a cell; `None` if it was never observed or lies outside the grid.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`].
    pub fn mean(
        &self,
        attention_type: AttentionType,
        layer: usize,
        head: usize,
        row: usize,
        col: usize,
    ) -> Result<Option<f64>, PruningError> {
        let cells = self.layer((attention_type, layer))?;
        let Grid {
            n_heads,
            n_rows,
            n_cols,
            ..
        } = cells.grid;
        let inside = head < n_heads && row < n_rows && col < n_cols;
        Ok((inside && cells.count(row, col) > 0).then(|| cells.mean(head, row, col)))
    }

    /// How often a cell was observed: 0 outside the grid.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`].
    pub fn count(
        &self,
        attention_type: AttentionType,
        layer: usize,
        row: usize,
        col: usize,
    ) -> Result<u64, PruningError> {
        let cells = self.layer((attention_type, layer))?;
        let inside = row < cells.grid.n_rows && col < cells.grid.n_cols;
        Ok(if inside { cells.count(row, col) } else { 0 })
    }

    /// Adds the weights of a batch, `[batch, heads, rows, columns]` row by row.
    ///
    /// # Errors
    /// A block outside the grid, a wrong length, a weight that is negative or not a number, or a
    /// weight on an illegal cell (the sign of a wrong placement). Nothing is added then.
    pub fn observe(
        &mut self,
        attention_type: AttentionType,
        layer: usize,
        weights: &[f32],
        shape: [usize; 4],
        placement: &Placement,
    ) -> Result<(), PruningError> {
        let [batch, heads, rows, cols] = shape;
        let key = (attention_type, layer);
        let block = ObservedBlock { heads, rows, cols };
        block.check(key, &self.layer(key)?.grid, batch, placement)?;
        check_length(weights.len(), &shape)?;

        let whole = [Valid::first(rows, cols)];
        let valid = self.counted_part(placement).unwrap_or(&whole).to_vec();
        let mut sums = vec![0.0; heads * rows * cols];
        if heads * rows * cols > 0 {
            for (example, weights) in weights.chunks_exact(heads * rows * cols).enumerate() {
                // One entry stands for all examples where there is no padding.
                let Valid {
                    rows: valid_rows,
                    cols: valid_cols,
                } = &valid[example.min(valid.len() - 1)];
                for head in 0..heads {
                    for row in valid_rows.clone() {
                        let start = (head * rows + row) * cols;
                        let range = start + valid_cols.start..start + valid_cols.end;
                        for (sum, &weight) in sums[range.clone()].iter_mut().zip(&weights[range]) {
                            // A negative weight must not hide behind a positive one.
                            *sum += if weight < 0.0 {
                                f64::NAN
                            } else {
                                f64::from(weight)
                            };
                        }
                    }
                }
            }
        }
        self.add(key, &sums, block, batch, placement)
    }

    /// Adds weights that were already summed over `batch` examples: `[heads, rows, columns]`.
    ///
    /// With padding named in the placement, the sums must already leave it out or average it in
    /// as the header says; only the counts follow from the placement.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn observe_sum(
        &mut self,
        attention_type: AttentionType,
        layer: usize,
        sums: &[f64],
        shape: [usize; 3],
        batch: usize,
        placement: &Placement,
    ) -> Result<(), PruningError> {
        let [heads, rows, cols] = shape;
        let block = ObservedBlock { heads, rows, cols };
        let key = (attention_type, layer);
        block.check(key, &self.layer(key)?.grid, batch, placement)?;
        check_length(sums.len(), &shape)?;
        self.add(key, sums, block, batch, placement)
    }

    /// Adds the observations of another pattern of the same corpus, model and grids.
    ///
    /// # Errors
    /// [`PruningError::Mismatch`] if the headers differ; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), PruningError> {
        let (left, right) = (&self.header, &other.header);
        let mismatch = |what, left: &dyn std::fmt::Debug, right: &dyn std::fmt::Debug| {
            let (left, right) = (format!("{left:?}"), format!("{right:?}"));
            Err(PruningError::Mismatch { what, left, right })
        };
        if left.corpus != right.corpus {
            return mismatch("the corpora of two patterns", &left.corpus, &right.corpus);
        }
        if left.model != right.model {
            return mismatch("the models of two patterns", &left.model, &right.model);
        }
        if left.padding != right.padding {
            return mismatch(
                "the paddings of two patterns",
                &left.padding,
                &right.padding,
            );
        }
        if left.grids != right.grids {
            return mismatch("the grids of two patterns", &left.grids, &right.grids);
        }
        if left.static_patterns != right.static_patterns {
            return mismatch(
                "the static patterns of two patterns",
                &left.static_patterns,
                &right.static_patterns,
            );
        }
        self.padding_seen |= other.padding_seen;
        for (cells, more) in self.layers.values_mut().zip(other.layers.values()) {
            cells
                .sums
                .iter_mut()
                .zip(&more.sums)
                .for_each(|(sum, more)| *sum += more);
            cells
                .counts
                .iter_mut()
                .zip(&more.counts)
                .for_each(|(count, more)| *count += more);
        }
        Ok(())
    }

    /// The part of the pattern that is about some attention types: what a mask on these alone is
    /// made from.
    #[must_use]
    pub fn only(&self, attention_types: &[AttentionType]) -> Self {
        let mut part = self.clone();
        part.header
            .grids
            .retain(|(attention_type, _), _| attention_types.contains(attention_type));
        part.header
            .static_patterns
            .retain(|(attention_type, _), _| attention_types.contains(attention_type));
        part.layers
            .retain(|(attention_type, _), _| attention_types.contains(attention_type));
        part
    }

    pub(super) fn layer(&self, key: LayerKey) -> Result<&Cells, PruningError> {
        self.layers
            .get(&key)
            .ok_or_else(|| unknown_layer(key, self.layers.keys().copied()))
    }

    pub(super) fn layers(&self) -> impl Iterator<Item = (LayerKey, &Cells)> {
        self.layers.iter().map(|(&key, cells)| (key, cells))
    }

    /// The part of each example that counts; `None`: all of it.
    pub(super) fn counted_part<'a>(&self, placement: &'a Placement) -> Option<&'a [Valid]> {
        match self.header.padding {
            Padding::LeftOut => placement.valid.as_deref(),
            Padding::AveragedIn => None,
        }
    }

    /// Adds checked sums and the counts that belong to them.
    fn add(
        &mut self,
        key: LayerKey,
        sums: &[f64],
        block: ObservedBlock,
        batch: usize,
        placement: &Placement,
    ) -> Result<(), PruningError> {
        let ObservedBlock { heads, rows, cols } = block;
        let &Placement { row, col, .. } = placement;
        if batch == 0 || heads * rows * cols == 0 {
            return Ok(());
        }
        let cells = self.layer(key)?;
        let grid = cells.grid;
        check_weights(key, (&grid, &cells.kept), sums, block, placement)?;

        let counted = self.counted_part(placement).map(<[Valid]>::to_vec);
        let whole = Valid::first(rows, cols);
        self.padding_seen |= placement.valid.iter().flatten().any(|v| *v != whole);
        let Some(cells) = self.layers.get_mut(&key) else {
            return Ok(());
        };
        for (index, more) in sums.chunks_exact(cols).enumerate() {
            let target = cells.row_mut(index / rows, row + index % rows, col..col + cols);
            target
                .iter_mut()
                .zip(more)
                .for_each(|(sum, more)| *sum += more);
        }
        let (parts, each) = match counted {
            Some(valid) => (valid, 1),
            None => (vec![whole], batch as u64),
        };
        for Valid { rows, cols } in parts {
            for r in rows {
                let start = (row + r) * grid.n_cols + col;
                let counts = &mut cells.counts[start + cols.start..start + cols.end];
                counts.iter_mut().for_each(|count| *count += each);
            }
        }
        Ok(())
    }
}
