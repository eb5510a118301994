//! Rows in memory to interleaved rows, and back.

#![allow(unsafe_code, reason = "blocks in the processor's registers")]

#[cfg(target_arch = "x86_64")]
use std::any::TypeId;

use super::float::{Slot, Stored};
use super::simd::{LANES, Simd};

/// Vector j gets element j of every row.
pub(crate) fn columns_of_rows<E: Stored>(rows: &[&[E]; LANES], vectors: &mut [Simd<E::Wide>]) {
    let n = vectors.len();
    assert!(rows.iter().all(|row| row.len() == n));
    #[cfg(target_arch = "x86_64")]
    if n >= x86::BLOCK && TypeId::of::<E>() == TypeId::of::<f32>() && x86::is_there() {
        let rows = rows.map(|row| row.as_ptr().cast());
        // SAFETY: the processor has the instructions; every row has n elements, which are f32, and so
        // are the lanes of the n vectors.
        unsafe { x86::columns_of_rows(rows, vectors.as_mut_ptr().cast(), n) };
        return;
    }
    for (j, simd) in vectors.iter_mut().enumerate() {
        for (x, row) in simd.0.iter_mut().zip(rows) {
            *x = row[j].widen();
        }
    }
}

/// Row i gets lane i of every vector.
pub(crate) fn rows_of_columns<E: Stored, S: Slot<E>>(vectors: &[Simd<E::Wide>], rows: &mut [S]) {
    let n = vectors.len();
    assert_eq!(rows.len(), LANES * n);
    #[cfg(target_arch = "x86_64")]
    if n >= x86::BLOCK && TypeId::of::<E>() == TypeId::of::<f32>() && x86::is_there() {
        // SAFETY: the processor has the instructions; slots are memory for f32, as many as the n vectors
        // have.
        unsafe { x86::rows_of_columns(vectors.as_ptr().cast(), rows.as_mut_ptr().cast(), n) };
        return;
    }
    for (j, simd) in vectors.iter().enumerate() {
        for (i, &x) in simd.0.iter().enumerate() {
            rows[i * n + j] = S::of(E::narrow(x));
        }
    }
}

/// Blocks of 8 × 8 in registers.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::LANES;

    /// Elements of a side.
    pub const BLOCK: usize = 8;

    pub fn is_there() -> bool {
        is_x86_feature_detected!("avx2")
    }

    /// # Safety
    /// The processor has AVX2; every row has n ≥ 8 elements, and `vectors` has room for n vectors.
    #[target_feature(enable = "avx2")]
    pub unsafe fn columns_of_rows(rows: [*const f32; LANES], vectors: *mut f32, n: usize) {
        for j in starts(n) {
            for i in [0, BLOCK] {
                let mut block = [_mm256_setzero_ps(); BLOCK];
                for (k, x) in block.iter_mut().enumerate() {
                    // SAFETY: j + 8 ≤ n.
                    *x = unsafe { _mm256_loadu_ps(rows[i + k].add(j)) };
                }
                for (k, x) in transpose(block).into_iter().enumerate() {
                    // SAFETY: vector j + k is one of n, and i + 8 ≤ 16.
                    unsafe { _mm256_storeu_ps(vectors.add((j + k) * LANES + i), x) };
                }
            }
        }
    }

    /// # Safety
    /// The processor has AVX2; there are n ≥ 8 vectors, and `rows` has room for 16 rows of n.
    #[target_feature(enable = "avx2")]
    pub unsafe fn rows_of_columns(vectors: *const f32, rows: *mut f32, n: usize) {
        for j in starts(n) {
            for i in [0, BLOCK] {
                let mut block = [_mm256_setzero_ps(); BLOCK];
                for (k, x) in block.iter_mut().enumerate() {
                    // SAFETY: vector j + k is one of n, and i + 8 ≤ 16.
                    *x = unsafe { _mm256_loadu_ps(vectors.add((j + k) * LANES + i)) };
                }
                for (k, x) in transpose(block).into_iter().enumerate() {
                    // SAFETY: j + 8 ≤ n.
                    unsafe { _mm256_storeu_ps(rows.add((i + k) * n + j), x) };
                }
            }
        }
    }

    /// Where blocks begin; the last may share elements with the one before.
    fn starts(n: usize) -> impl Iterator<Item = usize> {
        (0..n).step_by(BLOCK).map(move |j| j.min(n - BLOCK))
    }

    /// # Safety
    /// The processor has AVX2.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn transpose(rows: [__m256; BLOCK]) -> [__m256; BLOCK] {
        let [a, b, c, d, e, f, g, h] = rows;
        // Pairs of rows, element by element.
        let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        let (ef, ef_high) = (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f));
        let (gh, gh_high) = (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h));
        // Four rows in each half.
        let (top0, bottom0) = (
            _mm256_shuffle_ps(ab, cd, 0x44),
            _mm256_shuffle_ps(ef, gh, 0x44),
        );
        let (top1, bottom1) = (
            _mm256_shuffle_ps(ab, cd, 0xee),
            _mm256_shuffle_ps(ef, gh, 0xee),
        );
        let top2 = _mm256_shuffle_ps(ab_high, cd_high, 0x44);
        let bottom2 = _mm256_shuffle_ps(ef_high, gh_high, 0x44);
        let top3 = _mm256_shuffle_ps(ab_high, cd_high, 0xee);
        let bottom3 = _mm256_shuffle_ps(ef_high, gh_high, 0xee);
        [
            _mm256_permute2f128_ps(top0, bottom0, 0x20),
            _mm256_permute2f128_ps(top1, bottom1, 0x20),
            _mm256_permute2f128_ps(top2, bottom2, 0x20),
            _mm256_permute2f128_ps(top3, bottom3, 0x20),
            _mm256_permute2f128_ps(top0, bottom0, 0x31),
            _mm256_permute2f128_ps(top1, bottom1, 0x31),
            _mm256_permute2f128_ps(top2, bottom2, 0x31),
            _mm256_permute2f128_ps(top3, bottom3, 0x31),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::float::Float;

    fn there_and_back<E: Stored>(of: impl Fn(usize) -> E) {
        for n in [1, 7, 8, 9, 16, 30, 61] {
            let elements: Vec<E> = (0..LANES * n).map(&of).collect();
            let rows = std::array::from_fn(|i| &elements[i * n..][..n]);
            let nan = E::Wide::from_f64(f64::NAN);
            let mut vectors = vec![Simd::splat(nan); n];
            columns_of_rows(&rows, &mut vectors);
            for (i, row) in rows.iter().enumerate() {
                for (j, x) in row.iter().enumerate() {
                    assert!(vectors[j].0[i] == x.widen(), "row {i}, element {j} of {n}");
                }
            }
            let mut back = vec![E::narrow(nan); LANES * n];
            rows_of_columns(&vectors, &mut back);
            let same = back
                .iter()
                .zip(&elements)
                .all(|(a, b)| a.widen() == b.widen());
            assert!(same, "rows of {n}");
        }
    }

    #[test]
    fn rows_come_back() {
        there_and_back(|i| i as f32);
        there_and_back(|i| i as f64);
        there_and_back(|i| burn::tensor::bf16::from_f32((i % 251) as f32));
    }
}
