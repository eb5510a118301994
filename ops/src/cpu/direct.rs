//! Long rows where they lie, without a copy in a workspace: the same terms, summed in the same order, as the kernels that
//! work in one.

#![allow(unsafe_code, reason = "fresh memory")]

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::backward::{mean, of_sparsemax};
use super::float::{Float, Slot, Stored};
use super::isa;
use super::rows::TASK;
use super::simd::{BLOCK, LANES, Simd, add, add_wide, larger};
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
            rows.for_each(|(grad, weights)| backward_row(weights, &mut Here::new(grad), mapping));
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
            rows.zip(weights.chunks_exact(n))
                .for_each(|((out, grad), weights)| {
                    backward_row(weights, &mut Elsewhere::new(grad, out), mapping);
                });
        });
    // SAFETY: there are as many whole rows of weights and gradients as of output (seen above), and every element of every
    // row has been written: `backward_row` writes all vectors of a row, and `Elsewhere` every element of a vector.
    unsafe { out.assume_init_mut() }
}

/// Rows of scores, replaced by their softmax.
pub(super) fn softmax<T: Float + Stored<Wide = T>>(scores: &mut [T], n: usize, hidden: T) {
    scores.par_chunks_mut(task(n)).for_each(|scores| {
        for row in scores.chunks_exact_mut(n) {
            let scale = exponentials(&mut Here::new(row), hidden);
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
            let scale = exponentials(&mut Elsewhere::new(row, out), hidden);
            // SAFETY: every element of the row has been written: `exponentials` writes all its vectors, and `Elsewhere`
            // every element of a vector.
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
    rows.map(|row| {
        let (whole, rest) = row.as_chunks();
        isa::dispatch(
            #[inline(always)]
            || {
                let n_vectors = n.div_ceil(LANES);
                let read = |k| load(whole, rest, k, T::LOWEST);
                let largest = largest(n_vectors, read);
                let [sum] = lane_sums(
                    n_vectors,
                    #[inline(always)]
                    |k| [(read(k) - largest).exp()],
                );
                (largest, sum.sum())
            },
        )
    })
    .collect()
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
                Some(of_row) => cross_entropy_row(of_row, &mut Here::new(row)),
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
                Some(of_row) => cross_entropy_row(of_row, &mut Elsewhere::new(row, out)),
                None => out.fill(MaybeUninit::new(T::ZERO)),
            }
        }
    });
    // SAFETY: there are as many whole rows of logits as of output (seen above), and every element of every row has been
    // written: `cross_entropy_row` writes all vectors of a row, and `Elsewhere` every element of a vector.
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
                let mut of_scores = (row.read(k, T::LOWEST) - log_partition).exp() * grad;
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

/// A row that is read vector by vector, each before it is written; the last one may have fewer elements.
trait Row<E: Stored> {
    fn n_vectors(&self) -> usize;

    /// The elements of a vector, and the padding behind the end.
    fn read(&self, k: usize, padding: E::Wide) -> Simd<E::Wide>;

    /// Every element of a vector.
    fn write(&mut self, k: usize, simd: Simd<E::Wide>);
}

/// A row that is replaced: whole vectors, and the rest.
struct Here<'a, E>(&'a mut [[E; LANES]], &'a mut [E]);

impl<'a, E> Here<'a, E> {
    #[inline(always)]
    fn new(row: &'a mut [E]) -> Self {
        let (whole, rest) = row.as_chunks_mut();
        Self(whole, rest)
    }
}

impl<E: Stored> Row<E> for Here<'_, E> {
    #[inline(always)]
    fn n_vectors(&self) -> usize {
        self.0.len() + usize::from(!self.1.is_empty())
    }

    #[inline(always)]
    fn read(&self, k: usize, padding: E::Wide) -> Simd<E::Wide> {
        load(self.0, self.1, k, padding)
    }

    #[inline(always)]
    fn write(&mut self, k: usize, simd: Simd<E::Wide>) {
        store(simd, self.0, self.1, k);
    }
}

