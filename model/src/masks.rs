//! Global masks as the networks take them.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::prelude::*;
use burn::tensor::TensorData;
use sparta_ops::attention::{AttentionOptions, BLOCK_SIZES, BlockMask, Implementation};
use sparta_ops::pruning::{
    AttentionType, CellRule, GlobalMask, IndexSets, PruningError, StaticPattern,
};

use crate::error::ModelError;
use crate::layer::mechanism::{Abilities, StaticMasks};

/// The size of the blocks that a mask of single cells is cut into: keys of a tile of the fused kernels.
const BLOCK_SIZE: usize = 64;

/// Blocks are kept for so many parts of a mask, the latest ones: a batch is rarely as long as the last.
const KEPT: usize = 8;

/// The global mask of one layer, `[n_heads, rows, columns]`, `true` = hidden: cells where attention is
/// computed by its definition, and blocks, of which the hidden ones are skipped, where fused kernels compute
/// it. Both are made when they are first needed, and kept.
///
/// Copies share what was made.
///
/// ```
/// use burn::prelude::*;
/// use sparta_model::LayerMask;
/// let cells = Tensor::<3, Bool>::tril_mask([1, 8, 8], 0, &Device::flex());
/// let mask = LayerMask::from(cells);
/// assert_eq!(mask.part(0..4, 2..8).dims(), [1, 4, 6]);
/// ```
#[derive(Clone)]
pub struct LayerMask {
    whole: Arc<Whole>,
    rows: Range<usize>,
    columns: Range<usize>,
}

struct Whole {
    shape: [usize; 3],
    device: Device,
    block_size: usize,
    /// What decides the cells, of a mask that no tensor was given for.
    pattern: Option<(StaticPattern, CellRule)>,
    /// At least one of the three is there.
    cells: OnceLock<Tensor<3, Bool>>,
    hidden: OnceLock<Vec<bool>>,
    blocks: Mutex<Vec<(Part, BlockMask)>>,
}

/// Rows, columns, and whether cells behind the diagonal count.
type Part = (Range<usize>, Range<usize>, bool);

impl fmt::Debug for LayerMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, rows, columns) = (self.whole.shape, &self.rows, &self.columns);
        write!(f, "LayerMask({rows:?}, {columns:?} of {shape:?})")
    }
}

impl From<Tensor<3, Bool>> for LayerMask {
    fn from(cells: Tensor<3, Bool>) -> Self {
        let (shape, device) = (cells.dims(), cells.device());
        let mask = Self::of(shape, device, BLOCK_SIZE, None);
        mask.whole.cells.get_or_init(|| cells);
        mask
    }
}

impl LayerMask {
    /// The mask of a layer for `rows × columns` cells; blocks are those that the mask was made of, or 64 × 64.
    ///
    /// # Shapes
    /// - mask: `[n_heads, rows, columns]`
    ///
    /// Positions beyond those of the mask are visible in `corrected` and hidden in `paper` semantics.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`].
    pub fn new(
        mask: &GlobalMask,
        attention_type: AttentionType,
        layer: usize,
        [rows, columns]: [usize; 2],
        device: &Device,
    ) -> Result<Self, PruningError> {
        let hidden = mask.cells(attention_type, layer, rows, columns)?;
        let n_heads = mask.grid(attention_type, layer)?.n_heads;
        let fits = |size: &usize| BLOCK_SIZES.contains(size);
        let block_size = mask.kind().block_size().filter(fits).unwrap_or(BLOCK_SIZE);
        let of_layer = Self::of([n_heads, rows, columns], device.clone(), block_size, None);
        of_layer.whole.hidden.get_or_init(|| hidden);
        Ok(of_layer)
    }

    /// The mask of a static pattern for the first `size` positions, one head where all see the same.
    pub(crate) fn of_pattern(
        pattern: StaticPattern,
        n_heads: usize,
        causal: bool,
        size: usize,
        device: &Device,
    ) -> Self {
        let rule = match causal {
            true => CellRule::Causal { memory: 0 },
            false => CellRule::Full,
        };
        let block_size = match pattern.sets {
            // The largest blocks that are seen or hidden as a whole.
            IndexSets::Fixed { l, c, .. } => (BLOCK_SIZES.into_iter().rev())
                .find(|size| *size <= BLOCK_SIZE && l % size == 0 && c % size == 0)
                .unwrap_or(BLOCK_SIZE),
            IndexSets::Strided { .. } | IndexSets::Local { .. } | IndexSets::Random { .. } => {
                BLOCK_SIZE
            }
        };
        let shape = [pattern.distinct_heads(n_heads), size, size];
        Self::of(shape, device.clone(), block_size, Some((pattern, rule)))
    }

