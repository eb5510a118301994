//! Gradients in the scores and in α: one kernel for every mapping.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::group::{CubeReduction, LaunchConfig, reduce, unit_coord};
use super::mapping::{Family, phi};
use super::row::{load, read, visits, write};

/// `s·(g − Σsg/Σs)`, `s = p^{1−ε}` on the support, and for [`Family::Alpha`], if `with_alpha`,
/// `Σ g·dp/dα` with `dp/dα = p·[W − w + ε(L·w − l·W)]/(1 − εL + ε²W)`, where `l = log p`,
/// `w = l²·φ(−εl)`, `L = Σpl`, `W = Σpw`. Neither changes when a constant is added to g, so g is
/// centred first.
#[cube(launch)]
pub(crate) fn backward_kernel<F: Float, A: Float, C: Float>(
    weights: &Tensor<F>,
    grad: &Tensor<F>,
    alpha: &Tensor<A>,
    d_scores: &mut Tensor<F>,
    d_alpha: &mut Tensor<A>,
    #[comptime] family: Family,
    #[comptime] with_alpha: bool,
    #[comptime] config: LaunchConfig,
    #[comptime] double: bool,
    #[define(F, A, C)] _dtypes: [ElemType; 3],
) {
    let zero = C::new(0.0);
    let n = weights.shape(1);
    let coord = unit_coord(weights.shape(0), config);
    let mut scratch = Shared::new_slice(comptime!(config.scratch()));
    let kept_p = load::<F, C>(weights, &coord, zero, config);
    let kept_g = load::<F, C>(grad, &coord, zero, config);
    let epsilon = match family {
        Family::Softmax => zero,
        Family::Sparsemax => C::new(1.0),
        Family::Entmax15 => C::new(0.5),
        Family::Alpha => C::cast_from(alpha[coord.row]) - C::new(1.0),
    };

    // Σs, Σsg, L, W.
    let mut sums = Array::<C>::new(4usize);
    #[unroll]
    for i in 0..4usize {
        sums[i] = zero;
    }
    if comptime!(config.items > 0) {
        #[unroll]
        for i in 0..config.items {
            add_means::<C>(
                &mut sums, 0usize, kept_p[i], kept_g[i], epsilon, family, with_alpha, double,
            );
        }
    } else {
        for i in 0..visits(n, config) {
            let p = read::<F, C>(weights, &coord, i, zero, config);
            let g = read::<F, C>(grad, &coord, i, zero, config);
            add_means::<C>(&mut sums, 0usize, p, g, epsilon, family, with_alpha, double);
        }
    }
    let k = comptime!(if with_alpha { 4usize } else { 2usize });
    reduce::<C>(&mut sums, &mut scratch, k, CubeReduction::Sum, config);
    // Only a row with everything hidden has no support.
    let total = select(sums[0] == zero, C::new(1.0), sums[0]);
    let mean = sums[1] / total;
    let log_mean = sums[2];
    let square_mean = sums[3];

    // The gradient in the scores, and Σpg, Σpgw, Σpgl of the centred g.
    let mut products = Array::<C>::new(3usize);
    #[unroll]
    for i in 0..3usize {
        products[i] = zero;
    }
    if comptime!(config.items > 0) {
        #[unroll]
        for i in 0..config.items {
            let p = kept_p[i];
            let g = kept_g[i] - mean;
            let s = support_power::<C>(p, epsilon, family);
            write::<F, C>(d_scores, &coord, i, s * g, config);
            add_products::<C>(&mut products, 0usize, p, g, epsilon, with_alpha, double);
        }
    } else {
        for i in 0..visits(n, config) {
            let p = read::<F, C>(weights, &coord, i, zero, config);
            let g = read::<F, C>(grad, &coord, i, zero, config) - mean;
            let s = support_power::<C>(p, epsilon, family);
            write::<F, C>(d_scores, &coord, i, s * g, config);
            add_products::<C>(&mut products, 0usize, p, g, epsilon, with_alpha, double);
        }
    }
    if comptime!(with_alpha) {
        reduce::<C>(
            &mut products,
            &mut scratch,
            3usize,
            CubeReduction::Sum,
            config,
        );
        let products = (products[0], products[1], products[2]);
        let d = alpha_gradient::<C>(log_mean, square_mean, products, epsilon);
        if coord.exists && coord.unit == 0 {
            d_alpha[coord.row] = A::cast_from(d);
        }
    }
}

/// The row's part of the gradient in α, from L, W and the products `Σpg, Σpgw, Σpgl`.
#[cube]
pub(crate) fn alpha_gradient<C: Float>(
    log_mean: C,
    square_mean: C,
    products: (C, C, C),
    epsilon: C,
) -> C {
    let (pg, pgw, pgl) = products;
    let bracket = square_mean * pg - pgw + epsilon * (log_mean * pgw - square_mean * pgl);
    bracket / (C::new(1.0) + epsilon * (epsilon * square_mean - log_mean))
}

/// `s = p^{1−ε}` on the support, else 0.
#[cube]
pub(crate) fn support_power<C: Float>(p: C, epsilon: C, #[comptime] family: Family) -> C {
    let zero = C::new(0.0);
    let outside = p <= zero;
    match family {
        Family::Softmax => p,
        Family::Sparsemax => select(outside, zero, C::new(1.0)),
        Family::Entmax15 => select(outside, zero, p).sqrt(),
        Family::Alpha => {
            let l = select(outside, C::new(1.0), p).ln();
            select(outside, zero, p * exp_at_most::<C>(-(epsilon * l)))
        }
    }
}

/// eᵗ with t at most 80, where f32 still holds it.
#[cube]
fn exp_at_most<C: Float>(t: C) -> C {
    select(t > C::new(80.0), C::new(80.0), t).exp()
}

/// `l = log p` and `w = l²·φ(−εl)` on the support, else 0.
#[cube]
fn logarithms<C: Float>(p: C, epsilon: C, #[comptime] double: bool) -> (C, C) {
    let l = select(p <= C::new(0.0), C::new(1.0), p).ln();
    (l, l * l * phi::<C>(-(epsilon * l), double))
}

/// Adds a weight's part to `Σs, Σsg` and, if `with_alpha`, to L and W, from index `at` on.
#[cube]
pub(crate) fn add_means<C: Float>(
    sums: &mut Array<C>,
    at: usize,
    p: C,
    g: C,
    epsilon: C,
    #[comptime] family: Family,
    #[comptime] with_alpha: bool,
    #[comptime] double: bool,
) {
    let s = support_power::<C>(p, epsilon, family);
    sums[at] += s;
    sums[at + 1] += s * g;
    if comptime!(with_alpha) {
        let (l, w) = logarithms::<C>(p, epsilon, double);
        sums[at + 2] += p * l;
        sums[at + 3] += p * w;
    }
}

/// Adds a weight's part to `Σpg, Σpgw, Σpgl` from index `at` on, if `with_alpha`.
#[cube]
pub(crate) fn add_products<C: Float>(
    products: &mut Array<C>,
    at: usize,
    p: C,
    g: C,
    epsilon: C,
    #[comptime] with_alpha: bool,
    #[comptime] double: bool,
) {
    if comptime!(with_alpha) {
        let (l, w) = logarithms::<C>(p, epsilon, double);
        let pg = p * g;
        products[at] += pg;
        products[at + 1] += pg * w;
        products[at + 2] += pg * l;
    }
}
