//! Gradients of a task: its scores again, weights from what forward saved, and the products of the
//! tiles that hold a weight.

mod gathered;

use rayon::prelude::*;

use crate::cpu::attention::forward::{drop_weights, workspaces};
use crate::cpu::attention::matmul::{Matrix, multiply};
use crate::cpu::attention::padded::PaddedRows;
use crate::cpu::attention::problem::{Problem, Queries, RowSource, TILE, Tile};
use crate::cpu::attention::relative::{BAND, Positions};
use crate::cpu::attention::scores::{ScoreTiles, TaskWorkspace, elements};
use crate::cpu::attention::tiling::{Task, cut, n_words, tasks};
use crate::cpu::backward::{backward as map_backward, with_alpha};
use crate::cpu::float::Float;
use crate::cpu::rows::GROUP;
use crate::cpu::simd::Simd;
use crate::cpu::workspace::{RowLayout, Workspace};

/// The tensors that forward saved, and the upstream gradient.
pub(super) struct BackwardInputs<'a, T> {
    pub rows: &'a [f64],
    pub bits: &'a [i64],
    /// `[batch, n_heads, seq_q, d_value]`.
    pub grad: RowSource<'a, T>,
    pub wants_bias: bool,
}

/// Gradients in row-major order; those in what is not there are empty.
pub(super) struct Gradients<T> {
    pub query: Vec<T>,
    pub key: Vec<T>,
    pub value: Vec<T>,
    /// `[n_heads]`.
    pub alpha: Vec<f64>,
    pub bias: Vec<T>,
    pub position_query: Vec<T>,
    pub positions: Vec<T>,
}

/// The sums of one task.
struct Sums<T> {
    key: PaddedRows<T>,
    value: PaddedRows<T>,
    positions: PaddedRows<T>,
    alpha: f64,
}

/// The rows of gradients that one task writes.
struct TaskRows<'a, T> {
    query: &'a mut [T],
    position_query: &'a mut [T],
    /// Added to, as examples may share a bias.
    bias: &'a mut [T],
}

pub(super) fn backward<T: Float>(problem: &Problem<T>, inputs: &BackwardInputs<T>) -> Gradients<T> {
    let n_rows = problem.batch * problem.n_heads * problem.seq_q;
    let bias_batches = match &problem.bias {
        Some((_, n_batches)) if inputs.wants_bias => *n_batches,
        _ => 0,
    };
    let has_positions = problem.relative.is_some();
    let bias_rows = problem.n_heads * problem.seq_q;
    let mut query = vec![T::ZERO; n_rows * problem.d_head];
    let mut position_query = vec![T::ZERO; if has_positions { query.len() } else { 0 }];
    let mut bias = vec![T::ZERO; bias_batches * bias_rows * problem.seq_kv];

    let tasks = tasks(problem);
    let mut rows = Vec::with_capacity(tasks.len());
    let queries = cut(&tasks, &mut query, problem.d_head);
    let width = if has_positions { problem.d_head } else { 0 };
    let position_queries = cut(&tasks, &mut position_query, width);
    rows.extend(queries.into_iter().zip(position_queries));

    // Where examples share a bias, they add to its gradient one after the other.
    let per_batch = tasks.len() / problem.batch.max(1);
    let round = match bias_batches < problem.batch && bias_batches > 0 {
        true => per_batch,
        false => tasks.len(),
    };
    let mut sums = Vec::with_capacity(tasks.len());
    let mut rows = rows.into_iter();
    for tasks in tasks.chunks(round.max(1)) {
        let width = if bias_batches > 0 { problem.seq_kv } else { 0 };
        let biases = cut(tasks, &mut bias, width);
        let parts: Vec<_> = tasks.iter().zip(rows.by_ref()).zip(biases).collect();
        sums.par_extend(parts.into_par_iter().map_init(
            || Backward::new(problem, inputs),
            |worker, ((task, (query, position_query)), bias)| {
                let rows = TaskRows {
                    query,
                    position_query,
                    bias,
                };
                worker.run(task, rows)
            },
        ));
    }
    let group = problem.n_heads / problem.n_kv_heads;
    let per_head = tasks.len() / (problem.batch * problem.n_heads).max(1);
    let per_kv_head = (per_head * group).max(1);
    let n_kv_heads = problem.batch * problem.n_kv_heads;
    let mut alpha = vec![
        0.0;
        if problem.alphas.is_some() {
            problem.n_heads
        } else {
            0
        }
    ];
    if problem.alphas.is_some() {
        for (task, sums) in tasks.iter().zip(&sums) {
            alpha[task.head] += sums.alpha;
        }
    }
    Gradients {
        key: add_up(
            &sums,
            per_kv_head,
            [n_kv_heads, problem.seq_kv, problem.d_head],
            |sums| &sums.key,
        ),
        value: add_up(
            &sums,
            per_kv_head,
            [n_kv_heads, problem.seq_kv, problem.d_value],
            |sums| &sums.value,
        ),
        positions: positions(problem, &tasks, &sums),
        query,
        alpha,
        bias,
        position_query,
    }
}

