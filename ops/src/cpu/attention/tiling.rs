//! The tiling of attention: blocks of queries, and tasks of several blocks of one head.
//!
//! The division depends on shapes alone, and so does every sum: not on the number of threads.

use std::ops::Range;

use super::problem::{Problem, Queries};

/// Scores that a block of queries may have, about.
const BLOCK_SCORES: usize = 64 * 1024;

/// Tasks that there should be, for processors to share, where heads are few. Each has its own sums of the
/// keys' and values' gradients.
const TASKS: usize = 32;

/// The queries of one head that a task computes, block by block.
pub(super) struct Task {
    pub batch: usize,
    pub head: usize,
    pub rows: Range<usize>,
    /// Rows of a block.
    step: usize,
    /// The block's index among all, from which on this task's are.
    pub first_block: usize,
}

impl Task {
    pub fn blocks(&self) -> impl Iterator<Item = (usize, Queries)> + '_ {
        let starts = self.rows.clone().step_by(self.step).enumerate();
        starts.map(|(i, start)| {
            let queries = Queries {
                batch: self.batch,
                head: self.head,
                rows: start..(start + self.step).min(self.rows.end),
            };
            (self.first_block + i, queries)
        })
    }
}

/// Rows of a block of queries: 64, or fewer where keys are many.
pub(super) fn block_rows(seq_kv: usize) -> usize {
    (BLOCK_SCORES / seq_kv.max(1))
        .next_power_of_two()
        .clamp(16, 64)
}

/// Every task, those of a batch and head one after the other.
pub(super) fn tasks<T>(problem: &Problem<T>) -> Vec<Task> {
    let step = block_rows(problem.seq_kv);
    let n_blocks = problem.seq_q.div_ceil(step);
    let n_heads = problem.batch * problem.n_heads;
    let per_head = TASKS.div_ceil(n_heads.max(1)).min(n_blocks).max(1);
    let blocks_per_task = n_blocks.div_ceil(per_head).max(1);
    let mut tasks = Vec::new();
    for batch in 0..problem.batch {
        for head in 0..problem.n_heads {
            for first in (0..n_blocks).step_by(blocks_per_task) {
                let end = (first + blocks_per_task) * step;
                tasks.push(Task {
                    batch,
                    head,
                    rows: first * step..end.min(problem.seq_q),
                    step,
                    first_block: (batch * problem.n_heads + head) * n_blocks + first,
                });
            }
        }
    }
    tasks
}

/// Number of blocks of all tasks.
pub(super) fn n_blocks<T>(problem: &Problem<T>) -> usize {
    let per_head = problem.seq_q.div_ceil(block_rows(problem.seq_kv));
    problem.batch * problem.n_heads * per_head
}

/// Words of the bits that say which tiles of a block are active.
pub(super) fn n_words<T: crate::cpu::float::Float>(problem: &Problem<T>) -> usize {
    problem.n_tiles().div_ceil(64)
}

/// Cuts rows of `width` elements into the parts of consecutive tasks.
pub(super) fn cut<'a, E>(tasks: &[Task], mut rows: &'a mut [E], width: usize) -> Vec<&'a mut [E]> {
    let part = |task: &Task| {
        let (part, rest) = std::mem::take(&mut rows).split_at_mut(task.rows.len() * width);
        rows = rest;
        part
    };
    tasks.iter().map(part).collect()
}
