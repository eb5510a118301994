//! Matrix products of small matrices: tiles of the result stay in registers.

#![allow(unsafe_code, reason = "tiles of the result stay in registers")]

#[cfg(target_arch = "x86_64")]
use std::any::TypeId;

use crate::cpu::float::Float;
use crate::cpu::isa;
use crate::cpu::simd::{LANES, Simd};

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
    assert!(end([(m, c.stride), (n, 1)]) <= c.data.len());
    if k > 0 {
        assert!(end([(m, a.down), (k, a.right)]) <= a.data.len());
        assert!(end([(k, b.down), (n, 1)]) <= b.data.len());
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
    // SAFETY: every element of an m × k, k × n and m × n matrix has just been seen to lie in its slice, and
    // a processor runs the kernels that it says it can.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if TypeId::of::<T>() == TypeId::of::<f32>() {
            if is_x86_feature_detected!("avx512f") {
                return product.of_f32().columns::<x86::Wide>(m, n);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return product.of_f32().columns::<x86::Narrow>(m, n);
            }
        }
        product.columns::<Plain>(m, n);
    }
}

/// Where the elements of a matrix end, given how many there are in each direction (some) and how far apart.
fn end(sizes: [(usize, usize); 2]) -> usize {
    let steps = sizes.map(|(n, stride)| (n - 1).checked_mul(stride));
    let last = steps
        .into_iter()
        .try_fold(0usize, |sum, step| sum.checked_add(step?));
    // No slice is as long as that.
    last.and_then(|last| last.checked_add(1))
        .unwrap_or(usize::MAX)
}

/// A product of matrices that hold what it reads and writes.
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

/// How a tile of the result is computed.
trait Kernel<T> {
    /// Rows of a tile that fill the registers: 6, or 1.
    const ROWS: usize;
    /// Packs of a row of a tile, at most: 4, or 1.
    const VECTORS: usize;

    /// The `M` rows and `N` vectors at the start of the matrices.
    ///
    /// # Safety
    /// They are there, and the processor has the kernel's instructions.
    unsafe fn tile<const M: usize, const N: usize>(product: Product<T>);
}

impl<T: Float> Product<T> {
    /// The same, where T is f32.
    #[cfg(target_arch = "x86_64")]
    fn of_f32(self) -> Product<f32> {
        assert!(TypeId::of::<T>() == TypeId::of::<f32>());
        Product {
            a: self.a.cast(),
            b: self.b.cast(),
            c: self.c.cast(),
            a_down: self.a_down,
            a_right: self.a_right,
            b_down: self.b_down,
            c_down: self.c_down,
            k: self.k,
            adds: self.adds,
        }
    }

    /// All `m` rows and `n` columns, some rows and whole vectors, in tiles.
    ///
    /// # Safety
    /// Every element of the `m × k`, `k × n` and `m × n` matrices lies in memory that may be read, those of `c` in memory
    /// that may be written, and the processor has the kernel's instructions.
    unsafe fn columns<K: Kernel<T>>(mut self, m: usize, n: usize) {
        let mut vectors = n / LANES;
        while vectors > 0 {
            let width = vectors.min(K::VECTORS);
            // SAFETY: the caller's promise; these are `width` of the vectors that are left of each row.
            unsafe {
                if K::VECTORS == 1 {
                    self.rows::<K, 1>(m);
                } else {
                    match width {
                        4 => self.rows::<K, 4>(m),
                        3 => self.rows::<K, 3>(m),
                        2 => self.rows::<K, 2>(m),
                        _ => self.rows::<K, 1>(m),
                    }
                }
            }
            // Where there is nothing to sum, b may be empty: of pointers outside of their slice only wrapping ones are
            // defined.
            self.b = self.b.wrapping_add(width * LANES);
            self.c = self.c.wrapping_add(width * LANES);
            vectors -= width;
        }
    }

    /// All `m` rows of the first `N` vectors, in tiles.
    ///
    /// # Safety
    /// As for [`Product::columns`].
    unsafe fn rows<K: Kernel<T>, const N: usize>(mut self, m: usize) {
        let mut left = m;
        while left > 0 {
            // SAFETY: the caller's promise; a tile has no more rows than are left.
            let height = unsafe {
                if K::ROWS == 6 && left >= 6 {
                    K::tile::<6, N>(self);
                    6
                } else if K::ROWS == 6 && left >= 4 {
                    K::tile::<4, N>(self);
                    4
                } else {
                    K::tile::<1, N>(self);
                    1
                }
            };
            // Behind the last row there may be no whole row more.
            self.a = self.a.wrapping_add(height * self.a_down);
            self.c = self.c.wrapping_add(height * self.c_down);
            left -= height;
        }
    }
}

/// For every type and processor.
struct Plain;

impl<T: Float> Kernel<T> for Plain {
    const ROWS: usize = 1;
    const VECTORS: usize = 1;

    unsafe fn tile<const M: usize, const N: usize>(product: Product<T>) {
        isa::dispatch(
            #[inline(always)]
            || {
                for i in 0..M {
                    for j in 0..N {
                        // SAFETY: the caller's promise; a [T; LANES] may lie wherever a T may.
                        unsafe {
                            let c = product.c.add(i * product.c_down + j * LANES);
                            let c = c.cast::<[T; LANES]>();
                            let mut sum = Simd::splat(T::ZERO);
                            if product.adds {
                                sum = Simd(*c);
                            }
                            for p in 0..product.k {
                                let a = *product.a.add(i * product.a_down + p * product.a_right);
                                let b = product.b.add(p * product.b_down + j * LANES);
                                sum = sum + Simd(*b.cast::<[T; LANES]>()) * a;
                            }
                            *c = sum.0;
                        }
                    }
                }
            },
        );
    }
}

