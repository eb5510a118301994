//! Dropout of values where they lie.

use rayon::prelude::*;

use super::float::{Float, Stored};
use super::isa;
use crate::attention::Dropout;

/// Elements of a task.
const TASK: usize = 16 * 1024;

/// Drops values of rows of `n` elements, in place.
pub(super) fn drop_values<E: Stored>(elements: &mut [E], n: usize, dropout: Dropout) {
    let scale = E::Wide::from_f64(dropout.scale());
    let rows = (TASK / n).max(1);
    let tasks = elements.par_chunks_mut(rows * n).enumerate();
    tasks.for_each(|(task, elements)| {
        isa::dispatch(
            #[inline(always)]
            || {
                for (i, row) in elements.chunks_exact_mut(n).enumerate() {
                    let numbers = dropout.row(task * rows + i);
                    for (j, x) in row.iter_mut().enumerate() {
                        let kept = E::narrow(x.widen() * scale);
                        *x = if numbers.keeps(j) {
                            kept
                        } else {
                            E::narrow(E::Wide::ZERO)
                        };
                    }
                }
            },
        );
    });
}
