//! The few elements of a row that matter, gathered into packs of their own and put back.

use super::float::Float;
use super::pack::{LANES, Pack, sums};

/// Copies the elements above the limit (and NaN) to the front of `out`, their places in the row to
/// `places`, and says how many there are; the last pack is filled up with the padding. None where so
/// many are above the limit that it does not pay.
#[inline(always)]
pub(crate) fn gather<T: Float>(
    row: &[Pack<T>],
    limit: T,
    out: &mut [Pack<T>],
    padding: T,
    places: &mut [u32],
) -> Option<usize> {
    let [n_above] = sums(
        row,
        #[inline(always)]
        |x| [x.is_above(limit)],
    );
    if n_above > (row.len() * LANES / 4) as f64 {
        return None;
    }
    let mut n = 0;
    for (j, pack) in row.iter().enumerate() {
        if !pack.reaches(limit) {
            continue;
        }
        for (k, &x) in pack.0.iter().enumerate() {
            out[n / LANES].0[n % LANES] = x;
            places[n] = (j * LANES + k) as u32;
            let is_at_most = x <= limit;
            n += usize::from(!is_at_most);
        }
    }
    for i in n..n.next_multiple_of(LANES) {
        out[i / LANES].0[i % LANES] = padding;
    }
    Some(n)
}

/// Makes a row of zeros but for these elements.
#[inline(always)]
pub(crate) fn scatter<T: Float>(elements: &[Pack<T>], places: &[u32], row: &mut [Pack<T>]) {
    row.fill(Pack::splat(T::ZERO));
    for (i, &place) in places.iter().enumerate() {
        let place = place as usize;
        row[place / LANES].0[place % LANES] = elements[i / LANES].0[i % LANES];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is gathered comes back to where it was, and nothing else.
    #[test]
    fn scatter_undoes_gather() {
        let mut row = vec![Pack::splat(-1.0f32); 5];
        let there = [(0, 0), (0, 15), (2, 3), (4, 15)];
        for (i, &(pack, lane)) in there.iter().enumerate() {
            row[pack].0[lane] = i as f32 + 1.0;
        }
        row[3].0[7] = f32::NAN;
        // Poisoned memory: only what is written may be read.
        let mut out = vec![Pack::splat(f32::NAN); 5];
        let mut places = vec![u32::MAX; 5 * LANES + LANES];
        let n = gather(&row, 0.0, &mut out, -9.0, &mut places).unwrap();
        assert_eq!(n, 5);
        assert_eq!(out[0].0[..3], [1.0, 2.0, 3.0]);
        assert!(out[0].0[3].is_nan());
        assert_eq!(
            out[0].0[4..],
            [
                4.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0
            ]
        );
        let mut back = vec![Pack::splat(f32::NAN); 5];
        scatter(&out, &places[..n], &mut back);
        for (j, pack) in row.iter().enumerate() {
            for (k, &x) in pack.0.iter().enumerate() {
                let expected = if x <= 0.0 { 0.0 } else { x };
                assert_eq!(back[j].0[k].to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn a_dense_row_is_not_gathered() {
        let row = vec![Pack::splat(1.0f32); 4];
        let mut out = row.clone();
        assert_eq!(gather(&row, 0.0, &mut out, 0.0, &mut [0; 80]), None);
    }
}
