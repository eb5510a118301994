//! Scores by distance: the relative term of a head, made by position and moved to the keys.

use crate::cpu::float::Float;

use super::matmul::{Matrix, Target, multiply};
use super::padded::PaddedRows;
use super::problem::{Problem, Queries, TILE, Tile};

/// The relative term of a head: its position embeddings, and the scores made of them.
pub(super) struct Positions<T> {
    /// r, one position per row.
    pub embeddings: PaddedRows<T>,
    /// Its transpose, `[d_head, n]`.
    across: Vec<T>,
    n: usize,
    /// The block's position queries, scaled.
    pub queries: PaddedRows<T>,
    /// Scores of a block of queries by position, `[rows, BAND]`.
    pub band: Vec<T>,
}

/// Positions that a tile of keys and a block of queries span, in whole SIMD vectors.
pub(super) const BAND: usize = 2 * TILE;

impl<T: Float> Positions<T> {
    pub fn new(d_head: usize) -> Self {
        Self {
            embeddings: PaddedRows::new(d_head),
            across: Vec::new(),
            n: 0,
            queries: PaddedRows::new(d_head),
            band: vec![T::ZERO; TILE * BAND],
        }
    }

    pub fn load(&mut self, problem: &Problem<T>, head: usize) {
        let Some(relative) = &problem.relative else {
            return;
        };
        // Tiles and blocks may reach beyond the last key and the last query.
        self.n = problem.seq_kv.next_multiple_of(TILE) + problem.seq_q + BAND;
        let n = relative.n_positions.min(self.n);
        self.embeddings.load(n, self.n, |i, out| {
            relative.positions.load(&[head, i], T::ONE, out);
        });
        let d = problem.d_head;
        self.across.resize(d * self.n, T::ZERO);
        for (i, row) in self
            .embeddings
            .data
            .chunks_exact(self.embeddings.width)
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
    pub fn add(&mut self, problem: &Problem<T>, queries: &Queries, tile: &Tile, scores: Target<T>) {
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
            self.queries.rows_from(0),
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
