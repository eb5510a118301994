//! Gradients in the scores and in α: one kernel for every mapping.

// What a kernel is compiled for is asked before what is only known when it runs.
#![allow(clippy::collapsible_if)]

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::group::{CubeReduction, LaunchConfig, any_row, reduce, reduce_one, unit_coord};
use super::large_alpha::{
    add_large_means, add_large_products, large_alpha_gradient, large_gradient,
};
use super::mapping::{Family, phi};
use super::root::is_large;
use super::row::{load, read, visits, write};
use crate::primitive::HIDDEN;

/// `s·(g − Σsg/Σs)`, `s = p^{1−ε}` on the support, and for [`Family::Alpha`], if `with_alpha`,
/// `Σ g·dp/dα` with `dp/dα = p·[W − w + ε(L·w − l·W)]/(1 − εL + ε²W)`, where `l = log p`,
/// `w = l²·φ(−εl)`, `L = Σpl`, `W = Σpw`. Neither changes when a constant is added to g, so g is
/// centred first. Above α = 2 as [`super::large_alpha`] says, from the smallest weight and its gradient.
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
        Family::Alpha | Family::AnyAlpha => C::cast_from(alpha[coord.row]) - C::new(1.0),
    };
    let mut least_weight = C::new(1.0);
    let mut least_grad = zero;
    if comptime!(family == Family::AnyAlpha) {
        if any_row(is_large::<C>(epsilon, family), config) {
            let lowest = C::new(comptime!(HIDDEN as f32));
            let mut smallest = lowest;
            let mut reference = lowest;
            if comptime!(config.items > 0) {
                #[unroll]
                for i in 0..config.items {
                    smallest = larger_of::<C>(smallest, -kept_p[i], kept_p[i] > zero);
                }
            } else {
                for i in 0..visits(n, config) {
                    let p = read::<F, C>(weights, &coord, i, zero, config);
                    smallest = larger_of::<C>(smallest, -p, p > zero);
                }
            }
            let smallest = -reduce_one::<C>(smallest, &mut scratch, CubeReduction::Max, config);
            if comptime!(config.items > 0) {
                #[unroll]
                for i in 0..config.items {
                    reference = larger_of::<C>(reference, kept_g[i], kept_p[i] == smallest);
                }
            } else {
                for i in 0..visits(n, config) {
                    let p = read::<F, C>(weights, &coord, i, zero, config);
                    let g = read::<F, C>(grad, &coord, i, zero, config);
                    reference = larger_of::<C>(reference, g, p == smallest);
                }
            }
            let reference = reduce_one::<C>(reference, &mut scratch, CubeReduction::Max, config);
            // A row with everything hidden has none.
            least_weight = select(smallest > C::new(1.0), C::new(1.0), smallest);
            least_grad = select(reference <= lowest, zero, reference);
        }
    }
    let least = Least::<C> {
        weight: least_weight,
        grad: least_grad,
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
                &mut sums, 0usize, kept_p[i], kept_g[i], epsilon, &least, family, with_alpha,
                double,
            );
        }
    } else {
        for i in 0..visits(n, config) {
            let p = read::<F, C>(weights, &coord, i, zero, config);
            let g = read::<F, C>(grad, &coord, i, zero, config);
            add_means::<C>(
                &mut sums, 0usize, p, g, epsilon, &least, family, with_alpha, double,
            );
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
            let g = kept_g[i];
            let d = score_gradient::<C>(p, g, mean, epsilon, &least, family);
            write::<F, C>(d_scores, &coord, i, d, config);
            add_products::<C>(
                &mut products,
                0usize,
                p,
                g,
                mean,
                epsilon,
                &least,
                family,
                with_alpha,
                double,
            );
        }
    } else {
        for i in 0..visits(n, config) {
            let p = read::<F, C>(weights, &coord, i, zero, config);
            let g = read::<F, C>(grad, &coord, i, zero, config);
            let d = score_gradient::<C>(p, g, mean, epsilon, &least, family);
            write::<F, C>(d_scores, &coord, i, d, config);
            add_products::<C>(
                &mut products,
                0usize,
                p,
                g,
                mean,
                epsilon,
                &least,
                family,
                with_alpha,
                double,
            );
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
        let d = alpha_gradient::<C>(sums[0], log_mean, square_mean, products, epsilon, family);
        if coord.exists && coord.unit == 0 {
            d_alpha[coord.row] = A::cast_from(d);
        }
    }
}

