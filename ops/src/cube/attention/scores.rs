//! A tile's scores, weights and gradients in weights, made anew wherever they are needed.

// What a kernel is compiled for is asked before what is only known when it runs.
#![allow(clippy::collapsible_if)]

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::inputs::{Inputs, TileCoord, is_hidden, keeps, row_dropout};
use super::matmul::{add_dots, head_view, unit_column, unit_row};
use super::tiling::{MICRO, Tiling};
use crate::cube::backward::Least;
use crate::cube::root::{RowConstants, final_weight};
use crate::primitive::HIDDEN;

/// Numbers that are saved of each row. Forward writes the first five, backward the others.
pub(super) const SAVED: usize = 8;
/// The largest score.
pub(super) const LARGEST: usize = 0;
/// The shift that is subtracted from scores, see [`crate::cube::mapping::weight`]; above α = 2 the smallest score with
/// weight.
pub(super) const SHIFT: usize = 1;
/// What must still be added to it; above α = 2 that score's weight, not yet scaled.
pub(super) const CORRECTION: usize = 2;
/// One over the weights' sum.
pub(super) const SCALE: usize = 3;
/// α − 1.
pub(super) const EPSILON: usize = 4;
/// The mean of the gradients in the weights, see [`crate::cube::backward`].
pub(super) const MEAN: usize = 5;
/// The row's part of the gradient in α.
pub(super) const D_ALPHA: usize = 6;
/// The gradient in the smallest weight, above α = 2.
pub(super) const LEAST_GRAD: usize = 7;
/// Those that weights follow from.
pub(super) const OF_WEIGHTS: usize = 5;

/// Scores of a tile's cells, [`HIDDEN`] where hidden.
#[cube]
pub(super) fn scores<F: Float, M: Int, C: Float>(
    inputs: &Inputs<F, M>,
    coord: &TileCoord,
    first_key: usize,
    left: &mut Shared<[C]>,
    right: &mut Shared<[C]>,
    #[comptime] tiling: Tiling,
) -> Array<C> {
    let mut cells = Array::<C>::new(comptime!(MICRO * MICRO));
    #[unroll]
    for i in 0..comptime!(MICRO * MICRO) {
        cells[i] = C::new(0.0);
    }
    add_dots::<F, C>(
        &mut cells,
        &inputs.query,
        &head_view::<F>(&inputs.query, coord.batch, coord.head),
        coord.query,
        &inputs.key,
        &head_view::<F>(&inputs.key, coord.batch, coord.kv_head),
        first_key,
        left,
        right,
        tiling,
    );
    let scale = inputs.scale.get::<C>();
    let lowest = C::new(comptime!(HIDDEN as f32));
    // The loop is not unrolled: masks are long.
    let mut hidden = 0u32;
    for i in 0..comptime!(MICRO * MICRO) {
        let query = coord.query + unit_row(tiling) + i / MICRO * comptime!(tiling.side());
        let key = first_key + unit_column(tiling) + i % MICRO * comptime!(tiling.side());
        let flag = select(is_hidden(inputs, coord, query, key, tiling), 1u32, 0u32);
        hidden |= flag << i as u32;
    }
    #[unroll]
    for i in 0..comptime!(MICRO * MICRO) {
        let mut z = cells[i] * scale;
        let is_hidden = (hidden >> comptime!(i as u32)) & 1u32 == 1u32;
        if comptime!(tiling.bias) {
            if !is_hidden {
                let query = coord.query + unit_row(tiling) + comptime!(i / MICRO * tiling.side());
                let key = first_key + unit_column(tiling) + comptime!(i % MICRO * tiling.side());
                let bias = inputs.bias.as_ref().unwrap();
                let batch = select(bias.shape(0) == 1, 0, coord.batch);
                let row = (batch * bias.shape(1) + coord.head) * bias.shape(2) + query;
                z += C::cast_from(bias[row * bias.shape(3) + key]);
            }
        }
        cells[i] = select(is_hidden, lowest, z);
    }
    cells
}

