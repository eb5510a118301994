//! Random features: maps φ with `E[φ(q)·φ(k)]` = the kernel of a query and a key.
//!
//! Random matrices are drawn on the host from a seed, in f64, so that a seed means the same features on every
//! device; whoever owns one saves it with the model.

use burn::tensor::Tensor;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// Length below which vectors are not scaled to 1.
const SHORTEST: f64 = 1e-6;

/// Logarithms of √m times the positive features of the softmax kernel: `w_r·x' − ‖x'‖²/2` with
/// `x' = √scale·x`. With `φ = exp(·)/√m` and the rows of W from N(0, I),
/// `E[φ(q)·φ(k)] = exp(scale·q·k)`.
///
/// # Shapes
/// - x: `[batch, n_heads, n, d_head]`, projection W: `[n_heads or 1, m, d_head]`
/// - output: `[batch, n_heads, n, m]`
///
/// # Source
/// Choromanski et al. 2021, "Rethinking Attention with Performers", lemma 1.
pub fn positive_exponents(x: Tensor<4>, projection: Tensor<3>, scale: f64) -> Tensor<4> {
    let x = x.mul_scalar(scale.sqrt());
    let half_square = x.clone().square().sum_dim(3).mul_scalar(0.5);
    projected(x, projection) - half_square
}

/// `relu(W x') + ε` with `x' = √scale·x`: generalised attention, whose kernel is not softmax's.
///
/// # Shapes
/// As [`positive_exponents`].
///
/// # Source
/// Choromanski et al. 2021, section 2.2; `generalized_kernel` of lucidrains/performer-pytorch, with its
/// data scaling.
pub fn relu_features(x: Tensor<4>, projection: Tensor<3>, scale: f64, epsilon: f64) -> Tensor<4> {
    let projected = projected(x.mul_scalar(scale.sqrt()), projection);
    burn::tensor::activation::relu(projected).add_scalar(epsilon)
}

/// `[sin(W x), cos(W x)]/√D` with the D rows of W from N(0, I): `E[φ(x)·φ(y)] = exp(−‖x − y‖²/2)`, and
/// `φ(x)·φ(x) = 1` for every draw.
///
/// # Shapes
/// - x: `[batch, n_heads, n, d_head]`, projection W: `[n_heads or 1, D, d_head]`
/// - output: `[batch, n_heads, n, 2·D]`
///
/// # Source
/// Rahimi & Recht 2007, "Random Features for Large-Scale Kernel Machines", section 3, in the form of least
/// variance.
pub fn trigonometric_features(x: Tensor<4>, projection: Tensor<3>) -> Tensor<4> {
    let n_frequencies = projection.dims()[1] as f64;
    let angles = projected(x, projection);
    Tensor::cat(vec![angles.clone().sin(), angles.cos()], 3).div_scalar(n_frequencies.sqrt())
}

/// x/‖x‖, with ‖x‖ at least 1e-6.
///
/// # Shapes
/// - x, output: `[batch, n_heads, n, d_head]`
pub fn of_length_one(x: Tensor<4>) -> Tensor<4> {
    let square = x.clone().square().sum_dim(3);
    x / square.clamp_min(SHORTEST * SHORTEST).sqrt()
}

/// W x of each head.
fn projected(x: Tensor<4>, projection: Tensor<3>) -> Tensor<4> {
    x.matmul(projection.swap_dims(1, 2).unsqueeze_dim(0))
}

/// `n` numbers from N(0, 1), the same for a seed on every platform.
pub fn gaussian(n: usize, seed: u64) -> Vec<f64> {
    let mut stream = SplitMix64::seed_from_u64(seed);
    let mut uniform = move || (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    (0..n)
        .map(|_| {
            let radius = (-2.0 * (1.0 - uniform()).ln()).sqrt();
            radius * (std::f64::consts::TAU * uniform()).cos()
        })
        .collect()
}

/// A matrix `[n_rows, width]` whose rows are each N(0, I), and orthogonal to one another in blocks of `width`
/// rows: directions by Gram–Schmidt, made twice, and lengths ‖N(0, I)‖ of their own. Features of such rows
/// have less variance than those of independent ones.
///
/// # Source
/// Choromanski et al. 2021, section 2.4 (R-ORF with `scaling = 0` in google-research/performer).
pub fn orthogonal_gaussian(n_rows: usize, width: usize, seed: u64) -> Vec<f64> {
    let n_blocks = n_rows.div_ceil(width.max(1));
    let numbers = gaussian(2 * n_blocks * width * width, seed);
    let (directions, lengths) = numbers.split_at(n_blocks * width * width);
    let mut rows = Vec::with_capacity(n_blocks * width * width);
    for block in directions.chunks(width * width) {
        rows.extend(orthonormal(block, width));
    }
    rows.truncate(n_rows * width);
    for (row, length) in rows.chunks_mut(width).zip(lengths.chunks(width)) {
        let length = norm(length);
        row.iter_mut().for_each(|x| *x *= length);
    }
    rows
}

/// The rows of a square block, each without its parts along those before it, at length 1.
fn orthonormal(block: &[f64], width: usize) -> Vec<f64> {
    let mut done: Vec<f64> = Vec::with_capacity(block.len());
    for row in block.chunks(width) {
        let mut row = row.to_vec();
        for _ in 0..2 {
            for other in done.chunks(width) {
                let along = dot(&row, other);
                row.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
            }
            let length = norm(&row);
            row.iter_mut().for_each(|x| *x /= length);
        }
        done.extend(row);
    }
    done
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(row: &[f64]) -> f64 {
    dot(row, row).sqrt()
}
