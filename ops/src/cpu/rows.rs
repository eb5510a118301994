//! Takes rows from a tensor's memory to a kernel and its results back: strides, half precision,
//! threads.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::float::{Float, Stored};
use super::pack::{LANES, Pack};

/// Elements that one task should hold: enough to hide the cost of handing it over.
const TASK: usize = 32 * 1024;

/// Elements of a `[rows, n]` tensor where they lie.
pub(crate) struct Strided<'a, E: Copy> {
    pub elements: Cow<'a, [E]>,
    /// Where row 0 begins.
    pub start: usize,
    /// From one row to the next, and from one column to the next.
    pub strides: [isize; 2],
}

impl<E: Copy> Strided<'_, E> {
    fn at(&self, row: usize, column: usize) -> usize {
        let [down, right] = self.strides;
        self.start
            .wrapping_add_signed(row as isize * down)
            .wrapping_add_signed(column as isize * right)
    }

    /// The elements of all `[rows, 1]`.
    pub fn column(&self, rows: usize) -> Vec<E> {
        (0..rows).map(|i| self.elements[self.at(i, 0)]).collect()
    }
}

impl<E: Stored> Strided<'_, E> {
    #[inline(always)]
    pub fn load(&self, row: usize, n: usize, scratch: &mut Scratch<E::Wide>) {
        if self.strides[1] == 1 {
            scratch.load_slice(&self.elements[self.at(row, 0)..][..n]);
        } else {
            scratch.load((0..n).map(|i| self.elements[self.at(row, i)].widen()));
        }
    }
}

/// A row of a tensor in whole packs, the last one padded.
pub(crate) struct Scratch<T> {
    pub packs: Vec<Pack<T>>,
    n: usize,
    padding: T,
}

impl<T: Float> Scratch<T> {
    pub fn new(n: usize, padding: T) -> Self {
        Self {
            packs: vec![Pack::splat(padding); n.div_ceil(LANES)],
            n,
            padding,
        }
    }

    /// Overwrites the row and its padding.
    #[inline(always)]
    pub fn fill(&mut self, value: T) {
        self.packs.fill(Pack::splat(value));
    }

    #[inline(always)]
    pub fn load(&mut self, values: impl Iterator<Item = T>) {
        self.pad();
        for (i, value) in values.enumerate() {
            self.packs[i / LANES].0[i % LANES] = value;
        }
    }

    #[inline(always)]
    fn load_slice<E: Stored<Wide = T>>(&mut self, values: &[E]) {
        self.pad();
        let (whole, rest) = values.as_chunks::<LANES>();
        for (pack, values) in self.packs.iter_mut().zip(whole) {
            pack.0 = values.map(E::widen);
        }
        if let Some(pack) = self.packs.get_mut(self.n / LANES) {
            for (x, value) in pack.0.iter_mut().zip(rest) {
                *x = value.widen();
            }
        }
    }

    /// Kernels leave anything behind the end of a row.
    #[inline(always)]
    fn pad(&mut self) {
        if !self.n.is_multiple_of(LANES) {
            self.packs[self.n / LANES] = Pack::splat(self.padding);
        }
    }

    #[inline(always)]
    fn store<E: Stored<Wide = T>, S: Slot<E>>(&self, out: &mut [S]) {
        let (whole, rest) = out.as_chunks_mut::<LANES>();
        for (pack, out) in self.packs.iter().zip(whole) {
            *out = pack.0.map(|x| S::of(E::narrow(x)));
        }
        if let Some(pack) = self.packs.get(self.n / LANES) {
            for (x, out) in pack.0.iter().zip(rest) {
                *out = S::of(E::narrow(*x));
            }
        }
    }
}

/// What results are written to: elements, or fresh memory for them.
trait Slot<E>: Send {
    fn of(value: E) -> Self;
}

impl<E: Stored> Slot<E> for E {
    #[inline(always)]
    fn of(value: E) -> Self {
        value
    }
}

impl<E: Stored> Slot<E> for MaybeUninit<E> {
    #[inline(always)]
    fn of(value: E) -> Self {
        Self::new(value)
    }
}

/// A row for a kernel to work on, which comes with the input and leaves with the result, and more of
/// the same size.
pub(crate) struct Work<T> {
    pub row: Scratch<T>,
    pub other: Scratch<T>,
    /// For elements that are moved, and where they belong; one more place than there are elements.
    pub moved: Scratch<T>,
    pub places: Vec<u32>,
}

