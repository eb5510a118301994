//! The memory that a row kernel works in: rows in SIMD vectors, loaded from a tensor and stored to one.

use super::float::{Float, Slot, Stored};
use super::isa;
use super::pack::{LANES, Pack};
use super::transpose::{columns_of_rows, rows_of_columns};
use super::view::Strided;

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

    pub fn rows(self) -> usize {
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
    pub fn load_slices<'a, E: Stored<Wide = T>>(
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
    pub fn load_slice<E: Stored<Wide = T>>(&mut self, values: &[E]) {
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
    pub fn store<E: Stored<Wide = T>, S: Slot<E>>(&self, out: &mut [S]) {
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

/// A row (or rows beside one another) for a kernel to work on, which comes with the input and leaves
/// with the result, and more of the same size.
pub(crate) struct Workspace<T> {
    pub row: Scratch<T>,
    pub other: Scratch<T>,
    /// For elements that are moved, and where they belong; one more place than there are elements.
    pub moved: Scratch<T>,
    pub places: Vec<u32>,
}

impl<T: Float> Workspace<T> {
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

impl<E: Stored> Strided<'_, E> {
    /// Loads rows into the other scratch of each of a group.
    pub fn load_others(&self, first: usize, n_rows: usize, group: &mut [Workspace<E::Wide>]) {
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
    pub fn load(&self, first: usize, n_rows: usize, scratch: &mut Scratch<E::Wide>) {
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
