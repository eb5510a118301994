//! A tile's scores, weights and gradients in weights, made anew wherever they are needed.

// What a kernel is compiled for is asked before what is only known when it runs.
#![allow(clippy::collapsible_if)]

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::inputs::{Inputs, Site, is_hidden, keeps, row_dropout};
use super::plan::{MICRO, Plan};
use super::tile::{add_dots, unit_column, unit_row, vectors};
use crate::cube::search::{Row, final_weight};
use crate::primitive::HIDDEN;

/// Numbers that are saved of each row. Forward writes the first five, backward the others.
pub(super) const SAVED: usize = 7;
/// The largest score.
pub(super) const LARGEST: usize = 0;
/// The origin from which scores are measured, see [`crate::cube::power::weight`].
pub(super) const ORIGIN: usize = 1;
/// What must still be added to it.
pub(super) const CORRECTION: usize = 2;
/// One over the weights' sum.
pub(super) const SCALE: usize = 3;
/// α − 1.
pub(super) const EPSILON: usize = 4;
/// The mean of the gradients in the weights, see [`crate::cube::backward`].
pub(super) const MEAN: usize = 5;
/// The row's part of the gradient in α.
pub(super) const D_ALPHA: usize = 6;
/// Those that weights follow from.
pub(super) const OF_WEIGHTS: usize = 5;

/// Scores of a tile's cells, [`HIDDEN`] where hidden.
#[cube]
pub(super) fn scores<F: Float, M: Int, C: Float>(
    inputs: &Inputs<F, M>,
    site: &Site,
    first_key: usize,
    left: &mut Shared<[C]>,
    right: &mut Shared<[C]>,
    #[comptime] plan: Plan,
) -> Array<C> {
    let mut cells = Array::<C>::new(comptime!(MICRO * MICRO));
    #[unroll]
    for i in 0..comptime!(MICRO * MICRO) {
        cells[i] = C::new(0.0);
    }
    add_dots::<F, C>(
        &mut cells,
        &inputs.query,
        &vectors::<F>(&inputs.query, site.batch, site.head),
        site.query,
        &inputs.key,
        &vectors::<F>(&inputs.key, site.batch, site.kv_head),
        first_key,
        left,
        right,
        plan,
    );
    let scale = inputs.scale.get::<C>();
    let lowest = C::new(comptime!(HIDDEN as f32));
    // The loop is not unrolled: masks are long.
    let mut hidden = 0u32;
    for i in 0..comptime!(MICRO * MICRO) {
        let query = site.query + unit_row(plan) + i / MICRO * comptime!(plan.side());
        let key = first_key + unit_column(plan) + i % MICRO * comptime!(plan.side());
        let flag = select(is_hidden(inputs, site, query, key, plan), 1u32, 0u32);
        hidden |= flag << i as u32;
    }
    #[unroll]
    for i in 0..comptime!(MICRO * MICRO) {
        let mut z = cells[i] * scale;
        let is_hidden = (hidden >> comptime!(i as u32)) & 1u32 == 1u32;
        if comptime!(plan.bias) {
            if !is_hidden {
                let query = site.query + unit_row(plan) + comptime!(i / MICRO * plan.side());
                let key = first_key + unit_column(plan) + comptime!(i % MICRO * plan.side());
                let bias = inputs.bias.as_ref().unwrap();
                let batch = select(bias.shape(0) == 1, 0, site.batch);
                let row = (batch * bias.shape(1) + site.head) * bias.shape(2) + query;
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
    site: &Site,
    seq_q: usize,
    #[comptime] plan: Plan,
) -> Array<C> {
    let mut rows = Array::<C>::new(comptime!(MICRO * OF_WEIGHTS));
    #[unroll]
    for a in 0..MICRO {
        let r = unit_row(plan) + comptime!(a * plan.side());
        #[unroll]
        for i in 0..OF_WEIGHTS {
            let mut x = C::new(0.0);
            if site.query + r < seq_q {
                x = saved[(site.row + r) * SAVED + i];
            }
            rows[a * OF_WEIGHTS + i] = x;
        }
    }
    rows
}

/// Scores to weights, in place.
#[cube]
pub(super) fn weigh<C: Float>(cells: &mut Array<C>, rows: &Array<C>, #[comptime] plan: Plan) {
    #[unroll(plan.unrolls())]
    for i in 0..comptime!(MICRO * MICRO) {
        let at = i / MICRO * OF_WEIGHTS;
        let row = Row::<C> {
            largest: rows[at + LARGEST],
            epsilon: rows[at + EPSILON],
        };
        let p = final_weight::<C>(
            cells[i],
            &row,
            rows[at + ORIGIN],
            rows[at + CORRECTION],
            f32::new(comptime!(HIDDEN as f32)),
            plan.family,
            plan.double,
        );
        cells[i] = p * rows[at + SCALE];
    }
}

/// Multiplies cells by what dropout keeps of them.
#[cube]
pub(super) fn drop_some<F: Float, M: Int, C: Float>(
    cells: &mut Array<C>,
    inputs: &Inputs<F, M>,
    site: &Site,
    first_key: usize,
    #[comptime] plan: Plan,
) {
    if comptime!(plan.dropout) {
        let mut kept = 0u32;
        for a in 0..MICRO {
            let r = unit_row(plan) + a * comptime!(plan.side());
            let row = row_dropout(inputs, site.row + r);
            for b in 0..MICRO {
                let key = first_key + unit_column(plan) + b * comptime!(plan.side());
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
    site: &Site,
    first_key: usize,
    left: &mut Shared<[C]>,
    right: &mut Shared<[C]>,
    #[comptime] plan: Plan,
) -> Array<C> {
    let mut cells = Array::<C>::new(comptime!(MICRO * MICRO));
    #[unroll]
    for i in 0..comptime!(MICRO * MICRO) {
        cells[i] = C::new(0.0);
    }
    add_dots::<F, C>(
        &mut cells,
        grad,
        &vectors::<F>(grad, site.batch, site.head),
        site.query,
        &inputs.value,
        &vectors::<F>(&inputs.value, site.batch, site.kv_head),
        first_key,
        left,
        right,
        plan,
    );
    drop_some::<F, M, C>(&mut cells, inputs, site, first_key, plan);
    cells
}
