//! Scores of rows to weights: the threshold by Newton's method from a good start, on the few scores
//! that can have weight.

use super::centre::{centre, origin};
use super::float::Float;
use super::interleaved;
use super::isa;
use super::large_alpha::{self, any_large, is_large};
use super::mapping::{
    Entmax15, General, GeneralByLane, MappingKernel, SameMapping, Shift, Sparsemax,
};
use super::root::{RowRoot, Stage, find_roots};
use super::rows::GROUP;
use super::simd::{Simd, lane_sums_of_replaced, largest_by_lane, replace};
use super::workspace::{RowLayout, Workspace};
use crate::entmax::Mapping;

/// The longest row that is faster interleaved with others: a cheap power may be taken of every score at every
/// step, a dear one is better taken of few. Long rows of softmax need no workspace. Where α > 2, each row is solved by
/// itself.
pub(crate) fn longest_interleaved(mapping: Mapping) -> usize {
    match mapping {
        Mapping::Softmax => 256,
        Mapping::Sparsemax | Mapping::Entmax15 => 512,
        Mapping::Alpha(alpha) if is_large(alpha) => 0,
        Mapping::Alpha(_) => 64,
    }
}

/// The same with one α per row.
pub(crate) fn longest_interleaved_of(alphas: &[f64]) -> usize {
    let large = alphas.iter().find(|&&alpha| is_large(alpha));
    longest_interleaved(Mapping::Alpha(*large.unwrap_or(&1.0)))
}

/// Numbers of a row from which its scores become its weights again, the largest score, the root s and one over the sum of
/// the weights, or those of [`large_alpha`]: see [`again`].
pub(crate) type Saved = [f64; 3];

/// Turns scores into weights.
pub(crate) fn forward<T: Float>(group: &mut [Workspace<T>], hidden: T, mapping: Mapping) {
    match mapping {
        Mapping::Alpha(alpha) => entmax(group, hidden, &[alpha; GROUP]),
        Mapping::Softmax => isa::dispatch(
            #[inline(always)]
            || match group[0].row.layout {
                // A loop: the standard library's `for_each` is compiled by itself, for any processor.
                RowLayout::RowMajor => {
                    for work in group {
                        softmax(&mut work.row.vectors, hidden);
                    }
                }
                RowLayout::Interleaved => interleaved::softmax(&mut group[0].row.vectors, hidden),
            },
        ),
        Mapping::Sparsemax => alike(group, hidden, Sparsemax),
        Mapping::Entmax15 => alike(group, hidden, Entmax15),
    }
}

/// A power that is the same for every row.
fn alike<T: Float>(group: &mut [Workspace<T>], hidden: T, power: impl MappingKernel<T>) {
    isa::dispatch(
        #[inline(always)]
        || match group[0].row.layout {
            RowLayout::RowMajor => threshold(
                group,
                hidden,
                |_| power,
                #[inline(always)]
                |row, work, _, _| row.finish(work),
            ),
            RowLayout::Interleaved => {
                let Workspace { row, kept, .. } = &mut group[0];
                interleaved::threshold(&mut row.vectors, kept, hidden, SameMapping(power));
            }
        },
    );
}

/// Turns scores into weights with one α per row; a row whose α is none becomes NaN. Interleaved rows have no α > 2.
pub(crate) fn entmax<T: Float>(group: &mut [Workspace<T>], hidden: T, alphas: &[f64]) {
    let is_row_major = group[0].row.layout == RowLayout::RowMajor;
    match is_row_major && any_large(&alphas[..alphas.len().min(group.len())]) {
        true => row_by_row(group, hidden, alphas),
        false => small_alpha(group, hidden, alphas),
    }
}

/// [`entmax`] of rows of which some have α > 2.
#[cold]
fn row_by_row<T: Float>(group: &mut [Workspace<T>], hidden: T, alphas: &[f64]) {
    for (work, alpha) in group.iter_mut().zip(alphas) {
        match is_large(*alpha) {
            true => {
                large_alpha::forward(work, hidden, *alpha);
            }
            false => small_alpha(std::slice::from_mut(work), hidden, &[*alpha]),
        }
    }
}

/// [`entmax`] up to α = 2.
fn small_alpha<T: Float>(group: &mut [Workspace<T>], hidden: T, alphas: &[f64]) {
    isa::dispatch(
        #[inline(always)]
        || match group[0].row.layout {
            RowLayout::RowMajor => threshold(
                group,
                hidden,
                |i| General::new(alphas[i], hidden),
                #[inline(always)]
                |row, work, _, _| row.finish(work),
            ),
            RowLayout::Interleaved => {
                let Workspace { row, kept, .. } = &mut group[0];
                let power = GeneralByLane::new(alphas, hidden);
                interleaved::threshold(&mut row.vectors, kept, hidden, power);
            }
        },
    );
    for (i, &alpha) in alphas.iter().enumerate().take(GROUP) {
        if !is_alpha(alpha) {
            fill_row(group, i, T::from_f64(f64::NAN));
        }
    }
}

