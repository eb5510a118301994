//! Long rows where they lie, without a copy in a workspace: the same terms, summed in the same order, as the kernels that
//! work in one.

#![allow(unsafe_code, reason = "fresh memory")]

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::backward::{mean, of_sparsemax};
use super::float::{Float, Stored};
use super::isa;
use super::rows::TASK;
use super::simd::{BLOCK, LANES, Simd, add, add_wide, larger};
use super::workspace::{narrowed, widened};
use crate::entmax::Mapping;

/// Whether [`backward`] has the mapping: what it takes of each weight is cheaper than room for it.
pub(super) fn has_backward(mapping: Mapping) -> bool {
    match mapping {
        Mapping::Softmax | Mapping::Sparsemax | Mapping::Entmax15 => true,
        Mapping::Alpha(_) => false,
    }
}

/// Rows of gradients, as many as `weights` has elements of, replaced by gradients in the scores.
pub(super) fn backward<E: Stored>(weights: &[E], grad: &mut [E], n: usize, mapping: Mapping) {
    assert_eq!(weights.len(), grad.len());
    let tasks = grad.par_chunks_mut(task(n));
    tasks
        .zip(weights.par_chunks(task(n)))
        .for_each(|(grad, weights)| {
            let rows = grad.chunks_exact_mut(n).zip(weights.chunks_exact(n));
            for (grad, weights) in rows {
                let mut row = Here::new(grad, E::Wide::ZERO);
                backward_row(weights, &mut row, mapping);
                row.finish();
            }
        });
}

/// The same into fresh memory.
pub(super) fn backward_into<'o, E: Stored>(
    weights: &[E],
    grad: &[E],
    out: &'o mut [MaybeUninit<E>],
    n: usize,
    mapping: Mapping,
) -> &'o mut [E] {
    assert!(weights.len() == grad.len() && grad.len() == out.len());
    assert_eq!(out.len() % n, 0, "whole rows");
    let tasks = out.par_chunks_mut(task(n)).zip(grad.par_chunks(task(n)));
    tasks
        .zip(weights.par_chunks(task(n)))
        .for_each(|((out, grad), weights)| {
            let rows = out.chunks_exact_mut(n).zip(grad.chunks_exact(n));
            for ((out, grad), weights) in rows.zip(weights.chunks_exact(n)) {
                let mut row = Elsewhere::new(grad, out, E::Wide::ZERO);
                backward_row(weights, &mut row, mapping);
                row.finish();
            }
        });
    // SAFETY: there are as many whole rows of weights and gradients as of output (seen above), and every element of every
    // row has been written: `backward_row` writes all vectors of a row, and so `Elsewhere` every element.
    unsafe { out.assume_init_mut() }
}

/// Rows of scores, replaced by their softmax.
pub(super) fn softmax<T: Float + Stored<Wide = T>>(scores: &mut [T], n: usize, hidden: T) {
    scores.par_chunks_mut(task(n)).for_each(|scores| {
        for row in scores.chunks_exact_mut(n) {
            let mut here = Here::new(row, T::LOWEST);
            let scale = exponentials(&mut here, hidden);
            here.finish();
            scale_row(row, scale);
        }
    });
}

/// The same into fresh memory.
pub(super) fn softmax_into<'o, T: Float + Stored<Wide = T>>(
    scores: &[T],
    out: &'o mut [MaybeUninit<T>],
    n: usize,
    hidden: T,
) -> &'o mut [T] {
    assert!(scores.len() == out.len() && out.len().is_multiple_of(n));
    let tasks = out.par_chunks_mut(task(n)).zip(scores.par_chunks(task(n)));
    tasks.for_each(|(out, scores)| {
        for (out, row) in out.chunks_exact_mut(n).zip(scores.chunks_exact(n)) {
            let mut there = Elsewhere::new(row, out, T::LOWEST);
            let scale = exponentials(&mut there, hidden);
            there.finish();
            // SAFETY: every element of the row has been written: `exponentials` writes all its vectors, and so `Elsewhere`
            // every element.
            scale_row(unsafe { out.assume_init_mut() }, scale);
        }
    });
    // SAFETY: there are as many whole rows of scores as of output (seen above), each written as above.
    unsafe { out.assume_init_mut() }
}

