//! Matrices of cells, made smaller where they are big.

use serde::{Deserialize, Serialize};

use super::check::Check;
use crate::chart::Cell;
use crate::error::Result;

/// A (query, key) matrix of one head, each stored cell the mean of `bin × bin` cells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Queries of the whole matrix.
    pub n_queries: usize,
    /// Keys of the whole matrix.
    pub n_keys: usize,
    /// Side of the square of cells that a stored cell is the mean of.
    pub bin: usize,
    /// Means, `[query / bin][key / bin]`; none where no cell of the square is legal.
    pub cells: Vec<Vec<Option<f32>>>,
}

impl Grid {
    /// The matrix of `cell(query, key)` (none where a query must not see a key), made smaller to at
    /// most `side` stored cells a side by averaging the legal cells of squares.
    ///
    /// # Shapes
    /// `cells`: `[ceil(n_queries / bin)][ceil(n_keys / bin)]`.
    pub fn of(
        n_queries: usize,
        n_keys: usize,
        side: usize,
        cell: impl Fn(usize, usize) -> Option<f32>,
    ) -> Self {
        let bin = n_queries.max(n_keys).div_ceil(side.max(1)).max(1);
        let mean = |rows: usize, columns: usize| {
            let (mut sum, mut n) = (0.0f64, 0u32);
            for query in rows * bin..n_queries.min((rows + 1) * bin) {
                for key in columns * bin..n_keys.min((columns + 1) * bin) {
                    if let Some(value) = cell(query, key) {
                        sum += f64::from(value);
                        n += 1;
                    }
                }
            }
            (n > 0).then(|| (sum / f64::from(n)) as f32)
        };
        let row = |rows| (0..n_keys.div_ceil(bin)).map(|at| mean(rows, at)).collect();
        Self {
            n_queries,
            n_keys,
            bin,
            cells: (0..n_queries.div_ceil(bin)).map(row).collect(),
        }
    }

    /// How many stored cells a side keep a figure of `n_grids` grids readable and its files below
    /// a megabyte: 64 at most, 12 at least.
    pub fn side(n_grids: usize) -> usize {
        let all = 48_000.0 / n_grids.max(1) as f64;
        (all.sqrt() as usize).clamp(12, 64)
    }

    /// Each stored cell by `cell`.
    pub(super) fn rows(&self, cell: impl Fn(Option<f64>) -> Cell) -> Vec<Vec<Cell>> {
        let row =
            |cells: &Vec<Option<f32>>| cells.iter().map(|of| cell(of.map(f64::from))).collect();
        self.cells.iter().map(row).collect()
    }

    pub(super) fn check(&self, check: &Check, name: &str) -> Result<()> {
        let Self {
            n_queries,
            n_keys,
            bin,
            cells,
        } = self;
        let bin = (*bin).max(1);
        check.matrix(name, cells, n_queries.div_ceil(bin), n_keys.div_ceil(bin))?;
        let values = cells.iter().flatten().flatten();
        check.within(name, values.map(|&value| f64::from(value)), 0.0, 1.0)
    }
}