    fn of(
        shape: [usize; 3],
        device: Device,
        block_size: usize,
        pattern: Option<(StaticPattern, CellRule)>,
    ) -> Self {
        let whole = Whole {
            shape,
            device,
            block_size,
            pattern,
            cells: OnceLock::new(),
            hidden: OnceLock::new(),
            blocks: Mutex::default(),
        };
        Self {
            whole: Arc::new(whole),
            rows: 0..shape[1],
            columns: 0..shape[2],
        }
    }

    /// `[n_heads, rows, columns]`.
    pub fn dims(&self) -> [usize; 3] {
        [self.whole.shape[0], self.rows.len(), self.columns.len()]
    }

    /// Some rows and columns, without a copy.
    ///
    /// # Panics
    /// If they are not there.
    pub fn part(&self, rows: Range<usize>, columns: Range<usize>) -> Self {
        let [n_heads, n_rows, n_columns] = self.dims();
        assert!(
            rows.end <= n_rows && columns.end <= n_columns,
            "the global mask [{n_heads}, {n_rows}, {n_columns}] is smaller than the attention \
             [{n_heads}, {}, {}]",
            rows.end,
            columns.end
        );
        let of = |whole: &Range<usize>, part: Range<usize>| {
            whole.start + part.start..whole.start + part.end
        };
        Self {
            whole: self.whole.clone(),
            rows: of(&self.rows, rows),
            columns: of(&self.columns, columns),
        }
    }

    /// Every cell, `true` where hidden.
    ///
    /// # Shapes
    /// - output: `[n_heads, rows, columns]`
    pub fn cells(&self) -> Tensor<3, Bool> {
        let Whole { shape, device, .. } = &*self.whole;
        let cells = self.whole.cells.get_or_init(|| {
            let hidden = match (self.whole.hidden.get(), self.whole.pattern) {
                (Some(hidden), _) => hidden.clone(),
                (None, Some((pattern, rule))) => pattern.cells(rule, *shape),
                (None, None) => Vec::new(),
            };
            Tensor::from_data(TensorData::new(hidden, *shape), device)
        });
        match self.dims() == *shape {
            true => cells.clone(),
            false => (cells.clone()).slice([0..shape[0], self.rows.clone(), self.columns.clone()]),
        }
    }

