//! How far two masks hide the same cells.

use serde::{Deserialize, Serialize};

use super::cells::AttentionType;
use super::error::PruningError;
use super::global_mask::GlobalMask;

/// Cells that two masks hide, of those that are legal and that both patterns observed.
///
/// The overlap of two masks is the Jaccard index of their sets of *hidden* cells: a mask is that set. It grows with p
/// by itself, so [`expected`](Self::expected) stands beside it: what two masks would share that hide as many cells
/// at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Overlap {
    /// Legal cells that both patterns observed.
    pub cells: u64,
    /// Those that each mask hides.
    pub hidden: [u64; 2],
    /// Those that both hide.
    pub hidden_by_both: u64,
}

impl Overlap {
    /// The Jaccard index of the hidden cells, `|A ∩ B| / |A ∪ B|`; `None` where neither mask hides any.
    pub fn jaccard(&self) -> Option<f64> {
        let [a, b] = self.hidden;
        let either = a + b - self.hidden_by_both;
        (either > 0).then(|| self.hidden_by_both as f64 / either as f64)
    }

    /// The Jaccard index when two masks hide as many of these cells independently at random: `e / (a + b − e)` with
    /// `e = a · b / cells`. `None` where neither mask hides any.
    pub fn expected(&self) -> Option<f64> {
        let [a, b] = self.hidden.map(|n| n as f64);
        (a + b > 0.0).then(|| {
            let both = a * b / self.cells as f64;
            both / (a + b - both)
        })
    }

    fn add(&mut self, other: &Self) {
        self.cells += other.cells;
        self.hidden[0] += other.hidden[0];
        self.hidden[1] += other.hidden[1];
        self.hidden_by_both += other.hidden_by_both;
    }
}

/// The overlap of one head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadOverlap {
    /// The attention type.
    pub attention_type: AttentionType,
    /// The layer.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// Its cells.
    pub overlap: Overlap,
}

/// How far two masks of the same network hide the same cells, by head and in total: masks of other seeds, tasks,
/// nominal p or row normalisers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskOverlap {
    /// Every head of every layer.
    pub heads: Vec<HeadOverlap>,
    /// All heads together.
    pub total: Overlap,
}

impl MaskOverlap {
    /// Compares two masks.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`] or [`PruningError::Mismatch`] if one has other layers or grids than the other.
    ///
    /// ```
    /// use sparta_ops::pruning::{
    ///     AttentionPattern, AttentionType, CellRule, GlobalMask, Grid, MaskOverlap, PatternHeader,
    ///     Placement, Scope, Semantics,
    /// };
    ///
    /// # fn main() -> Result<(), sparta_ops::pruning::PruningError> {
    /// let grid = Grid { n_heads: 1, n_rows: 1, n_cols: 4, rule: CellRule::Full };
    /// let mask = |weights: [f32; 4]| {
    ///     let header = PatternHeader::new("c", "m").with(AttentionType::EncoderSelf, 0, grid);
    ///     let mut pattern = AttentionPattern::new(header);
    ///     pattern.observe(AttentionType::EncoderSelf, 0, &weights, [1, 1, 1, 4], &Placement::default())?;
    ///     GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, Semantics::Corrected)
    /// };
    /// // Hidden are cells 0 and 1, and cells 1 and 2: one of three is shared.
    /// let overlap = MaskOverlap::new(&mask([0.1, 0.2, 0.3, 0.4])?, &mask([0.3, 0.1, 0.2, 0.4])?)?;
    /// assert_eq!(overlap.total.jaccard(), Some(1.0 / 3.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(a: &GlobalMask, b: &GlobalMask) -> Result<Self, PruningError> {
        let (mut heads, mut total) = (Vec::new(), Overlap::default());
        // Layers that only one mask has are found from both sides.
        for (attention_type, layer) in b.layers() {
            a.grid(attention_type, layer)?;
        }
        for (attention_type, layer) in a.layers() {
            for (head, overlap) in layer_overlap(a, b, attention_type, layer)?
                .into_iter()
                .enumerate()
            {
                total.add(&overlap);
                heads.push(HeadOverlap {
                    attention_type,
                    layer,
                    head,
                    overlap,
                });
            }
        }
        Ok(Self { heads, total })
    }
}

fn layer_overlap(
    a: &GlobalMask,
    b: &GlobalMask,
    attention_type: AttentionType,
    layer: usize,
) -> Result<Vec<Overlap>, PruningError> {
    let (of_a, of_b) = (
        a.layer((attention_type, layer))?,
        b.layer((attention_type, layer))?,
    );
    let grid = of_a.grid;
    if grid != of_b.grid {
        let (left, right) = (grid.to_string(), of_b.grid.to_string());
        let what = "the grids of two masks";
        return Err(PruningError::Mismatch { what, left, right });
    }
    let mut heads = vec![Overlap::default(); grid.n_heads];
    for row in 0..grid.n_rows {
        for col in 0..grid.n_cols.min(grid.rule.legal_cols(row)) {
            if !(of_a.observed.get(row, col) && of_b.observed.get(row, col)) {
                continue;
            }
            for (head, overlap) in heads.iter_mut().enumerate() {
                if of_a.kept.hides(head, row, col) || of_b.kept.hides(head, row, col) {
                    continue;
                }
                let hidden = [&of_a.heads[head], &of_b.heads[head]].map(|bits| bits.get(row, col));
                overlap.cells += 1;
                overlap.hidden[0] += u64::from(hidden[0]);
                overlap.hidden[1] += u64::from(hidden[1]);
                overlap.hidden_by_both += u64::from(hidden[0] && hidden[1]);
            }
        }
    }
    Ok(heads)
}
