//! Context, and what backward needs: a cube computes the rows of a tile of queries.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::inputs::{Inputs, Site, list_tiles, site};
use super::plan::{MICRO, Plan, WORD};
use super::scores::{
    CORRECTION, EPSILON, LARGEST, OF_WEIGHTS, ORIGIN, SAVED, SCALE, drop_some, scores, weigh,
};
use super::tile::{add_product, any, put, total, unit_column, unit_row, vectors};
use crate::cube::group::Reduction;
use crate::cube::power::{Family, weight};
use crate::cube::search::{self, DONE, MAX_PASSES, STATE, advance, begin, is_nan};
use crate::primitive::HIDDEN;

/// Three kinds of passes over the tiles of keys that masks leave: one for each row's largest score, one
/// for each step of the search for its threshold, and the last, of the tiles that may hold a weight, for
/// the context. Writes the numbers of each row
/// that weights follow from, and the bits of the tiles that do, `[n_tiles, words]`.
#[cube(launch)]
pub(super) fn forward_kernel<F: Float, A: Float, M: Int, C: Float>(
    inputs: &Inputs<F, M>,
    alpha: &ComptimeOption<OwnedTensor<A>>,
    context: &mut Tensor<F>,
    saved: &mut Tensor<C>,
    bits: &mut Tensor<u32>,
    nan: f32,
    #[comptime] plan: Plan,
    #[define(F, A, M, C)] _dtypes: [ElemType; 4],
) {
    let (batch, n_heads) = (inputs.query.shape(0), inputs.query.shape(1));
    let (seq_q, seq_kv) = (inputs.query.shape(2), inputs.key.shape(2));
    let n_tiles = seq_q.div_ceil(plan.edge);
    if CUBE_POS >= batch * n_heads * n_tiles {
        terminate!();
    }
    // The last tiles of a causal mask have the most to do, and go first.
    let cube = batch * n_heads * n_tiles - 1 - CUBE_POS;
    let head = cube / n_tiles;
    let site = site(inputs, head / n_heads, head % n_heads, cube % n_tiles, plan);
    let mut left = Shared::<[C]>::new_slice(comptime!(plan.vectors()));
    let mut right = Shared::<[C]>::new_slice(comptime!(plan.vectors()));
    let mut weights = Shared::<[C]>::new_slice(comptime!(plan.edge * plan.weights_stride()));
    let mut words = Shared::<[u32]>::new_slice(comptime!(plan.words));
    let mut marks = Shared::<[u32]>::new_slice(comptime!(plan.units()));
    let n_words = seq_kv.div_ceil(comptime!(plan.edge * WORD));
    let epsilon = match comptime!(plan.family) {
        Family::Softmax => C::new(0.0),
        Family::Sparsemax => C::new(1.0),
        Family::Entmax15 => C::new(0.5),
        Family::Alpha => C::cast_from(alpha.as_ref().unwrap()[site.head]) - C::new(1.0),
    };
    let lowest = C::new(comptime!(HIDDEN as f32));

    // The largest score, and whether one is NaN, as 1 or 0.
    list_tiles(&mut words, inputs, &site, plan);
    let mut found = Array::<C>::new(comptime!(MICRO * 2));
    #[unroll]
    for a in 0..MICRO {
        found[a * 2] = lowest;
        found[a * 2 + 1] = C::new(0.0);
    }
    for word in 0..n_words {
        let listed = words[word];
        let mut seen = 0u32;
        for bit in 0..comptime!(WORD as u32) {
            if (listed >> bit) & 1u32 == 1u32 {
                let key = (word * WORD + bit as usize) * plan.edge;
                let cells = scores::<F, M, C>(inputs, &site, key, &mut left, &mut right, plan);
                #[unroll]
                for i in 0..comptime!(MICRO * MICRO) {
                    let a = comptime!(i / MICRO);
                    let z = cells[i];
                    let is_nan = is_nan::<C>(z);
                    let larger = !is_nan && z > found[a * 2];
                    found[a * 2] = select(larger, z, found[a * 2]);
                    found[a * 2 + 1] = select(is_nan, C::new(1.0), found[a * 2 + 1]);
                    seen |= select(z <= lowest, 0u32, 1u32) << bit;
                }
            }
        }
        let seen = any(seen, &mut marks, plan);
        if UNIT_POS == 0 {
            words[word] = seen;
        }
    }
    total::<C>(&mut found, 0usize, 2usize, &mut left, Reduction::Max, plan);
    total::<C>(&mut found, 1usize, 2usize, &mut left, Reduction::Max, plan);

    let mut rows = Array::<C>::new(comptime!(MICRO * OF_WEIGHTS));
    #[unroll]
    for a in 0..MICRO {
        rows[a * OF_WEIGHTS + LARGEST] = found[a * 2];
        rows[a * OF_WEIGHTS + ORIGIN] = C::new(0.0);
        rows[a * OF_WEIGHTS + CORRECTION] = C::new(0.0);
        rows[a * OF_WEIGHTS + SCALE] = C::new(1.0);
        rows[a * OF_WEIGHTS + EPSILON] = epsilon;
    }
    if comptime!(plan.family != Family::Softmax) {
        find_origins::<F, M, C>(
            inputs, &site, &mut rows, epsilon, &mut words, &mut marks, &mut left, &mut right, plan,
        );
    }

    // The context, as many columns at a time as there are sums for.
    let width = inputs.value.shape(3);
    let mut sums = Array::<C>::new(comptime!(MICRO));
    #[unroll]
    for a in 0..MICRO {
        sums[a] = C::new(0.0);
    }
    for part in 0..max(width.div_ceil(comptime!(plan.width())), 1) {
        let column = part * comptime!(plan.width());
        let mut acc = Array::<C>::new(comptime!(plan.strips * MICRO));
        #[unroll]
        for i in 0..comptime!(plan.strips * MICRO) {
            acc[i] = C::new(0.0);
        }
        for word in 0..n_words {
            let listed = words[word];
            let mut active = 0u32;
            for bit in 0..comptime!(WORD as u32) {
                if (listed >> bit) & 1u32 == 1u32 {
                    let key = (word * WORD + bit as usize) * plan.edge;
                    let mut cells =
                        scores::<F, M, C>(inputs, &site, key, &mut left, &mut right, plan);
                    weigh::<C>(&mut cells, &rows, plan);
                    #[unroll]
                    for i in 0..comptime!(MICRO * MICRO) {
                        let p = cells[i];
                        if part == 0 {
                            sums[comptime!(i / MICRO)] += p;
                        }
                        // NaN counts as well.
                        active |= select(p == C::new(0.0), 0u32, 1u32) << bit;
                    }
                    drop_some::<F, M, C>(&mut cells, inputs, &site, key, plan);
                    put::<C>(&mut weights, &cells, plan);
                    add_product::<F, C>(
                        &mut acc,
                        &weights,
                        &inputs.value,
                        &vectors::<F>(&inputs.value, site.batch, site.kv_head),
                        key,
                        column,
                        &mut right,
                        false,
                        plan,
                    );
                }
            }
            let active = any(active, &mut marks, plan);
            if UNIT_POS == 0 && part == 0 {
                words[word] = active;
                bits[(head * n_tiles + cube % n_tiles) * n_words + word] = active;
            }
        }
        sync_cube();
        if part == 0 {
            total::<C>(&mut sums, 0usize, 1usize, &mut left, Reduction::Sum, plan);
        }
        #[unroll]
        for a in 0..MICRO {
            let r = unit_row(plan) + comptime!(a * plan.side());
            // Only a row with everything hidden has no weight.
            let scale = C::new(1.0) / select(sums[a] == C::new(0.0), C::new(1.0), sums[a]);
            let is_row = found[a * 2 + 1] == C::new(0.0) && epsilon > C::new(-1.0);
            let scale = select(is_row, scale, C::cast_from(nan));
            if site.query + r < seq_q {
                #[unroll]
                for s in 0..comptime!(plan.strips) {
                    let c = column + comptime!(s * plan.side()) + unit_column(plan);
                    if c < width {
                        let x = acc[comptime!(s * MICRO + a)] * scale;
                        let x = select(is_row, x, C::cast_from(nan));
                        context[(site.row + r) * width + c] = F::cast_from(x);
                    }
                }
                if part == 0 && unit_column(plan) == 0 {
                    rows[a * OF_WEIGHTS + SCALE] = scale;
                    #[unroll]
                    for i in 0..OF_WEIGHTS {
                        saved[(site.row + r) * SAVED + i] = rows[a * OF_WEIGHTS + i];
                    }
                    rows[a * OF_WEIGHTS + SCALE] = C::new(1.0);
                }
            }
        }
    }
}