    /// Whether it is the same part of the same mask.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.whole, &other.whole)
            && (&self.rows, &self.columns) == (&other.rows, &other.columns)
    }

    /// What either of two masks of as many rows and columns hides; one of a single head is every head's.
    pub(crate) fn join(&self, other: &Self) -> Self {
        let [n_heads, rows, columns] = self.dims();
        let n_heads = n_heads.max(other.dims()[0]);
        let mut hidden = Vec::with_capacity(n_heads * rows * columns);
        let (a, b) = (self.reader(), other.reader());
        for head in 0..n_heads {
            for row in 0..rows {
                hidden.extend(
                    (0..columns).map(|column| a(head, row, column) || b(head, row, column)),
                );
            }
        }
        let block_size = self.whole.block_size.min(other.whole.block_size);
        let device = other.whole.device.clone();
        let joined = Self::of([n_heads, rows, columns], device, block_size, None);
        joined.whole.hidden.get_or_init(|| hidden);
        joined
    }

    /// Whether a cell of this part is hidden.
    fn reader(&self) -> Box<dyn Fn(usize, usize, usize) -> bool + '_> {
        let [n_heads, all_rows, all_columns] = self.whole.shape;
        let (first_row, first_column) = (self.rows.start, self.columns.start);
        let is_drawn = |pattern: &StaticPattern| matches!(pattern.sets, IndexSets::Random { .. });
        if let Some((pattern, rule)) = self.whole.pattern
            && !is_drawn(&pattern)
        {
            return Box::new(move |head, row, column| {
                let (row, column) = (first_row + row, first_column + column);
                pattern.hidden(rule, n_heads, head % n_heads, row, column)
            });
        }
        let hidden =
            self.whole
                .hidden
                .get_or_init(|| match (self.whole.cells.get(), self.whole.pattern) {
                    (Some(cells), _) => cells.to_data().iter::<bool>().collect(),
                    (None, Some((pattern, rule))) => pattern.cells(rule, self.whole.shape),
                    (None, None) => Vec::new(),
                });
        Box::new(move |head, row, column| {
            let (row, column) = (first_row + row, first_column + column);
            hidden[(head % n_heads * all_rows + row) * all_columns + column]
        })
    }

    /// The same cells as blocks, `[n_heads, rows, columns]`. Under a causal mask, aligned bottom right, a block is hidden too if every
    /// cell up to the diagonal is.
    pub fn blocks(&self, causal: bool) -> BlockMask {
        let part = (self.rows.clone(), self.columns.clone(), causal);
        // What a panic left behind is whole: entries are pushed complete.
        let mut kept = (self.whole.blocks.lock()).unwrap_or_else(PoisonError::into_inner);
        if let Some((_, blocks)) = kept.iter().find(|(of, _)| *of == part) {
            return blocks.clone();
        }
        let blocks = self.cut(causal);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((part, blocks.clone()));
        blocks
    }

    fn cut(&self, causal: bool) -> BlockMask {
        let is_hidden = self.reader();
        let [n_heads, rows, columns] = self.dims();
        let block_size = self.whole.block_size;
        // Columns from the first that a query may see under a causal mask.
        let seen = |row: usize| match causal {
            true => (row + 1 + columns).saturating_sub(rows).min(columns),
            false => columns,
        };
        let (down, right) = (rows.div_ceil(block_size), columns.div_ceil(block_size));
        let mut is_open = vec![false; n_heads * down * right];
        for head in 0..n_heads {
            for row in 0..rows {
                let blocks = (head * down + row / block_size) * right;
                for column in 0..seen(row) {
                    is_open[blocks + column / block_size] |= !is_hidden(head, row, column);
                }
            }
        }
        let in_block = |head: usize, row: usize, column: usize| {
            let block = (head * down + row / block_size) * right + column / block_size;
            !is_open[block] || is_hidden(head, row, column)
        };
        BlockMask::new(block_size, self.dims(), in_block, &self.whole.device)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// What is hidden in a call of a layer besides causality and padding.
#[derive(Default)]
pub(crate) struct Hidden<'a> {
    /// The layer's global mask.
    pub(crate) global: Option<LayerMask>,
    /// The part of a static pattern, and where what it hides together with global masks is kept.
    pub(crate) pattern: Option<(LayerMask, &'a StaticMasks)>,
}

impl From<Option<LayerMask>> for Hidden<'_> {
    fn from(global: Option<LayerMask>) -> Self {
        let pattern = None;
        Self { global, pattern }
    }
}

impl Hidden<'_> {
    pub(crate) fn cells(&self) -> Option<Tensor<3, Bool>> {
        let global = self.global.as_ref().map(LayerMask::cells);
        let pattern = self.pattern.as_ref().map(|(part, _)| part.cells());
        [global, pattern].into_iter().flatten().reduce(either)
    }

    fn blocks(self, causal: bool) -> Option<BlockMask> {
        let mask = match (self.global, self.pattern) {
            (Some(global), Some((part, masks))) => masks.joined(&global, &part),
            (Some(global), None) => global,
            (None, pattern) => pattern?.0,
        };
        Some(mask.blocks(causal))
    }
}

/// What either mask hides, `[n_heads or 1, rows, columns]`.
pub(crate) fn either(a: Tensor<3, Bool>, b: Tensor<3, Bool>) -> Tensor<3, Bool> {
    let (left, right) = (a.dims(), b.dims());
    let shape: [usize; 3] = std::array::from_fn(|d| left[d].max(right[d]));
    a.expand(shape).bool_or(b.expand(shape))
}

/// Hides cells in the form that the attention's implementation takes, which is chosen here for the whole call,
/// within the abilities of the mechanism; all other options are set.
pub(crate) fn hide(
    options: &mut AttentionOptions,
    hidden: Hidden<'_>,
    abilities: Abilities,
    device: &Device,
    [seq_q, seq_kv]: [usize; 2],
) {
    if hidden.global.is_none() && hidden.pattern.is_none() {
        return;
    }
    // What it cannot be is left for the attention itself to report.
    if abilities.fused
        && let Ok(implementation) = options.resolve(device, [seq_q, seq_kv])
    {
        options.implementation = implementation;
    }
    // Few queries, as in decoding, have no block to skip.
    let in_blocks = seq_q >= BLOCK_SIZES[0] && options.implementation == Implementation::Fused;
    if in_blocks && options.block_mask.is_none() {
        options.block_mask = hidden.blocks(options.causal);
        return;
    }
    let given = options.global_mask.take();
    options.global_mask = [given, hidden.cells()].into_iter().flatten().reduce(either);
}

