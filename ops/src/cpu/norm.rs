//! Layer normalisation of rows where they lie.

#![allow(unsafe_code, reason = "fresh memory")]

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::float::{Float, Stored};
use super::isa;
use super::simd::{LANES, Simd};

/// Rows of a task: their sums over columns are one term of the whole sum.
const ROWS: usize = 64;

/// Writes every normalised row, and its mean and 1/√(var + ε) to `statistics`.
pub(super) fn forward<'o, E: Stored>(
    rows: &[E],
    [gamma, beta]: [&[E::Wide]; 2],
    epsilon: E::Wide,
    out: &'o mut [MaybeUninit<E>],
    statistics: &mut [E::Wide],
) -> &'o mut [E] {
    let n = gamma.len();
    let n_rows = out.len() / n;
    assert!(out.len() == n_rows * n && rows.len() == out.len());
    assert!(beta.len() == n && statistics.len() == 2 * n_rows);
    let tasks = out.par_chunks_mut(ROWS * n);
    let tasks = tasks.zip(statistics.par_chunks_mut(ROWS * 2));
    tasks
        .zip(rows.par_chunks(ROWS * n))
        .for_each(|((out, statistics), rows)| {
            isa::dispatch(
                #[inline(always)]
                || {
                    let statistics = statistics.chunks_exact_mut(2);
                    for ((row, out), statistics) in rows
                        .chunks_exact(n)
                        .zip(out.chunks_exact_mut(n))
                        .zip(statistics)
                    {
                        let share = E::Wide::ONE / E::Wide::from_f64(n as f64);
                        let mean = sum(
                            row,
                            n,
                            #[inline(always)]
                            |x, _| x,
                        ) * share;
                        let variance = sum(
                            row,
                            n,
                            #[inline(always)]
                            |x, _| (x - mean) * (x - mean),
                        ) * share;
                        let rate = E::Wide::ONE / (variance + epsilon).sqrt();
                        for (((out, x), gamma), beta) in
                            out.iter_mut().zip(row).zip(gamma).zip(beta)
                        {
                            out.write(E::narrow((x.widen() - mean) * rate * *gamma + *beta));
                        }
                        (statistics[0], statistics[1]) = (mean, rate);
                    }
                },
            );
        });
    // SAFETY: there are as many rows of input, γ, β and statistics as of output (seen above), so that every element of every
    // row has been written.
    unsafe { out.assume_init_mut() }
}

/// Replaces the gradient of every normalised row by that of the row, and gives those of γ and β.
pub(super) fn backward<E: Stored>(
    rows: &[E],
    gamma: &[E::Wide],
    statistics: &[E::Wide],
    grad: &mut [E],
) -> [Vec<E::Wide>; 2] {
    let n = gamma.len();
    let tasks = grad.par_chunks_mut(ROWS * n).zip(rows.par_chunks(ROWS * n));
    let sums: Vec<[Vec<E::Wide>; 2]> = tasks
        .zip(statistics.par_chunks(ROWS * 2))
        .map(|((grad, rows), statistics)| {
            let mut sums = [vec![E::Wide::ZERO; n], vec![E::Wide::ZERO; n]];
            isa::dispatch(
                #[inline(always)]
                || {
                    let statistics = statistics.chunks_exact(2);
                    for ((row, grad), statistics) in rows
                        .chunks_exact(n)
                        .zip(grad.chunks_exact_mut(n))
                        .zip(statistics)
                    {
                        backward_row(row, gamma, [statistics[0], statistics[1]], grad, &mut sums);
                    }
                },
            );
            sums
        })
        .collect();
    let (of_gamma, of_beta) = sums.into_iter().map(|[gamma, beta]| (gamma, beta)).unzip();
    [total(of_gamma, n), total(of_beta, n)]
}

#[inline(always)]
fn backward_row<E: Stored>(
    row: &[E],
    gamma: &[E::Wide],
    [mean, rate]: [E::Wide; 2],
    grad: &mut [E],
    [of_gamma, of_beta]: &mut [Vec<E::Wide>; 2],
) {
    let n = row.len();
    let share = E::Wide::ONE / E::Wide::from_f64(n as f64);
    let columns = row
        .iter()
        .zip(grad.iter())
        .zip(of_gamma.iter_mut().zip(of_beta));
    for ((x, g), (of_gamma, of_beta)) in columns {
        let g = g.widen();
        *of_gamma = *of_gamma + g * ((x.widen() - mean) * rate);
        *of_beta = *of_beta + g;
    }
    let mean_of_scaled = sum(
        grad,
        n,
        #[inline(always)]
        |g, j| g * gamma[j],
    ) * share;
    let mean_of_product = sum(
        grad,
        n,
        #[inline(always)]
        |g, j| g * gamma[j] * ((row[j].widen() - mean) * rate),
    ) * share;
    for ((g, x), gamma) in grad.iter_mut().zip(row).zip(gamma) {
        let normal = (x.widen() - mean) * rate;
        let of_x = (g.widen() * *gamma - mean_of_scaled - normal * mean_of_product) * rate;
        *g = E::narrow(of_x);
    }
}

/// The sum of a term of every element and its index, lane by lane.
#[inline(always)]
fn sum<E: Stored>(row: &[E], n: usize, term: impl Fn(E::Wide, usize) -> E::Wide) -> E::Wide {
    assert_eq!(row.len(), n);
    let mut lanes = Simd::splat(E::Wide::ZERO);
    let (whole, rest) = row.as_chunks::<LANES>();
    for (i, elements) in whole.iter().enumerate() {
        for (lane, (sum, x)) in lanes.0.iter_mut().zip(elements).enumerate() {
            *sum = *sum + term(x.widen(), i * LANES + lane);
        }
    }
    for (lane, (sum, x)) in lanes.0.iter_mut().zip(rest).enumerate() {
        *sum = *sum + term(x.widen(), whole.len() * LANES + lane);
    }
    lanes.across(
        #[inline(always)]
        |a, b| a + b,
    )
}

/// The sum of the tasks' sums, in their order.
pub(super) fn total<T: Float>(sums: Vec<Vec<T>>, n: usize) -> Vec<T> {
    let mut total = vec![T::ZERO; n];
    for sum in sums {
        for (total, x) in total.iter_mut().zip(sum) {
            *total = *total + x;
        }
    }
    total
}