/// A row that goes to fresh memory.
struct Elsewhere<'a, E> {
    whole: &'a [[E; LANES]],
    rest: &'a [E],
    out: &'a mut [[MaybeUninit<E>; LANES]],
    rest_out: &'a mut [MaybeUninit<E>],
}

impl<'a, E> Elsewhere<'a, E> {
    #[inline(always)]
    fn new(row: &'a [E], out: &'a mut [MaybeUninit<E>]) -> Self {
        assert_eq!(row.len(), out.len());
        let (whole, rest) = row.as_chunks();
        let (out, rest_out) = out.as_chunks_mut();
        Self {
            whole,
            rest,
            out,
            rest_out,
        }
    }
}

impl<E: Stored> Row<E> for Elsewhere<'_, E> {
    #[inline(always)]
    fn n_vectors(&self) -> usize {
        self.whole.len() + usize::from(!self.rest.is_empty())
    }

    #[inline(always)]
    fn read(&self, k: usize, padding: E::Wide) -> Simd<E::Wide> {
        load(self.whole, self.rest, k, padding)
    }

    #[inline(always)]
    fn write(&mut self, k: usize, simd: Simd<E::Wide>) {
        store(simd, self.out, self.rest_out, k);
    }
}

#[inline(always)]
fn load<E: Stored>(whole: &[[E; LANES]], rest: &[E], k: usize, padding: E::Wide) -> Simd<E::Wide> {
    let mut simd = Simd::splat(padding);
    match whole.get(k) {
        Some(elements) => {
            for (x, element) in simd.0.iter_mut().zip(elements) {
                *x = element.widen();
            }
        }
        None => {
            for (x, element) in simd.0.iter_mut().zip(rest) {
                *x = element.widen();
            }
        }
    }
    simd
}

#[inline(always)]
fn store<E: Stored, S: Slot<E>>(
    simd: Simd<E::Wide>,
    whole: &mut [[S; LANES]],
    rest: &mut [S],
    k: usize,
) {
    match whole.get_mut(k) {
        Some(out) => {
            for (out, x) in out.iter_mut().zip(simd.0) {
                *out = S::of(E::narrow(x));
            }
        }
        None => {
            for (out, x) in rest.iter_mut().zip(simd.0) {
                *out = S::of(E::narrow(x));
            }
        }
    }
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
    let (whole, rest) = weights.as_chunks::<LANES>();
    let zero = E::Wide::ZERO;
    let n_vectors = row.n_vectors();
    let [total, weighted] = lane_sums(
        n_vectors,
        #[inline(always)]
        |k| {
            let s = s(load(whole, rest, k, zero));
            [s, s * row.read(k, zero)]
        },
    );
    let (total, weighted) = (Simd::splat(total.sum()), Simd::splat(weighted.sum()));
    let mean = Simd::narrow(mean(total, weighted));
    for k in 0..n_vectors {
        let s = s(load(whole, rest, k, zero));
        row.write(k, s * (row.read(k, zero) - mean));
    }
}

/// Writes e to the power of what every score is above the largest, and gives one over their sum; zeros, or NaN where a
/// score is, if none can be seen.
fn exponentials<T: Float + Stored<Wide = T>>(row: &mut impl Row<T>, hidden: T) -> T {
    isa::dispatch(
        #[inline(always)]
        || {
            let n_vectors = row.n_vectors();
            let largest = largest(n_vectors, |k| row.read(k, T::LOWEST));
            if largest > hidden {
                let [sums] = lane_sums(
                    n_vectors,
                    #[inline(always)]
                    |k| {
                        let e = (row.read(k, T::LOWEST) - largest).exp();
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
    let is_nan = |k| row.read(k, T::ZERO).0.iter().any(|z: &T| z.is_nan());
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
            loss::cross_entropy_backward(&mut work, target, loss, grad);
            let expected = stored(&work, n);

            let [(largest, sum)] = largest_and_sum(&logits, n)[..] else {
                panic!("one row");
            };
            assert_eq!(sum.ln() as f32 + largest, log_partition, "{n}");
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
