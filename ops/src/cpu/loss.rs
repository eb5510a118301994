//! Cross-entropy of rows: the logits are read twice forward and once backward.

use super::float::{Float, fold, max};
use super::for_rows;

/// `log Σexp(z) − z_target` of every row; 0 where the target is negative.
pub(crate) fn cross_entropy<T: Float>(logits: &[T], targets: &[i64], n: usize) -> Vec<T> {
    let mut losses = vec![T::ZERO; targets.len()];
    // A row of the output is one number: batch rows so that a task has enough to do.
    for_rows_of_logits(logits, n, &mut losses, |i, row| {
        match target(targets[i], n) {
            Some(target) => {
                let largest = max(row);
                let sum = fold(row, T::ZERO, |a, z| a + (z - largest).exp(), |a, b| a + b);
                sum.ln() + (largest - row[target])
            }
            None => T::ZERO,
        }
    });
    losses
}

/// `g·(softmax(z) − e_target)`, written over the logits; `log Σexp(z) = loss + z_target`.
pub(crate) fn cross_entropy_backward<T: Float>(
    logits: &mut [T],
    targets: &[i64],
    losses: &[T],
    grads: &[T],
    n: usize,
) {
    for_rows(logits, n, |i, row| match target(targets[i], n) {
        Some(target) => {
            let log_partition = losses[i] + row[target];
            let grad = grads[i];
            for z in row.iter_mut() {
                *z = (*z - log_partition).exp() * grad;
            }
            row[target] = row[target] - grad;
        }
        None => row.fill(T::ZERO),
    });
}

fn target(target: i64, n: usize) -> Option<usize> {
    let index = usize::try_from(target).ok()?;
    assert!(
        index < n,
        "cross_entropy: target {index} is not one of the {n} classes of the logits"
    );
    Some(index)
}

fn for_rows_of_logits<T: Float>(
    logits: &[T],
    n: usize,
    out: &mut [T],
    kernel: impl Fn(usize, &[T]) -> T + Sync,
) {
    use rayon::prelude::*;
    let rows = (super::TASK / n.max(1)).max(1);
    out.par_chunks_mut(rows)
        .enumerate()
        .for_each(|(task, chunk)| {
            pulp::Arch::new().dispatch(|| {
                for (i, value) in chunk.iter_mut().enumerate() {
                    let row = task * rows + i;
                    *value = kernel(row, &logits[row * n..][..n]);
                }
            });
        });
}
