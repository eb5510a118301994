//! Compress and expand (AVX-512's words): the few elements of a row that matter, copied to the front of
//! another and put back.

#![allow(unsafe_code, reason = "AVX-512 has an instruction for it")]

#[cfg(target_arch = "x86_64")]
use std::any::TypeId;

use super::float::Float;
use super::isa;
use super::simd::{LANES, Simd, sums};

/// Copies the elements above the limit (and NaN) to the front of `out`, their indices in the row to
/// `places`, and says how many there are; the last vector is filled up with the padding. None where there are so
/// many that it does not pay: always if the limit is NaN.
#[inline(always)]
pub(crate) fn compress<T: Float>(
    row: &[Simd<T>],
    limit: T,
    out: &mut [Simd<T>],
    padding: T,
    places: &mut [u32],
) -> Option<usize> {
    let [n_above] = sums(
        row,
        #[inline(always)]
        |x| [x.exceeds(limit)],
    );
    if n_above > (row.len() * LANES / 4) as f64 {
        return None;
    }
    let n = copy_above(row, limit, out, places);
    for i in n..n.next_multiple_of(LANES) {
        out[i / LANES].0[i % LANES] = padding;
    }
    Some(n)
}

/// [`compress`], compiled for the processor at hand.
pub(crate) fn compress_few<T: Float>(
    row: &[Simd<T>],
    limit: T,
    out: &mut [Simd<T>],
    padding: T,
    places: &mut [u32],
) -> Option<usize> {
    isa::dispatch(
        #[inline(always)]
        || compress(row, limit, out, padding, places),
    )
}

/// The elements above the limit and their indices, to the front of others of the same size, with anything
/// behind them; and how many they are.
#[inline(always)]
fn copy_above<T: Float>(
    row: &[Simd<T>],
    limit: T,
    out: &mut [Simd<T>],
    places: &mut [u32],
) -> usize {
    assert!(out.len() >= row.len() && places.len() >= row.len() * LANES);
    #[cfg(target_arch = "x86_64")]
    if TypeId::of::<T>() == TypeId::of::<f32>() && is_x86_feature_detected!("avx512f") {
        let limit = limit.to_f64() as f32;
        let (out, places) = (out.as_mut_ptr().cast(), places.as_mut_ptr());
        // SAFETY: the processor has the instructions, the vectors are of f32, and there is as much room as
        // there are elements.
        return unsafe { x86::copy_above(row.as_ptr().cast(), row.len(), limit, out, places) };
    }
    let mut n = 0;
    for (j, simd) in row.iter().enumerate() {
        if !simd.reaches(limit) {
            continue;
        }
        for (k, &x) in simd.0.iter().enumerate() {
            let is_at_most = x <= limit;
            if !is_at_most {
                out[n / LANES].0[n % LANES] = x;
                places[n] = (j * LANES + k) as u32;
                n += 1;
            }
        }
    }
    n
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::LANES;

    /// # Safety
    /// Of `n_vectors` vectors, as much room in `out` and `places` as there are elements, and AVX-512.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn copy_above(
        row: *const f32,
        n_vectors: usize,
        limit: f32,
        out: *mut f32,
        places: *mut u32,
    ) -> usize {
        let limit = _mm512_set1_ps(limit);
        let mut these = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let mut n = 0;
        for j in 0..n_vectors {
            // SAFETY: vector j is there, and before it no more than j whole vectors were copied.
            unsafe {
                let simd = _mm512_loadu_ps(row.add(j * LANES));
                // True for NaN.
                let above = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(simd, limit);
                if above != 0 {
                    _mm512_storeu_ps(out.add(n), _mm512_maskz_compress_ps(above, simd));
                    let kept = _mm512_maskz_compress_epi32(above, these);
                    _mm512_storeu_epi32(places.add(n).cast(), kept);
                    n += above.count_ones() as usize;
                }
            }
            these = _mm512_add_epi32(these, _mm512_set1_epi32(LANES as i32));
        }
        n
    }
}

/// Makes a row of zeros but for these elements.
#[inline(always)]
pub(crate) fn expand<T: Float>(elements: &[Simd<T>], places: &[u32], row: &mut [Simd<T>]) {
    row.fill(Simd::splat(T::ZERO));
    for (i, &place) in places.iter().enumerate() {
        let place = place as usize;
        row[place / LANES].0[place % LANES] = elements[i / LANES].0[i % LANES];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is compressed comes back to where it was, and nothing else.
    #[test]
    fn expand_undoes_compress() {
        let mut row = vec![Simd::splat(-1.0f32); 5];
        let there = [(0, 0), (0, 15), (2, 3), (4, 15)];
        for (i, &(simd, lane)) in there.iter().enumerate() {
            row[simd].0[lane] = i as f32 + 1.0;
        }
        row[3].0[7] = f32::NAN;
        // Poisoned memory: only what is written may be read.
        let mut out = vec![Simd::splat(f32::NAN); 5];
        let mut places = vec![u32::MAX; 5 * LANES + LANES];
        let n = compress(&row, 0.0, &mut out, -9.0, &mut places).unwrap();
        assert_eq!(n, 5);
        assert_eq!(out[0].0[..3], [1.0, 2.0, 3.0]);
        assert!(out[0].0[3].is_nan());
        assert_eq!(
            out[0].0[4..],
            [
                4.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0
            ]
        );
        let mut back = vec![Simd::splat(f32::NAN); 5];
        expand(&out, &places[..n], &mut back);
        for (j, simd) in row.iter().enumerate() {
            for (k, &x) in simd.0.iter().enumerate() {
                let expected = if x <= 0.0 { 0.0 } else { x };
                assert_eq!(back[j].0[k].to_bits(), expected.to_bits());
            }
        }
    }

    /// Nothing is at most NaN: neither a row of NaN nor one with such a limit is one of few elements.
    #[test]
    fn nan_is_not_few() {
        for (x, limit) in [(f32::NAN, 0.0), (0.0, f32::NAN), (f32::NAN, f32::NAN)] {
            let row = vec![Simd::splat(x); 4];
            let mut out = row.clone();
            assert_eq!(compress(&row, limit, &mut out, 0.0, &mut [0; 80]), None);
        }
    }

    #[test]
    fn a_dense_row_is_not_compressed() {
        let row = vec![Simd::splat(1.0f32); 4];
        let mut out = row.clone();
        assert_eq!(compress(&row, 0.0, &mut out, 0.0, &mut [0; 80]), None);
    }
}
