//! Runs a kernel on every row of a tensor, in parallel: tasks of rows, in groups that share a call.

#![allow(unsafe_code, reason = "fresh memory")]

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::float::{Float, Slot, Stored};
use super::isa;
use super::view::Strided;
use super::workspace::{RowLayout, Scratch, Workspace};

/// Elements that one task should hold: enough to hide the cost of handing it over.
pub(super) const TASK: usize = 32 * 1024;

/// Short rows go to a kernel in groups, so that it can have several under way: up to this many, or
/// up to this many elements.
pub(crate) const GROUP: usize = 16;
pub(crate) const GROUP_ELEMENTS: usize = 2 * 1024;

/// A kernel for one row, given its index, as a kernel for groups.
pub(crate) fn each<T, R>(
    kernel: impl Fn(usize, &mut Workspace<T>) -> R + Sync,
) -> impl Fn(usize, &mut [Workspace<T>], &mut [R]) + Sync {
    move |first, group, results| {
        for (i, (work, result)) in group.iter_mut().zip(results).enumerate() {
            *result = kernel(first + i, work);
        }
    }
}

/// A kernel over rows of `n` elements, padded with `padding`. It is given the index of the first row
/// of a group, the group, and a place for what it returns for each row. Interleaved rows are a group of
/// their own.
pub(crate) struct RowKernel<T, K> {
    pub n: usize,
    pub padding: T,
    pub layout: RowLayout,
    pub kernel: K,
}

impl<T: Float, K> RowKernel<T, K> {
    /// Replaces every row.
    pub fn replace<E: Stored<Wide = T>, R: Clone + Default + Send>(&self, data: &mut [E]) -> Vec<R>
    where
        K: Fn(usize, &mut [Workspace<T>], &mut [R]) + Sync,
    {
        let n = self.n;
        self.run(
            data,
            #[inline(always)]
            |_, rows, scratch| match scratch.layout {
                RowLayout::RowMajor => scratch.load_slice(rows),
                RowLayout::Interleaved => {
                    scratch.load_slices(rows.len() / n, |i| &rows[i * n..][..n])
                }
            },
        )
    }