/// The smallest weight of a row and its upstream gradient, where α > 2.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Least<C: Float> {
    pub weight: C,
    pub grad: C,
}

#[cube]
fn larger_of<C: Float>(largest: C, x: C, counts: bool) -> C {
    select(counts && x > largest, x, largest)
}

/// The row's part of the gradient in α, from what [`add_means`] and [`add_products`] summed.
#[cube]
pub(crate) fn alpha_gradient<C: Float>(
    total: C,
    log_mean: C,
    square_mean: C,
    products: (C, C, C),
    epsilon: C,
    #[comptime] family: Family,
) -> C {
    let (pg, pgw, pgl) = products;
    let bracket = square_mean * pg - pgw + epsilon * (log_mean * pgw - square_mean * pgl);
    let small = bracket / (C::new(1.0) + epsilon * (epsilon * square_mean - log_mean));
    let mut d = small;
    if comptime!(family == Family::AnyAlpha) {
        if is_large::<C>(epsilon, family) {
            d = large_alpha_gradient::<C>(total, log_mean, square_mean, (pg, pgw), epsilon);
        }
    }
    d
}

/// The gradient in a score, `s·(g − mean)`.
#[cube]
pub(crate) fn score_gradient<C: Float>(
    p: C,
    g: C,
    mean: C,
    epsilon: C,
    least: &Least<C>,
    #[comptime] family: Family,
) -> C {
    match family {
        Family::AnyAlpha => {
            if is_large::<C>(epsilon, family) {
                large_gradient::<C>(p, g - least.grad, mean, epsilon, least.weight)
            } else {
                support_power::<C>(p, epsilon, family) * (g - mean)
            }
        }
        Family::Softmax | Family::Sparsemax | Family::Entmax15 | Family::Alpha => {
            support_power::<C>(p, epsilon, family) * (g - mean)
        }
    }
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
        Family::Alpha | Family::AnyAlpha => {
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

/// Adds a weight's part to `Σs, Σsg` and, if `with_alpha`, to L and W, from index `at` on; above α = 2 to the sums of
/// [`add_large_means`].
#[cube]
pub(crate) fn add_means<C: Float>(
    sums: &mut Array<C>,
    at: usize,
    p: C,
    g: C,
    epsilon: C,
    least: &Least<C>,
    #[comptime] family: Family,
    #[comptime] with_alpha: bool,
    #[comptime] double: bool,
) {
    if comptime!(family == Family::AnyAlpha) {
        if is_large::<C>(epsilon, family) {
            add_large_means::<C>(sums, at, p, g - least.grad, epsilon, least.weight);
        } else {
            add_small_means::<C>(sums, at, p, g, epsilon, family, with_alpha, double);
        }
    } else {
        add_small_means::<C>(sums, at, p, g, epsilon, family, with_alpha, double);
    }
}

#[cube]
fn add_small_means<C: Float>(
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

/// Adds a weight's part to `Σpg, Σpgw, Σpgl` of the centred g from index `at` on, if `with_alpha`; above α = 2 to the
/// products of [`add_large_products`].
#[cube]
pub(crate) fn add_products<C: Float>(
    products: &mut Array<C>,
    at: usize,
    p: C,
    g: C,
    mean: C,
    epsilon: C,
    least: &Least<C>,
    #[comptime] family: Family,
    #[comptime] with_alpha: bool,
    #[comptime] double: bool,
) {
    if comptime!(with_alpha) {
        if comptime!(family == Family::AnyAlpha) {
            if is_large::<C>(epsilon, family) {
                add_large_products::<C>(products, at, p, g - least.grad, epsilon, least.weight);
            } else {
                add_small_products::<C>(products, at, p, g - mean, epsilon, double);
            }
        } else {
            add_small_products::<C>(products, at, p, g - mean, epsilon, double);
        }
    }
}

#[cube]
fn add_small_products<C: Float>(
    products: &mut Array<C>,
    at: usize,
    p: C,
    g: C,
    epsilon: C,
    #[comptime] double: bool,
) {
    let (l, w) = logarithms::<C>(p, epsilon, double);
    let pg = p * g;
    products[at] += pg;
    products[at + 1] += pg * w;
    products[at + 2] += pg * l;
}
