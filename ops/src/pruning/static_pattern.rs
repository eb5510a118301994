//! Patterns that are chosen before anything is trained: fixed, strided, local, and random cells as a control.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::bits::BitMatrix;
use super::cells::{AttentionType, CellRule, Grid, LayerKey};
use super::error::PruningError;
use super::static_random;
use super::static_words;

/// Which heads see which of the two sets of a factorised pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Factors {
    /// Every head sees both, A¹ ∪ A².
    Merged,
    /// The first half of the heads sees A¹, the others A² and the query's own position.
    Heads,
}

/// The keys j that query i sees: index sets of absolute positions, counted from 0.
///
/// Those of a causal sequence, where j ≤ i; "both sides" says what there is without that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexSets {
    /// A¹ = {⌊j/l⌋ = ⌊i/l⌋}, A² = {j mod l ≥ l − c}: the own block, and the last c columns of every block. Both
    /// sides: the same sets.
    Fixed {
        /// Length l of a block.
        l: usize,
        /// Width c of a block's summary, 1 to l.
        c: usize,
        /// Number v of summaries side by side: head h reads the columns
        /// l − c(u + 1) ≤ j mod l < l − c·u of u = h mod v.
        verts: usize,
        /// Who sees which set.
        factors: Factors,
    },
    /// A¹ = {i − l < j}, A² = {(i − j) mod l = 0}: the last l keys, as the released code has it (the paper has one
    /// more), and every l-th. Both sides: A¹ = {|i − j| ≤ l}.
    Strided {
        /// The stride l.
        l: usize,
        /// Who sees which set.
        factors: Factors,
    },
    /// {i − w < j}: the last w keys. Both sides: {|i − j| ≤ w}.
    Local {
        /// The window w.
        w: usize,
    },
    /// Cells drawn for each head, always the same ones of the same seed: of the n·(n + 1)/2 cells of the first n
    /// positions (both sides: n²) the nearest whole number to the share `keep`, for every n, own positions among
    /// them. A control.
    Random {
        /// The share that is seen, in millionths.
        keep_millionths: u32,
        /// The seed of the draw.
        seed: u64,
    },
}

/// A pattern of visible cells that no data decides: what is not in its sets is hidden, for every input.
///
/// Words: `fixed(l=16,c=2)`, `fixed(l=16,c=2,verts=4,form=heads)`, `strided(l=16)`, `strided(l=16,form=merged)`,
/// `local(w=16)`, `random(keep=0.25,seed=1)`, each with `first=visible` for a first position that all see and that
/// sees all. Without `form`, fixed is merged and strided split by heads.
///
/// Words are read as they stand, so that whoever has them from a person can say which of them is out of range, and where it
/// is from: [`check`](Self::check) tells, and without it [`hidden`](Self::hidden) and [`cells`](Self::cells) panic. What a
/// file holds (also by serde) is checked when it is read.
///
/// # Source
/// Child, Gray, Radford, Sutskever 2019 (arXiv 1904.10509), section 4, as its released code has the sets
/// (openai/sparse_attention, `attention.py`); both sides, the first position, and the random cells are ours.
///
/// ```
/// use sparta_ops::pruning::{CellRule, StaticPattern};
/// let fixed: StaticPattern = "fixed(l=4,c=1)".parse().unwrap();
/// let causal = CellRule::Causal { memory: 0 };
/// let seen: Vec<usize> = (0..8).filter(|&j| !fixed.hidden(causal, 1, 0, 5, j)).collect();
/// assert_eq!(seen, [3, 4, 5]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StaticPattern {
    /// What is seen.
    pub sets: IndexSets,
    /// Whether the first position sees all and is seen by all: a classifier's token.
    pub first_visible: bool,
}

impl From<IndexSets> for StaticPattern {
    fn from(sets: IndexSets) -> Self {
        let first_visible = false;
        Self {
            sets,
            first_visible,
        }
    }
}

impl StaticPattern {
    /// Checks that the settings are in range.
    ///
    /// # Errors
    /// [`PruningError::StaticPattern`] for the first that is not.
    pub fn check(&self) -> Result<(), PruningError> {
        let check = |good: bool, field, found: &dyn fmt::Display, expected: &str| match good {
            true => Ok(()),
            false => Err(PruningError::StaticPattern {
                field,
                found: found.to_string(),
                expected: expected.to_owned(),
            }),
        };
        match self.sets {
            IndexSets::Fixed { l, c, verts, .. } => {
                check(l > 0, "l", &l, "at least 1")?;
                check(verts > 0, "verts", &verts, "at least 1")?;
                match (1..=l / verts).contains(&c) {
                    true => Ok(()),
                    false => {
                        let expected = format!("1 to l / verts = {}", l / verts);
                        check(false, "c", &c, &expected)
                    }
                }
            }
            IndexSets::Strided { l, .. } => check(l > 0, "l", &l, "at least 1"),
            IndexSets::Local { w } => check(w > 0, "w", &w, "at least 1"),
            IndexSets::Random {
                keep_millionths, ..
            } => {
                let keep = f64::from(keep_millionths) / 1e6;
                let in_range = (1..=1_000_000).contains(&keep_millionths);
                check(in_range, "keep", &keep, "above 0 and at most 1")
            }
        }
    }

