//! The memory that a row kernel works in: rows in SIMD vectors, loaded from a tensor and stored to one.

use super::float::{Float, Slot, Stored};
use super::isa;
use super::large_alpha::LargeAlpha;
use super::simd::{LANES, Simd};
use super::transpose::{columns_of_rows, rows_of_columns};
use super::view::Strided;

/// How rows lie in SIMD vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RowLayout {
    /// One row, neighbouring elements in a vector.
    RowMajor,
    /// As many rows as a vector has lanes, one per lane: vector j has element j of each (SoA).
    Interleaved,
}

impl RowLayout {
    /// Interleaved up to so many elements.
    pub fn of(n: usize, longest_interleaved: usize) -> Self {
        match n <= longest_interleaved {
            true => Self::Interleaved,
            false => Self::RowMajor,
        }
    }

    pub fn rows(self) -> usize {
        match self {
            Self::RowMajor => 1,
            Self::Interleaved => LANES,
        }
    }
}

/// Scratch memory: a row of a tensor in whole SIMD vectors, the last one padded; or interleaved rows,
/// missing ones padded.
pub(crate) struct Scratch<T> {
    pub vectors: Vec<Simd<T>>,
    pub layout: RowLayout,
    n: usize,
    padding: T,
}

impl<T: Float> Scratch<T> {
    pub fn new(n: usize, padding: T, layout: RowLayout) -> Self {
        let n_vectors = match layout {
            RowLayout::RowMajor => n.div_ceil(LANES),
            RowLayout::Interleaved => n,
        };
        Self {
            vectors: vec![Simd::splat(padding); n_vectors],
            layout,
            n,
            padding,
        }
    }

    /// Loads interleaved rows.
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
        columns_of_rows(&rows, &mut self.vectors);
    }

    #[inline(always)]
    fn load_elements(&mut self, n_rows: usize, element: impl Fn(usize, usize) -> T) {
        self.fill(self.padding);
        for i in 0..n_rows.min(LANES) {
            for (j, simd) in self.vectors.iter_mut().enumerate() {
                simd.0[i] = element(i, j);
            }
        }
    }

    /// Makes a row along the lanes as long as whole vectors.
    pub fn resize(&mut self, n_vectors: usize) {
        self.n = n_vectors * LANES;
        self.vectors.resize(n_vectors, Simd::splat(self.padding));
    }

    /// Overwrites the row and its padding.
    #[inline(always)]
    pub fn fill(&mut self, value: T) {
        self.vectors.fill(Simd::splat(value));
    }

    #[inline(always)]
    pub fn load(&mut self, values: impl Iterator<Item = T>) {
        self.pad();
        for (i, value) in values.enumerate() {
            self.vectors[i / LANES].0[i % LANES] = value;
        }
    }

    #[inline(always)]
    pub fn load_slice<E: Stored<Wide = T>>(&mut self, values: &[E]) {
        self.pad();
        let (whole, rest) = values.as_chunks::<LANES>();
        for (simd, values) in self.vectors.iter_mut().zip(whole) {
            *simd = widened(values);
        }
        if let Some(simd) = self.vectors.get_mut(self.n / LANES) {
            for (x, value) in simd.0.iter_mut().zip(rest) {
                *x = value.widen();
            }
        }
    }

    /// Kernels leave anything behind the end of a row.
    #[inline(always)]
    fn pad(&mut self) {
        if !self.n.is_multiple_of(LANES) {
            self.vectors[self.n / LANES] = Simd::splat(self.padding);
        }
    }

    /// Writes the rows, of which there are as many as `out` has room for: a value into every slot, whatever a kernel
    /// has made of the vectors, or it panics.
    #[inline(always)]
    pub fn store<E: Stored<Wide = T>, S: Slot<E>>(&self, out: &mut [S]) {
        let n_vectors = match self.layout {
            RowLayout::RowMajor => out.len().div_ceil(LANES),
            RowLayout::Interleaved => self.n,
        };
        let is_whole = self.layout == RowLayout::RowMajor || out.len().is_multiple_of(self.n);
        assert!(is_whole && self.vectors.len() >= n_vectors);
        match self.layout {
            RowLayout::RowMajor => self.store_row_major(out),
            RowLayout::Interleaved if out.len() == LANES * self.n => {
                rows_of_columns(&self.vectors, out)
            }
            RowLayout::Interleaved => {
                for (i, row) in out.chunks_exact_mut(self.n).enumerate() {
                    for (simd, out) in self.vectors.iter().zip(row) {
                        *out = S::of(E::narrow(simd.0[i]));
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn store_row_major<E: Stored<Wide = T>, S: Slot<E>>(&self, out: &mut [S]) {
        let (whole, rest) = out.as_chunks_mut::<LANES>();
        let last = self.vectors.get(whole.len());
        for (simd, out) in self.vectors.iter().zip(whole) {
            *out = narrowed(*simd);
        }
        if let Some(simd) = last {
            for (x, out) in simd.0.iter().zip(rest) {
                *out = S::of(E::narrow(*x));
            }
        }
    }
}

/// A vector of elements. (Read as a whole before any of it is written: a compiler that does not know the two apart
/// would go element by element.)
#[inline(always)]
pub(super) fn widened<E: Stored>(elements: &[E; LANES]) -> Simd<E::Wide> {
    let mut simd = Simd([E::Wide::ZERO; LANES]);
    for (x, element) in simd.0.iter_mut().zip(elements) {
        *x = element.widen();
    }
    simd
}

/// The elements of a vector, made before any of them is written.
#[inline(always)]
pub(super) fn narrowed<E: Stored<Wide = T>, T: Float, S: Slot<E>>(simd: Simd<T>) -> [S; LANES] {
    let mut elements = [S::of(E::narrow(simd.0[0])); LANES];
    for (element, x) in elements.iter_mut().zip(simd.0) {
        *element = S::of(E::narrow(x));
    }
    elements
}

/// The workspace of a row kernel: a row (or interleaved rows), which comes with the input and leaves with the
/// result, and more of the same size.
pub(crate) struct Workspace<T> {
    pub row: Scratch<T>,
    pub other: Scratch<T>,
    /// For the few elements that matter, compressed to the front, and their indices in the row; one more
    /// vector of these than there are of elements.
    pub compressed: Scratch<T>,
    pub places: Vec<u32>,
    /// Weights that are kept while a threshold is sought, as many as were asked for.
    pub kept: Vec<Simd<T>>,
    pub large_alpha: LargeAlpha,
}

impl<T: Float> Workspace<T> {
    /// Room for a row of this many elements.
    pub fn new(n: usize, padding: T, layout: RowLayout) -> Self {
        let row = || Scratch::new(n, padding, layout);
        Self {
            row: row(),
            other: row(),
            compressed: row(),
            places: vec![0; n + LANES],
            kept: Vec::new(),
            large_alpha: LargeAlpha::default(),
        }
    }

    /// Makes room for a row of whole vectors.
    pub fn resize(&mut self, n_vectors: usize) {
        for row in [&mut self.row, &mut self.other, &mut self.compressed] {
            row.resize(n_vectors);
        }
        self.places.resize((n_vectors + 1) * LANES, 0);
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
            (RowLayout::RowMajor, true) => scratch.load_slice(row(0)),
            (RowLayout::RowMajor, false) => scratch.load((0..n).map(|j| element(0, j))),
            (RowLayout::Interleaved, true) => scratch.load_slices(n_rows, row),
            (RowLayout::Interleaved, false) => scratch.load_elements(n_rows, element),
        }
    }
}
