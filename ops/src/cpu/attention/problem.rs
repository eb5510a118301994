//! The problem: what attention is asked for, as slices, and which cells its masks hide.

use std::borrow::Cow;
use std::ops::Range;

use crate::attention::{Dropout, HIDDEN_BLOCK, VISIBLE_BLOCK};
use crate::cpu::float::{Float, Stored};
use crate::cpu::view::View;
use crate::entmax::Mapping;

/// Keys of a tile, the unit in which scores are computed or skipped.
pub(super) const TILE: usize = 64;

/// Rows of elements of any stored type.
pub(super) trait Source<T>: Sync {
    /// Writes the elements of a row, given its index, multiplied by a factor, to the front of `out`.
    fn load(&self, index: &[usize], factor: T, out: &mut [T]);
}

/// The rows of a tensor, of `n` elements each.
pub(super) struct StridedRows<'a, E: Stored> {
    pub view: View<'a, E>,
    pub n: usize,
}

impl<E: Stored> Source<E::Wide> for StridedRows<'_, E> {
    fn load(&self, index: &[usize], factor: E::Wide, out: &mut [E::Wide]) {
        let start = self.view.row(index);
        let stride = self.view.strides[index.len()];
        if stride == 1 {
            let row = &self.view.elements[start..][..self.n];
            for (out, x) in out.iter_mut().zip(row) {
                *out = x.widen() * factor;
            }
        } else {
            for (j, out) in out[..self.n].iter_mut().enumerate() {
                let place = start.wrapping_add_signed(j as isize * stride);
                *out = self.view.elements[place].widen() * factor;
            }
        }
    }
}

pub(super) type RowSource<'a, T> = Box<dyn Source<T> + 'a>;

/// A mask of blocks.
pub(super) struct MaskBlocks<'a> {
    pub size: usize,
    /// `[n_heads or 1, down, right]`.
    pub codes: Vec<i64>,
    pub n_heads: usize,
    pub grid: [usize; 2],
    pub cells: Cow<'a, [u8]>,
}

impl MaskBlocks<'_> {
    fn codes(&self, head: usize, row: usize) -> &[i64] {
        let head = if self.n_heads == 1 { 0 } else { head };
        let [down, right] = self.grid;
        &self.codes[(head * down + row) * right..][..right]
    }
}

/// The relative term.
pub(super) struct Relative<'a, T> {
    /// `[batch, n_heads, seq_q, d_head]`.
    pub query: RowSource<'a, T>,
    /// `[n_heads, n_positions, d_head]`.
    pub positions: RowSource<'a, T>,
    pub n_positions: usize,
}

/// Inputs and options; see [`crate::attention::AttentionExtras`] for shapes.
pub(super) struct Problem<'a, T> {
    pub batch: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub seq_q: usize,
    pub seq_kv: usize,
    pub d_head: usize,
    pub d_value: usize,
    pub query: RowSource<'a, T>,
    pub key: RowSource<'a, T>,
    pub value: RowSource<'a, T>,
    /// The mapping of each head.
    pub mappings: Vec<Mapping>,
    /// The α of each head, where they have gradients.
    pub alphas: Option<Vec<f64>>,
    pub scale: T,
    /// Scores up to this one are hidden.
    pub hidden: T,
    pub bias: Option<(RowSource<'a, T>, usize)>,
    pub relative: Option<Relative<'a, T>>,
    pub visible: Vec<Range<usize>>,
    pub padding: Option<Cow<'a, [u8]>>,
    pub global: Option<(Cow<'a, [u8]>, usize)>,
    pub extra: Option<Cow<'a, [u8]>>,
    pub blocks: Option<MaskBlocks<'a>>,
    pub dropout: Option<Dropout>,
}

/// Neighbouring queries of a head.
#[derive(Clone, Debug)]
pub(super) struct Queries {
    pub batch: usize,
    pub head: usize,
    pub rows: Range<usize>,
}

/// Neighbouring keys, from `first` on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tile {
    pub first: usize,
    /// Whether a cell is hidden.
    pub is_masked: bool,
}

/// The cells of a query row that a tile has, not 0 where hidden.
type Flags = [u8; TILE];