    /// [`Self::check`] for those who cannot go on.
    fn assert_in_range(&self) {
        self.check().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Positions after which the pattern repeats, where it depends on more than distances.
    pub const fn period(&self) -> Option<usize> {
        match self.sets {
            IndexSets::Fixed { l, .. } => Some(l),
            IndexSets::Strided { .. } | IndexSets::Local { .. } | IndexSets::Random { .. } => None,
        }
    }

    /// Whether a cell depends on more than the distance of its key: padding on the left moves such a pattern.
    pub const fn counts_positions(&self) -> bool {
        match self.sets {
            IndexSets::Fixed { .. } | IndexSets::Random { .. } => true,
            IndexSets::Strided { .. } | IndexSets::Local { .. } => self.first_visible,
        }
    }

    /// The least number of heads that it can be told apart by.
    pub const fn least_heads(&self) -> usize {
        match self.sets {
            IndexSets::Fixed { factors, .. } | IndexSets::Strided { factors, .. } => {
                match factors {
                    Factors::Merged => 1,
                    Factors::Heads => 2,
                }
            }
            IndexSets::Local { .. } | IndexSets::Random { .. } => 1,
        }
    }

    /// Of `n_heads` heads those that differ: 1 where all see the same.
    pub const fn distinct_heads(&self, n_heads: usize) -> usize {
        match self.sets {
            IndexSets::Local { .. }
            | IndexSets::Fixed {
                verts: 1,
                factors: Factors::Merged,
                ..
            }
            | IndexSets::Strided {
                factors: Factors::Merged,
                ..
            } => 1,
            IndexSets::Fixed { .. } | IndexSets::Strided { .. } | IndexSets::Random { .. } => {
                n_heads
            }
        }
    }

    /// The position of row 0 under a memory: a whole number of periods, at least `memory`, so that columns stay
    /// where they are from segment to segment of a stream; `memory` itself where there is none.
    pub const fn first_position(&self, memory: usize) -> usize {
        let first = match self.period() {
            Some(period) => memory.checked_next_multiple_of(period),
            None => None,
        };
        match first {
            Some(first) => first,
            None => memory,
        }
    }

    /// Whether a cell of a grid with this rule is hidden. Row 0 of a causal grid is the first position after
    /// `memory` columns; a whole number of periods is before it.
    ///
    /// # Panics
    /// With the message of [`Self::check`]'s error.
    pub fn hidden(
        &self,
        rule: CellRule,
        n_heads: usize,
        head: usize,
        row: usize,
        col: usize,
    ) -> bool {
        self.assert_in_range();
        let (causal, first_row, first_col) = self.origin(rule);
        !self.sees(causal, (n_heads, head), first_row + row, first_col + col)
    }

    /// Every cell of a grid with this rule, `[n_heads, rows, columns]` row by row, `true` = hidden.
    ///
    /// # Panics
    /// With the message of [`Self::check`]'s error.
    pub fn cells(&self, rule: CellRule, [n_heads, rows, cols]: [usize; 3]) -> Vec<bool> {
        self.assert_in_range();
        let (causal, first_row, first_col) = self.origin(rule);
        let mut hidden = Vec::with_capacity(n_heads * rows * cols);
        if let IndexSets::Random {
            keep_millionths,
            seed,
        } = self.sets
        {
            let drawn = static_random::Share {
                keep_millionths,
                seed,
                causal,
                first_visible: self.first_visible,
            };
            for head in 0..n_heads {
                let rows = first_row..first_row + rows;
                drawn.hide(head, rows, first_col..first_col + cols, &mut hidden);
            }
            return hidden;
        }
        for head in 0..n_heads {
            for i in first_row..first_row + rows {
                let row = first_col..first_col + cols;
                hidden.extend(row.map(|j| !self.sees(causal, (n_heads, head), i, j)));
            }
        }
        hidden
    }

    /// Whether only earlier keys are seen, and the positions of the first row and column.
    const fn origin(&self, rule: CellRule) -> (bool, usize, usize) {
        match rule {
            CellRule::Full => (false, 0, 0),
            CellRule::Causal { memory } => {
                let first = self.first_position(memory);
                (true, first, first - memory)
            }
        }
    }

    /// Whether the query at position i sees the key at position j.
    fn sees(&self, causal: bool, (n_heads, head): (usize, usize), i: usize, j: usize) -> bool {
        if causal && j > i {
            return false;
        }
        if self.first_visible && (i == 0 || j == 0) {
            return true;
        }
        let distance = i.abs_diff(j);
        let within = |window: usize| match causal {
            true => distance < window,
            false => distance <= window,
        };
        let of = |factors, near: bool, far: bool| match factors {
            Factors::Merged => near || far,
            Factors::Heads if head < n_heads.div_ceil(2) => near,
            Factors::Heads => far || i == j,
        };
        match self.sets {
            IndexSets::Fixed {
                l,
                c,
                verts,
                factors,
            } => {
                let from_end = l - 1 - j % l;
                let is_summary = from_end / c == head % verts;
                of(factors, i / l == j / l, is_summary)
            }
            IndexSets::Strided { l, factors } => of(factors, within(l), distance.is_multiple_of(l)),
            IndexSets::Local { w } => within(w),
            IndexSets::Random {
                keep_millionths,
                seed,
            } => {
                let drawn = static_random::Share {
                    keep_millionths,
                    seed,
                    causal,
                    first_visible: self.first_visible,
                };
                let mut hidden = Vec::with_capacity(1);
                drawn.hide(head, i..i + 1, j..j + 1, &mut hidden);
                hidden == [false]
            }
        }
    }
}

/// What the static pattern of a network leaves of a layer's grid; everything where there is none.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Kept {
    pub(super) pattern: Option<StaticPattern>,
    /// Hidden cells of each head.
    hidden: Vec<BitMatrix>,
    n_rows: usize,
    n_cols: usize,
}

