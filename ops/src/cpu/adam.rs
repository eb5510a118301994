//! Adam on parameters where they lie.

use rayon::prelude::*;

use super::isa;
use super::simd::{LANES, Simd};
use crate::optimizer::Factors;

/// Elements of a task.
const TASK: usize = 32 * 1024;

/// One update of weights and moments, in place.
pub(super) fn update(
    weights: &mut [f32],
    gradients: &[f32],
    [first, second]: [&mut [f32]; 2],
    scale: f32,
    factors: Factors,
) {
    assert!([gradients.len(), first.len(), second.len()] == [weights.len(); 3]);
    let moments = first.par_chunks_mut(TASK).zip(second.par_chunks_mut(TASK));
    let tasks = weights.par_chunks_mut(TASK).zip(gradients.par_chunks(TASK));
    tasks
        .zip(moments)
        .for_each(|((weights, gradients), (first, second))| {
            isa::dispatch(
                #[inline(always)]
                || {
                    let moments = first.iter_mut().zip(second);
                    for ((w, g), (m, v)) in weights.iter_mut().zip(gradients).zip(moments) {
                        let g = *g * scale;
                        *m = *m * factors.keep_first + g * factors.add_first;
                        *v = *v * factors.keep_second + g * g * factors.add_second;
                        let delta = *m * factors.combined / (v.sqrt() + factors.epsilon);
                        // As a difference of two products, whatever the decay is.
                        *w = *w - delta * factors.rate - *w * factors.decay;
                    }
                },
            );
        });
}

/// Σx²: of tasks in f32 lanes, of all in f64.
pub(super) fn sum_of_squares(elements: &[f32]) -> f64 {
    let tasks = elements.par_chunks(TASK).map(|elements| {
        isa::dispatch(
            #[inline(always)]
            || {
                let mut lanes = [Simd::splat(0.0f32); 4];
                let (whole, rest) = elements.as_chunks::<{ 4 * LANES }>();
                for elements in whole {
                    for (k, lanes) in lanes.iter_mut().enumerate() {
                        for (sum, x) in lanes.0.iter_mut().zip(&elements[k * LANES..]) {
                            *sum += x * x;
                        }
                    }
                }
                for (i, x) in rest.iter().enumerate() {
                    lanes[0].0[i % LANES] += x * x;
                }
                lanes.map(|lanes| lanes.widen().sum()).iter().sum::<f64>()
            },
        )
    });
    tasks.collect::<Vec<f64>>().into_iter().sum()
}