/// Short rows go to a kernel in groups, so that it can have several under way: up to this many, or
/// up to this many elements.
pub(crate) const GROUP: usize = 16;
const GROUP_ELEMENTS: usize = 2 * 1024;

/// A kernel for one row, given its index, as a kernel for groups.
pub(crate) fn each<T, R>(
    kernel: impl Fn(usize, &mut Work<T>) -> R + Sync,
) -> impl Fn(usize, &mut [Work<T>], &mut [R]) + Sync {
    move |first, group, results| {
        for (i, (work, result)) in group.iter_mut().zip(results).enumerate() {
            *result = kernel(first + i, work);
        }
    }
}

/// A kernel over rows of `n` elements, padded with `padding`. It is given the index of the first row
/// of a group, the group, and a place for what it returns for each row.
pub(crate) struct Rows<T, K> {
    pub n: usize,
    pub padding: T,
    pub kernel: K,
}

impl<T: Float, K> Rows<T, K> {
    /// Replaces every row.
    pub fn replace<E: Stored<Wide = T>, R: Clone + Default + Send>(&self, data: &mut [E]) -> Vec<R>
    where
        K: Fn(usize, &mut [Work<T>], &mut [R]) + Sync,
    {
        self.run(data, |_, row, scratch| scratch.load_slice(row))
    }

    /// Writes every row's result into fresh memory.
    pub fn produce<'a, E: Stored<Wide = T>, R: Clone + Default + Send>(
        &self,
        input: &Strided<E>,
        output: &'a mut [MaybeUninit<E>],
    ) -> (&'a mut [E], Vec<R>)
    where
        K: Fn(usize, &mut [Work<T>], &mut [R]) + Sync,
    {
        assert_eq!(output.len() % self.n, 0, "whole rows");
        let results = self.run(output, |i, _, scratch| input.load(i, self.n, scratch));
        // SAFETY: `run` has put a value into every element of every row, and there are only rows.
        (unsafe { output.assume_init_mut() }, results)
    }

    /// What the kernel returns for every row.
    pub fn gather<E: Stored<Wide = T>, R: Clone + Default + Send>(
        &self,
        input: &Strided<E>,
        rows: usize,
    ) -> Vec<R>
    where
        K: Fn(usize, &mut [Work<T>], &mut [R]) + Sync,
    {
        let mut results = vec![R::default(); rows];
        let batch = self.batch();
        let tasks = results.par_chunks_mut(batch).enumerate();
        tasks.for_each(|(task, results)| {
            let mut group = self.group();
            for (i, results) in results.chunks_mut(group.len()).enumerate() {
                let first = task * batch + i * group.len();
                let group = &mut group[..results.len()];
                for (i, work) in group.iter_mut().enumerate() {
                    input.load(first + i, self.n, &mut work.row);
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
        K: Fn(usize, &mut [Work<T>], &mut [R]) + Sync,
    {
        let mut results = vec![R::default(); out.len() / self.n];
        let batch = self.batch();
        let tasks = out.par_chunks_mut(batch * self.n);
        let tasks = tasks.zip(results.par_chunks_mut(batch)).enumerate();
        tasks.for_each(|(task, (out, results))| {
            let mut group = self.group();
            let out = out.chunks_mut(group.len() * self.n);
            let results = results.chunks_mut(group.len());
            for (i, (out, results)) in out.zip(results).enumerate() {
                let first = task * batch + i * group.len();
                let group = &mut group[..results.len()];
                for (i, work) in group.iter_mut().enumerate() {
                    load(first + i, &out[i * self.n..][..self.n], &mut work.row);
                }
                (self.kernel)(first, group, results);
                for (work, out) in group.iter().zip(out.chunks_exact_mut(self.n)) {
                    work.row.store(out);
                }
            }
        });
        results
    }

    /// Rows of one task.
    fn batch(&self) -> usize {
        (TASK / self.n).max(1)
    }

    fn group(&self) -> Vec<Work<T>> {
        let row = || Scratch::new(self.n, self.padding);
        let work = || Work {
            row: row(),
            other: row(),
            moved: row(),
            places: vec![0; self.n + LANES],
        };
        let size = (GROUP_ELEMENTS / self.n).clamp(1, GROUP);
        std::iter::repeat_with(work)
            .take(size.min(self.batch()))
            .collect()
    }
}
