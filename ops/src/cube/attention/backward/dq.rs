//! Gradients in queries and α: a cube computes the rows of a tile of queries.

// What a kernel is compiled for is asked before what is only known when it runs.
#![allow(clippy::collapsible_if)]

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::cube::attention::inputs::{Inputs, tile_coord};
use crate::cube::attention::matmul::{add_product, head_view, put, total, unit_column, unit_row};
use crate::cube::attention::scores::{
    D_ALPHA, EPSILON, LEAST_GRAD, MEAN, SAVED, least_of, saved_rows, scores, upstream, weigh,
};
use crate::cube::attention::tiling::{MICRO, Tiling, WORD};
use crate::cube::backward::{add_means, add_products, alpha_gradient, score_gradient};
use crate::cube::group::CubeReduction;
use crate::cube::mapping::Family;
use crate::cube::root::is_large;
use crate::primitive::HIDDEN;

/// Two passes over the tiles of keys that hold a weight, and before them one for the gradient in each row's smallest weight
/// where α > 2: the rows' means (see
/// [`crate::cube::backward`]), which the kernel of the keys reads too, and the gradient in the scores
/// times the keys. Means and the rows' gradients in α are left among what is saved of each row.
#[cube(launch)]
pub(super) fn query_kernel<F: Float, M: Int, C: Float>(
    inputs: &Inputs<F, M>,
    grad: &Tensor<F>,
    bits: &Tensor<u32>,
    saved: &mut Tensor<C>,
    d_query: &mut Tensor<F>,
    #[comptime] with_alpha: bool,
    #[comptime] tiling: Tiling,
    #[define(F, M, C)] _dtypes: [ElemType; 3],
) {
    let (batch, n_heads) = (inputs.query.shape(0), inputs.query.shape(1));
    let (seq_q, seq_kv) = (inputs.query.shape(2), inputs.key.shape(2));
    let n_tiles = seq_q.div_ceil(tiling.tile_size);
    if CUBE_POS >= batch * n_heads * n_tiles {
        terminate!();
    }
    let cube = batch * n_heads * n_tiles - 1 - CUBE_POS;
    let head = cube / n_tiles;
    let coord = tile_coord(
        inputs,
        head / n_heads,
        head % n_heads,
        cube % n_tiles,
        tiling,
    );
    let mut left = Shared::<[C]>::new_slice(comptime!(tiling.head_view()));
    let mut right = Shared::<[C]>::new_slice(comptime!(tiling.head_view()));
    let mut weights =
        Shared::<[C]>::new_slice(comptime!(tiling.tile_size * tiling.weights_stride()));
    let n_words = seq_kv.div_ceil(comptime!(tiling.tile_size * WORD));
    let rows = saved_rows::<C>(&*saved, &coord, seq_q, tiling);
    let double = comptime!(tiling.double);
    let epsilon = rows[EPSILON];

    let lowest = C::new(comptime!(HIDDEN as f32));
    let mut least = Array::<C>::new(MICRO);
    #[unroll]
    for a in 0..MICRO {
        least[a] = lowest;
    }
    if comptime!(tiling.family == Family::AnyAlpha) {
        // The tile's first row is there: every unit reads the head's.
        if is_large::<C>(saved[coord.row * SAVED + EPSILON], tiling.family) {
            for word in 0..n_words {
                let listed = bits[cube * n_words + word];
                for bit in 0..comptime!(WORD as u32) {
                    if (listed >> bit) & 1u32 == 1u32 {
                        let key = (word * WORD + bit as usize) * tiling.tile_size;
                        let mut cells =
                            scores::<F, M, C>(inputs, &coord, key, &mut left, &mut right, tiling);
                        weigh::<C>(&mut cells, &rows, tiling);
                        let g = upstream::<F, M, C>(
                            inputs, grad, &coord, key, &mut left, &mut right, tiling,
                        );
                        #[unroll(tiling.unrolls())]
                        for i in 0..comptime!(MICRO * MICRO) {
                            let a = i / MICRO;
                            let smallest = least_of::<C>(&rows, a, C::new(0.0)).weight;
                            let p = cells[i];
                            // Scores made anew may be off by a digit.
                            let counts = p > C::new(0.0) && p <= smallest * C::new(1.00001);
                            let largest = least[a];
                            least[a] = select(counts && g[i] > largest, g[i], largest);
                        }
                    }
                }
            }
            total::<C>(
                &mut least,
                0usize,
                1usize,
                &mut left,
                CubeReduction::Max,
                tiling,
            );
        }
    }
    #[unroll]
    for a in 0..MICRO {
        least[a] = select(least[a] <= lowest, C::new(0.0), least[a]);
        let r = unit_row(tiling) + comptime!(a * tiling.side());
        if coord.query + r < seq_q && unit_column(tiling) == 0 {
            saved[(coord.row + r) * SAVED + LEAST_GRAD] = least[a];
        }
    }

    // Σs, Σsg and, for α, L and W of each row.
    let mut sums = Array::<C>::new(comptime!(MICRO * 4));
    #[unroll]
    for i in 0..comptime!(MICRO * 4) {
        sums[i] = C::new(0.0);
    }
    for word in 0..n_words {
        let listed = bits[cube * n_words + word];
        for bit in 0..comptime!(WORD as u32) {
            if (listed >> bit) & 1u32 == 1u32 {
                let key = (word * WORD + bit as usize) * tiling.tile_size;
                let mut cells =
                    scores::<F, M, C>(inputs, &coord, key, &mut left, &mut right, tiling);
                weigh::<C>(&mut cells, &rows, tiling);
                let g =
                    upstream::<F, M, C>(inputs, grad, &coord, key, &mut left, &mut right, tiling);
                #[unroll(tiling.unrolls())]
                for i in 0..comptime!(MICRO * MICRO) {
                    let a = i / MICRO;
                    let least = least_of::<C>(&rows, a, least[a]);
                    add_means::<C>(
                        &mut sums,
                        a * 4,
                        cells[i],
                        g[i],
                        epsilon,
                        &least,
                        tiling.family,
                        with_alpha,
                        double,
                    );
                }
            }
        }
    }
    #[unroll]
    for i in 0..comptime!(if with_alpha { 4usize } else { 2usize }) {
        total::<C>(&mut sums, i, 4usize, &mut left, CubeReduction::Sum, tiling);
    }
    #[unroll]
    for a in 0..MICRO {
        // Only a row with everything hidden has no support.
        let support = select(sums[a * 4] == C::new(0.0), C::new(1.0), sums[a * 4]);
        sums[a * 4 + 1] /= support;
        let r = unit_row(tiling) + comptime!(a * tiling.side());
        if coord.query + r < seq_q && unit_column(tiling) == 0 {
            saved[(coord.row + r) * SAVED + MEAN] = sums[a * 4 + 1];
        }
    }

    // Σpg, Σpgw, Σpgl of the centred g of each row.
    let mut products = Array::<C>::new(comptime!(MICRO * 3));
    #[unroll]
    for i in 0..comptime!(MICRO * 3) {
        products[i] = C::new(0.0);
    }
    let width = inputs.query.shape(3);
    let scale = inputs.scale.get::<C>();
    for part in 0..max(width.div_ceil(comptime!(tiling.width())), 1) {
        let column = part * comptime!(tiling.width());
        let mut acc = Array::<C>::new(comptime!(tiling.strips * MICRO));
        #[unroll]
        for i in 0..comptime!(tiling.strips * MICRO) {
            acc[i] = C::new(0.0);
        }
        for word in 0..n_words {
            let listed = bits[cube * n_words + word];
            for bit in 0..comptime!(WORD as u32) {
                if (listed >> bit) & 1u32 == 1u32 {
                    let key = (word * WORD + bit as usize) * tiling.tile_size;
                    let mut cells =
                        scores::<F, M, C>(inputs, &coord, key, &mut left, &mut right, tiling);
                    weigh::<C>(&mut cells, &rows, tiling);
                    let g = upstream::<F, M, C>(
                        inputs, grad, &coord, key, &mut left, &mut right, tiling,
                    );
                    #[unroll(tiling.unrolls())]
                    for i in 0..comptime!(MICRO * MICRO) {
                        let p = cells[i];
                        let a = i / MICRO;
                        let mean = sums[a * 4 + 1];
                        let least = least_of::<C>(&rows, a, least[a]);
                        if part == 0 {
                            add_products::<C>(
                                &mut products,
                                a * 3,
                                p,
                                g[i],
                                mean,
                                epsilon,
                                &least,
                                tiling.family,
                                with_alpha,
                                double,
                            );
                        }
                        cells[i] =
                            score_gradient::<C>(p, g[i], mean, epsilon, &least, tiling.family);
                    }
                    put::<C>(&mut weights, &cells, tiling);
                    add_product::<F, C>(
                        &mut acc,
                        &weights,
                        &inputs.key,
                        &head_view::<F>(&inputs.key, coord.batch, coord.kv_head),
                        key,
                        column,
                        &mut right,
                        false,
                        tiling,
                    );
                }
            }
        }
        #[unroll]
        for a in 0..MICRO {
            let r = unit_row(tiling) + comptime!(a * tiling.side());
            #[unroll]
            for s in 0..comptime!(tiling.strips) {
                let c = column + comptime!(s * tiling.side()) + unit_column(tiling);
                if coord.query + r < seq_q && c < width {
                    let x = acc[comptime!(s * MICRO + a)] * scale;
                    d_query[(coord.row + r) * width + c] = F::cast_from(x);
                }
            }
        }
    }
    if comptime!(with_alpha) {
        #[unroll]
        for i in 0..3usize {
            total::<C>(
                &mut products,
                i,
                3usize,
                &mut left,
                CubeReduction::Sum,
                tiling,
            );
        }
        #[unroll]
        for a in 0..MICRO {
            let of_row = (products[a * 3], products[a * 3 + 1], products[a * 3 + 2]);
            let d = alpha_gradient::<C>(
                sums[a * 4],
                sums[a * 4 + 2],
                sums[a * 4 + 3],
                of_row,
                epsilon,
                tiling.family,
            );
            let r = unit_row(tiling) + comptime!(a * tiling.side());
            if coord.query + r < seq_q && unit_column(tiling) == 0 {
                saved[(coord.row + r) * SAVED + D_ALPHA] = d;
            }
        }
    }
}