/// The largest score of every row, and the sum of exp of what the others are above it.
pub(super) fn largest_and_sum<T: Float + Stored<Wide = T>>(
    scores: &[T],
    n: usize,
) -> Vec<(T, f64)> {
    let rows = scores.par_chunks_exact(n).with_min_len((TASK / n).max(1));
    rows.map(largest_and_sum_of_row).collect()
}

/// The same of one row.
fn largest_and_sum_of_row<T: Float + Stored<Wide = T>>(row: &[T]) -> (T, f64) {
    isa::dispatch(
        #[inline(always)]
        || {
            let row = Elements::new(row, T::LOWEST);
            let n_vectors = row.n_vectors();
            let largest = largest(
                n_vectors,
                #[inline(always)]
                |k| row.read(k),
            );
            let [sum] = lane_sums(
                n_vectors,
                #[inline(always)]
                |k| [(row.read(k) - largest).exp()],
            );
            (largest, sum.sum())
        },
    )
}

/// `log Σexp(z)` of one row.
pub(super) fn log_partition<T: Float + Stored<Wide = T>>(row: &[T]) -> T {
    let (largest, sum) = largest_and_sum_of_row(row);
    T::from_f64(sum.ln()) + largest
}

/// Gradients of rows of logits, over them: `g·(softmax(z) − e_target)` of a class, log Σexp(z) and g; 0 without.
pub(super) fn cross_entropy_backward<T: Float + Stored<Wide = T>>(
    logits: &mut [T],
    n: usize,
    of_row: impl Fn(usize, &[T]) -> Option<(usize, T, T)> + Sync,
) {
    let rows = (TASK / n).max(1);
    let tasks = logits.par_chunks_mut(rows * n).enumerate();
    tasks.for_each(|(task, logits)| {
        for (i, row) in logits.chunks_exact_mut(n).enumerate() {
            match of_row(task * rows + i, row) {
                Some(of_row) => {
                    let mut row = Here::new(row, T::LOWEST);
                    cross_entropy_row(of_row, &mut row);
                    row.finish();
                }
                None => row.fill(T::ZERO),
            }
        }
    });
}

/// The same into fresh memory.
pub(super) fn cross_entropy_backward_into<'o, T: Float + Stored<Wide = T>>(
    logits: &[T],
    out: &'o mut [MaybeUninit<T>],
    n: usize,
    of_row: impl Fn(usize, &[T]) -> Option<(usize, T, T)> + Sync,
) -> &'o mut [T] {
    assert!(logits.len() == out.len() && out.len().is_multiple_of(n));
    let rows = (TASK / n).max(1);
    let tasks = out
        .par_chunks_mut(rows * n)
        .zip(logits.par_chunks(rows * n));
    tasks.enumerate().for_each(|(task, (out, logits))| {
        let pairs = out.chunks_exact_mut(n).zip(logits.chunks_exact(n));
        for (i, (out, row)) in pairs.enumerate() {
            match of_row(task * rows + i, row) {
                Some(of_row) => {
                    let mut row = Elsewhere::new(row, out, T::LOWEST);
                    cross_entropy_row(of_row, &mut row);
                    row.finish();
                }
                None => out.fill(MaybeUninit::new(T::ZERO)),
            }
        }
    });
    // SAFETY: there are as many whole rows of logits as of output (seen above), and every element of every row has been
    // written: `cross_entropy_row` writes all vectors of a row, and so `Elsewhere` every element.
    unsafe { out.assume_init_mut() }
}

/// Writes every vector.
fn cross_entropy_row<T: Float + Stored<Wide = T>>(
    (target, log_partition, grad): (usize, T, T),
    row: &mut impl Row<T>,
) {
    isa::dispatch(
        #[inline(always)]
        || {
            for k in 0..row.n_vectors() {
                let mut of_scores = (row.read(k) - log_partition).exp() * grad;
                if k == target / LANES {
                    let at_target = &mut of_scores.0[target % LANES];
                    *at_target = *at_target - grad;
                }
                row.write(k, of_scores);
            }
        },
    );
}

/// Elements of a task: whole rows.
fn task(n: usize) -> usize {
    (TASK / n).max(1) * n
}

/// A row that is read vector by vector, each before it is written. What is behind the last whole vector lies in one of its
/// own, filled up: every vector is then an address, and the kernels have no second case.
trait Row<E: Stored> {
    fn n_vectors(&self) -> usize;