/// The sum of the vectors of every `n` tasks, in order, `[n_totals, n_vectors, d]`: zeros where no task has a query.
fn add_up<T: Float>(
    sums: &[Sums<T>],
    n: usize,
    [n_totals, n_vectors, d]: [usize; 3],
    of: impl Fn(&Sums<T>) -> &PaddedRows<T> + Sync,
) -> Vec<T> {
    let len = n_vectors * d;
    let mut total = vec![T::ZERO; n_totals * len];
    let totals = total.par_chunks_mut(len.max(1));
    totals.zip(sums.par_chunks(n)).for_each(|(total, sums)| {
        for sums in sums {
            let rows = total.chunks_exact_mut(d.max(1));
            for (to, from) in rows.zip(of(sums).iter()) {
                for (to, &from) in to.iter_mut().zip(from) {
                    *to = *to + from;
                }
            }
        }
    });
    total
}

/// The sum over the tasks of each head, `[n_heads, n_positions, d_head]`.
fn positions<T: Float>(problem: &Problem<T>, tasks: &[Task], sums: &[Sums<T>]) -> Vec<T> {
    let Some(relative) = &problem.relative else {
        return Vec::new();
    };
    let len = relative.n_positions * problem.d_head;
    let mut total = vec![T::ZERO; problem.n_heads * len];
    for (task, sums) in tasks.iter().zip(sums) {
        let rows = total[task.head * len..][..len].chunks_exact_mut(problem.d_head);
        for (to, from) in rows.zip(sums.positions.iter()) {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = *to + from;
            }
        }
    }
    total
}

struct Backward<'a, T> {
    problem: &'a Problem<'a, T>,
    inputs: &'a BackwardInputs<'a, T>,
    workspace: TaskWorkspace<T>,
    /// Gradients in the weights, then in the scores.
    grads: ScoreTiles<T>,
    /// The block's upstream gradient.
    upstream: PaddedRows<T>,
    query: PaddedRows<T>,
    position_query: PaddedRows<T>,
    /// Gradients in scores by position, `[rows, BAND]`.
    band: Vec<T>,
    group: Vec<Workspace<T>>,
    /// A row with few weights.
    few: Workspace<T>,
    /// The keys of its weights, and their positions.
    keys: Vec<u32>,
    places: Vec<u32>,
    /// The other rows of a block.
    dense: Vec<usize>,
}

impl<'a, T: Float> Backward<'a, T> {
    fn new(problem: &'a Problem<'a, T>, inputs: &'a BackwardInputs<'a, T>) -> Self {
        Self {
            problem,
            inputs,
            workspace: TaskWorkspace::new(problem),
            grads: ScoreTiles::new(),
            upstream: PaddedRows::new(problem.d_value),
            query: PaddedRows::new(problem.d_head),
            position_query: PaddedRows::new(problem.d_head),
            band: vec![T::ZERO; TILE * BAND],
            group: Vec::new(),
            few: Workspace::new(0, T::ZERO, RowLayout::RowMajor),
            keys: Vec::new(),
            places: Vec::new(),
            dense: Vec::new(),
        }
    }

