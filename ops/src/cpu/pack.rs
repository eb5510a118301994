//! A row as the kernels see it: whole packs of elements, and the reductions over them.

use super::float::Float;

/// Elements of a pack: a multiple of every register width, and the order of summation everywhere.
pub(crate) const LANES: usize = 16;

/// Neighbouring elements of a row, aligned to a cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Pack<T>(pub [T; LANES]);

impl<T: Float> Pack<T> {
    pub fn splat(value: T) -> Self {
        Self([value; LANES])
    }

    /// Replaces every element.
    #[inline(always)]
    pub fn map(&mut self, f: impl Fn(T) -> T) {
        for x in &mut self.0 {
            *x = f(*x);
        }
    }
}

/// Packs that are summed before their sum joins the row's, which is kept in f64: beside a weight near
/// 1, one running f32 sum would lose a long row's small weights.
const BLOCK: usize = 64;

/// Sums of `K` terms of each element, in [`LANES`] independent lanes and then the lanes in order.
#[inline(always)]
pub(crate) fn sums<T: Float, const K: usize>(
    row: &[Pack<T>],
    terms: impl Fn(T) -> [T; K],
) -> [T; K] {
    let mut totals = [0.0; K];
    for block in row.chunks(BLOCK) {
        let mut lanes = [[T::ZERO; LANES]; K];
        for pack in block {
            for i in 0..LANES {
                let terms = terms(pack.0[i]);
                for k in 0..K {
                    lanes[k][i] = lanes[k][i] + terms[k];
                }
            }
        }
        add(&mut totals, lanes);
    }
    totals.map(T::from_f64)
}

/// [`sums`] over two rows; `terms` may replace the second row's element.
#[inline(always)]
pub(crate) fn sums_of_pairs<T: Float, const K: usize>(
    left: &[Pack<T>],
    right: &mut [Pack<T>],
    terms: impl Fn(T, &mut T) -> [T; K],
) -> [T; K] {
    let mut totals = [0.0; K];
    for (left, right) in left.chunks(BLOCK).zip(right.chunks_mut(BLOCK)) {
        let mut lanes = [[T::ZERO; LANES]; K];
        for (a, b) in left.iter().zip(right) {
            for i in 0..LANES {
                let terms = terms(a.0[i], &mut b.0[i]);
                for k in 0..K {
                    lanes[k][i] = lanes[k][i] + terms[k];
                }
            }
        }
        add(&mut totals, lanes);
    }
    totals.map(T::from_f64)
}

#[inline(always)]
fn add<T: Float, const K: usize>(totals: &mut [f64; K], lanes: [[T; LANES]; K]) {
    for (total, lanes) in totals.iter_mut().zip(lanes) {
        *total += across(lanes, |a, b| a + b).to_f64();
    }
}

/// The lanes folded in halves.
#[inline(always)]
pub(crate) fn across<T: Float>(mut lanes: [T; LANES], join: impl Fn(T, T) -> T) -> T {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = join(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// The largest element, or NaN if there is one.
#[inline(always)]
pub(crate) fn max<T: Float>(row: &[Pack<T>]) -> T {
    let mut largest = [T::LOWEST; LANES];
    // No comparison keeps a NaN: only NaN has no order with itself.
    let mut nan = [T::ZERO; LANES];
    for pack in row {
        for i in 0..LANES {
            let x = pack.0[i];
            largest[i] = if x > largest[i] { x } else { largest[i] };
            nan[i] = if x.is_nan() { x } else { nan[i] };
        }
    }
    let nan = across(nan, |a, b| if a.is_nan() { a } else { b });
    match nan.is_nan() {
        true => nan,
        false => across(largest, |a, b| if b > a { b } else { a }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::rows::Scratch;

    #[test]
    fn reductions_see_every_element_and_nan() {
        for n in [1, 15, 16, 17, 100] {
            let row: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let mut scratch = Scratch::new(n, 0.0);
            scratch.load(row.iter().copied());
            let total = (n * (n - 1) / 2) as f32;
            assert_eq!(sums(&scratch.packs, |x| [x, x + x]), [total, 2.0 * total]);
            assert_eq!(max(&scratch.packs), (n - 1) as f32);
            scratch.load(
                row.iter()
                    .map(|&x| if x as usize == n / 2 { f32::NAN } else { x }),
            );
            assert!(max(&scratch.packs).is_nan());
        }
    }
}
