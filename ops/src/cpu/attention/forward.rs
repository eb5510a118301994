//! Scores, weights and context of a task.

use rayon::prelude::*;

use crate::cpu::float::Float;
use crate::cpu::forward::{Saved, forward_saving, softmax_saving};
use crate::cpu::pack::{LANES, Pack};
use crate::cpu::rows::{GROUP, GROUP_ELEMENTS, Layout, Work};
use crate::entmax::Mapping;

use super::panel::{Bench, Panel, Vectors, elements_mut};
use super::problem::{Problem, Queries, TILE, Tile};
use super::product::multiply;
use super::task::{Task, cut, n_blocks, n_words, tasks};

/// What forward gives.
pub(super) struct Output<T> {
    /// `[batch, n_heads, seq_q, d_value]`.
    pub context: Vec<T>,
    /// Three numbers of each row, `[batch · n_heads · seq_q, 3]`.
    pub rows: Vec<f64>,
    /// Bits of the tiles that hold a weight, `[n_blocks, n_words]`.
    pub bits: Vec<i64>,
}

pub(super) fn forward<T: Float>(problem: &Problem<T>) -> Output<T> {
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
    Output {
        context,
        rows: saved.into_iter().flatten().collect(),
        bits,
    }
}

struct Forward<'a, T> {
    problem: &'a Problem<'a, T>,
    bench: Bench<T>,
    group: Vec<Work<T>>,
    context: Vectors<T>,
}

impl<'a, T: Float> Forward<'a, T> {
    fn new(problem: &'a Problem<'a, T>) -> Self {
        Self {
            problem,
            bench: Bench::new(problem),
            group: Vec::new(),
            context: Vectors::new(problem.d_value),
        }
    }

    fn run(&mut self, task: &Task, context: &mut [T], saved: &mut [Saved], bits: &mut [i64]) {
        let problem = self.problem;
        self.bench.load_head(problem, task.batch, task.head, false);
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
        let bench = &mut self.bench;
        problem.tiles(block, |_| true, &mut bench.tiles);
        bench.score(problem, block);
        let mapping = problem.mappings[block.head];
        weigh(
            &mut bench.scores,
            mapping,
            problem.hidden,
            &mut self.group,
            saved,
        );
        self.context.zeros(block.rows.len());
        for (t, tile) in bench.tiles.iter().enumerate() {
            if !is_active(&bench.scores, block.rows.len(), t) {
                continue;
            }
            let tile_index = tile.first / TILE;
            bits[tile_index / 64] |= 1 << (tile_index % 64);
            drop_weights(problem, block, tile, &mut bench.scores, t);
            let size = [block.rows.len(), self.context.width, TILE];
            let values = bench.values.from(tile.first);
            multiply(self.context.add_from(0), bench.scores.tile(t), values, size);
        }
    }
}

/// Turns every row of scores into weights.
fn weigh<T: Float>(
    panel: &mut Panel<T>,
    mapping: Mapping,
    hidden: T,
    group: &mut Vec<Work<T>>,
    saved: &mut [Saved],
) {
    let n_packs = panel.n_packs();
    if n_packs == 0 {
        return;
    }
    if mapping == Mapping::Softmax {
        for (r, saved) in saved.iter_mut().enumerate() {
            *saved = softmax_saving(panel.row_mut(r), hidden);
        }
        return;
    }
    let group = works(group, n_packs, T::LOWEST);
    for (i, saved) in saved.chunks_mut(group.len()).enumerate() {
        let first = i * group.len();
        let group = &mut group[..saved.len()];
        for (i, work) in group.iter_mut().enumerate() {
            work.row.packs.copy_from_slice(panel.row(first + i));
        }
        forward_saving(group, hidden, mapping, saved);
        for (i, work) in group.iter().enumerate() {
            panel.row_mut(first + i).copy_from_slice(&work.row.packs);
        }
    }
}

/// A group of rows of this many packs, for kernels that work on several at once.
pub(super) fn works<T: Float>(
    group: &mut Vec<Work<T>>,
    n_packs: usize,
    padding: T,
) -> &mut [Work<T>] {
    let size = (GROUP_ELEMENTS / (n_packs * LANES).max(1)).clamp(1, GROUP);
    while group.len() < size {
        group.push(Work::new(0, padding, Layout::Along));
    }
    for work in &mut group[..size] {
        work.resize(n_packs);
    }
    &mut group[..size]
}

/// Whether any weight of a tile is not 0.
pub(super) fn is_active<T: Float>(panel: &Panel<T>, n_rows: usize, tile: usize) -> bool {
    (0..n_rows).any(|r| {
        panel
            .cells(r, tile)
            .iter()
            .any(|pack: &Pack<T>| pack.reaches(T::ZERO))
    })
}

/// Multiplies a tile by what dropout keeps.
pub(super) fn drop_weights<T: Float>(
    problem: &Problem<T>,
    block: &Queries,
    tile: &Tile,
    panel: &mut Panel<T>,
    t: usize,
) {
    let Some(dropout) = problem.dropout else {
        return;
    };
    let scale = T::from_f64(dropout.scale());
    for (r, query) in block.rows.clone().enumerate() {
        let row = dropout.row(problem.row(block.batch, block.head, query));
        let cells = elements_mut(panel.cells_mut(r, t));
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
