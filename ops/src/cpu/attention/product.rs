//! Products of small matrices: tiles of the result stay in registers.

use crate::cpu::float::Float;
use crate::cpu::isa::{self, Registers};
use crate::cpu::pack::{LANES, Pack};

/// A matrix where it lies: its element (i, j) is `data[i·down + j·right]`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    pub data: &'a [T],
    pub down: usize,
    pub right: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Rows `stride` apart.
    pub fn rows(data: &'a [T], stride: usize) -> Self {
        Self {
            data,
            down: stride,
            right: 1,
        }
    }

    pub fn transposed(self) -> Self {
        Self {
            down: self.right,
            right: self.down,
            ..self
        }
    }
}

/// The matrix that a product is written to, rows `stride` apart.
pub(super) struct Target<'a, T> {
    pub data: &'a mut [T],
    pub stride: usize,
    /// Whether the product is added to what is there.
    pub adds: bool,
}

/// `c = a·b` or `c += a·b` for a of `m × k` and b of `k × n` in rows of contiguous elements, n a multiple of
/// [`LANES`]. Each element sums over k in order.
pub(super) fn multiply<T: Float>(c: Target<T>, a: Matrix<T>, b: Matrix<T>, [m, n, k]: [usize; 3]) {
    assert!(n.is_multiple_of(LANES) && b.right == 1);
    if m == 0 || n == 0 {
        return;
    }
    assert!((m - 1) * c.stride + n <= c.data.len());
    if k > 0 {
        assert!((m - 1) * a.down + (k - 1) * a.right < a.data.len());
        assert!((k - 1) * b.down + n <= b.data.len());
    }
    let product = Product {
        a: a.data.as_ptr(),
        b: b.data.as_ptr(),
        c: c.data.as_mut_ptr(),
        a_down: a.down,
        a_right: a.right,
        b_down: b.down,
        c_down: c.stride,
        k,
        adds: c.adds,
    };
    isa::dispatch_registers(
        #[inline(always)]
        |registers| {
            // SAFETY: every element of an m × k, k × n and m × n matrix has just been seen to lie in its
            // slice.
            unsafe {
                // f64 is for checks: its products need not be fast.
                match (registers, size_of::<T>()) {
                    (Registers::Wide, 4) => product.columns::<6, 4, true>(m, n),
                    (Registers::Narrow, 4) => product.columns::<6, 1, true>(m, n),
                    (Registers::Wide | Registers::Narrow, _) => product.columns::<1, 1, true>(m, n),
                    (Registers::Unknown, _) => product.columns::<1, 1, false>(m, n),
                }
            }
        },
    );
}

#[derive(Clone, Copy)]
struct Product<T> {
    a: *const T,
    b: *const T,
    c: *mut T,
    a_down: usize,
    a_right: usize,
    b_down: usize,
    c_down: usize,
    k: usize,
    adds: bool,
}

