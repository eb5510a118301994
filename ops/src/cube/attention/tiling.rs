//! The tiling of attention: how a device's cubes divide it.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::cube::mapping::Family;

/// Rows, and columns, of a tile's scores that a unit holds.
pub(super) const MICRO: usize = 4;
/// Strips of an output's columns that a unit adds up at once, at most.
const MAX_STRIPS: usize = 8;
/// The smallest size of a tile, by which the bits of tiles are allocated.
pub(super) const MIN_TILE: usize = 32;
/// Tiles to a word of bits.
pub(super) const WORD: usize = 32;
/// Sizes of tiles, and chunks, the best first.
const TILES: [[usize; 2]; 3] = [[64, 32], [64, 16], [MIN_TILE, 32]];

/// The tiling and the options that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tiling {
    /// Queries, and keys, of a tile.
    pub tile_size: usize,
    /// Components of vectors that are in shared memory at once.
    pub chunk: usize,
    /// Strips of [`Tiling::side`] columns that a unit adds up at once.
    pub strips: usize,
    /// Words of bits of a row of tiles, a power of two.
    pub words: usize,
    pub family: Family,
    /// Computed in f64.
    pub double: bool,
    pub causal: bool,
    /// Whether there are other masks.
    pub masked: bool,
    pub bias: bool,
    pub dropout: bool,
}

impl Tiling {
    /// Whether loops over a tile's cells are unrolled: not with logarithms and exponentials in them, which some
    /// devices' compilers take minutes for.
    pub const fn unrolls(&self) -> bool {
        !matches!(self.family, Family::Alpha | Family::AnyAlpha)
    }

    /// Units along a side of a tile.
    pub const fn side(&self) -> usize {
        self.tile_size / MICRO
    }

    /// Units of a cube.
    pub const fn units(&self) -> usize {
        self.side() * self.side()
    }

    /// From a vector to the next in shared memory: one more than it holds, so that neighbours lie in
    /// different banks.
    pub const fn stride(&self) -> usize {
        self.chunk + 1
    }

    /// From a row of weights to the next.
    pub const fn weights_stride(&self) -> usize {
        self.tile_size + 1
    }

    /// Numbers that a chunk of a tile's vectors takes.
    pub const fn head_view(&self) -> usize {
        self.tile_size * self.stride()
    }

    /// Columns of an output that are added up at once.
    pub const fn width(&self) -> usize {
        self.side() * self.strips
    }

    /// Size and chunk of the tiles of a device, if any fit; for that many words of bits at most.
    pub fn tiles(client: &Client, element: usize, longest: usize) -> Option<[usize; 2]> {
        let hardware = &client.properties().hardware;
        let units = hardware.max_units_per_cube.min(hardware.max_cube_dim.0) as usize;
        let fits = |&[tile_size, chunk]: &[usize; 2]| {
            let numbers = 2 * tile_size * (chunk + 1) + tile_size * (tile_size + 1);
            let side = tile_size / MICRO;
            let words = words(longest, tile_size) + side * side;
            side * side <= units
                && numbers * element + words * 4 <= hardware.max_shared_memory_size
                // Larger tiles would be empty for the most part.
                && (tile_size == MIN_TILE || longest > MIN_TILE)
        };
        TILES.into_iter().find(fits)
    }

    /// Strips for vectors of `d` components: whole chunks of them.
    pub fn strips(tile_size: usize, chunk: usize, d: usize) -> usize {
        let side = tile_size / MICRO;
        let in_chunk = chunk / side;
        d.div_ceil(side)
            .next_multiple_of(in_chunk)
            .clamp(in_chunk, MAX_STRIPS)
    }
}

/// Words of the bits of `seq_kv` keys' tiles, a power of two.
pub(super) fn words(seq_kv: usize, tile_size: usize) -> usize {
    seq_kv
        .div_ceil(tile_size)
        .div_ceil(WORD)
        .next_power_of_two()
}
