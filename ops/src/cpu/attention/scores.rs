//! The working memory of a thread: a head's keys and values, and the scores of a block of queries.

use crate::cpu::float::Float;
use crate::cpu::simd::{LANES, Simd};

use super::matmul::{Matrix, Target, multiply};
use super::problem::{Problem, Queries, TILE, Tile};

/// Packs of a tile's row.
const TILE_VECTORS: usize = TILE / LANES;

/// Rows of scores (or the like) over some tiles, side by side.
pub(super) struct ScoreTiles<T> {
    vectors: Vec<Simd<T>>,
    n_rows: usize,
    n_tiles: usize,
    /// Packs from one row to the next: not a multiple of a page, lest all rows fall on the same
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
    // SAFETY: a vector is LANES elements and nothing else: its size is a multiple of its alignment.
    unsafe { std::slice::from_raw_parts(vectors.as_ptr().cast(), vectors.len() * LANES) }
}

pub(super) fn elements_mut<T: Float>(vectors: &mut [Simd<T>]) -> &mut [T] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts_mut(vectors.as_mut_ptr().cast(), vectors.len() * LANES) }
}

/// Vectors in rows, padded with zeros to whole vectors and tiles.
pub(super) struct PaddedRows<T> {
    pub data: Vec<T>,
    /// Elements of a vector, padding included.
    pub width: usize,
    n: usize,
    d: usize,
}

impl<T: Float> PaddedRows<T> {
    pub fn new(d: usize) -> Self {
        Self {
            data: Vec::new(),
            width: d.next_multiple_of(LANES),
            n: 0,
            d,
        }
    }

    /// Loads `n` vectors, by their index, and zeros up to `padded`.
    pub fn load(&mut self, n: usize, padded: usize, mut row: impl FnMut(usize, &mut [T])) {
        let width = self.width;
        self.n = n;
        self.data.resize(padded * width, T::ZERO);
        for (i, vector) in self.data.chunks_exact_mut(width.max(1)).enumerate() {
            match i < n {
                true => row(i, &mut vector[..self.d]),
                false => vector.fill(T::ZERO),
            }
        }
    }

    pub fn zeros(&mut self, n: usize) {
        self.n = n;
        self.data.clear();
        self.data.resize(n * self.width, T::ZERO);
    }

    /// A vector with its padding.
    pub fn padded(&self, i: usize) -> &[T] {
        &self.data[i * self.width..][..self.width]
    }

    pub fn padded_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.data[i * self.width..][..self.width]
    }

    pub fn from(&self, first: usize) -> Matrix<'_, T> {
        Matrix::rows(&self.data[first * self.width..], self.width)
    }

    pub fn add_from(&mut self, first: usize) -> Target<'_, T> {
        Target {
            data: &mut self.data[first * self.width..],
            stride: self.width,
            adds: true,
        }
    }

    /// The vectors, without padding.
    pub fn iter(&self) -> impl Iterator<Item = &[T]> {
        let rows = self.data.chunks_exact(self.width.max(1)).take(self.n);
        rows.map(|row| &row[..self.d])
    }
}

/// The transposes of tiles of vectors: element c of vector j of a tile at `c · TILE + j`.
pub(super) struct Transposed<T> {
    data: Vec<T>,
    d: usize,
}

impl<T: Float> Transposed<T> {
    pub fn new(d: usize) -> Self {
        Self {
            data: Vec::new(),
            d,
        }
    }

    pub fn load(&mut self, vectors: &PaddedRows<T>) {
        let (width, d) = (vectors.width, self.d);
        self.data
            .resize(vectors.data.len() / width.max(1) * d, T::ZERO);
        let tiles = vectors.data.chunks_exact((TILE * width).max(1));
        for (to, from) in self.data.chunks_exact_mut((TILE * d).max(1)).zip(tiles) {
            // Strips of lanes: reads and writes both stay within a few lines.
            for j in (0..TILE).step_by(LANES) {
                for c in 0..d {
                    let strip = &mut to[c * TILE + j..][..LANES];
                    for (lane, out) in strip.iter_mut().enumerate() {
                        *out = from[(j + lane) * width + c];
                    }
                }
            }
        }
    }

    /// `[d, TILE]` of the tile that begins with this vector.
    pub fn tile(&self, first: usize) -> Matrix<'_, T> {
        Matrix::rows(&self.data[first * self.d..], TILE)
    }
}

/// The relative term of a head.
pub(super) struct Positions<T> {
    /// r, by position.
    pub vectors: PaddedRows<T>,
    /// Its transpose, `[d_head, n]`.
    across: Vec<T>,
    n: usize,
    /// The block's position queries, scaled.
    pub queries: PaddedRows<T>,
    /// Scores of a block of queries by position, `[rows, BAND]`.
    pub band: Vec<T>,
}

/// Positions that a tile of keys and a block of queries span, in whole vectors.
pub(super) const BAND: usize = 2 * TILE;

impl<T: Float> Positions<T> {
    fn new(d_head: usize) -> Self {
        Self {
            vectors: PaddedRows::new(d_head),
            across: Vec::new(),
            n: 0,
            queries: PaddedRows::new(d_head),
            band: vec![T::ZERO; TILE * BAND],
        }
    }

    fn load(&mut self, problem: &Problem<T>, head: usize) {
        let Some(relative) = &problem.relative else {
            return;
        };
        // Tiles and blocks may reach beyond the last key and the last query.
        self.n = problem.seq_kv.next_multiple_of(TILE) + problem.seq_q + BAND;
        let n = relative.n_positions.min(self.n);
        self.vectors.load(n, self.n, |i, out| {
            relative.positions.load(&[head, i], T::ONE, out);
        });
        let d = problem.d_head;
        self.across.resize(d * self.n, T::ZERO);
        for (i, row) in self
            .vectors
            .data
            .chunks_exact(self.vectors.width)
            .enumerate()
        {
            for (c, &x) in row[..d].iter().enumerate() {
                self.across[c * self.n + i] = x;
            }
        }
    }

    /// Number of positions, padding included.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The position of a tile's first key for the last query of a block.
    pub fn first(problem: &Problem<T>, queries: &Queries, tile: &Tile) -> usize {
        tile.first + problem.seq_q - queries.rows.end
    }

    /// Adds the term to a tile of scores.
    fn add(&mut self, problem: &Problem<T>, queries: &Queries, tile: &Tile, scores: Target<T>) {
        let n_rows = queries.rows.len();
        let first = Self::first(problem, queries, tile);
        let band = Target {
            data: &mut self.band,
            stride: BAND,
            adds: false,
        };
        let across = Matrix::rows(&self.across[first..], self.n);
        multiply(
            band,
            self.queries.from(0),
            across,
            [n_rows, BAND, problem.d_head],
        );
        for (r, row) in scores
            .data
            .chunks_mut(scores.stride)
            .take(n_rows)
            .enumerate()
        {
            let band = &self.band[r * BAND + n_rows - 1 - r..][..TILE];
            for (score, &term) in row.iter_mut().zip(band) {
                *score = *score + term;
            }
        }
    }
}

/// What a thread works on.
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
            multiply(self.scores.tile_mut(t), self.queries.from(0), keys, size);
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
