//! What the kernels read, and which cells masks hide.

// What a kernel is compiled for is asked before what is only known when it runs.
#![allow(clippy::collapsible_if)]

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::tiling::{Tiling, WORD};
use crate::attention::{HIDDEN_BLOCK, VISIBLE_BLOCK};

/// Inputs and options; see [`crate::attention::AttentionExtras`] for shapes. What the plan says is not
/// there is not bound: devices bind few buffers, down to 8 or 10.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Inputs<F: Float, M: Int> {
    pub query: OwnedTensor<F>,
    pub key: OwnedTensor<F>,
    pub value: OwnedTensor<F>,
    pub bias: ComptimeOption<OwnedTensor<F>>,
    /// Every mask that is a tensor, one behind the other, row by row.
    pub masks: ComptimeOption<OwnedTensor<M>>,
    pub offsets: MaskOffsets,
    pub scale: InputScalar,
    /// What weights that dropout keeps are multiplied by.
    pub kept: InputScalar,
    /// Weights whose number is below are dropped.
    pub below: u32,
    pub seed_low: u32,
    pub seed_high: u32,
}

/// Which masks there are, and their offsets in the buffer.
#[derive(CubeType, CubeLaunch)]
pub(super) struct MaskOffsets {
    /// Sum of [`SPANS`], [`LAYOUT`] and so on.
    pub kinds: u32,
    /// First and last but one of the keys that a query may see, `[seq_q, 2]`.
    pub spans: u32,
    pub layout: u32,
    /// 1 where heads share the layout.
    pub layout_heads: u32,
    /// The binary logarithm of the block size.
    pub block: u32,
    pub cells: u32,
    pub padding: u32,
    pub global: u32,
    pub global_heads: u32,
    pub extra: u32,
}

pub(super) const SPANS: u32 = 1;
pub(super) const LAYOUT: u32 = 2;
pub(super) const PADDING: u32 = 4;
pub(super) const GLOBAL: u32 = 8;
pub(super) const EXTRA: u32 = 16;

/// The coordinate of a tile: the queries of one head that a cube works on.
#[derive(CubeType, Clone, Copy)]
pub(super) struct TileCoord {
    pub batch: usize,
    pub head: usize,
    pub kv_head: usize,
    /// The first of the tile's queries.
    pub query: usize,
    /// Its row in `[batch, n_heads, seq_q, …]`.
    pub row: usize,
}

/// The coordinate of a tile of queries among all: of `[batch, n_heads, n_tiles]`.
#[cube]
pub(super) fn tile_coord<F: Float, M: Int>(
    inputs: &Inputs<F, M>,
    batch: usize,
    head: usize,
    tile: usize,
    #[comptime] tiling: Tiling,
) -> TileCoord {
    let n_heads = inputs.query.shape(1);
    let group = n_heads / inputs.key.shape(1);
    let query = tile * tiling.tile_size;
    TileCoord {
        batch,
        head,
        kv_head: head / group,
        query,
        row: (batch * n_heads + head) * inputs.query.shape(2) + query,
    }
}

/// Writes the bits of the tiles of keys in which masks leave the tile of queries something to see, as far
/// as ranges and blocks tell.
#[cube]
pub(super) fn list_tiles<F: Float, M: Int>(
    words: &mut Shared<[u32]>,
    inputs: &Inputs<F, M>,
    coord: &TileCoord,
    #[comptime] tiling: Tiling,
) {
    let seq_q = inputs.query.shape(2);
    let seq_kv = inputs.key.shape(2);
    let end_query = min(coord.query + tiling.tile_size, seq_q);
    let mut first = 0usize;
    let mut end = seq_kv;
    if comptime!(tiling.causal) {
        end = min(seq_kv, max(end_query + seq_kv, seq_q) - seq_q);
    }
    if comptime!(tiling.masked) {
        if has(inputs, SPANS) {
            first = seq_kv;
            end = 0usize;
            for i in coord.query..end_query {
                let (from, to) = span(inputs, i);
                if to > from {
                    first = min(first, from);
                    end = max(end, to);
                }
            }
        }
    }
    let units = comptime!(tiling.units());
    let unit = UNIT_POS as usize;
    for step in 0..comptime!(tiling.words.div_ceil(units)) {
        let word = step * units + unit;
        if word < tiling.words {
            let mut bits = 0u32;
            for bit in 0..comptime!(WORD as u32) {
                let key = (word * WORD + bit as usize) * tiling.tile_size;
                if key < end
                    && key + tiling.tile_size > first
                    && sees_block(inputs, coord, key, tiling)
                {
                    bits |= 1u32 << bit;
                }
            }
            words[word] = bits;
        }
    }
    sync_cube();
}

/// Whether a block of the layout that is not hidden reaches into a tile.
#[cube]
fn sees_block<F: Float, M: Int>(
    inputs: &Inputs<F, M>,
    coord: &TileCoord,
    key: usize,
    #[comptime] tiling: Tiling,
) -> bool {
    let mut sees = true;
    if comptime!(tiling.masked) {
        if has(inputs, LAYOUT) {
            let block = inputs.offsets.block as usize;
            let end_query = min(coord.query + tiling.tile_size, inputs.query.shape(2));
            let end_key = min(key + tiling.tile_size, inputs.key.shape(2));
            sees = false;
            for row in coord.query >> block..((end_query - 1) >> block) + 1 {
                for col in key >> block..((end_key - 1) >> block) + 1 {
                    let code = code(inputs, coord.head, row, col);
                    sees = sees || code != comptime!(HIDDEN_BLOCK as i32);
                }
            }
        }
    }
    sees
}