/// Kernels in the processor's own instructions: the compiler spills what it builds from arrays.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, LANES, Product};

    macro_rules! kernel {
        ($name:ident, $tile:ident, $features:literal, $rows:literal, $vectors:literal, $width:literal,
         $zero:ident, $load:ident, $store:ident, $splat:ident, $fused:ident) => {
            pub(super) struct $name;

            impl Kernel<f32> for $name {
                const ROWS: usize = $rows;
                const VECTORS: usize = $vectors;

                unsafe fn tile<const M: usize, const N: usize>(product: Product<f32>) {
                    // SAFETY: the caller's promise is passed on.
                    unsafe { $tile::<M, N>(product) }
                }
            }

            /// # Safety
            /// As for [`Kernel::tile`].
            #[target_feature(enable = $features)]
            unsafe fn $tile<const M: usize, const N: usize>(product: Product<f32>) {
                const PARTS: usize = LANES / $width;
                // SAFETY: the caller's promise; loads and stores need no alignment.
                unsafe {
                    let mut sums = [[[$zero(); PARTS]; N]; M];
                    if product.adds {
                        for i in 0..M {
                            for j in 0..N {
                                for l in 0..PARTS {
                                    let at = i * product.c_down + j * LANES + l * $width;
                                    sums[i][j][l] = $load(product.c.add(at));
                                }
                            }
                        }
                    }
                    let (mut a, mut b) = (product.a, product.b);
                    for _ in 0..product.k {
                        let mut right = [[$zero(); PARTS]; N];
                        for j in 0..N {
                            for l in 0..PARTS {
                                right[j][l] = $load(b.add(j * LANES + l * $width));
                            }
                        }
                        for i in 0..M {
                            let left = $splat(*a.add(i * product.a_down));
                            for j in 0..N {
                                for l in 0..PARTS {
                                    sums[i][j][l] = $fused(left, right[j][l], sums[i][j][l]);
                                }
                            }
                        }
                        a = a.wrapping_add(product.a_right);
                        b = b.wrapping_add(product.b_down);
                    }
                    for i in 0..M {
                        for j in 0..N {
                            for l in 0..PARTS {
                                let at = i * product.c_down + j * LANES + l * $width;
                                $store(product.c.add(at), sums[i][j][l]);
                            }
                        }
                    }
                }
            }
        };
    }

    kernel!(
        Wide,
        wide,
        "avx512f",
        6,
        4,
        16,
        _mm512_setzero_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps
    );
    kernel!(
        Narrow,
        narrow,
        "avx2,fma",
        6,
        1,
        8,
        _mm256_setzero_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps
    );
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
            // Which takes minutes for 10,000 products.
            if cfg!(miri) && m * n * k > 10_000 {
                continue;
            }
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

    /// Slices that end with the last element, of either type; where there is nothing to sum, they are empty.
    #[test]
    fn no_more_than_the_matrices_is_read() {
        fn check<T: Float>([m, n, k]: [usize; 3]) {
            let numbers = |len: usize, seed| normal(len, seed).into_iter().map(T::from_f64);
            let a: Vec<T> = numbers(m * k, 1).collect();
            let b: Vec<T> = numbers(k * n, 2).collect();
            for is_transposed in [false, true] {
                let left = match is_transposed {
                    true => Matrix::rows(&a, m).transposed(),
                    false => Matrix::rows(&a, k),
                };
                let mut c = vec![T::ONE; (m - 1) * (n + 3) + n];
                let target = Target {
                    data: &mut c,
                    stride: n + 3,
                    adds: false,
                };
                multiply(target, left, Matrix::rows(&b, n), [m, n, k]);
                for (i, row) in c.chunks(n + 3).enumerate() {
                    let exact = |j: usize| -> f64 {
                        let term = |p: usize| {
                            let a = a[i * left.down + p * left.right].to_f64();
                            a * b[p * n + j].to_f64()
                        };
                        (0..k).map(term).sum()
                    };
                    let exact: Vec<f64> = (0..n).map(exact).collect();
                    let row: Vec<f64> = row[..n].iter().map(|x| x.to_f64()).collect();
                    assert_close("a row", &row, &exact, 1e-6, 1e-6);
                }
            }
        }
        for size in [[1, 16, 1], [7, 80, 3], [4, 48, 0], [1, 64, 5], [11, 32, 2]] {
            check::<f32>(size);
            check::<f64>(size);
        }
    }

    /// Strides whose multiples do not fit an index.
    #[test]
    fn a_matrix_that_ends_behind_all_memory_is_refused() {
        let (a, b) = ([1.0f32; 16], [1.0f32; 16]);
        let huge = |c: &mut [f32], down: usize, stride: usize| {
            let left = Matrix {
                data: &a,
                down,
                right: 1,
            };
            let target = Target {
                data: c,
                stride,
                adds: false,
            };
            multiply(target, left, Matrix::rows(&b, 16), [3, 16, 1]);
        };
        for (down, stride) in [(1, usize::MAX / 2 + 1), (usize::MAX / 2 + 1, 16)] {
            let mut c = [0.0; 64];
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                huge(&mut c, down, stride);
            }));
            assert!(result.is_err(), "{down} {stride}");
        }
    }
}