/// The masks of one attention type for each layer from the first up, or none where `mask` has none of that
/// type; see [`LayerMask::new`].
///
/// # Shapes
/// - output: `[n_heads, rows, columns]` per layer
///
/// # Errors
/// [`PruningError::UnknownLayer`] if the type's layers are not numbered from 0.
pub fn masks_of(
    mask: &GlobalMask,
    attention_type: AttentionType,
    rows: usize,
    columns: usize,
    device: &Device,
) -> Result<Option<Vec<LayerMask>>, PruningError> {
    let of_type = |found: &AttentionType| *found == attention_type;
    let n_layers = mask.layers().filter(|(found, _)| of_type(found)).count();
    let layers: Result<Vec<_>, _> = (0..n_layers)
        .map(|layer| LayerMask::new(mask, attention_type, layer, [rows, columns], device))
        .collect();
    layers.map(|layers| (n_layers > 0).then_some(layers))
}

/// That there is a mask for each layer, of these heads and of at least these rows and columns.
pub(crate) fn check_masks(
    attention_type: AttentionType,
    masks: &[LayerMask],
    n_layers: usize,
    expected: [usize; 3],
) -> Result<(), ModelError> {
    if masks.len() != n_layers {
        return Err(ModelError::AttentionMaskCount {
            attention_type,
            expected: n_layers,
            found: masks.len(),
        });
    }
    let [n_heads, rows, columns] = expected;
    let fits = |found: [usize; 3]| found[0] == n_heads && found[1] >= rows && found[2] >= columns;
    match masks.iter().position(|mask| !fits(mask.dims())) {
        None => Ok(()),
        Some(layer) => Err(ModelError::AttentionMaskShape {
            attention_type,
            layer,
            expected,
            found: masks[layer].dims(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparta_ops::attention::Normalizer;

    /// A window of 64 keys leaves each block of queries two blocks of keys, of up to 64.
    #[test]
    fn what_a_window_hides_is_skipped() {
        let window: StaticPattern = "local(w=64)".parse().unwrap();
        let grid = LayerMask::of_pattern(window, 4, true, 4096, &Device::flex());
        assert_eq!(grid.dims(), [1, 4096, 4096]);
        let blocks = grid.blocks(true);
        let seen = (64 * 2 - 1) as f64 / (64 * 64) as f64;
        assert!((blocks.fraction_hidden() - (1.0 - seen)).abs() < 1e-9);
        // Summaries and blocks of 32: nothing is partial but the diagonal.
        let fixed: StaticPattern = "fixed(l=128,c=32)".parse().unwrap();
        let grid = LayerMask::of_pattern(fixed, 4, true, 512, &Device::flex());
        let blocks = grid.blocks(true);
        assert_eq!(blocks.block_size(), 32);
        // Of 16 · 16 blocks: 4 · 10 of own blocks, and one summary of each earlier one for 4 rows each.
        let seen = (4 * 10 + 4 * (1 + 2 + 3)) as f64 / 256.0;
        assert!((blocks.fraction_hidden() - (1.0 - seen)).abs() < 1e-9);
    }

    /// Cells for the definition and for the few queries of decoding, blocks for everything else.
    #[test]
    fn a_mask_hides_in_the_way_of_who_computes() {
        let device = Device::flex();
        let way_of = |abilities, implementation, shape: [usize; 2]| {
            let cells = Tensor::<3, Bool>::tril_mask([2, shape[0], shape[1]], 0, &device);
            let options = AttentionOptions::new(Normalizer::Softmax);
            let mut options = options.implementation(implementation);
            let hidden = Some(LayerMask::from(cells)).into();
            hide(&mut options, hidden, abilities, &device, shape);
            (options.block_mask.is_some(), options.global_mask.is_some())
        };
        let way = |implementation, shape| way_of(Abilities::ALL, implementation, shape);
        let (cells, blocks) = ((false, true), (true, false));
        assert_eq!(way(Implementation::Reference, [256, 256]), cells);
        assert_eq!(way(Implementation::Fused, [256, 256]), blocks);
        assert_eq!(way(Implementation::Fused, [16, 16]), blocks);
        assert_eq!(way(Implementation::Fused, [5, 256]), cells);
        assert_eq!(way(Implementation::Auto, [256, 256]), blocks);
        assert_eq!(way(Implementation::Auto, [64, 64]), cells); // where it does not pay
        // A mechanism without kernels has no use for blocks.
        let none = Abilities {
            fused: false,
            ..Abilities::ALL
        };
        assert_eq!(way_of(none, Implementation::Auto, [256, 256]), cells);
    }
}
