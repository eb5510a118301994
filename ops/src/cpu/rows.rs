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

    /// Size of the row.
    pub fn len(&self) -> usize {
        self.n
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
        for (x, value) in self.packs[self.n / LANES..]
            .iter_mut()
            .flat_map(|p| &mut p.0)
            .zip(rest)
        {
            *x = value.widen();
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
        for (x, out) in self.packs[self.n / LANES..]
            .iter()
            .flat_map(|p| &p.0)
            .zip(rest)
        {
            *out = S::of(E::narrow(*x));
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

/// Two rows for a kernel to work in; the first comes with the input and leaves with the result.
pub(crate) struct Work<T> {
    pub row: Scratch<T>,
    pub other: Scratch<T>,
}

/// A kernel over rows of `n` elements, padded with `padding`.
pub(crate) struct Rows<T> {
    pub n: usize,
    pub padding: T,
}

impl<T: Float> Rows<T> {
    /// Replaces every row, and gathers what the kernel returns for each.
    pub fn replace<E: Stored<Wide = T>, R: Clone + Default + Send>(
        &self,
        data: &mut [E],
        kernel: impl Fn(usize, &mut Work<T>) -> R + Sync,
    ) -> Vec<R> {
        self.run(
            data,
            #[inline(always)]
            |_, row, scratch| scratch.load_slice(row),
            kernel,
        )
    }

    /// Writes every row's result into fresh memory, and gathers what the kernel returns.
    pub fn produce<'a, E: Stored<Wide = T>, R: Clone + Default + Send>(
        &self,
        input: &Strided<E>,
        output: &'a mut [MaybeUninit<E>],
        kernel: impl Fn(usize, &mut Work<T>) -> R + Sync,
    ) -> (&'a mut [E], Vec<R>) {
        assert_eq!(output.len() % self.n, 0, "whole rows");
        let results = self.run(
            output,
            #[inline(always)]
            |i, _, scratch| input.load(i, self.n, scratch),
            kernel,
        );
        // SAFETY: `run` has put a value into every element of every row, and there are only rows.
        (unsafe { output.assume_init_mut() }, results)
    }

    /// What the kernel returns for every row.
    pub fn gather<E: Stored<Wide = T>, R: Clone + Default + Send>(
        &self,
        input: &Strided<E>,
        rows: usize,
        kernel: impl Fn(usize, &mut Work<T>) -> R + Sync,
    ) -> Vec<R> {
        let mut results = vec![R::default(); rows];
        let batch = self.batch();
        results
            .par_chunks_mut(batch)
            .enumerate()
            .for_each(|(task, results)| {
                let mut work = self.work();
                for (i, result) in results.iter_mut().enumerate() {
                    input.load(task * batch + i, self.n, &mut work.row);
                    *result = kernel(task * batch + i, &mut work);
                }
            });
        results
    }

    fn run<E: Stored<Wide = T>, S: Slot<E>, R: Clone + Default + Send>(
        &self,
        out: &mut [S],
        load: impl Fn(usize, &[S], &mut Scratch<T>) + Sync,
        kernel: impl Fn(usize, &mut Work<T>) -> R + Sync,
    ) -> Vec<R> {
        let mut results = vec![R::default(); out.len() / self.n];
        let batch = self.batch();
        out.par_chunks_mut(batch * self.n)
            .zip(results.par_chunks_mut(batch))
            .enumerate()
            .for_each(|(task, (out, results))| {
                let mut work = self.work();
                let rows = out.chunks_exact_mut(self.n).zip(results);
                for (i, (out, result)) in rows.enumerate() {
                    let i = task * batch + i;
                    load(i, out, &mut work.row);
                    *result = kernel(i, &mut work);
                    work.row.store(out);
                }
            });
        results
    }

    /// Rows of one task.
    fn batch(&self) -> usize {
        (TASK / self.n).max(1)
    }

    fn work(&self) -> Work<T> {
        let row = || Scratch::new(self.n, self.padding);
        Work {
            row: row(),
            other: row(),
        }
    }
}