    fn read(&self, k: usize) -> Simd<E::Wide>;

    /// Every element of a vector.
    fn write(&mut self, k: usize, simd: Simd<E::Wide>);
}

/// A row, and its last elements in a vector.
struct Elements<'a, E> {
    whole: &'a [[E; LANES]],
    tail: [E; LANES],
    has_tail: bool,
}

impl<'a, E: Stored> Elements<'a, E> {
    #[inline(always)]
    fn new(row: &'a [E], padding: E::Wide) -> Self {
        let (whole, rest) = row.as_chunks();
        Self {
            whole,
            tail: padded(rest, padding),
            has_tail: !rest.is_empty(),
        }
    }

    #[inline(always)]
    fn n_vectors(&self) -> usize {
        self.whole.len() + usize::from(self.has_tail)
    }

    #[inline(always)]
    fn read(&self, k: usize) -> Simd<E::Wide> {
        widened(self.whole.get(k).unwrap_or(&self.tail))
    }
}

/// A row that is replaced.
struct Here<'a, E> {
    whole: &'a mut [[E; LANES]],
    rest: &'a mut [E],
    tail: [E; LANES],
}

impl<'a, E: Stored> Here<'a, E> {
    #[inline(always)]
    fn new(row: &'a mut [E], padding: E::Wide) -> Self {
        let (whole, rest) = row.as_chunks_mut();
        let tail = padded(rest, padding);
        Self { whole, rest, tail }
    }

    /// When every vector has been written.
    #[inline(always)]
    fn finish(self) {
        self.rest.copy_from_slice(&self.tail[..self.rest.len()]);
    }
}

impl<E: Stored> Row<E> for Here<'_, E> {
    #[inline(always)]
    fn n_vectors(&self) -> usize {
        self.whole.len() + usize::from(!self.rest.is_empty())
    }

    #[inline(always)]
    fn read(&self, k: usize) -> Simd<E::Wide> {
        widened(self.whole.get(k).unwrap_or(&self.tail))
    }

    #[inline(always)]
    fn write(&mut self, k: usize, simd: Simd<E::Wide>) {
        *self.whole.get_mut(k).unwrap_or(&mut self.tail) = narrowed(simd);
    }
}

/// A row that goes to fresh memory.
struct Elsewhere<'a, E> {
    row: Elements<'a, E>,
    out: &'a mut [[MaybeUninit<E>; LANES]],
    rest_out: &'a mut [MaybeUninit<E>],
    tail_out: [MaybeUninit<E>; LANES],
}

impl<'a, E: Stored> Elsewhere<'a, E> {
    #[inline(always)]
    fn new(row: &'a [E], out: &'a mut [MaybeUninit<E>], padding: E::Wide) -> Self {
        assert_eq!(row.len(), out.len());
        let (out, rest_out) = out.as_chunks_mut();
        Self {
            row: Elements::new(row, padding),
            out,
            rest_out,
            tail_out: [MaybeUninit::uninit(); LANES],
        }
    }

    /// When every vector has been written: then every element of the output has.
    #[inline(always)]
    fn finish(self) {
        let n = self.rest_out.len();
        self.rest_out.copy_from_slice(&self.tail_out[..n]);
    }
}

impl<E: Stored> Row<E> for Elsewhere<'_, E> {
    #[inline(always)]
    fn n_vectors(&self) -> usize {
        self.row.n_vectors()
    }

    #[inline(always)]
    fn read(&self, k: usize) -> Simd<E::Wide> {
        self.row.read(k)
    }

    #[inline(always)]
    fn write(&mut self, k: usize, simd: Simd<E::Wide>) {
        *self.out.get_mut(k).unwrap_or(&mut self.tail_out) = narrowed(simd);
    }
}

#[inline(always)]
fn padded<E: Stored>(rest: &[E], padding: E::Wide) -> [E; LANES] {
    let mut tail = [E::narrow(padding); LANES];
    tail[..rest.len()].copy_from_slice(rest);
    tail
}

