//! Products with gathered rows, those of the few keys that have weight: where products of whole tiles
//! would mostly multiply by zero.

use crate::cpu::float::Float;
use crate::cpu::isa;
use crate::cpu::simd::{LANES, Simd};

use super::padded::PaddedRows;
use super::problem::{TILE, Tile};

/// The keys of places in a row of scores over some tiles.
pub(super) fn keys_of(places: &[u32], tiles: &[Tile], keys: &mut Vec<u32>) {
    keys.clear();
    keys.extend(places.iter().map(|&place| {
        let place = place as usize;
        (tiles[place / TILE].first + place % TILE) as u32
    }));
}

/// `to += Σ weight · vector`, given the vectors' indices.
pub(super) fn gather_add<T: Float>(
    to: &mut [T],
    weights: &[T],
    keys: &[u32],
    from: &PaddedRows<T>,
) {
    by_columns(to.len(), |first, n| {
        let to = to[first..].as_chunks_mut::<LANES>().0;
        let (data, stride) = (&from.data[first..], from.width);
        isa::dispatch(
            #[inline(always)]
            || match n {
                4 => gather_add_strip::<T, 4>(to, weights, keys, data, stride),
                3 => gather_add_strip::<T, 3>(to, weights, keys, data, stride),
                2 => gather_add_strip::<T, 2>(to, weights, keys, data, stride),
                _ => gather_add_strip::<T, 1>(to, weights, keys, data, stride),
            },
        );
    });
}

#[inline(always)]
fn gather_add_strip<T: Float, const N: usize>(
    to: &mut [[T; LANES]],
    weights: &[T],
    keys: &[u32],
    data: &[T],
    stride: usize,
) {
    let mut sums = [Simd::splat(T::ZERO); N];
    for (sum, to) in sums.iter_mut().zip(&*to) {
        *sum = Simd(*to);
    }
    for (&weight, &key) in weights.iter().zip(keys) {
        let vector = lanes(&data[key as usize * stride..]);
        for j in 0..N {
            sums[j] = sums[j] + Simd(vector[j]) * weight;
        }
    }
    for (sum, to) in sums.iter().zip(to) {
        *to = sum.0;
    }
}

/// `out = vectors · vector`, given the vectors' indices; whole SIMD vectors are written.
pub(super) fn gather_dot<T: Float>(
    out: &mut [Simd<T>],
    vector: &[T],
    keys: &[u32],
    from: &PaddedRows<T>,
) {
    let width = vector.len();
    for (out, keys) in out.iter_mut().zip(keys.chunks(LANES)) {
        let mut parts = [Simd::splat(T::ZERO); LANES];
        isa::dispatch(
            #[inline(always)]
            || {
                for (part, &key) in parts.iter_mut().zip(keys) {
                    let other = lanes(&from.data[key as usize * width..][..width]);
                    let mut sum = Simd::splat(T::ZERO);
                    for (a, b) in lanes(vector).iter().zip(other) {
                        sum = sum + Simd(*a) * Simd(*b);
                    }
                    *part = sum;
                }
            },
        );
        *out = isa::dispatch(
            #[inline(always)]
            || sums_of(&parts),
        );
    }
}

/// `vector_key += weight · vector` for each key.
pub(super) fn scatter_add<T: Float>(
    to: &mut PaddedRows<T>,
    weights: &[T],
    keys: &[u32],
    vector: &[T],
) {
    let width = vector.len();
    isa::dispatch(
        #[inline(always)]
        || {
            for (&weight, &key) in weights.iter().zip(keys) {
                let to = &mut to.data[key as usize * width..][..width];
                for (to, from) in to.as_chunks_mut::<LANES>().0.iter_mut().zip(lanes(vector)) {
                    *to = (Simd(*to) + Simd(*from) * weight).0;
                }
            }
        },
    );
}

#[inline(always)]
fn lanes<T>(row: &[T]) -> &[[T; LANES]] {
    row.as_chunks::<LANES>().0
}

/// The first column and the number of SIMD vectors of strips of at most 4.
fn by_columns(width: usize, mut strip: impl FnMut(usize, usize)) {
    for first in (0..width).step_by(4 * LANES) {
        strip(first, ((width - first) / LANES).min(4));
    }
}

/// Lane i of the result is the sum of part i.
#[inline(always)]
fn sums_of<T: Float>(parts: &[Simd<T>; LANES]) -> Simd<T> {
    // Halves are added, then halves of halves, for two vectors at once: what begins as 16 vectors of 16 parts
    // ends as one of 16 sums.
    let mut parts = *parts;
    let mut n = LANES;
    let mut width = LANES;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            let (a, b) = (parts[i], parts[i + n]);
            parts[i] = halves(a, b, width);
        }
        width /= 2;
    }
    parts[0]
}

/// In each group of `width` lanes, the sum of the halves of a's group, then of b's.
#[inline(always)]
fn halves<T: Float>(a: Simd<T>, b: Simd<T>, width: usize) -> Simd<T> {
    let half = width / 2;
    let mut sum = Simd::splat(T::ZERO);
    for first in (0..LANES).step_by(width) {
        for i in 0..half {
            sum.0[first + i] = a.0[first + i] + a.0[first + half + i];
            sum.0[first + half + i] = b.0[first + i] + b.0[first + half + i];
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_is_the_sum_of_its_pack() {
        let mut parts = [Simd::splat(0.0f32); LANES];
        for (i, part) in parts.iter_mut().enumerate() {
            for (j, x) in part.0.iter_mut().enumerate() {
                *x = (i * 100 + j) as f32;
            }
        }
        let expected: Vec<f32> = parts.iter().map(|part| part.0.iter().sum()).collect();
        assert_eq!(sums_of(&parts).0.to_vec(), expected);
    }
}
