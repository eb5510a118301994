//! The scores of a block of queries over tiles of keys: products, terms and masks, in a thread's memory.

#![allow(unsafe_code, reason = "vectors seen as elements")]

use crate::cpu::float::Float;
use crate::cpu::simd::{LANES, Simd};

use super::matmul::{Matrix, Target, multiply};
use super::padded::{PaddedRows, Transposed};
use super::problem::{Problem, Queries, TILE, Tile};
use super::relative::Positions;

/// SIMD vectors of a tile's row.
const TILE_VECTORS: usize = TILE / LANES;

/// Rows of scores, weights or their gradients over some tiles of keys, one tile next to the other.
pub(super) struct ScoreTiles<T> {
    vectors: Vec<Simd<T>>,
    n_rows: usize,
    n_tiles: usize,
    /// SIMD vectors from one row to the next: not a multiple of a page, lest all rows fall on the same
    /// lines of the cache.
    stride: usize,
}

impl<T: Float> ScoreTiles<T> {
    pub fn new() -> Self {
        Self {
            vectors: Vec::new(),
            n_rows: 0,
            n_tiles: 0,
            stride: 0,
        }
    }

    /// Makes room; what is in it is anything.
    pub fn resize(&mut self, n_rows: usize, n_tiles: usize) {
        self.n_rows = n_rows;
        self.n_tiles = n_tiles;
        self.stride = n_tiles * TILE_VECTORS + 1;
        let len = n_rows * self.stride;
        if self.vectors.len() < len {
            self.vectors.resize(len, Simd::splat(T::ZERO));
        }
    }

    pub fn n_vectors(&self) -> usize {
        self.n_tiles * TILE_VECTORS
    }

    pub fn row(&self, row: usize) -> &[Simd<T>] {
        &self.vectors[row * self.stride..][..self.n_vectors()]
    }

    pub fn row_mut(&mut self, row: usize) -> &mut [Simd<T>] {
        let n = self.n_vectors();
        &mut self.vectors[row * self.stride..][..n]
    }

    /// A row's part of a tile.
    pub fn cells(&self, row: usize, tile: usize) -> &[Simd<T>] {
        &self.vectors[row * self.stride + tile * TILE_VECTORS..][..TILE_VECTORS]
    }

    pub fn cells_mut(&mut self, row: usize, tile: usize) -> &mut [Simd<T>] {
        &mut self.vectors[row * self.stride + tile * TILE_VECTORS..][..TILE_VECTORS]
    }

    /// The tile as a matrix `[n_rows, TILE]`.
    pub fn tile(&self, tile: usize) -> Matrix<'_, T> {
        let data = elements(&self.vectors);
        Matrix::rows(&data[tile * TILE..], self.stride * LANES)
    }

    pub fn tile_mut(&mut self, tile: usize) -> Target<'_, T> {
        let stride = self.stride * LANES;
        Target {
            data: &mut elements_mut(&mut self.vectors)[tile * TILE..],
            stride,
            adds: false,
        }
    }
}

pub(super) fn elements<T: Float>(vectors: &[Simd<T>]) -> &[T] {
    const { assert!(size_of::<Simd<T>>() == LANES * size_of::<T>()) };
    // SAFETY: a vector is LANES elements and nothing else, as has just been seen, and aligned for them.
    unsafe { std::slice::from_raw_parts(vectors.as_ptr().cast(), vectors.len() * LANES) }
}

pub(super) fn elements_mut<T: Float>(vectors: &mut [Simd<T>]) -> &mut [T] {
    const { assert!(size_of::<Simd<T>>() == LANES * size_of::<T>()) };
    // SAFETY: as above; they are borrowed from the vectors, which nobody else can reach meanwhile.
    unsafe { std::slice::from_raw_parts_mut(vectors.as_mut_ptr().cast(), vectors.len() * LANES) }
}