    /// Writes every row's result into fresh memory.
    pub fn produce<'a, E: Stored<Wide = T>, R: Clone + Default + Send>(
        &self,
        input: &Strided<E>,
        output: &'a mut [MaybeUninit<E>],
    ) -> (&'a mut [E], Vec<R>)
    where
        K: Fn(usize, &mut [Workspace<T>], &mut [R]) + Sync,
    {
        assert_eq!(output.len() % self.n, 0, "whole rows");
        let results = self.run(
            output,
            #[inline(always)]
            |first, rows, scratch| input.load(first, rows.len() / self.n, scratch),
        );
        // SAFETY: `run` has stored every row, that is a value in every element of it (`Scratch::store`), and there are
        // only whole rows.
        (unsafe { output.assume_init_mut() }, results)
    }

    /// What the kernel returns for every row.
    pub fn compress<E: Stored<Wide = T>, R: Clone + Default + Send>(
        &self,
        input: &Strided<E>,
        rows: usize,
    ) -> Vec<R>
    where
        K: Fn(usize, &mut [Workspace<T>], &mut [R]) + Sync,
    {
        let mut results = vec![R::default(); rows];
        let (batch, held) = (self.batch(), self.layout.rows());
        let tasks = results.par_chunks_mut(batch).enumerate();
        tasks.for_each(|(task, results)| {
            let mut group = self.group();
            let size = group.len() * held;
            for (i, results) in results.chunks_mut(size).enumerate() {
                let first = task * batch + i * size;
                let group = &mut group[..results.len().div_ceil(held)];
                for (i, work) in group.iter_mut().enumerate() {
                    input.load(first + i * held, results.len() - i * held, &mut work.row);
                }
                (self.kernel)(first, group, results);
            }
        });
        results
    }

    fn run<E: Stored<Wide = T>, S: Slot<E>, R: Clone + Default + Send>(
        &self,
        out: &mut [S],
        load: impl Fn(usize, &[S], &mut Scratch<T>) + Sync,
    ) -> Vec<R>
    where
        K: Fn(usize, &mut [Workspace<T>], &mut [R]) + Sync,
    {
        let mut results = vec![R::default(); out.len() / self.n];
        let (batch, held) = (self.batch(), self.layout.rows());
        let tasks = out.par_chunks_mut(batch * self.n);
        let tasks = tasks.zip(results.par_chunks_mut(batch)).enumerate();
        tasks.for_each(|(task, (out, results))| {
            let mut group = self.group();
            let size = group.len() * held;
            let out = out.chunks_mut(size * self.n);
            let results = results.chunks_mut(size);
            for (i, (out, results)) in out.zip(results).enumerate() {
                let first = task * batch + i * size;
                let group = &mut group[..results.len().div_ceil(held)];
                isa::dispatch(
                    #[inline(always)]
                    || {
                        let rows = out.chunks(held * self.n);
                        for (i, (work, rows)) in group.iter_mut().zip(rows).enumerate() {
                            load(first + i * held, rows, &mut work.row);
                        }
                    },
                );
                (self.kernel)(first, group, results);
                isa::dispatch(
                    #[inline(always)]
                    || {
                        let rows = out.chunks_mut(held * self.n);
                        for (work, rows) in group.iter().zip(rows) {
                            work.row.store(rows);
                        }
                    },
                );
            }
        });
        results
    }

    /// Rows of one task: whole groups of interleaved rows.
    fn batch(&self) -> usize {
        (TASK / self.n).max(1).next_multiple_of(self.layout.rows())
    }

    fn group(&self) -> Vec<Workspace<T>> {
        let work = || Workspace::new(self.n, self.padding, self.layout);
        let size = match self.layout {
            RowLayout::RowMajor => (GROUP_ELEMENTS / self.n).clamp(1, GROUP),
            RowLayout::Interleaved => 1,
        };
        std::iter::repeat_with(work)
            .take(size.min(self.batch()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::Simd;

    const LAYOUTS: [RowLayout; 2] = [RowLayout::RowMajor, RowLayout::Interleaved];

    /// Runs a kernel on rows of a tensor, whose elements count up, into fresh memory.
    fn produce(
        [rows, n]: [usize; 2],
        layout: RowLayout,
        kernel: impl Fn(&mut Workspace<f32>) + Sync,
    ) -> Vec<f32> {
        let elements: Vec<f32> = (0..rows * n).map(|i| i as f32).collect();
        let input = Strided {
            elements: (&elements).into(),
            start: 0,
            strides: [n as isize, 1],
        };
        let kernel = RowKernel {
            n,
            padding: -1.0,
            layout,
            kernel: |_, group: &mut [Workspace<f32>], _: &mut [()]| {
                group.iter_mut().for_each(&kernel);
            },
        };
        crate::cpu::vector(rows * n, |output| kernel.produce(&input, output).0)
    }

    #[test]
    fn every_element_is_written() {
        for layout in LAYOUTS {
            for (rows, n) in [(1, 1), (3, 7), (16, 17), (19, 33), (35, 100)] {
                // Which takes minutes for 1,000 elements.
                if cfg!(miri) && rows * n > 1000 {
                    continue;
                }
                let output = produce([rows, n], layout, |work| {
                    for simd in &mut work.row.vectors {
                        *simd = *simd + Simd::splat(0.5);
                    }
                });
                let expected = (0..rows * n).map(|i| i as f32 + 0.5);
                assert!(output.into_iter().eq(expected), "{layout:?} {rows} × {n}");
            }
        }
    }

    /// A kernel that leaves less than it was given: fresh memory must not pass for its result.
    #[test]
    #[cfg_attr(miri, ignore = "minutes, for what a check in safe code refuses")]
    fn a_kernel_that_shortens_its_row_is_refused() {
        let shorten: [fn(&mut Workspace<f32>); 3] = [
            |work| work.row.vectors.clear(),
            |work| work.row.vectors.truncate(2),
            |work| work.row.resize(1),
        ];
        for layout in LAYOUTS {
            for (how, shorten) in shorten.into_iter().enumerate() {
                // One group: another would not find the room that it is to be loaded into.
                for rows in [9, 16] {
                    let result = std::panic::catch_unwind(|| produce([rows, 33], layout, shorten));
                    assert!(result.is_err(), "{layout:?} {how}, {rows} rows");
                }
            }
        }
    }
}
