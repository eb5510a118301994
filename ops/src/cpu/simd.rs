//! A row as the kernels see it: vectors of elements, which the compiler turns into registers, and the
//! reductions over them.

use std::hint::black_box;
use std::ops::{Add, Mul, Sub};

use super::float::Float;

/// Elements of a vector: a multiple of every register width, and the order of summation everywhere.
pub(crate) const LANES: usize = 16;

/// Neighbouring elements of a row, aligned to a cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Simd<T>(pub [T; LANES]);

impl<T: Float> Simd<T> {
    #[inline(always)]
    pub fn splat(value: T) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    pub fn map(mut self, f: impl Fn(T) -> T) -> Self {
        for x in &mut self.0 {
            *x = f(*x);
        }
        self
    }

    #[inline(always)]
    pub fn zip(mut self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        for (x, y) in self.0.iter_mut().zip(other.0) {
            *x = f(*x, y);
        }
        self
    }

    /// 1 where the element is above the limit, else 0.
    #[inline(always)]
    pub fn is_above(self, limit: T) -> Self {
        self.map(
            #[inline(always)]
            |x| if x > limit { T::ONE } else { T::ZERO },
        )
    }

    /// 1 where the element is above the limit or either is NaN, else 0.
    #[inline(always)]
    pub fn exceeds(self, limit: T) -> Self {
        self.map(
            #[inline(always)]
            |x| if x <= limit { T::ZERO } else { T::ONE },
        )
    }

    /// Whether any element is above the limit, or NaN.
    #[inline(always)]
    pub fn reaches(self, limit: T) -> bool {
        let mut any = false;
        for x in self.0 {
            let is_at_most = x <= limit;
            any |= !is_at_most;
        }
        any
    }

    /// In f64.
    #[inline(always)]
    pub fn widen(self) -> Simd<f64> {
        let mut wide = Simd([0.0; LANES]);
        for (wide, x) in wide.0.iter_mut().zip(self.0) {
            *wide = x.to_f64();
        }
        wide
    }

    /// From f64.
    #[inline(always)]
    pub fn narrow(wide: Simd<f64>) -> Self {
        let mut narrow = Self([T::ZERO; LANES]);
        for (narrow, x) in narrow.0.iter_mut().zip(wide.0) {
            *narrow = T::from_f64(x);
        }
        narrow
    }

    /// The largest lane.
    #[inline(always)]
    pub fn largest(self) -> T {
        self.across(
            #[inline(always)]
            |a, b| larger(a, b),
        )
    }

    /// eˣ of every lane.
    #[inline(always)]
    pub fn exp(self) -> Self {
        self.map(
            #[inline(always)]
            |x| x.exp(),
        )
    }

    /// √x of every lane.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        self.map(
            #[inline(always)]
            |x| x.sqrt(),
        )
    }

    /// The lanes folded in halves. What this does is hidden from the compiler, which would otherwise
    /// build the vectors before it from registers of the last, narrowest width.
    #[inline(always)]
    pub fn across(self, join: impl Fn(T, T) -> T) -> T {
        let mut lanes = black_box(self).0;
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] = join(lanes[i], lanes[i + width]);
            }
            width /= 2;
        }
        lanes[0]
    }
}

impl Simd<f64> {
    /// The sum of the lanes.
    #[inline(always)]
    pub fn sum(self) -> f64 {
        self.across(|a, b| a + b)
    }
}

macro_rules! arithmetic {
    ($($trait:ident $method:ident $op:tt;)*) => {$(
        impl<T: Float> $trait for Simd<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, #[inline(always)] |x, y| x $op y)
            }
        }

        impl<T: Float> $trait<T> for Simd<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: T) -> Self {
                self.map(#[inline(always)] |x| x $op other)
            }
        }
    )*};
}

arithmetic! {
    Add add +;
    Sub sub -;
    Mul mul *;
}

/// Replaces every vector. Where each lies is hidden from the compiler, which would otherwise build
/// registers of elements gathered from many.
#[inline(always)]
pub(crate) fn replace<T: Float>(row: &mut [Simd<T>], f: impl Fn(Simd<T>) -> Simd<T>) {
    for simd in row {
        let simd = black_box(simd);
        *simd = f(*simd);
    }
}

/// SIMD vectors that are summed before their sum joins the row's, which is kept in f64: next to a weight near
/// 1, one running f32 sum would lose a long row's small weights.
pub(super) const BLOCK: usize = 16;

/// Sums of the lanes over a row of `K` terms of each element.
#[inline(always)]
pub(crate) fn lane_sums<T: Float, const K: usize>(
    row: &[Simd<T>],
    terms: impl Fn(Simd<T>) -> [Simd<T>; K],
) -> [Simd<f64>; K] {
    let mut totals = [Simd::splat(0.0); K];
    for block in row.chunks(BLOCK) {
        let mut sums = [Simd::splat(T::ZERO); K];
        for &simd in block {
            add(&mut sums, terms(simd));
        }
        add_wide(&mut totals, sums);
    }
    totals
}

/// Sums over a row of `K` terms of each element.
#[inline(always)]
pub(crate) fn sums<T: Float, const K: usize>(
    row: &[Simd<T>],
    terms: impl Fn(Simd<T>) -> [Simd<T>; K],
) -> [f64; K] {
    totals_of(lane_sums(row, terms))
}

