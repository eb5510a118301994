//! Rows of a batch with positions behind their own.

#![allow(unsafe_code, reason = "fresh memory")]

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::float::Stored;
use super::view::View;

/// Elements of a task.
const TASK: usize = 16 * 1024;

/// Row `rows[i]` of the kept `[batch, n_heads, seq, d]`, then row i of the new `[n, n_heads, n_new, d]`, for every i.
pub(super) fn append<'o, E: Stored>(
    (kept, seq): (&View<E>, usize),
    rows: &[usize],
    (new, n_new): (&View<E>, usize),
    [n_heads, d]: [usize; 2],
    out: &'o mut [MaybeUninit<E>],
) -> &'o mut [E] {
    let len = n_heads * (seq + n_new) * d;
    assert_eq!(out.len(), rows.len() * len);
    let per_task = (TASK / len.max(1)).max(1);
    out.par_chunks_mut(len.max(1))
        .zip(rows)
        .enumerate()
        .with_min_len(per_task)
        .for_each(|(i, (out, &row))| {
            for (head, out) in out.chunks_exact_mut((seq + n_new) * d).enumerate() {
                let (before, behind) = out.split_at_mut(seq * d);
                copy(kept, [row, head], before, d);
                copy(new, [i, head], behind, d);
            }
        });
    // SAFETY: there is a chunk of `len` elements for every row (seen above), of which `copy` has written both parts of every head.
    unsafe { out.assume_init_mut() }
}

/// The positions of a head, `[seq, d]`.
fn copy<E: Stored>(from: &View<E>, head: [usize; 2], out: &mut [MaybeUninit<E>], d: usize) {
    let [row, head] = head;
    if from.strides[3] == 1 && from.strides[2] == d as isize {
        let start = from.row(&[row, head, 0]);
        out.write_copy_of_slice(&from.elements[start..][..out.len()]);
        return;
    }
    for (position, out) in out.chunks_exact_mut(d.max(1)).enumerate() {
        let start = from.row(&[row, head, position]);
        match from.strides[3] {
            1 => {
                out.write_copy_of_slice(&from.elements[start..][..d]);
            }
            stride => {
                for (i, out) in out.iter_mut().enumerate() {
                    let at = start.wrapping_add_signed(i as isize * stride);
                    out.write(from.elements[at]);
                }
            }
        }
    }
}
