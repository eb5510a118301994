//! All rows of an array in the host's memory, in parallel, and arrays of any backend by way of it.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, TensorData, read_sync};
use rayon::prelude::*;

use super::StructuredMapping;
use super::row::{NO_GROUP, RowGradient, RowSolver};
use crate::primitive::{Array, hidden_at};

/// Elements that one task should hold: enough to hide the cost of handing it over.
const TASK: usize = 4 * 1024;

/// Weights and groups of scores `[rows, n]`, read by row and column; everything is computed in f64.
pub(crate) fn solve<E: Copy + Send>(
    [rows, n]: [usize; 2],
    score: impl Fn(usize, usize) -> f64 + Sync,
    hidden: f64,
    mapping: StructuredMapping,
    narrow: impl Fn(f64) -> E + Sync,
) -> (Vec<E>, Vec<i32>) {
    let mut weights = vec![narrow(0.0); rows * n];
    let mut groups = vec![NO_GROUP; rows * n];
    let batch = TASK.div_ceil(n);
    let tasks = weights.par_chunks_mut(batch * n);
    let tasks = tasks.zip(groups.par_chunks_mut(batch * n)).enumerate();
    tasks.for_each_init(RowSolver::default, |solver, (task, (weights, groups))| {
        let rows = weights.chunks_mut(n).zip(groups.chunks_mut(n));
        for (i, (weights, groups)) in (task * batch..).zip(rows) {
            let scores = (0..n).map(|j| score(i, j));
            solver.solve(scores, hidden, mapping, |j, weight, group| {
                weights[j] = narrow(weight);
                groups[j] = group;
            });
        }
    });
    (weights, groups)
}

/// Gradients in the scores `[rows, n]`, given the groups and the gradients in the weights.
pub(crate) fn gradients<E: Copy + Send>(
    [rows, n]: [usize; 2],
    group: impl Fn(usize, usize) -> i32 + Sync,
    grad: impl Fn(usize, usize) -> f64 + Sync,
    narrow: impl Fn(f64) -> E + Sync,
) -> Vec<E> {
    let mut gradients = vec![narrow(0.0); rows * n];
    let batch = TASK.div_ceil(n);
    let tasks = gradients.par_chunks_mut(batch * n).enumerate();
    tasks.for_each_init(RowGradient::default, |solver, (task, gradients)| {
        for (i, gradients) in (task * batch..).zip(gradients.chunks_mut(n)) {
            let (group, grad) = (|j| group(i, j), |j| grad(i, j));
            solver.solve(n, group, grad, |j, gradient| {
                gradients[j] = narrow(gradient)
            });
        }
    });
    gradients
}

/// [`solve`] for a backend without kernels: the scores are read back to the host, which waits for the device,
/// and weights and groups are written to it again.
pub(crate) fn forward<B: Backend>(
    scores: FloatTensor<B>,
    mapping: StructuredMapping,
) -> (FloatTensor<B>, IntTensor<B>) {
    let (dtype, device) = (scores.dtype(), scores.device());
    let (shape, read) = read::<B>(scores);
    let n = shape[1];
    let score = |i, j| read[i * n + j];
    let (weights, groups) = solve(shape, score, hidden_at(dtype), mapping, |weight| weight);
    let groups = B::int_from_data(TensorData::new(groups, shape), &device);
    (write::<B>(weights, shape, dtype, &device), groups)
}

/// [`gradients`] in the same way.
pub(crate) fn backward<B: Backend>(groups: IntTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let (dtype, device) = (grad.dtype(), grad.device());
    let (shape, grad) = read::<B>(grad);
    let n = shape[1];
    let groups = read_sync(B::int_into_data(groups)).expect("groups made by the forward pass");
    let groups: Vec<i32> = groups.iter().collect();
    let gradients = gradients(
        shape,
        |i, j| groups[i * n + j],
        |i, j| grad[i * n + j],
        |gradient| gradient,
    );
    write::<B>(gradients, shape, dtype, &device)
}

fn read<B: Backend>(array: FloatTensor<B>) -> ([usize; 2], Vec<f64>) {
    let shape = array.shape().dims();
    let wide = match array.dtype() {
        DType::F64 => array,
        _ => Array::<B>(array).cast(DType::F32).0,
    };
    let data = read_sync(B::float_into_data(wide)).expect("an array computed just now");
    (shape, data.iter().collect())
}

fn write<B: Backend>(
    values: Vec<f64>,
    shape: [usize; 2],
    dtype: DType,
    device: &B::Device,
) -> FloatTensor<B> {
    let wide = match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    let data = TensorData::new(values, shape).convert_dtype(wide);
    Array::<B>(B::float_from_data(data, device)).cast(dtype).0
}