/// Sums by lane of `K` terms of each vector, in the order of [`super::simd::lane_sums`].
#[inline(always)]
fn lane_sums<T: Float, const K: usize>(
    n_vectors: usize,
    mut terms: impl FnMut(usize) -> [Simd<T>; K],
) -> [Simd<f64>; K] {
    let mut totals = [Simd::splat(0.0); K];
    let mut block = 0;
    while block < n_vectors {
        let mut sums = [Simd::splat(T::ZERO); K];
        let end = (block + BLOCK).min(n_vectors);
        for k in block..end {
            add(&mut sums, terms(k));
        }
        add_wide(&mut totals, sums);
        block = end;
    }
    totals
}

/// Writes every vector.
fn backward_row<E: Stored>(weights: &[E], row: &mut impl Row<E>, mapping: Mapping) {
    isa::dispatch(
        #[inline(always)]
        || match mapping {
            Mapping::Softmax => in_scores(
                weights,
                row,
                #[inline(always)]
                |p| p,
            ),
            Mapping::Sparsemax => in_scores(weights, row, of_sparsemax),
            Mapping::Entmax15 => in_scores(
                weights,
                row,
                #[inline(always)]
                |p| p.sqrt(),
            ),
            Mapping::Alpha(_) => unreachable!("see `has_backward`"),
        },
    );
}

/// `s·(g − Σsg/Σs)`.
#[inline(always)]
fn in_scores<E: Stored>(
    weights: &[E],
    row: &mut impl Row<E>,
    s: impl Fn(Simd<E::Wide>) -> Simd<E::Wide>,
) {
    let weights = Elements::new(weights, E::Wide::ZERO);
    let n_vectors = row.n_vectors();
    let [total, weighted] = lane_sums(
        n_vectors,
        #[inline(always)]
        |k| {
            let s = s(weights.read(k));
            [s, s * row.read(k)]
        },
    );
    let (total, weighted) = (Simd::splat(total.sum()), Simd::splat(weighted.sum()));
    let mean = Simd::narrow(mean(total, weighted));
    for k in 0..n_vectors {
        row.write(k, s(weights.read(k)) * (row.read(k) - mean));
    }
}

/// Writes e to the power of what every score is above the largest, and gives one over their sum; zeros, or NaN where a
/// score is, if none can be seen.
fn exponentials<T: Float + Stored<Wide = T>>(row: &mut impl Row<T>, hidden: T) -> T {
    isa::dispatch(
        #[inline(always)]
        || {
            let n_vectors = row.n_vectors();
            let largest = largest(
                n_vectors,
                #[inline(always)]
                |k| row.read(k),
            );
            if largest > hidden {
                let [sums] = lane_sums(
                    n_vectors,
                    #[inline(always)]
                    |k| {
                        let e = (row.read(k) - largest).exp();
                        row.write(k, e);
                        [e]
                    },
                );
                return T::from_f64(1.0 / sums.sum());
            }
            invisible(row);
            T::ONE
        },
    )
}

/// The largest element. A NaN may get lost.
#[inline(always)]
fn largest<T: Float>(n_vectors: usize, read: impl Fn(usize) -> Simd<T>) -> T {
    let mut largest = Simd::splat(T::LOWEST);
    for k in 0..n_vectors {
        largest = largest.zip(
            read(k),
            #[inline(always)]
            |a, b| larger(a, b),
        );
    }
    largest.largest()
}

#[cold]
fn invisible<T: Float + Stored<Wide = T>>(row: &mut impl Row<T>) {
    let vectors = 0..row.n_vectors();
    let is_nan = |k| row.read(k).0.iter().any(|z: &T| z.is_nan());
    let value = match vectors.clone().any(is_nan) {
        true => f64::NAN,
        false => 0.0,
    };
    vectors.for_each(|k| row.write(k, Simd::splat(T::from_f64(value))));
}

