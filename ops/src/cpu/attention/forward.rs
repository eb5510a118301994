//! Scores, weights and context of a task.

use rayon::prelude::*;

use crate::cpu::compress::compress_few;
use crate::cpu::float::Float;
use crate::cpu::forward::{Saved, forward_saving, softmax_saving};
use crate::cpu::isa;
use crate::cpu::rows::{GROUP, GROUP_ELEMENTS};
use crate::cpu::simd::{LANES, Simd};
use crate::cpu::workspace::{RowLayout, Workspace};
use crate::entmax::Mapping;

use super::gathered::{gather_add, keys_of};
use super::matmul::multiply;
use super::padded::PaddedRows;
use super::problem::{Problem, Queries, TILE, Tile};
use super::scores::{ScoreTiles, TaskWorkspace, elements_mut};
use super::tiling::{Task, cut, n_blocks, n_words, tasks};

/// The context, and what backward needs.
pub(super) struct ForwardOutput<T> {
    /// `[batch, n_heads, seq_q, d_value]`.
    pub context: Vec<T>,
    /// Three numbers of each row, `[batch · n_heads · seq_q, 3]`.
    pub rows: Vec<f64>,
    /// Bits of the tiles that hold a weight, `[n_blocks, n_words]`.
    pub bits: Vec<i64>,
}

pub(super) fn forward<T: Float>(problem: &Problem<T>) -> ForwardOutput<T> {
    let n_rows = problem.batch * problem.n_heads * problem.seq_q;
    let words = n_words(problem);
    let mut context = vec![T::ZERO; n_rows * problem.d_value];
    let mut saved = vec![[0.0; 3]; n_rows];
    let mut bits = vec![0i64; n_blocks(problem) * words];
    let tasks = tasks(problem);
    let mut parts = Vec::with_capacity(tasks.len());
    let mut rest = &mut bits[..];
    for ((task, context), saved) in tasks
        .iter()
        .zip(cut(&tasks, &mut context, problem.d_value))
        .zip(cut(&tasks, &mut saved, 1))
    {
        let (bits, behind) = rest.split_at_mut(task.blocks().count() * words);
        rest = behind;
        parts.push((task, context, saved, bits));
    }
    parts.into_par_iter().for_each_init(
        || Forward::new(problem),
        |worker, (task, context, saved, bits)| worker.run(task, context, saved, bits),
    );
    ForwardOutput {
        context,
        rows: saved.into_iter().flatten().collect(),
        bits,
    }
}

struct Forward<'a, T> {
    problem: &'a Problem<'a, T>,
    workspace: TaskWorkspace<T>,
    group: Vec<Workspace<T>>,
    context: PaddedRows<T>,
    /// Those with weight in a row.
    keys: Vec<u32>,
}

impl<'a, T: Float> Forward<'a, T> {
    fn new(problem: &'a Problem<'a, T>) -> Self {
        Self {
            problem,
            workspace: TaskWorkspace::new(problem),
            group: Vec::new(),
            context: PaddedRows::new(problem.d_value),
            keys: Vec::new(),
        }
    }

    fn run(&mut self, task: &Task, context: &mut [T], saved: &mut [Saved], bits: &mut [i64]) {
        let problem = self.problem;
        self.workspace
            .load_head(problem, task.batch, task.head, false);
        let mut at = 0;
        for (i, (_, block)) in task.blocks().enumerate() {
            let n_rows = block.rows.len();
            let bits = &mut bits[i * n_words(problem)..][..n_words(problem)];
            self.block(&block, &mut saved[at..][..n_rows], bits);
            let context = &mut context[at * problem.d_value..];
            let rows = context.chunks_exact_mut(problem.d_value.max(1));
            for (to, from) in rows.zip(self.context.iter()) {
                to.copy_from_slice(from);
            }
            at += n_rows;
        }
    }

    fn block(&mut self, block: &Queries, saved: &mut [Saved], bits: &mut [i64]) {
        let problem = self.problem;
        problem.tiles(block, |_| true, &mut self.workspace.tiles);
        self.workspace.score(problem, block);
        self.context.zeros(block.rows.len());
        if self.workspace.tiles.is_empty() {
            return;
        }
        let has_dense = match problem.mappings[block.head] {
            Mapping::Softmax => {
                for (r, saved) in saved.iter_mut().enumerate() {
                    *saved = softmax_saving(self.workspace.scores.row_mut(r), problem.hidden);
                }
                true
            }
            mapping => self.weigh(block, mapping, saved, bits),
        };
        if !has_dense {
            return;
        }
        let workspace = &mut self.workspace;
        for (t, tile) in workspace.tiles.iter().enumerate() {
            if !is_active(&workspace.scores, block.rows.len(), t) {
                continue;
            }
            mark(bits, tile.first);
            drop_weights(problem, block, tile, &mut workspace.scores, t);
            let size = [block.rows.len(), self.context.width, TILE];
            let values = workspace.values.rows_from(tile.first);
            multiply(
                self.context.add_to_rows_from(0),
                workspace.scores.tile(t),
                values,
                size,
            );
        }
    }