    fn run(&mut self, task: &Task, rows: TaskRows<T>) -> Sums<T> {
        let problem = self.problem;
        self.workspace
            .load_head(problem, task.batch, task.head, true);
        let n_keys = problem.n_tiles() * TILE;
        let mut sums = Sums {
            key: PaddedRows::new(problem.d_head),
            value: PaddedRows::new(problem.d_value),
            positions: PaddedRows::new(problem.d_head),
            alpha: 0.0,
        };
        sums.key.zeros(n_keys);
        sums.value.zeros(n_keys);
        if problem.relative.is_some() {
            sums.positions.zeros(self.workspace.positions.n());
        }
        let TaskRows {
            mut query,
            mut position_query,
            mut bias,
        } = rows;
        let words = n_words(problem);
        for (index, block) in task.blocks() {
            let n_rows = block.rows.len();
            let bits = &self.inputs.bits[index * words..][..words];
            self.score(&block, bits);
            let bias_rows = match bias.is_empty() {
                true => &mut [][..],
                false => {
                    let (these, rest) =
                        std::mem::take(&mut bias).split_at_mut(n_rows * problem.seq_kv);
                    bias = rest;
                    these
                }
            };
            self.gathered_rows(&block, &mut sums, bias_rows);
            if !self.dense.is_empty() {
                self.weight_gradients(&block);
                self.differentiate(&block, &mut sums);
                self.products(&block, &mut sums);
                if !bias_rows.is_empty() {
                    self.add_bias(bias_rows);
                }
            }
            put(&self.query, problem.scale, &mut query, problem.d_head);
            if !position_query.is_empty() {
                put(
                    &self.position_query,
                    problem.scale,
                    &mut position_query,
                    problem.d_head,
                );
            }
        }
        sums
    }

    /// The scores of the tiles that hold a weight, and the upstream gradient.
    fn score(&mut self, block: &Queries, bits: &[i64]) {
        let (problem, workspace) = (self.problem, &mut self.workspace);
        let n_rows = block.rows.len();
        let is_active = |tile: usize| bits[tile / 64] >> (tile % 64) & 1 == 1;
        problem.tiles(block, is_active, &mut workspace.tiles);
        workspace.score(problem, block);
        self.upstream.load(n_rows, n_rows, |i, out| {
            let index = [block.batch, block.head, block.rows.start + i];
            self.inputs.grad.load(&index, T::ONE, out);
        });
        self.query.zeros(n_rows);
        self.position_query.zeros(n_rows);
    }

    /// Gradients in the weights of the rows that are left, over whole tiles.
    fn weight_gradients(&mut self, block: &Queries) {
        let (problem, workspace) = (self.problem, &self.workspace);
        let n_rows = block.rows.len();
        self.grads.resize(n_rows, workspace.tiles.len());
        for (t, tile) in workspace.tiles.iter().enumerate() {
            let size = [n_rows, TILE, problem.d_value];
            let values = workspace.values_across.tile(tile.first);
            let upstream = self.upstream.rows_from(0);
            multiply(self.grads.tile_mut(t), upstream, values, size);
            drop_weights(problem, block, tile, &mut self.grads, t);
        }
    }

    /// Gradients in the weights to gradients in the scores.
    fn differentiate(&mut self, block: &Queries, sums: &mut Sums<T>) {
        let problem = self.problem;
        let weights = &self.workspace.scores;
        let group = workspaces(&mut self.group, self.grads.n_vectors(), T::ZERO);
        for rows in self.dense.chunks(group.len()) {
            let group = &mut group[..rows.len()];
            for (work, &r) in group.iter_mut().zip(rows) {
                work.row.vectors.copy_from_slice(self.grads.row(r));
                work.other.vectors.copy_from_slice(weights.row(r));
            }
            match &problem.alphas {
                None => map_backward(group, problem.mappings[block.head]),
                Some(alphas) => {
                    let mut d_alphas = [0.0; GROUP];
                    let d_alphas = &mut d_alphas[..rows.len()];
                    with_alpha(group, &[alphas[block.head]; GROUP], d_alphas);
                    sums.alpha += d_alphas.iter().sum::<f64>();
                }
            }
            for (work, &r) in group.iter().zip(rows) {
                self.grads.row_mut(r).copy_from_slice(&work.row.vectors);
            }
        }
        if self.dense.len() < block.rows.len() {
            for r in 0..block.rows.len() {
                if self.dense.binary_search(&r).is_err() {
                    self.grads.row_mut(r).fill(Simd::splat(T::ZERO));
                }
            }
        }
    }