impl<T: Float> Problem<'_, T> {
    pub fn n_tiles(&self) -> usize {
        self.seq_kv.div_ceil(TILE)
    }

    /// The key head that a query head reads.
    pub fn kv_head(&self, head: usize) -> usize {
        head / (self.n_heads / self.n_kv_heads)
    }

    /// The row of a query in `[batch, n_heads, seq_q, …]`.
    pub fn row(&self, batch: usize, head: usize, query: usize) -> usize {
        (batch * self.n_heads + head) * self.seq_q + query
    }

    /// The tiles in which a query may see a key, of those that `wanted` names.
    pub fn tiles(&self, queries: &Queries, wanted: impl Fn(usize) -> bool, tiles: &mut Vec<Tile>) {
        tiles.clear();
        let spans = &self.visible[queries.rows.clone()];
        let spans = spans.iter().filter(|span| !span.is_empty());
        let (mut some, mut all) = (self.seq_kv..0, 0..self.seq_kv);
        let mut n_rows = 0;
        for span in spans {
            some = some.start.min(span.start)..some.end.max(span.end);
            all = all.start.max(span.start)..all.end.min(span.end);
            n_rows += 1;
        }
        if n_rows < queries.rows.len() {
            all = 0..0;
        }
        for tile in some.start / TILE..some.end.div_ceil(TILE) {
            let keys = tile * TILE..(tile + 1) * TILE;
            if !wanted(tile) {
                continue;
            }
            if let Some(is_masked) = self.masked(queries, keys.start..keys.end.min(self.seq_kv)) {
                let is_inside = all.start <= keys.start && keys.end <= all.end;
                tiles.push(Tile {
                    first: keys.start,
                    is_masked: is_masked || !is_inside,
                });
            }
        }
    }

    /// Whether masks hide some of these cells; none where one hides them all.
    fn masked(&self, queries: &Queries, keys: Range<usize>) -> Option<bool> {
        let mut is_masked = false;
        if let Some(padding) = &self.padding {
            let flags = &padding[queries.batch * self.seq_kv..][keys.clone()];
            is_masked |= some_hidden([flags])?;
        }
        if let Some(blocks) = &self.blocks {
            let rows = queries.rows.start / blocks.size..queries.rows.end.div_ceil(blocks.size);
            let cols = keys.start / blocks.size..keys.end.div_ceil(blocks.size);
            let (mut any, mut all) = (false, true);
            for row in rows {
                for &code in &blocks.codes(queries.head, row)[cols.clone()] {
                    any |= code != VISIBLE_BLOCK;
                    all &= code == HIDDEN_BLOCK;
                }
            }
            if all {
                return None;
            }
            is_masked |= any;
        }
        if let Some((cells, n_heads)) = &self.global {
            let head = if *n_heads == 1 { 0 } else { queries.head };
            let rows = queries.rows.clone();
            let row = |i| &cells[(head * self.seq_q + i) * self.seq_kv..][keys.clone()];
            is_masked |= some_hidden(rows.map(row))?;
        }
        if let Some(cells) = &self.extra {
            let row = |i| &cells[i * self.seq_kv..][keys.clone()];
            is_masked |= some_hidden(queries.rows.clone().map(row))?;
        }
        Some(is_masked)
    }

    /// Which cells of a query's row in a tile are hidden.
    pub fn flags(&self, batch: usize, head: usize, query: usize, first: usize) -> Flags {
        let mut flags = [1; TILE];
        let visible = &self.visible[query];
        let start = visible.start.clamp(first, first + TILE) - first;
        let end = visible.end.clamp(first, first + TILE) - first;
        flags[start.min(end)..end].fill(0);
        let keys = first..(first + TILE).min(self.seq_kv);
        let mut add = |hidden: &[u8]| {
            for (flag, hidden) in flags.iter_mut().zip(hidden) {
                *flag |= hidden;
            }
        };
        if let Some(padding) = &self.padding {
            add(&padding[batch * self.seq_kv..][keys.clone()]);
        }
        if let Some((cells, n_heads)) = &self.global {
            let head = if *n_heads == 1 { 0 } else { head };
            add(&cells[(head * self.seq_q + query) * self.seq_kv..][keys.clone()]);
        }
        if let Some(cells) = &self.extra {
            add(&cells[query * self.seq_kv..][keys.clone()]);
        }
        if let Some(blocks) = &self.blocks {
            let codes = blocks.codes(head, query / blocks.size);
            let mut key = keys.start;
            while key < keys.end {
                let end = ((key / blocks.size + 1) * blocks.size).min(keys.end);
                let flags = &mut flags[key - first..end - first];
                match codes[key / blocks.size] {
                    HIDDEN_BLOCK => flags.fill(1),
                    VISIBLE_BLOCK => {}
                    n => {
                        let row = (n as usize - 1) * blocks.size + query % blocks.size;
                        let cells = &blocks.cells[row * blocks.size + key % blocks.size..];
                        for (flag, hidden) in flags.iter_mut().zip(cells) {
                            *flag |= hidden;
                        }
                    }
                }
                key = end;
            }
        }
        flags
    }
}

/// Whether a flag is set; none where all are.
fn some_hidden<'a>(rows: impl IntoIterator<Item = &'a [u8]>) -> Option<bool> {
    let (mut any, mut all) = (false, true);
    for row in rows {
        any |= row.iter().fold(0, |any, &flag| any | flag) != 0;
        all &= row.iter().fold(true, |all, &flag| all & (flag != 0));
        if any && !all {
            return Some(true);
        }
    }
    (!all).then_some(any)
}