/// [`lane_sums`] where `terms` may replace the vector.
#[inline(always)]
pub(crate) fn lane_sums_of_replaced<T: Float, const K: usize>(
    row: &mut [Simd<T>],
    terms: impl Fn(&mut Simd<T>) -> [Simd<T>; K],
) -> [Simd<f64>; K] {
    let mut totals = [Simd::splat(0.0); K];
    for block in row.chunks_mut(BLOCK) {
        let mut sums = [Simd::splat(T::ZERO); K];
        for simd in block {
            add(&mut sums, terms(simd));
        }
        add_wide(&mut totals, sums);
    }
    totals
}

/// [`lane_sums`] over two rows; `terms` may replace the first one's vector.
#[inline(always)]
pub(crate) fn lane_sums_of_pairs<T: Float, const K: usize>(
    left: &mut [Simd<T>],
    right: &[Simd<T>],
    terms: impl Fn(&mut Simd<T>, Simd<T>) -> [Simd<T>; K],
) -> [Simd<f64>; K] {
    let mut totals = [Simd::splat(0.0); K];
    for (left, right) in left.chunks_mut(BLOCK).zip(right.chunks(BLOCK)) {
        let mut sums = [Simd::splat(T::ZERO); K];
        for (x, &y) in left.iter_mut().zip(right) {
            add(&mut sums, terms(x, y));
        }
        add_wide(&mut totals, sums);
    }
    totals
}

/// [`sums`] over two rows; `terms` may replace the first one's vector.
#[inline(always)]
pub(crate) fn sums_of_pairs<T: Float, const K: usize>(
    left: &mut [Simd<T>],
    right: &[Simd<T>],
    terms: impl Fn(&mut Simd<T>, Simd<T>) -> [Simd<T>; K],
) -> [f64; K] {
    totals_of(lane_sums_of_pairs(left, right, terms))
}

/// `p·scale` of every vector. See [`replace`].
#[inline(always)]
pub(crate) fn scaled<T: Float>(row: &mut [Simd<T>], p: &[Simd<T>], scale: Simd<T>) {
    for (out, p) in row.iter_mut().zip(p) {
        let out = black_box(out);
        *out = *p * scale;
    }
}

// Loops: the standard library's `map` over an array is not always inlined, and then not compiled for
// the processor at hand.
#[inline(always)]
pub(super) fn add_wide<T: Float, const K: usize>(totals: &mut [Simd<f64>; K], terms: [Simd<T>; K]) {
    for k in 0..K {
        totals[k] = totals[k] + terms[k].widen();
    }
}

/// The sums of lanes.
#[inline(always)]
pub(crate) fn totals_of<const K: usize>(lane_sums: [Simd<f64>; K]) -> [f64; K] {
    let mut totals = [0.0; K];
    for k in 0..K {
        totals[k] = lane_sums[k].sum();
    }
    totals
}

#[inline(always)]
pub(super) fn add<T: Float, const K: usize>(totals: &mut [Simd<T>; K], terms: [Simd<T>; K]) {
    for k in 0..K {
        totals[k] = totals[k] + terms[k];
    }
}

/// The largest element of each lane. A NaN may get lost.
#[inline(always)]
pub(crate) fn largest_by_lane<T: Float>(row: &[Simd<T>]) -> Simd<T> {
    let mut largest = Simd::splat(T::LOWEST);
    for &simd in row {
        largest = largest.zip(
            simd,
            #[inline(always)]
            |a, b| larger(a, b),
        );
    }
    largest
}

#[inline(always)]
pub(crate) fn larger<T: Float>(a: T, b: T) -> T {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::workspace::{RowLayout, Scratch};

    fn vectors(row: &[f32], padding: f32) -> Vec<Simd<f32>> {
        let mut scratch = Scratch::new(row.len(), padding, RowLayout::RowMajor);
        scratch.load(row.iter().copied());
        scratch.vectors
    }

    #[test]
    fn reductions_see_every_element_once() {
        for n in [1, 15, 16, 17, 100, 3000] {
            let row: Vec<f32> = (0..n).map(|i| (i % 97) as f32).collect();
            let total = row.iter().sum::<f32>() as f64;
            assert_eq!(
                sums(&vectors(&row, 0.0), |x| [x, x + x]),
                [total, 2.0 * total]
            );
            let mut replaced = vectors(&row, 0.0);
            assert_eq!(
                lane_sums_of_replaced(&mut replaced, |x| [std::mem::replace(x, *x * 2.0)])
                    .map(Simd::sum),
                [total]
            );
            assert_eq!(
                sums_of_pairs(&mut replaced, &vectors(&row, 0.0), |x, y| [*x - y]),
                [total]
            );
            let largest = largest_by_lane(&vectors(&row, f32::MIN)).largest();
            assert_eq!(largest, (n - 1).min(96) as f32);
        }
    }

    /// Beside a weight of 1, the sum of 128k small ones is not lost.
    #[test]
    fn small_terms_of_a_long_row_count() {
        let mut row = vec![3e-8f32; 128 * 1024];
        row[77] = 1.0;
        let [sum] = sums(&vectors(&row, 0.0), |x| [x]);
        let exact = row.iter().map(|&x| x as f64).sum::<f64>();
        assert!((sum - exact).abs() < 1e-6, "{sum} for {exact}");
    }

    #[test]
    fn nan_reaches_every_limit() {
        let mut simd = Simd::splat(0.0f32);
        assert!(!simd.reaches(0.0) && simd.reaches(-1.0));
        simd.0[9] = f32::NAN;
        assert!(simd.reaches(1e30));
    }
}