    /// Adds the gradients in keys and values to the sums, and computes those in the queries.
    fn products(&mut self, block: &Queries, sums: &mut Sums<T>) {
        let (problem, workspace) = (self.problem, &mut self.workspace);
        let n_rows = block.rows.len();
        for (t, tile) in workspace.tiles.iter().enumerate() {
            drop_weights(problem, block, tile, &mut workspace.scores, t);
            let size = [TILE, sums.value.width, n_rows];
            let weights = workspace.scores.tile(t).transposed();
            multiply(
                sums.value.add_to_rows_from(tile.first),
                weights,
                self.upstream.rows_from(0),
                size,
            );

            let grads = self.grads.tile(t);
            let size = [TILE, sums.key.width, n_rows];
            let queries = workspace.queries.rows_from(0);
            multiply(
                sums.key.add_to_rows_from(tile.first),
                grads.transposed(),
                queries,
                size,
            );

            let size = [n_rows, self.query.width, TILE];
            multiply(
                self.query.add_to_rows_from(0),
                grads,
                workspace.keys.rows_from(tile.first),
                size,
            );
            if problem.relative.is_some() {
                let first = Positions::first(problem, block, tile);
                by_position(&mut self.band, &self.grads, t, n_rows);
                let band = Matrix::rows(&self.band, BAND);
                let size = [n_rows, self.position_query.width, BAND];
                let positions = workspace.positions.embeddings.rows_from(first);
                multiply(
                    self.position_query.add_to_rows_from(0),
                    band,
                    positions,
                    size,
                );
                let size = [BAND, sums.positions.width, n_rows];
                let queries = workspace.positions.queries.rows_from(0);
                multiply(
                    sums.positions.add_to_rows_from(first),
                    band.transposed(),
                    queries,
                    size,
                );
            }
        }
    }

    /// Adds the gradients in scores to rows of the bias's.
    fn add_bias(&self, bias: &mut [T]) {
        let seq_kv = self.problem.seq_kv;
        for (r, bias) in bias.chunks_exact_mut(seq_kv).enumerate() {
            for (t, tile) in self.workspace.tiles.iter().enumerate() {
                let Tile { first, .. } = *tile;
                let grads = elements(self.grads.cells(r, t));
                for (to, &grad) in bias[first..].iter_mut().zip(grads) {
                    *to = *to + grad;
                }
            }
        }
    }
}

/// A tile of gradients by key as gradients by position: row r moves right by `n_rows − 1 − r`.
fn by_position<T: Float>(band: &mut [T], grads: &ScoreTiles<T>, tile: usize, n_rows: usize) {
    for (r, band) in band.chunks_exact_mut(BAND).take(n_rows).enumerate() {
        band.fill(T::ZERO);
        let cells = elements(grads.cells(r, tile));
        band[n_rows - 1 - r..][..TILE].copy_from_slice(cells);
    }
}

/// Writes a block's vectors, multiplied by a factor, to the front of rows of `d` elements, and moves on.
fn put<T: Float>(vectors: &PaddedRows<T>, factor: T, rows: &mut &mut [T], d: usize) {
    for from in vectors.iter() {
        let (to, rest) = std::mem::take(rows).split_at_mut(d);
        *rows = rest;
        for (to, &from) in to.iter_mut().zip(from) {
            *to = from * factor;
        }
    }
}
