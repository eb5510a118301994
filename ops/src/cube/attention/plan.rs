//! How a device's cubes divide attention.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::cube::power::Family;

/// Rows, and columns, of a tile's scores that a unit holds.
pub(super) const MICRO: usize = 4;
/// Strips of an output's columns that a unit adds up at once, at most.
const MAX_STRIPS: usize = 8;
/// The smallest edge of a tile, by which the bits of tiles are allocated.
pub(super) const MIN_EDGE: usize = 32;
/// Tiles to a word of bits.
pub(super) const WORD: usize = 32;
/// Edges and chunks, the best first.
const TILES: [[usize; 2]; 3] = [[64, 32], [64, 16], [MIN_EDGE, 32]];

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    /// Queries, and keys, of a tile.
    pub edge: usize,
    /// Components of vectors that are in shared memory at once.
    pub chunk: usize,
    /// Strips of [`Plan::side`] columns that a unit adds up at once.
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

impl Plan {
    /// Whether loops over a tile's cells are unrolled: not with logarithms and exponentials in them, which some
    /// devices' compilers take minutes for.
    pub const fn unrolls(&self) -> bool {
        !matches!(self.family, Family::Alpha)
    }

    /// Units along an edge of a tile.
    pub const fn side(&self) -> usize {
        self.edge / MICRO
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
        self.edge + 1
    }

    /// Numbers that a chunk of a tile's vectors takes.
    pub const fn vectors(&self) -> usize {
        self.edge * self.stride()
    }

    /// Columns of an output that are added up at once.
    pub const fn width(&self) -> usize {
        self.side() * self.strips
    }

    /// Edge and chunk of the tiles of a device, if any fit; for that many words of bits at most.
    pub fn tiles(client: &Client, element: usize, longest: usize) -> Option<[usize; 2]> {
        let hardware = &client.properties().hardware;
        let units = hardware.max_units_per_cube.min(hardware.max_cube_dim.0) as usize;
        let fits = |&[edge, chunk]: &[usize; 2]| {
            let numbers = 2 * edge * (chunk + 1) + edge * (edge + 1);
            let side = edge / MICRO;
            let words = words(longest, edge) + side * side;
            side * side <= units
                && numbers * element + words * 4 <= hardware.max_shared_memory_size
                // Larger tiles would be empty for the most part.
                && (edge == MIN_EDGE || longest > MIN_EDGE)
        };
        TILES.into_iter().find(fits)
    }

    /// Strips for vectors of `d` components: whole chunks of them.
    pub fn strips(edge: usize, chunk: usize, d: usize) -> usize {
        let side = edge / MICRO;
        let in_chunk = chunk / side;
        d.div_ceil(side)
            .next_multiple_of(in_chunk)
            .clamp(in_chunk, MAX_STRIPS)
    }
}

/// Words of the bits of `seq_kv` keys' tiles, a power of two.
pub(super) fn words(seq_kv: usize, edge: usize) -> usize {
    seq_kv.div_ceil(edge).div_ceil(WORD).next_power_of_two()
}