#[cold]
fn fill_row<T: Float>(group: &mut [Workspace<T>], row: usize, value: T) {
    match group[0].row.layout {
        RowLayout::Interleaved => {
            for simd in &mut group[0].row.vectors {
                simd.0[row] = value;
            }
        }
        // There may be more α than rows.
        RowLayout::RowMajor => {
            if let Some(work) = group.get_mut(row) {
                work.row.fill(value);
            }
        }
    }
}

/// False for NaN too.
fn is_alpha(alpha: f64) -> bool {
    alpha > 0.0 && alpha < f64::INFINITY
}

/// [`forward`] of row-major rows, saving what [`again`] needs. Where `gathered` becomes a number,
/// so many weights (some may be 0) and their indices are where the row's `compressed` and `places` are, and
/// all others are 0.
pub(crate) fn forward_saving<T: Float>(
    group: &mut [Workspace<T>],
    hidden: T,
    mapping: Mapping,
    saved: &mut [Saved],
    gathered: &mut [Option<usize>],
) {
    gathered.fill(None);
    if let Mapping::Alpha(alpha) = mapping
        && !is_alpha(alpha)
    {
        for work in group {
            work.row.fill(T::from_f64(f64::NAN));
        }
        return saved.fill([f64::NAN; 3]);
    }
    // Of a row of which no score can be seen.
    saved.fill([0.0; 3]);
    match mapping {
        Mapping::Alpha(alpha) if is_large(alpha) => {
            for (work, saved) in group.iter_mut().zip(saved) {
                *saved = large_alpha::forward(work, hidden, alpha);
            }
        }
        Mapping::Sparsemax => saving(group, hidden, Sparsemax, saved, gathered),
        Mapping::Entmax15 => saving(group, hidden, Entmax15, saved, gathered),
        Mapping::Alpha(alpha) => {
            saving(group, hidden, General::new(alpha, hidden), saved, gathered);
        }
        Mapping::Softmax => {
            for (work, saved) in group.iter_mut().zip(saved) {
                *saved = softmax_saving(&mut work.row.vectors, hidden);
            }
        }
    }
}

fn saving<T: Float>(
    group: &mut [Workspace<T>],
    hidden: T,
    power: impl MappingKernel<T>,
    saved: &mut [Saved],
    gathered: &mut [Option<usize>],
) {
    isa::dispatch(
        #[inline(always)]
        || {
            threshold(
                group,
                hidden,
                |_| power,
                #[inline(always)]
                |row, work, i, origin| {
                    (saved[i], gathered[i]) = row.finish_compressed(work);
                    saved[i][0] += origin.to_f64();
                },
            );
        },
    );
}

/// The score at or below which a row has no weight, given what was saved of it; above there is some.
pub(crate) fn lowest_score<T: Float>(mapping: Mapping, [a, b, _]: Saved, hidden: T) -> Option<T> {
    let depth_to_boundary = match mapping {
        Mapping::Softmax => return None,
        Mapping::Sparsemax => 1.0,
        Mapping::Entmax15 => 2.0,
        // That of the smallest weight, `a`, is in the support.
        Mapping::Alpha(alpha) if is_large(alpha) => {
            let slack = 4.0 * T::EPSILON * (a.abs() + 1.0 / (alpha - 1.0));
            return Some(T::from_f64(a - slack));
        }
        Mapping::Alpha(alpha) => {
            let power: General<T> = General::new(alpha, hidden);
            let epsilon = MappingKernel::<T>::epsilon(&power);
            match epsilon > 0.0 {
                true => 1.0 / epsilon,
                false => return None,
            }
        }
    };
    // A little below, whatever rounding does.
    let boundary = a + b - depth_to_boundary;
    Some(T::from_f64(
        boundary - 4.0 * T::EPSILON * (boundary.abs() + depth_to_boundary),
    ))
}

/// [`forward_saving`] of softmax, for one row where it lies.
pub(crate) fn softmax_saving<T: Float>(row: &mut [Simd<T>], hidden: T) -> Saved {
    isa::dispatch(
        #[inline(always)]
        || softmax(row, hidden),
    )
}