    /// Weights of every row. Rows with few go into the context here, and leave zeros among the scores; says
    /// whether there are others.
    fn weigh(
        &mut self,
        block: &Queries,
        mapping: Mapping,
        saved: &mut [Saved],
        bits: &mut [i64],
    ) -> bool {
        let (problem, workspace) = (self.problem, &mut self.workspace);
        let mut has_dense = false;
        let group = workspaces(&mut self.group, workspace.scores.n_vectors(), T::LOWEST);
        for (i, saved) in saved.chunks_mut(group.len()).enumerate() {
            let first = i * group.len();
            let group = &mut group[..saved.len()];
            for (i, work) in group.iter_mut().enumerate() {
                work.row
                    .vectors
                    .copy_from_slice(workspace.scores.row(first + i));
            }
            let mut gathered = [None; GROUP];
            let gathered = &mut gathered[..saved.len()];
            forward_saving(group, problem.hidden, mapping, saved, gathered);
            for (i, (work, n)) in group.iter_mut().zip(gathered).enumerate() {
                let r = first + i;
                let n = n.or_else(|| few(work));
                let Some(n) = n else {
                    workspace
                        .scores
                        .row_mut(r)
                        .copy_from_slice(&work.row.vectors);
                    has_dense = true;
                    continue;
                };
                keys_of(&work.places[..n], &workspace.tiles, &mut self.keys);
                let weights = &mut elements_mut(&mut work.compressed.vectors)[..n];
                for (&weight, &key) in weights.iter().zip(&self.keys) {
                    // NaN counts as well.
                    if weight != T::ZERO {
                        mark(bits, key as usize);
                    }
                }
                drop_some(problem, block, r, weights, &self.keys);
                gather_add(
                    self.context.padded_mut(r),
                    weights,
                    &self.keys,
                    &workspace.values,
                );
                workspace.scores.row_mut(r).fill(Simd::splat(T::ZERO));
            }
        }
        has_dense
    }
}

/// Sets the bit of a key's tile.
fn mark(bits: &mut [i64], key: usize) {
    let tile = key / TILE;
    bits[tile / 64] |= 1 << (tile % 64);
}

/// Gathers a row's weights, if few are not 0.
fn few<T: Float>(work: &mut Workspace<T>) -> Option<usize> {
    let (row, compressed) = (&work.row.vectors, &mut work.compressed.vectors);
    compress_few(row, T::ZERO, compressed, T::ZERO, &mut work.places)
}

/// Multiplies weights of some keys by what dropout keeps.
pub(super) fn drop_some<T: Float>(
    problem: &Problem<T>,
    block: &Queries,
    r: usize,
    weights: &mut [T],
    keys: &[u32],
) {
    let Some(dropout) = problem.dropout else {
        return;
    };
    let scale = T::from_f64(dropout.scale());
    let query = block.rows.start + r;
    let row = dropout.row(problem.row(block.batch, block.head, query));
    for (weight, &key) in weights.iter_mut().zip(keys) {
        let factor = if row.keeps(key as usize) {
            scale
        } else {
            T::ZERO
        };
        *weight = *weight * factor;
    }
}

/// A group of rows of this many vectors, for kernels that work on several at once.
pub(super) fn workspaces<T: Float>(
    group: &mut Vec<Workspace<T>>,
    n_vectors: usize,
    padding: T,
) -> &mut [Workspace<T>] {
    let size = (GROUP_ELEMENTS / (n_vectors * LANES).max(1)).clamp(1, GROUP);
    while group.len() < size {
        group.push(Workspace::new(0, padding, RowLayout::RowMajor));
    }
    for work in &mut group[..size] {
        work.resize(n_vectors);
    }
    &mut group[..size]
}

/// Whether any weight of a tile is not 0.
pub(super) fn is_active<T: Float>(scores: &ScoreTiles<T>, n_rows: usize, tile: usize) -> bool {
    isa::dispatch(
        #[inline(always)]
        || {
            for r in 0..n_rows {
                let mut reaches = false;
                for simd in scores.cells(r, tile) {
                    reaches |= simd.reaches(T::ZERO);
                }
                if reaches {
                    return true;
                }
            }
            false
        },
    )
}

/// Multiplies a tile by what dropout keeps.
pub(super) fn drop_weights<T: Float>(
    problem: &Problem<T>,
    block: &Queries,
    tile: &Tile,
    scores: &mut ScoreTiles<T>,
    t: usize,
) {
    let Some(dropout) = problem.dropout else {
        return;
    };
    let scale = T::from_f64(dropout.scale());
    for (r, query) in block.rows.clone().enumerate() {
        let row = dropout.row(problem.row(block.batch, block.head, query));
        let cells = elements_mut(scores.cells_mut(r, t));
        for (j, weight) in cells.iter_mut().enumerate() {
            let factor = if row.keeps(tile.first + j) {
                scale
            } else {
                T::ZERO
            };
            *weight = *weight * factor;
        }
    }
}