/// The numbers of this unit's rows that forward saved, `[a, OF_WEIGHTS]`; weights of rows that are not there
/// become zero.
#[cube]
pub(super) fn saved_rows<C: Float>(
    saved: &Tensor<C>,
    coord: &TileCoord,
    seq_q: usize,
    #[comptime] tiling: Tiling,
) -> Array<C> {
    let mut rows = Array::<C>::new(comptime!(MICRO * OF_WEIGHTS));
    #[unroll]
    for a in 0..MICRO {
        let r = unit_row(tiling) + comptime!(a * tiling.side());
        #[unroll]
        for i in 0..OF_WEIGHTS {
            let mut x = C::new(0.0);
            if coord.query + r < seq_q {
                x = saved[(coord.row + r) * SAVED + i];
            }
            rows[a * OF_WEIGHTS + i] = x;
        }
    }
    rows
}

/// The smallest weight of the a-th of this unit's rows, and its gradient, which only α > 2 asks for.
#[cube]
pub(super) fn least_of<C: Float>(rows: &Array<C>, a: usize, grad: C) -> Least<C> {
    let at = a * OF_WEIGHTS;
    Least::<C> {
        weight: rows[at + CORRECTION] * rows[at + SCALE],
        grad,
    }
}

/// Scores to weights, in place.
#[cube]
pub(super) fn weigh<C: Float>(cells: &mut Array<C>, rows: &Array<C>, #[comptime] tiling: Tiling) {
    #[unroll(tiling.unrolls())]
    for i in 0..comptime!(MICRO * MICRO) {
        let at = i / MICRO * OF_WEIGHTS;
        let row = RowConstants::<C> {
            largest: rows[at + LARGEST],
            epsilon: rows[at + EPSILON],
        };
        let p = final_weight::<C>(
            cells[i],
            &row,
            rows[at + SHIFT],
            rows[at + CORRECTION],
            f32::new(comptime!(HIDDEN as f32)),
            tiling.family,
            tiling.double,
        );
        cells[i] = p * rows[at + SCALE];
    }
}

/// Multiplies cells by what dropout keeps of them.
#[cube]
pub(super) fn drop_some<F: Float, M: Int, C: Float>(
    cells: &mut Array<C>,
    inputs: &Inputs<F, M>,
    coord: &TileCoord,
    first_key: usize,
    #[comptime] tiling: Tiling,
) {
    if comptime!(tiling.dropout) {
        let mut kept = 0u32;
        for a in 0..MICRO {
            let r = unit_row(tiling) + a * comptime!(tiling.side());
            let row = row_dropout(inputs, coord.row + r);
            for b in 0..MICRO {
                let key = first_key + unit_column(tiling) + b * comptime!(tiling.side());
                let flag = select(keeps(inputs, &row, key), 1u32, 0u32);
                kept |= flag << (a * MICRO + b) as u32;
            }
        }
        let factor = inputs.kept.get::<C>();
        #[unroll]
        for i in 0..comptime!(MICRO * MICRO) {
            let is_kept = (kept >> comptime!(i as u32)) & 1u32 == 1u32;
            cells[i] *= select(is_kept, factor, C::new(0.0));
        }
    }
}

/// Gradients in a tile's weights, given the context's.
#[cube]
pub(super) fn upstream<F: Float, M: Int, C: Float>(
    inputs: &Inputs<F, M>,
    grad: &Tensor<F>,
    coord: &TileCoord,
    first_key: usize,
    left: &mut Shared<[C]>,
    right: &mut Shared<[C]>,
    #[comptime] tiling: Tiling,
) -> Array<C> {
    let mut cells = Array::<C>::new(comptime!(MICRO * MICRO));
    #[unroll]
    for i in 0..comptime!(MICRO * MICRO) {
        cells[i] = C::new(0.0);
    }
    add_dots::<F, C>(
        &mut cells,
        grad,
        &head_view::<F>(grad, coord.batch, coord.head),
        coord.query,
        &inputs.value,
        &head_view::<F>(&inputs.value, coord.batch, coord.kv_head),
        first_key,
        left,
        right,
        tiling,
    );
    drop_some::<F, M, C>(&mut cells, inputs, coord, first_key, tiling);
    cells
}
