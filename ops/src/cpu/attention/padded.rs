//! The matrices of a head in a thread's memory: rows padded to whole SIMD vectors, and their transposes.

use crate::cpu::float::Float;
use crate::cpu::simd::LANES;

use super::matmul::{Matrix, Target};
use super::problem::TILE;

/// Queries, keys or the like, one per row, padded with zeros to whole SIMD vectors and tiles.
pub(super) struct PaddedRows<T> {
    pub data: Vec<T>,
    /// Elements of a row, padding included.
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

    /// Loads `n` rows, by their index, and zeros up to `padded`.
    pub fn load(&mut self, n: usize, padded: usize, mut row: impl FnMut(usize, &mut [T])) {
        let width = self.width;
        self.n = n;
        self.data.resize(padded * width, T::ZERO);
        for (i, to) in self.data.chunks_exact_mut(width.max(1)).enumerate() {
            match i < n {
                true => row(i, &mut to[..self.d]),
                false => to.fill(T::ZERO),
            }
        }
    }

    pub fn zeros(&mut self, n: usize) {
        self.n = n;
        self.data.clear();
        self.data.resize(n * self.width, T::ZERO);
    }

    /// A row with its padding.
    pub fn padded(&self, i: usize) -> &[T] {
        &self.data[i * self.width..][..self.width]
    }

    pub fn padded_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.data[i * self.width..][..self.width]
    }

    pub fn rows_from(&self, first: usize) -> Matrix<'_, T> {
        Matrix::rows(&self.data[first * self.width..], self.width)
    }

    pub fn add_to_rows_from(&mut self, first: usize) -> Target<'_, T> {
        Target {
            data: &mut self.data[first * self.width..],
            stride: self.width,
            adds: true,
        }
    }

    /// The rows, without padding.
    pub fn iter(&self) -> impl Iterator<Item = &[T]> {
        let rows = self.data.chunks_exact(self.width.max(1)).take(self.n);
        rows.map(|row| &row[..self.d])
    }
}

/// The transposes of tiles of rows: element c of row j of a tile at `c · TILE + j`.
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

    pub fn load(&mut self, rows: &PaddedRows<T>) {
        let (width, d) = (rows.width, self.d);
        self.data
            .resize(rows.data.len() / width.max(1) * d, T::ZERO);
        let tiles = rows.data.chunks_exact((TILE * width).max(1));
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

    /// `[d, TILE]` of the tile that begins with this row.
    pub fn tile(&self, first: usize) -> Matrix<'_, T> {
        Matrix::rows(&self.data[first * self.d..], TILE)
    }
}