/// The workspace of a thread: a head's keys and values, and a block's queries and scores.
pub(super) struct TaskWorkspace<T> {
    /// Which head's keys and values are loaded: batch and head.
    loaded: Option<(usize, usize)>,
    pub keys: PaddedRows<T>,
    pub keys_across: Transposed<T>,
    pub values: PaddedRows<T>,
    pub values_across: Transposed<T>,
    pub positions: Positions<T>,
    /// Scaled.
    pub queries: PaddedRows<T>,
    pub tiles: Vec<Tile>,
    pub scores: ScoreTiles<T>,
}

impl<T: Float> TaskWorkspace<T> {
    pub fn new(problem: &Problem<T>) -> Self {
        Self {
            loaded: None,
            keys: PaddedRows::new(problem.d_head),
            keys_across: Transposed::new(problem.d_head),
            values: PaddedRows::new(problem.d_value),
            values_across: Transposed::new(problem.d_value),
            positions: Positions::new(problem.d_head),
            queries: PaddedRows::new(problem.d_head),
            tiles: Vec::new(),
            scores: ScoreTiles::new(),
        }
    }

    /// Loads the keys and values that a head reads; the values' transpose for backward only.
    pub fn load_head(
        &mut self,
        problem: &Problem<T>,
        batch: usize,
        head: usize,
        is_backward: bool,
    ) {
        if self.loaded == Some((batch, head)) {
            return;
        }
        self.loaded = Some((batch, head));
        let (n, padded) = (problem.seq_kv, problem.n_tiles() * TILE);
        let kv_head = problem.kv_head(head);
        self.keys.load(n, padded, |i, out| {
            problem.key.load(&[batch, kv_head, i], T::ONE, out);
        });
        self.values.load(n, padded, |i, out| {
            problem.value.load(&[batch, kv_head, i], T::ONE, out);
        });
        self.keys_across.load(&self.keys);
        if is_backward {
            self.values_across.load(&self.values);
        }
        self.positions.load(problem, head);
    }

    /// The block's queries and its scores over `tiles`; hidden cells have the lowest number there is.
    pub fn score(&mut self, problem: &Problem<T>, block: &Queries) {
        let n_rows = block.rows.len();
        let (batch, head, first) = (block.batch, block.head, block.rows.start);
        self.queries.load(n_rows, n_rows, |i, out| {
            problem
                .query
                .load(&[batch, head, first + i], problem.scale, out);
        });
        if let Some(relative) = &problem.relative {
            self.positions.queries.load(n_rows, n_rows, |i, out| {
                relative
                    .query
                    .load(&[batch, head, first + i], problem.scale, out);
            });
        }
        self.scores.resize(n_rows, self.tiles.len());
        for (t, tile) in self.tiles.iter().enumerate() {
            let size = [n_rows, TILE, problem.d_head];
            let keys = self.keys_across.tile(tile.first);
            multiply(
                self.scores.tile_mut(t),
                self.queries.rows_from(0),
                keys,
                size,
            );
            if problem.relative.is_some() {
                self.positions
                    .add(problem, block, tile, self.scores.tile_mut(t));
            }
        }
        if let Some((source, n_batches)) = &problem.bias {
            let batch = if *n_batches == 1 { 0 } else { batch };
            let mut bias = vec![T::ZERO; problem.n_tiles() * TILE];
            for r in 0..n_rows {
                source.load(&[batch, head, first + r], T::ONE, &mut bias);
                for (t, tile) in self.tiles.iter().enumerate() {
                    let cells = elements_mut(self.scores.cells_mut(r, t));
                    for (score, &b) in cells.iter_mut().zip(&bias[tile.first..]) {
                        *score = *score + b;
                    }
                }
            }
        }
        for (t, tile) in self
            .tiles
            .iter()
            .enumerate()
            .filter(|(_, tile)| tile.is_masked)
        {
            for r in 0..n_rows {
                let flags = problem.flags(batch, head, first + r, tile.first);
                let cells = elements_mut(self.scores.cells_mut(r, t));
                for (score, &flag) in cells.iter_mut().zip(&flags) {
                    *score = if flag != 0 { T::LOWEST } else { *score };
                }
            }
        }
    }
}