fn scale_row<T: Float>(row: &mut [T], scale: T) {
    isa::dispatch(
        #[inline(always)]
        || {
            for x in row {
                *x = *x * scale;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::backward;
    use crate::cpu::forward;
    use crate::cpu::loss;
    use crate::cpu::workspace::{RowLayout, Workspace};
    use crate::testing::normal;

    const LENGTHS: [usize; 5] = [1, 15, 16, 100, 1000];

    fn row(n: usize, seed: u64) -> Vec<f32> {
        normal(n, seed)
            .into_iter()
            .map(|x| 2.0 * x as f32)
            .collect()
    }

    fn workspace(row: &[f32], padding: f32) -> Workspace<f32> {
        let mut work = Workspace::new(row.len(), padding, RowLayout::RowMajor);
        work.row.load_slice(row);
        work
    }

    fn stored(work: &Workspace<f32>, n: usize) -> Vec<u32> {
        let mut out = vec![0.0f32; n];
        work.row.store::<f32, f32>(&mut out);
        bits(&out)
    }

    fn bits(row: &[f32]) -> Vec<u32> {
        row.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn gradients_are_those_of_a_workspace_to_the_bit() {
        for mapping in [Mapping::Softmax, Mapping::Sparsemax, Mapping::Entmax15] {
            for n in LENGTHS {
                let (scores, grad) = (row(n, 1), row(n, 2));
                let mut work = workspace(&scores, f32::LOWEST);
                forward::forward(std::slice::from_mut(&mut work), -1e30, mapping);
                let mut weights = vec![0.0f32; n];
                work.row.store::<f32, f32>(&mut weights);

                let mut work = workspace(&grad, 0.0);
                work.other.load_slice(&weights);
                backward::backward(std::slice::from_mut(&mut work), mapping);
                let expected = stored(&work, n);
                let mut here = grad.clone();
                super::backward(&weights, &mut here, n, mapping);
                assert_eq!(bits(&here), expected, "{mapping:?} {n}");
                let there =
                    crate::cpu::vector(n, |out| backward_into(&weights, &grad, out, n, mapping));
                assert_eq!(bits(&there), expected, "{mapping:?} {n}, fresh");
            }
        }
    }

    #[test]
    fn softmax_is_that_of_a_workspace_to_the_bit() {
        for n in LENGTHS {
            let mut rows = [row(n, 3), vec![-1e30; n], row(n, 4)];
            rows[2][n / 2] = f32::NAN;
            if n > 2 {
                rows[0][n / 3] = f32::NEG_INFINITY;
                rows[1][n - 1] = f32::NAN;
            }
            let expected: Vec<u32> = (rows.iter())
                .flat_map(|row| {
                    let mut work = workspace(row, f32::LOWEST);
                    let group = std::slice::from_mut(&mut work);
                    forward::forward(group, -1e30, Mapping::Softmax);
                    stored(&work, n)
                })
                .collect();
            let mut here = rows.concat();
            let there = crate::cpu::vector(3 * n, |out| softmax_into(&here, out, n, -1e30));
            softmax(&mut here, n, -1e30);
            let canonical = |bits: Vec<u32>| -> Vec<u32> {
                let nan = |bits: u32| f32::from_bits(bits).is_nan();
                (bits.into_iter())
                    .map(|bits| if nan(bits) { u32::MAX } else { bits })
                    .collect()
            };
            let expected = canonical(expected);
            assert_eq!(canonical(bits(&here)), expected, "{n}");
            assert_eq!(canonical(bits(&there)), expected, "{n}, fresh");
        }
    }

    #[test]
    fn cross_entropy_is_that_of_a_workspace_to_the_bit() {
        for n in LENGTHS {
            let (logits, target, grad) = (row(n, 5), n / 3, 0.75f32);
            let mut work = workspace(&logits, f32::LOWEST);
            let loss = loss::cross_entropy(&mut work, target);
            let log_partition = loss::log_partition(&mut work);
            loss::cross_entropy_backward(&mut work, target, loss + logits[target], grad);
            let expected = stored(&work, n);

            let [(largest, sum)] = largest_and_sum(&logits, n)[..] else {
                panic!("one row");
            };
            assert_eq!(sum.ln() as f32 + largest, log_partition, "{n}");
            assert_eq!(super::log_partition(&logits), log_partition, "{n}");
            assert_eq!(sum.ln() as f32 + (largest - logits[target]), loss, "{n}");
            let of_row =
                |i: usize, row: &[f32]| (i == 1).then(|| (target, loss + row[target], grad));
            let mut here = [row(n, 6), logits.clone()].concat();
            let there = crate::cpu::vector(2 * n, |out| {
                cross_entropy_backward_into(&here, out, n, of_row)
            });
            cross_entropy_backward(&mut here, n, of_row);
            for found in [here, there] {
                assert!(found[..n].iter().all(|x| *x == 0.0));
                assert_eq!(bits(&found[n..]), expected, "{n}");
            }
        }
    }
}