impl Kept {
    pub(super) fn new(pattern: Option<StaticPattern>, grid: &Grid) -> Self {
        match pattern {
            None => Self::default(),
            Some(of) => Self {
                pattern,
                hidden: of.bits(grid),
                n_rows: grid.n_rows,
                n_cols: grid.n_cols,
            },
        }
    }

    /// Whether the network never sees the cell, as far as the grid goes.
    pub(super) fn hides(&self, head: usize, row: usize, col: usize) -> bool {
        let is_inside = row < self.n_rows && col < self.n_cols;
        is_inside && self.hidden.get(head).is_some_and(|bits| bits.get(row, col))
    }
}

impl StaticPattern {
    /// Hidden cells of each head of a grid.
    pub(super) fn bits(&self, grid: &Grid) -> Vec<BitMatrix> {
        let &Grid {
            n_heads,
            n_rows,
            n_cols,
            rule,
        } = grid;
        let cells = self.cells(rule, [n_heads, n_rows, n_cols]);
        let mut heads = vec![BitMatrix::new(n_rows, n_cols); n_heads];
        for (place, hidden) in cells.into_iter().enumerate() {
            let (line, col) = (place / n_cols, place % n_cols);
            // Illegal cells are no business of a mask.
            let (head, row) = (line / n_rows, line % n_rows);
            heads[head].set(row, col, hidden && rule.is_legal(row, col));
        }
        heads
    }

    /// Checks that it has cells for a layer of this grid.
    ///
    /// # Errors
    /// [`PruningError::StaticPattern`]; [`PruningError::StaticGrid`] for attention to another sequence, a
    /// sequence whose rows are not its columns, or one head where it has two kinds.
    pub fn check_grid(
        &self,
        (attention_type, _): LayerKey,
        grid: &Grid,
    ) -> Result<(), PruningError> {
        self.check()?;
        let &Grid {
            n_heads,
            n_rows,
            n_cols,
            rule,
        } = grid;
        let is_square = match rule {
            CellRule::Full => n_rows == n_cols,
            CellRule::Causal { memory } => memory.checked_add(n_rows) == Some(n_cols),
        };
        let reason = if attention_type == AttentionType::Cross {
            "its positions are those of one sequence; take encoder-self or decoder-self"
        } else if !is_square {
            "the columns are not the rows' own positions, after a memory if there is one"
        } else if n_heads < self.least_heads() {
            "half of the heads see the one set and half the other; take form=merged or more heads"
        } else if self.period().is_some_and(|l| !n_rows.is_multiple_of(l))
            && matches!(rule, CellRule::Causal { memory: 1.. })
        {
            "a segment must be a multiple of l, so that columns stay where they are"
        } else {
            return Ok(());
        };
        Err(PruningError::StaticGrid {
            pattern: self.to_string(),
            attention_type,
            n_heads,
            n_rows,
            n_cols,
            reason,
        })
    }
}

impl fmt::Display for StaticPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static_words::write(self, f)
    }
}

impl FromStr for StaticPattern {
    type Err = PruningError;

    fn from_str(text: &str) -> Result<Self, PruningError> {
        static_words::read(text).ok_or_else(|| PruningError::Word {
            what: "static pattern",
            found: text.to_owned(),
            choices: static_words::EXAMPLES,
        })
    }
}

impl TryFrom<String> for StaticPattern {
    type Error = PruningError;

    fn try_from(text: String) -> Result<Self, PruningError> {
        let pattern: Self = text.parse()?;
        pattern.check().map(|()| pattern)
    }
}

impl From<StaticPattern> for String {
    fn from(pattern: StaticPattern) -> Self {
        pattern.to_string()
    }
}