impl<T: Float> Product<T> {
    /// Tiles of at most `M` rows and `N` packs.
    #[inline(always)]
    unsafe fn columns<const M: usize, const N: usize, const FUSED: bool>(self, m: usize, n: usize) {
        let mut packs = n / LANES;
        let mut product = self;
        // SAFETY: the caller's matrices hold what a tile reads, and tiles cover them.
        unsafe {
            while packs > 0 {
                // Constants choose first, so that what a processor cannot use is not compiled.
                let width = packs.min(N);
                if N == 1 {
                    product.rows::<M, 1, FUSED>(m);
                } else {
                    match width {
                        4 => product.rows::<M, 4, FUSED>(m),
                        3 => product.rows::<M, 3, FUSED>(m),
                        2 => product.rows::<M, 2, FUSED>(m),
                        _ => product.rows::<M, 1, FUSED>(m),
                    }
                }
                packs -= width;
                product.b = product.b.add(width * LANES);
                product.c = product.c.add(width * LANES);
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<const M: usize, const N: usize, const FUSED: bool>(self, m: usize) {
        let mut product = self;
        let mut left = m;
        // SAFETY: as above.
        unsafe {
            while left > 0 {
                let height = if left >= M {
                    product.tile::<M, N, FUSED>();
                    M
                } else if M > 4 && left >= 4 {
                    product.tile::<4, N, FUSED>();
                    4
                } else {
                    product.tile::<1, N, FUSED>();
                    1
                };
                left -= height;
                product.a = product.a.add(height * product.a_down);
                product.c = product.c.add(height * product.c_down);
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<const M: usize, const N: usize, const FUSED: bool>(self) {
        let mut sums = [[Pack::splat(T::ZERO); N]; M];
        // SAFETY: as above; a [T; LANES] may lie wherever a T may.
        unsafe {
            if self.adds {
                for (i, row) in sums.iter_mut().enumerate() {
                    for (j, sum) in row.iter_mut().enumerate() {
                        let place = self.c.add(i * self.c_down + j * LANES);
                        *sum = Pack(*place.cast::<[T; LANES]>());
                    }
                }
            }
            for p in 0..self.k {
                let mut right = [Pack::splat(T::ZERO); N];
                for (j, pack) in right.iter_mut().enumerate() {
                    let place = self.b.add(p * self.b_down + j * LANES);
                    *pack = Pack(*place.cast::<[T; LANES]>());
                }
                for (i, row) in sums.iter_mut().enumerate() {
                    let left = *self.a.add(i * self.a_down + p * self.a_right);
                    for (sum, right) in row.iter_mut().zip(&right) {
                        for (sum, &right) in sum.0.iter_mut().zip(&right.0) {
                            *sum = match FUSED {
                                true => left.multiply_add(right, *sum),
                                false => left * right + *sum,
                            };
                        }
                    }
                }
            }
            for (i, row) in sums.iter().enumerate() {
                for (j, sum) in row.iter().enumerate() {
                    let place = self.c.add(i * self.c_down + j * LANES);
                    *place.cast::<[T; LANES]>() = sum.0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, normal};

    #[test]
    fn equals_the_sum_of_products() {
        for (m, n, k) in [
            (1, 16, 1),
            (6, 64, 33),
            (13, 80, 64),
            (5, 48, 0),
            (64, 16, 7),
        ] {
            for is_transposed in [false, true] {
                let (a, b) = (normal(m * k + m + k, 1), normal(k * (n + 3) + n, 2));
                let a: Vec<f32> = a.into_iter().map(|x| x as f32).collect();
                let b: Vec<f32> = b.into_iter().map(|x| x as f32).collect();
                let left = match is_transposed {
                    true => Matrix::rows(&a, m).transposed(),
                    false => Matrix::rows(&a, k),
                };
                let stride = n + 5;
                let mut c = vec![1.0f32; m * stride];
                for adds in [false, true] {
                    let target = Target {
                        data: &mut c,
                        stride,
                        adds,
                    };
                    multiply(target, left, Matrix::rows(&b, n + 3), [m, n, k]);
                }
                for i in 0..m {
                    let row: Vec<f64> = (0..n).map(|j| c[i * stride + j].into()).collect();
                    let element = |i: usize, p: usize| f64::from(a[i * left.down + p * left.right]);
                    let exact = |j: usize| -> f64 {
                        (0..k)
                            .map(|p| element(i, p) * f64::from(b[p * (n + 3) + j]))
                            .sum()
                    };
                    let exact: Vec<f64> = (0..n).map(|j| 2.0 * exact(j)).collect();
                    assert_close("a row", &row, &exact, 1e-6, 1e-6);
                    // Nothing is written between rows.
                    assert!(
                        c[i * stride + n..(i + 1) * stride]
                            .iter()
                            .all(|&x| x == 1.0)
                    );
                }
            }
        }
    }
}
