//! Elements of a tensor where they lie in the host's memory, at any strides.

use std::borrow::Cow;

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
    pub fn at(&self, row: usize, column: usize) -> usize {
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
