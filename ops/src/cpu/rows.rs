//! Takes rows from a tensor's memory to a kernel and its results back: strides, half precision,
//! threads.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::float::{Float, Stored};
use super::isa;
use super::pack::{LANES, Pack};
use super::transpose::{columns_of_rows, rows_of_columns};

/// Elements that one task should hold: enough to hide the cost of handing it over.
const TASK: usize = 32 * 1024;

/// Elements of a tensor where they lie.
pub(crate) struct View<'a, E: Copy> {
    pub elements: Cow<'a, [E]>,
    /// Where the first one is.
    pub start: usize,
    /// From one to the next along each dimension.
    pub strides: Vec<isize>,
}

impl<E: Copy> View<'_, E> {
    /// Where the elements of a row begin, given the indices of all dimensions but the last.
    pub fn row(&self, index: &[usize]) -> usize {
        let steps = index.iter().zip(&self.strides);
        steps.fold(self.start, |at, (&i, &stride)| {
            at.wrapping_add_signed(i as isize * stride)
        })
    }
}

/// The strides of elements in row-major order.
#[cfg(feature = "ndarray")]
pub(crate) fn row_major(shape: &[usize]) -> Vec<isize> {
    let inner = |d: usize| shape[d + 1..].iter().product::<usize>() as isize;
    (0..shape.len()).map(inner).collect()
}

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
    /// Loads rows into the other scratch of each of a group.
    pub fn load_others(&self, first: usize, n_rows: usize, group: &mut [Work<E::Wide>]) {
        isa::dispatch(
            #[inline(always)]
            || {
                for (i, work) in group.iter_mut().enumerate() {
                    let done = i * work.other.layout.rows();
                    self.load(first + done, n_rows - done, &mut work.other);
                }
            },
        );
    }

    /// Loads as many of these rows as the scratch holds.
    #[inline(always)]
    fn load(&self, first: usize, n_rows: usize, scratch: &mut Scratch<E::Wide>) {
        let n = scratch.n;
        let row = |i: usize| &self.elements[self.at(first + i, 0)..][..n];
        let element = |i: usize, j: usize| self.elements[self.at(first + i, j)].widen();
        match (scratch.layout, self.strides[1] == 1) {
            (Layout::Along, true) => scratch.load_slice(row(0)),
            (Layout::Along, false) => scratch.load((0..n).map(|j| element(0, j))),
            (Layout::Beside, true) => scratch.load_slices(n_rows, row),
            (Layout::Beside, false) => scratch.load_elements(n_rows, element),
        }
    }
}

/// How rows lie in packs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Layout {
    /// One row, its neighbouring elements in a pack.
    Along,
    /// As many rows as a pack has lanes, pack j with element j of each.
    Beside,
}

impl Layout {
    /// Beside one another up to so many elements.
    pub fn of(n: usize, longest_beside: usize) -> Self {
        match n <= longest_beside {
            true => Self::Beside,
            false => Self::Along,
        }
    }

    fn rows(self) -> usize {
        match self {
            Self::Along => 1,
            Self::Beside => LANES,
        }
    }
}

/// A row of a tensor in whole packs, the last one padded; or rows beside one another, missing ones
/// padded.
pub(crate) struct Scratch<T> {
    pub packs: Vec<Pack<T>>,
    pub layout: Layout,
    n: usize,
    padding: T,
}

impl<T: Float> Scratch<T> {
    pub fn new(n: usize, padding: T, layout: Layout) -> Self {
        let n_packs = match layout {
            Layout::Along => n.div_ceil(LANES),
            Layout::Beside => n,
        };
        Self {
            packs: vec![Pack::splat(padding); n_packs],
            layout,
            n,
            padding,
        }
    }

