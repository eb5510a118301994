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
        let vectors = vectors.as_mut_ptr().cast();
        // SAFETY: the processor has the instructions; every row has n elements, which are f32, and so
        // are the lanes of the n vectors.
        unsafe {
            match x86::is_wide() {
                true => x86::columns_of_rows_wide(rows, vectors, n),
                false => x86::columns_of_rows(rows, vectors, n),
            }
        }
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
        let (vectors, rows) = (vectors.as_ptr().cast(), rows.as_mut_ptr().cast());
        // SAFETY: the processor has the instructions; slots are memory for f32, as many as the n vectors
        // have.
        unsafe {
            match x86::is_wide() {
                true => x86::rows_of_columns_wide(vectors, rows, n),
                false => x86::rows_of_columns(vectors, rows, n),
            }
        }
        return;
    }
    for (j, simd) in vectors.iter().enumerate() {
        for (i, &x) in simd.0.iter().enumerate() {
            rows[i * n + j] = S::of(E::narrow(x));
        }
    }
}

/// Blocks of 8 × 8 in registers; two at once in those of AVX-512, rows 0 to 7 in one half and 8 to 15 in the other.
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

    pub fn is_wide() -> bool {
        is_x86_feature_detected!("avx512f")
    }

    /// [`columns_of_rows`].
    ///
    /// # Safety
    /// The processor has AVX-512; every row has n ≥ 8 elements, and `vectors` has room for n vectors.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn columns_of_rows_wide(rows: [*const f32; LANES], vectors: *mut f32, n: usize) {
        for j in starts(n) {
            let mut blocks = [_mm512_setzero_ps(); BLOCK];
            for (k, x) in blocks.iter_mut().enumerate() {
                // SAFETY: j + 8 ≤ n.
                let (low, high) = unsafe {
                    let row = |i: usize| _mm256_loadu_pd(rows[i].add(j).cast());
                    (row(k), row(k + BLOCK))
                };
                let both = _mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1);
                *x = _mm512_castpd_ps(both);
            }
            for (k, x) in transpose_both(blocks).into_iter().enumerate() {
                // SAFETY: vector j + k is one of n.
                unsafe { _mm512_storeu_ps(vectors.add((j + k) * LANES), x) };
            }
        }
    }

    /// [`rows_of_columns`].
    ///
    /// # Safety
    /// The processor has AVX-512; there are n ≥ 8 vectors, and `rows` has room for 16 rows of n.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn rows_of_columns_wide(vectors: *const f32, rows: *mut f32, n: usize) {
        for j in starts(n) {
            let mut blocks = [_mm512_setzero_ps(); BLOCK];
            for (k, x) in blocks.iter_mut().enumerate() {
                // SAFETY: vector j + k is one of n.
                *x = unsafe { _mm512_loadu_ps(vectors.add((j + k) * LANES)) };
            }
            for (k, x) in transpose_both(blocks).into_iter().enumerate() {
                let both = _mm512_castps_pd(x);
                // SAFETY: j + 8 ≤ n, and k + 8 < 16.
                unsafe {
                    let row = |i: usize| rows.add(i * n + j).cast();
                    _mm256_storeu_pd(row(k), _mm512_castpd512_pd256(both));
                    _mm256_storeu_pd(row(k + BLOCK), _mm512_extractf64x4_pd(both, 1));
                }
            }
        }
    }

    /// [`transpose`] of either half.
    ///
    /// # Safety
    /// The processor has AVX-512.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn transpose_both(rows: [__m512; BLOCK]) -> [__m512; BLOCK] {
        let [a, b, c, d, e, f, g, h] = rows;
        let pairs = |a, b| (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let fours = |a, b| {
            let (low, high) = (_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
            (_mm512_castps_pd(low), _mm512_castps_pd(high))
        };
        let [(ab, ab_high), (cd, cd_high)] = [pairs(a, b), pairs(c, d)];
        let [(ef, ef_high), (gh, gh_high)] = [pairs(e, f), pairs(g, h)];
        let [(top0, top1), (top2, top3)] = [fours(ab, cd), fours(ab_high, cd_high)];
        let [(bottom0, bottom1), (bottom2, bottom3)] = [fours(ef, gh), fours(ef_high, gh_high)];
        // The first or second quarter of each half of one, beside that of the other.
        let first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
        let second = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
        let join =
            |top, quarter, bottom| _mm512_castpd_ps(_mm512_permutex2var_pd(top, quarter, bottom));
        [
            join(top0, first, bottom0),
            join(top1, first, bottom1),
            join(top2, first, bottom2),
            join(top3, first, bottom3),
            join(top0, second, bottom0),
            join(top1, second, bottom1),
            join(top2, second, bottom2),
            join(top3, second, bottom3),
        ]
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

    /// Processors with the wider registers have the narrower ones too.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn narrow_blocks_are_as_wide_ones() {
        if !(x86::is_there() && x86::is_wide()) {
            return;
        }
        for n in [8, 9, 16, 30, 61] {
            let elements: Vec<f32> = (0..LANES * n).map(|i| i as f32).collect();
            let rows: [&[f32]; LANES] = std::array::from_fn(|i| &elements[i * n..][..n]);
            let mut wide = vec![Simd::splat(f32::NAN); n];
            columns_of_rows(&rows, &mut wide);
            let mut narrow = vec![Simd::splat(f32::NAN); n];
            let mut back = vec![f32::NAN; LANES * n];
            let starts = rows.map(|row| row.as_ptr());
            // SAFETY: the processor has the instructions, every row has n ≥ 8 elements, and there are n vectors and 16
            // rows of n.
            unsafe {
                x86::columns_of_rows(starts, narrow.as_mut_ptr().cast(), n);
                x86::rows_of_columns(narrow.as_ptr().cast(), back.as_mut_ptr(), n);
            }
            assert!(wide.iter().zip(&narrow).all(|(a, b)| a.0 == b.0), "{n}");
            assert_eq!(back, elements, "{n}");
        }
    }
}