/// Weights again from the scores of a row and what [`forward_saving`] saved.
pub(crate) fn again<T: Float>(row: &mut [Simd<T>], hidden: T, mapping: Mapping, saved: Saved) {
    if let Mapping::Alpha(alpha) = mapping
        && is_large(alpha)
    {
        return large_alpha::again(row, hidden, alpha, saved);
    }
    isa::dispatch(
        #[inline(always)]
        || match mapping {
            Mapping::Sparsemax => weights(row, hidden, Sparsemax, saved),
            Mapping::Entmax15 => weights(row, hidden, Entmax15, saved),
            Mapping::Alpha(alpha) => weights(row, hidden, General::new(alpha, hidden), saved),
            Mapping::Softmax => {
                let (largest, scale) = (T::from_f64(saved[0]), T::from_f64(saved[2]));
                replace(
                    row,
                    #[inline(always)]
                    |z| (z - largest).exp() * scale,
                );
            }
        },
    );
}

#[inline(always)]
fn weights<T: Float, P: MappingKernel<T>>(
    row: &mut [Simd<T>],
    hidden: T,
    power: P,
    [largest, s, scale]: Saved,
) {
    let origin = origin(T::from_f64(largest));
    if origin != T::ZERO {
        centre(row, hidden, Simd::splat(origin));
    }
    let shift = Shift::new(largest - origin.to_f64() - power.depth(), s);
    let scale = T::from_f64(scale);
    replace(
        row,
        #[inline(always)]
        |z| power.weights(z, shift)[0] * scale,
    );
}

#[inline(always)]
fn softmax<T: Float>(row: &mut [Simd<T>], hidden: T) -> Saved {
    let Some((largest, _)) = largest_visible(row, hidden) else {
        return [0.0; 3];
    };
    let [sums] = lane_sums_of_replaced(
        row,
        #[inline(always)]
        |z| {
            *z = (*z - largest).exp();
            [*z]
        },
    );
    let factor = 1.0 / sums.sum();
    let scale = T::from_f64(factor);
    replace(row, |p| p * scale);
    [largest.to_f64(), 0.0, factor]
}

/// The largest score, and the largest of each lane. None, and the row is done, where no score can be
/// seen: zeros, or NaN where a score is.
#[inline(always)]
fn largest_visible<T: Float>(row: &mut [Simd<T>], hidden: T) -> Option<(T, Simd<T>)> {
    let by_lane = largest_by_lane(row);
    let largest = by_lane.largest();
    if largest > hidden {
        return Some((largest, by_lane));
    }
    invisible(row);
    None
}

#[cold]
fn invisible<T: Float>(row: &mut [Simd<T>]) {
    let is_nan = row.iter().any(|simd| simd.0.iter().any(|z| z.is_nan()));
    let value = if is_nan { f64::NAN } else { 0.0 };
    row.fill(Simd::splat(T::from_f64(value)));
}

/// Measures a row from its largest score; the largest of each lane are left.
#[cold]
fn centred<T: Float>(row: &mut [Simd<T>], hidden: T, largest: T) -> Simd<T> {
    centre(row, hidden, Simd::splat(largest));
    largest_by_lane(row)
}

/// The weights of a mapping with a threshold.
///
/// The largest scores of the lanes are a row of their own, whose threshold is at or below that of the
/// whole and near it: there root finding begins, and what is below it is left out.
#[inline(always)]
fn threshold<T: Float, P: MappingKernel<T>>(
    group: &mut [Workspace<T>],
    hidden: T,
    power: impl Fn(usize) -> P,
    mut finish: impl FnMut(&RowRoot<T, P>, &mut Workspace<T>, usize, T),
) {
    let is_long = group[0].row.vectors.len() >= P::LONG;
    let mut rows = [None; GROUP];
    let mut origins = [T::ZERO; GROUP];
    for (i, (work, row)) in group.iter_mut().zip(&mut rows).enumerate() {
        if let Some((mut largest, mut by_lane)) = largest_visible(&mut work.row.vectors, hidden) {
            origins[i] = origin(largest);
            if origins[i] != T::ZERO {
                by_lane = centred(&mut work.row.vectors, hidden, largest);
                largest = T::ZERO;
            }
            *row = Some(RowRoot::new(power(i), largest, by_lane));
        }
    }
    // A loop, so that root finding is compiled once.
    let stages = match is_long {
        true => &[Stage::ByLane, Stage::Candidates][..],
        false => &[Stage::Whole],
    };
    for &stage in stages {
        if stage == Stage::Candidates {
            for (work, row) in group.iter_mut().zip(&mut rows) {
                if let Some(row) = row {
                    row.choose_candidates(work);
                }
            }
        }
        find_roots(&mut rows, group, stage);
    }
    for (i, (work, row)) in group.iter_mut().zip(&rows).enumerate() {
        if let Some(row) = row {
            finish(row, work, i, origins[i]);
        }
    }
}