    /// Loads rows beside one another.
    #[inline(always)]
    fn load_slices<'a, E: Stored<Wide = T>>(
        &mut self,
        n_rows: usize,
        row: impl Fn(usize) -> &'a [E],
    ) {
        if n_rows < LANES {
            return self.load_elements(n_rows, |i, j| row(i)[j].widen());
        }
        let mut rows = [&[][..]; LANES];
        for (i, slot) in rows.iter_mut().enumerate() {
            *slot = row(i);
        }
        columns_of_rows(&rows, &mut self.packs);
    }

    #[inline(always)]
    fn load_elements(&mut self, n_rows: usize, element: impl Fn(usize, usize) -> T) {
        self.fill(self.padding);
        for i in 0..n_rows.min(LANES) {
            for (j, pack) in self.packs.iter_mut().enumerate() {
                pack.0[i] = element(i, j);
            }
        }
    }

    /// Makes a row along the lanes as long as whole packs.
    pub fn resize(&mut self, n_packs: usize) {
        self.n = n_packs * LANES;
        self.packs.resize(n_packs, Pack::splat(self.padding));
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
            for (x, value) in pack.0.iter_mut().zip(values) {
                *x = value.widen();
            }
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

    /// Writes the rows, of which there are as many as `out` has room for.
    #[inline(always)]
    fn store<E: Stored<Wide = T>, S: Slot<E>>(&self, out: &mut [S]) {
        match self.layout {
            Layout::Along => self.store_along(out),
            Layout::Beside if out.len() == LANES * self.n => rows_of_columns(&self.packs, out),
            Layout::Beside => {
                for (i, row) in out.chunks_exact_mut(self.n).enumerate() {
                    for (pack, out) in self.packs.iter().zip(row) {
                        *out = S::of(E::narrow(pack.0[i]));
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn store_along<E: Stored<Wide = T>, S: Slot<E>>(&self, out: &mut [S]) {
        let (whole, rest) = out.as_chunks_mut::<LANES>();
        for (pack, out) in self.packs.iter().zip(whole) {
            for (x, out) in pack.0.iter().zip(out) {
                *out = S::of(E::narrow(*x));
            }
        }
        if let Some(pack) = self.packs.get(self.n / LANES) {
            for (x, out) in pack.0.iter().zip(rest) {
                *out = S::of(E::narrow(*x));
            }
        }
    }
}

/// What results are written to: elements, or fresh memory for them.
pub(crate) trait Slot<E>: Send {
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

/// A row (or rows beside one another) for a kernel to work on, which comes with the input and leaves
/// with the result, and more of the same size.
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
pub(crate) const GROUP_ELEMENTS: usize = 2 * 1024;

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
/// of a group, the group, and a place for what it returns for each row. Rows beside one another are a
/// group of their own.
pub(crate) struct Rows<T, K> {
    pub n: usize,
    pub padding: T,
    pub layout: Layout,
    pub kernel: K,
}

impl<T: Float> Work<T> {
    /// Room for a row of this many elements.
    pub fn new(n: usize, padding: T, layout: Layout) -> Self {
        let row = || Scratch::new(n, padding, layout);
        Self {
            row: row(),
            other: row(),
            moved: row(),
            places: vec![0; n + LANES],
        }
    }

    /// Makes room for a row of whole packs.
    pub fn resize(&mut self, n_packs: usize) {
        for row in [&mut self.row, &mut self.other, &mut self.moved] {
            row.resize(n_packs);
        }
        self.places.resize((n_packs + 1) * LANES, 0);
    }
}

impl<T: Float, K> Rows<T, K> {
    /// Replaces every row.
    pub fn replace<E: Stored<Wide = T>, R: Clone + Default + Send>(&self, data: &mut [E]) -> Vec<R>
    where
        K: Fn(usize, &mut [Work<T>], &mut [R]) + Sync,
    {
        let n = self.n;
        self.run(
            data,
            #[inline(always)]
            |_, rows, scratch| match scratch.layout {
                Layout::Along => scratch.load_slice(rows),
                Layout::Beside => scratch.load_slices(rows.len() / n, |i| &rows[i * n..][..n]),
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
        K: Fn(usize, &mut [Work<T>], &mut [R]) + Sync,
    {
        assert_eq!(output.len() % self.n, 0, "whole rows");
        let results = self.run(
            output,
            #[inline(always)]
            |first, rows, scratch| input.load(first, rows.len() / self.n, scratch),
        );
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
        K: Fn(usize, &mut [Work<T>], &mut [R]) + Sync,
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

    /// Rows of one task: whole groups of rows beside one another.
    fn batch(&self) -> usize {
        (TASK / self.n).max(1).next_multiple_of(self.layout.rows())
    }

    fn group(&self) -> Vec<Work<T>> {
        let work = || Work::new(self.n, self.padding, self.layout);
        let size = match self.layout {
            Layout::Along => (GROUP_ELEMENTS / self.n).clamp(1, GROUP),
            Layout::Beside => 1,
        };
        std::iter::repeat_with(work)
            .take(size.min(self.batch()))
            .collect()
    }
}