/// Finds the rows' origins; leaves the bits of the tiles in which a score may have weight.
#[cube]
fn find_origins<F: Float, M: Int, C: Float>(
    inputs: &Inputs<F, M>,
    site: &Site,
    rows: &mut Array<C>,
    epsilon: C,
    words: &mut Shared<[u32]>,
    marks: &mut Shared<[u32]>,
    left: &mut Shared<[C]>,
    right: &mut Shared<[C]>,
    #[comptime] plan: Plan,
) {
    let seq_kv = inputs.key.shape(2);
    let n_words = seq_kv.div_ceil(comptime!(plan.edge * WORD));
    let lowest = C::new(comptime!(HIDDEN as f32));
    let mut state = Array::<C>::new(comptime!(MICRO * STATE));
    #[unroll]
    for a in 0..MICRO {
        // A row of which nothing can be seen, or that is not there.
        let is_empty = rows[a * OF_WEIGHTS + LARGEST] <= lowest;
        begin::<C>(
            &mut state,
            comptime!(a * STATE),
            epsilon,
            seq_kv,
            is_empty,
            plan.family,
        );
    }
    let mut active = true;
    let mut passes = 0u32;
    while active {
        let mut sums = Array::<C>::new(comptime!(MICRO * 2));
        #[unroll]
        for i in 0..comptime!(MICRO * 2) {
            sums[i] = C::new(0.0);
        }
        for word in 0..n_words {
            let listed = words[word];
            let mut inside = 0u32;
            for bit in 0..comptime!(WORD as u32) {
                if (listed >> bit) & 1u32 == 1u32 {
                    let key = (word * WORD + bit as usize) * plan.edge;
                    let cells = scores::<F, M, C>(inputs, site, key, left, right, plan);
                    #[unroll(plan.unrolls())]
                    for i in 0..comptime!(MICRO * MICRO) {
                        let a = i / MICRO;
                        let origin = state[a * STATE + search::ORIGIN];
                        let d = cells[i] - rows[a * OF_WEIGHTS + LARGEST] - origin;
                        let (p, q) = weight::<C>(d, epsilon, plan.family, plan.double);
                        let hidden = cells[i] <= lowest;
                        sums[a * 2] += select(hidden, C::new(0.0), p);
                        sums[a * 2 + 1] += select(hidden, C::new(0.0), q);
                        inside |= select(hidden || p == C::new(0.0), 0u32, 1u32) << bit;
                    }
                }
            }
            // The first origin is the lowest: what has no weight there has none.
            if passes == 0 {
                let inside = any(inside, marks, plan);
                if UNIT_POS == 0 {
                    words[word] = inside;
                }
            }
        }
        total::<C>(&mut sums, 0usize, 2usize, left, Reduction::Sum, plan);
        total::<C>(&mut sums, 1usize, 2usize, left, Reduction::Sum, plan);
        passes += 1;
        let mut goes_on = 0u32;
        #[unroll]
        for a in 0..MICRO {
            let at = comptime!(a * STATE);
            advance::<C>(
                &mut state,
                at,
                sums[a * 2],
                sums[a * 2 + 1],
                epsilon,
                plan.double,
            );
            let done = state[comptime!(a * STATE + DONE)] != C::new(0.0);
            goes_on |= select(done, 0u32, 1u32);
        }
        let some = any(goes_on, marks, plan);
        active = some != 0u32 && passes < MAX_PASSES;
    }
    #[unroll]
    for a in 0..MICRO {
        let is_empty = rows[a * OF_WEIGHTS + LARGEST] <= lowest;
        let origin = state[comptime!(a * STATE + search::ORIGIN)];
        let correction = state[comptime!(a * STATE + search::CORRECTION)];
        rows[a * OF_WEIGHTS + ORIGIN] = select(is_empty, C::new(0.0), origin);
        rows[a * OF_WEIGHTS + CORRECTION] = select(is_empty, C::new(0.0), correction);
    }
}