/// Whether a key is hidden from a query, or one of them is not there.
#[cube]
pub(super) fn is_hidden<F: Float, M: Int>(
    inputs: &Inputs<F, M>,
    coord: &TileCoord,
    query: usize,
    key: usize,
    #[comptime] tiling: Tiling,
) -> bool {
    let seq_q = inputs.query.shape(2);
    let seq_kv = inputs.key.shape(2);
    let mut hidden = true;
    if query < seq_q && key < seq_kv {
        hidden = false;
        if comptime!(tiling.causal) {
            hidden = key + seq_q > query + seq_kv;
        }
        if comptime!(tiling.masked) {
            if has(inputs, SPANS) {
                let (from, to) = span(inputs, query);
                hidden = key < from || key >= to;
            }
            if has(inputs, PADDING) {
                hidden =
                    hidden || is_set(inputs, inputs.offsets.padding, coord.batch * seq_kv + key);
            }
            if has(inputs, GLOBAL) {
                let head = select(inputs.offsets.global_heads == 1, 0, coord.head);
                let at = (head * seq_q + query) * seq_kv + key;
                hidden = hidden || is_set(inputs, inputs.offsets.global, at);
            }
            if has(inputs, EXTRA) {
                hidden = hidden || is_set(inputs, inputs.offsets.extra, query * seq_kv + key);
            }
            if has(inputs, LAYOUT) {
                let block = inputs.offsets.block as usize;
                let code = code(inputs, coord.head, query >> block, key >> block);
                if code == comptime!(HIDDEN_BLOCK as i32) {
                    hidden = true;
                } else if code != comptime!(VISIBLE_BLOCK as i32) {
                    let within = (1usize << block) - 1;
                    let partial = (code - 1) as usize;
                    let row = (partial << block) + (query & within);
                    let at = (row << block) + (key & within);
                    hidden = hidden || is_set(inputs, inputs.offsets.cells, at);
                }
            }
        }
    }
    hidden
}

/// Whether there is a mask of a kind. Only where there is one at all.
#[cube]
fn has<F: Float, M: Int>(inputs: &Inputs<F, M>, #[comptime] kind: u32) -> bool {
    inputs.offsets.kinds & kind != 0
}

/// A number of a mask.
#[cube]
fn read<F: Float, M: Int>(inputs: &Inputs<F, M>, mask: u32, at: usize) -> i32 {
    i32::cast_from(inputs.masks.as_ref().unwrap()[mask as usize + at])
}

#[cube]
fn is_set<F: Float, M: Int>(inputs: &Inputs<F, M>, mask: u32, at: usize) -> bool {
    read(inputs, mask, at) != 0
}

/// The keys that a query may see.
#[cube]
fn span<F: Float, M: Int>(inputs: &Inputs<F, M>, query: usize) -> (usize, usize) {
    let from = read(inputs, inputs.offsets.spans, query * 2) as usize;
    let to = read(inputs, inputs.offsets.spans, query * 2 + 1) as usize;
    (from, to)
}

/// The layout's code of a block.
#[cube]
fn code<F: Float, M: Int>(inputs: &Inputs<F, M>, head: usize, row: usize, col: usize) -> i32 {
    let block = inputs.offsets.block as usize;
    let down = ((inputs.query.shape(2) - 1) >> block) + 1;
    let right = ((inputs.key.shape(2) - 1) >> block) + 1;
    let head = select(inputs.offsets.layout_heads == 1, 0, head);
    let at = (head * down + row) * right + col;
    read(inputs, inputs.offsets.layout, at)
}

/// The generator of a row's dropout, see [`crate::attention::Dropout`].
#[derive(CubeType, Clone, Copy)]
pub(super) struct CubeRowDropout {
    first: u32,
    second: u32,
}

#[cube]
pub(super) fn row_dropout<F: Float, M: Int>(inputs: &Inputs<F, M>, row: usize) -> CubeRowDropout {
    let first = mix(mix(inputs.seed_low ^ row as u32) ^ inputs.seed_high);
    CubeRowDropout {
        first,
        second: mix(first ^ 0x9e37_79b9u32),
    }
}

/// Whether dropout keeps the weight of a key.
#[cube]
pub(super) fn keeps<F: Float, M: Int>(
    inputs: &Inputs<F, M>,
    row: &CubeRowDropout,
    key: usize,
) -> bool {
    mix(mix(key as u32 ^ row.first) + row.second) >= inputs.below
}

#[cube]
fn mix(x: u32) -> u32 {
    let x = x ^ (x >> 16);
    let x = x * 0x21f0_aaadu32;
    let x = x ^ (x >> 15);
    let x = x * 0xd35a_2d97u32;
    x ^ (x >> 15)
}
