//! Gradients in keys and values: a cube computes the rows of a tile of keys.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::cube::attention::inputs::{Inputs, tile_coord};
use crate::cube::attention::matmul::{add_product, head_view, put, unit_column, unit_row};
use crate::cube::attention::scores::{
    EPSILON, LEAST_GRAD, MEAN, SAVED, drop_some, least_of, saved_rows, scores, upstream, weigh,
};
use crate::cube::attention::tiling::{MICRO, Tiling, WORD};
use crate::cube::backward::score_gradient;

/// Over the query heads that read a key head, and their tiles of queries that have weight in this tile of
/// keys: the weights' transpose times the upstream gradient, and the gradients in scores' times the queries.
#[cube(launch)]
pub(super) fn key_kernel<F: Float, M: Int, C: Float>(
    inputs: &Inputs<F, M>,
    grad: &Tensor<F>,
    bits: &Tensor<u32>,
    saved: &Tensor<C>,
    d_key: &mut Tensor<F>,
    d_value: &mut Tensor<F>,
    #[comptime] tiling: Tiling,
    #[define(F, M, C)] _dtypes: [ElemType; 3],
) {
    let (seq_q, seq_kv) = (inputs.query.shape(2), inputs.key.shape(2));
    let n_heads = inputs.query.shape(1);
    let n_kv_heads = inputs.key.shape(1);
    let group = n_heads / n_kv_heads;
    let n_tiles = seq_q.div_ceil(tiling.tile_size);
    let n_key_tiles = seq_kv.div_ceil(tiling.tile_size);
    if CUBE_POS >= inputs.query.shape(0) * n_kv_heads * n_key_tiles {
        terminate!();
    }
    let key_tile = CUBE_POS % n_key_tiles;
    let kv_head = CUBE_POS / n_key_tiles % n_kv_heads;
    let batch = CUBE_POS / n_key_tiles / n_kv_heads;
    let key = key_tile * tiling.tile_size;
    let mut left = Shared::<[C]>::new_slice(comptime!(tiling.head_view()));
    let mut right = Shared::<[C]>::new_slice(comptime!(tiling.head_view()));
    let mut weights =
        Shared::<[C]>::new_slice(comptime!(tiling.tile_size * tiling.weights_stride()));
    let n_words = seq_kv.div_ceil(comptime!(tiling.tile_size * WORD));
    let bit = (key_tile % WORD) as u32;
    let (width, value_width) = (inputs.key.shape(3), inputs.value.shape(3));
    let scale = inputs.scale.get::<C>();

    for part in 0..max(width, value_width).div_ceil(comptime!(tiling.width())) {
        let column = part * comptime!(tiling.width());
        let mut acc_key = Array::<C>::new(comptime!(tiling.strips * MICRO));
        let mut acc_value = Array::<C>::new(comptime!(tiling.strips * MICRO));
        #[unroll]
        for i in 0..comptime!(tiling.strips * MICRO) {
            acc_key[i] = C::new(0.0);
            acc_value[i] = C::new(0.0);
        }
        for member in 0..group {
            let head = kv_head * group + member;
            for tile in 0..n_tiles {
                let of_tile = (batch * n_heads + head) * n_tiles + tile;
                let listed = bits[of_tile * n_words + key_tile / WORD];
                if (listed >> bit) & 1u32 == 1u32 {
                    let coord = tile_coord(inputs, batch, head, tile, tiling);
                    let rows = saved_rows::<C>(saved, &coord, seq_q, tiling);
                    let mut cells =
                        scores::<F, M, C>(inputs, &coord, key, &mut left, &mut right, tiling);
                    weigh::<C>(&mut cells, &rows, tiling);
                    let g = upstream::<F, M, C>(
                        inputs, grad, &coord, key, &mut left, &mut right, tiling,
                    );
                    let mut means = Array::<C>::new(MICRO);
                    let mut least = Array::<C>::new(MICRO);
                    #[unroll]
                    for a in 0..MICRO {
                        let r = unit_row(tiling) + comptime!(a * tiling.side());
                        means[a] = C::new(0.0);
                        least[a] = C::new(0.0);
                        if coord.query + r < seq_q {
                            means[a] = saved[(coord.row + r) * SAVED + MEAN];
                            least[a] = saved[(coord.row + r) * SAVED + LEAST_GRAD];
                        }
                    }
                    let mut d_scores = Array::<C>::new(comptime!(MICRO * MICRO));
                    #[unroll(tiling.unrolls())]
                    for i in 0..comptime!(MICRO * MICRO) {
                        let a = i / MICRO;
                        d_scores[i] = score_gradient::<C>(
                            cells[i],
                            g[i],
                            means[a],
                            rows[EPSILON],
                            &least_of::<C>(&rows, a, least[a]),
                            tiling.family,
                        );
                    }
                    drop_some::<F, M, C>(&mut cells, inputs, &coord, key, tiling);
                    put::<C>(&mut weights, &cells, tiling);
                    add_product::<F, C>(
                        &mut acc_value,
                        &weights,
                        grad,
                        &head_view::<F>(grad, batch, head),
                        coord.query,
                        column,
                        &mut right,
                        true,
                        tiling,
                    );
                    sync_cube();
                    put::<C>(&mut weights, &d_scores, tiling);
                    add_product::<F, C>(
                        &mut acc_key,
                        &weights,
                        &inputs.query,
                        &head_view::<F>(&inputs.query, batch, head),
                        coord.query,
                        column,
                        &mut right,
                        true,
                        tiling,
                    );
                }
            }
        }
        let first = (batch * n_kv_heads + kv_head) * seq_kv;
        #[unroll]
        for a in 0..MICRO {
            let j = key + unit_row(tiling) + comptime!(a * tiling.side());
            #[unroll]
            for s in 0..comptime!(tiling.strips) {
                let c = column + comptime!(s * tiling.side()) + unit_column(tiling);
                if j < seq_kv && c < width {
                    let x = acc_key[comptime!(s * MICRO + a)] * scale;
                    d_key[(first + j) * width + c] = F::cast_from(x);
                }
                if j < seq_kv && c < value_width {
                    let x = acc_value[comptime!(s * MICRO + a)];
                    d_value[(first + j) * value_width + c] = F::cast_from(x);
                }
            }
        }
    }
}
