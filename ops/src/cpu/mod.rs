//! Kernels on slices for CPU backends: rows in parallel, lanes within a row.
//!
//! Sums run over a fixed number of lanes and never depend on the number of threads, so that the same
//! input gives the same bits.

mod alpha;
mod float;
mod loss;
mod rows;

use rayon::prelude::*;

pub(crate) use alpha::{entmax, entmax_backward};
pub(crate) use float::Float;
pub(crate) use loss::{cross_entropy, cross_entropy_backward};
pub(crate) use rows::{Exact, normalise, normalise_backward};

/// Elements that one task should hold: enough to hide the cost of handing it over.
const TASK: usize = 32 * 1024;

/// Runs `kernel` on every row of `out`, with its index.
fn for_rows<T: Float>(out: &mut [T], n: usize, kernel: impl Fn(usize, &mut [T]) + Sync) {
    let rows = (TASK / n.max(1)).max(1);
    out.par_chunks_mut(rows * n)
        .enumerate()
        .for_each(|(task, chunk)| {
            // One dispatch a task: everything inlined below is compiled for the best instruction set.
            pulp::Arch::new().dispatch(|| {
                for (i, row) in chunk.chunks_exact_mut(n).enumerate() {
                    kernel(task * rows + i, row);
                }
            });
        });
}
