//! Context, and what backward needs: a cube computes the rows of a tile of queries.

// What a kernel is compiled for is asked before what is only known when it runs.
#![allow(clippy::collapsible_if)]

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::inputs::{Inputs, TileCoord, list_tiles, tile_coord};
use super::matmul::{add_product, any, head_view, put, total, unit_column, unit_row};
use super::problem::{CubeProblem, argument};
use super::scores::{
    CORRECTION, EPSILON, LARGEST, OF_WEIGHTS, SAVED, SCALE, SHIFT, drop_some, scores, weigh,
};
use super::tiling::{MICRO, Tiling, WORD};
use super::{Extras, cubes};
use crate::attention::{AttentionSaved, AttentionSpec};
use crate::cube::elem_type;
use crate::cube::group::CubeReduction;
use crate::cube::large_alpha::{
    BASE, SEARCH, SMALLEST, THRESHOLD, advance_search, begin_search, is_found, nothing_above, visit,
};
use crate::cube::mapping::{Family, weight};
use crate::cube::root::{self, DONE, MAX_PASSES, STATE, advance, begin, is_large, is_no_score};
use crate::primitive::HIDDEN;

/// Launches the forward kernel: the context, and what backward needs.
pub(crate) fn attention_forward(
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    extras: Extras,
    spec: AttentionSpec,
) -> (CubeTensor, AttentionSaved<CubeBackend>) {
    let problem = CubeProblem::new(query, key, value, extras, spec);
    let saved = problem.empty_saved();
    let [batch, n_heads, seq_q, _] = problem.query.meta.shape().dims();
    let d_value = problem.value.meta.shape()[3];
    if problem.is_empty() {
        let context = [batch, n_heads, seq_q, d_value];
        return (problem.zeros(context), saved);
    }
    let tiling = problem.tiling();
    let [float, masks, compute] = problem.dtypes();
    let alpha = problem
        .alpha()
        .map_or(compute, |alpha| elem_type(alpha.dtype));
    let context = problem.empty([batch, n_heads, seq_q, d_value], problem.query.dtype);
    forward_kernel::launch(
        &problem.query.client,
        cubes(
            &problem.query.client,
            batch * n_heads * seq_q.div_ceil(tiling.tile_size),
        ),
        CubeDim::new_1d(tiling.units() as u32),
        problem.launch(),
        argument(problem.alpha()),
        context.clone().into_tensor_arg(),
        saved.rows.clone().into_tensor_arg(),
        saved.blocks.clone().into_tensor_arg(),
        f32::NAN,
        tiling,
        [float, alpha, masks, compute],
    );
    (context, saved)
}

/// Three kinds of passes over the tiles of keys that masks leave: one for each row's largest score, one
/// for each step of root finding for its threshold, and the last, of the tiles that may hold a weight, for
/// the context. Writes the numbers of each row that weights follow from, and the bits of the tiles that do, `[n_tiles, words]`.
#[cube(launch)]
pub(super) fn forward_kernel<F: Float, A: Float, M: Int, C: Float>(
    inputs: &Inputs<F, M>,
    alpha: &ComptimeOption<OwnedTensor<A>>,
    context: &mut Tensor<F>,
    saved: &mut Tensor<C>,
    bits: &mut Tensor<u32>,
    nan: f32,
    #[comptime] tiling: Tiling,
    #[define(F, A, M, C)] _dtypes: [ElemType; 4],
) {
    let (batch, n_heads) = (inputs.query.shape(0), inputs.query.shape(1));
    let (seq_q, seq_kv) = (inputs.query.shape(2), inputs.key.shape(2));
    let n_tiles = seq_q.div_ceil(tiling.tile_size);
    if CUBE_POS >= batch * n_heads * n_tiles {
        terminate!();
    }
    // The last tiles of a causal mask have the most to do, and go first.
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
    let mut words = Shared::<[u32]>::new_slice(comptime!(tiling.words));
    let mut marks = Shared::<[u32]>::new_slice(comptime!(tiling.units()));
    let n_words = seq_kv.div_ceil(comptime!(tiling.tile_size * WORD));
    let epsilon = match comptime!(tiling.family) {
        Family::Softmax => C::new(0.0),
        Family::Sparsemax => C::new(1.0),
        Family::Entmax15 => C::new(0.5),
        Family::Alpha | Family::AnyAlpha => {
            C::cast_from(alpha.as_ref().unwrap()[coord.head]) - C::new(1.0)
        }
    };
    let lowest = C::new(comptime!(HIDDEN as f32));

    // The largest score, and whether one is NaN or +∞, as 1 or 0.
    list_tiles(&mut words, inputs, &coord, tiling);
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
                let key = (word * WORD + bit as usize) * tiling.tile_size;
                let cells = scores::<F, M, C>(inputs, &coord, key, &mut left, &mut right, tiling);
                #[unroll]
                for i in 0..comptime!(MICRO * MICRO) {
                    let a = comptime!(i / MICRO);
                    let z = cells[i];
                    let is_nan = is_no_score::<C>(z, tiling.double);
                    let larger = !is_nan && z > found[a * 2];
                    found[a * 2] = select(larger, z, found[a * 2]);
                    found[a * 2 + 1] = select(is_nan, C::new(1.0), found[a * 2 + 1]);
                    seen |= select(z <= lowest, 0u32, 1u32) << bit;
                }
            }
        }
        let seen = any(seen, &mut marks, tiling);
        if UNIT_POS == 0 {
            words[word] = seen;
        }
    }
    total::<C>(
        &mut found,
        0usize,
        2usize,
        &mut left,
        CubeReduction::Max,
        tiling,
    );
    total::<C>(
        &mut found,
        1usize,
        2usize,
        &mut left,
        CubeReduction::Max,
        tiling,
    );

    let mut rows = Array::<C>::new(comptime!(MICRO * OF_WEIGHTS));
    #[unroll]
    for a in 0..MICRO {
        rows[a * OF_WEIGHTS + LARGEST] = found[a * 2];
        rows[a * OF_WEIGHTS + SHIFT] = C::new(0.0);
        rows[a * OF_WEIGHTS + CORRECTION] = C::new(0.0);
        rows[a * OF_WEIGHTS + SCALE] = C::new(1.0);
        rows[a * OF_WEIGHTS + EPSILON] = epsilon;
    }
    if comptime!(tiling.family == Family::AnyAlpha) {
        // The same in every unit, as a head has one α.
        if is_large::<C>(epsilon, tiling.family) {
            find_smallest::<F, M, C>(
                inputs, &coord, &mut rows, epsilon, &mut words, &mut marks, &mut left, &mut right,
                tiling,
            );
        } else {
            find_roots::<F, M, C>(
                inputs, &coord, &mut rows, epsilon, &mut words, &mut marks, &mut left, &mut right,
                tiling,
            );
        }
    } else if comptime!(tiling.family != Family::Softmax) {
        find_roots::<F, M, C>(
            inputs, &coord, &mut rows, epsilon, &mut words, &mut marks, &mut left, &mut right,
            tiling,
        );
    }

    // The context, as many columns at a time as there are sums for.
    let width = inputs.value.shape(3);
    let mut sums = Array::<C>::new(comptime!(MICRO));
    #[unroll]
    for a in 0..MICRO {
        sums[a] = C::new(0.0);
    }
    for part in 0..max(width.div_ceil(comptime!(tiling.width())), 1) {
        let column = part * comptime!(tiling.width());
        let mut acc = Array::<C>::new(comptime!(tiling.strips * MICRO));
        #[unroll]
        for i in 0..comptime!(tiling.strips * MICRO) {
            acc[i] = C::new(0.0);
        }
        for word in 0..n_words {
            let listed = words[word];
            let mut active = 0u32;
            for bit in 0..comptime!(WORD as u32) {
                if (listed >> bit) & 1u32 == 1u32 {
                    let key = (word * WORD + bit as usize) * tiling.tile_size;
                    let mut cells =
                        scores::<F, M, C>(inputs, &coord, key, &mut left, &mut right, tiling);
                    weigh::<C>(&mut cells, &rows, tiling);
                    #[unroll]
                    for i in 0..comptime!(MICRO * MICRO) {
                        let p = cells[i];
                        if part == 0 {
                            sums[comptime!(i / MICRO)] += p;
                        }
                        // NaN counts as well.
                        active |= select(p == C::new(0.0), 0u32, 1u32) << bit;
                    }
                    drop_some::<F, M, C>(&mut cells, inputs, &coord, key, tiling);
                    put::<C>(&mut weights, &cells, tiling);
                    add_product::<F, C>(
                        &mut acc,
                        &weights,
                        &inputs.value,
                        &head_view::<F>(&inputs.value, coord.batch, coord.kv_head),
                        key,
                        column,
                        &mut right,
                        false,
                        tiling,
                    );
                }
            }
            let active = any(active, &mut marks, tiling);
            if UNIT_POS == 0 && part == 0 {
                words[word] = active;
                bits[(head * n_tiles + cube % n_tiles) * n_words + word] = active;
            }
        }
        sync_cube();
        if part == 0 {
            total::<C>(
                &mut sums,
                0usize,
                1usize,
                &mut left,
                CubeReduction::Sum,
                tiling,
            );
        }
        #[unroll]
        for a in 0..MICRO {
            let r = unit_row(tiling) + comptime!(a * tiling.side());
            // Only a row with everything hidden has no weight.
            let scale = C::new(1.0) / select(sums[a] == C::new(0.0), C::new(1.0), sums[a]);
            let is_row = found[a * 2 + 1] == C::new(0.0) && epsilon > C::new(-1.0);
            let scale = select(is_row, scale, C::cast_from(nan));
            if coord.query + r < seq_q {
                #[unroll]
                for s in 0..comptime!(tiling.strips) {
                    let c = column + comptime!(s * tiling.side()) + unit_column(tiling);
                    if c < width {
                        let x = acc[comptime!(s * MICRO + a)] * scale;
                        let x = select(is_row, x, C::cast_from(nan));
                        context[(coord.row + r) * width + c] = F::cast_from(x);
                    }
                }
                if part == 0 && unit_column(tiling) == 0 {
                    rows[a * OF_WEIGHTS + SCALE] = scale;
                    #[unroll]
                    for i in 0..OF_WEIGHTS {
                        saved[(coord.row + r) * SAVED + i] = rows[a * OF_WEIGHTS + i];
                    }
                    rows[a * OF_WEIGHTS + SCALE] = C::new(1.0);
                }
            }
        }
    }
}

/// Finds the rows' shifts; leaves the bits of the tiles in which a score may have weight.
#[cube]
fn find_roots<F: Float, M: Int, C: Float>(
    inputs: &Inputs<F, M>,
    coord: &TileCoord,
    rows: &mut Array<C>,
    epsilon: C,
    words: &mut Shared<[u32]>,
    marks: &mut Shared<[u32]>,
    left: &mut Shared<[C]>,
    right: &mut Shared<[C]>,
    #[comptime] tiling: Tiling,
) {
    let seq_kv = inputs.key.shape(2);
    let n_words = seq_kv.div_ceil(comptime!(tiling.tile_size * WORD));
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
            tiling.family,
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
                    let key = (word * WORD + bit as usize) * tiling.tile_size;
                    let cells = scores::<F, M, C>(inputs, coord, key, left, right, tiling);
                    #[unroll(tiling.unrolls())]
                    for i in 0..comptime!(MICRO * MICRO) {
                        let a = i / MICRO;
                        let shift = state[a * STATE + root::SHIFT];
                        let d = cells[i] - rows[a * OF_WEIGHTS + LARGEST] - shift;
                        let (p, q) = weight::<C>(d, epsilon, tiling.family, tiling.double);
                        let hidden = cells[i] <= lowest;
                        sums[a * 2] += select(hidden, C::new(0.0), p);
                        sums[a * 2 + 1] += select(hidden, C::new(0.0), q);
                        inside |= select(hidden || p == C::new(0.0), 0u32, 1u32) << bit;
                    }
                }
            }
            // The first shift is the lowest: what has no weight there has none.
            if passes == 0 {
                let inside = any(inside, marks, tiling);
                if UNIT_POS == 0 {
                    words[word] = inside;
                }
            }
        }
        total::<C>(&mut sums, 0usize, 2usize, left, CubeReduction::Sum, tiling);
        total::<C>(&mut sums, 1usize, 2usize, left, CubeReduction::Sum, tiling);
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
                tiling.double,
            );
            let done = state[comptime!(a * STATE + DONE)] != C::new(0.0);
            goes_on |= select(done, 0u32, 1u32);
        }
        let some = any(goes_on, marks, tiling);
        active = some != 0u32 && passes < MAX_PASSES;
    }
    #[unroll]
    for a in 0..MICRO {
        let is_empty = rows[a * OF_WEIGHTS + LARGEST] <= lowest;
        let shift = state[comptime!(a * STATE + root::SHIFT)];
        let correction = state[comptime!(a * STATE + root::CORRECTION)];
        rows[a * OF_WEIGHTS + SHIFT] = select(is_empty, C::new(0.0), shift);
        rows[a * OF_WEIGHTS + CORRECTION] = select(is_empty, C::new(0.0), correction);
    }
}

/// Finds the rows' smallest scores with weight, and those weights, where α > 2; leaves the bits of the tiles in which a
/// score may have weight.
#[cube]
fn find_smallest<F: Float, M: Int, C: Float>(
    inputs: &Inputs<F, M>,
    coord: &TileCoord,
    rows: &mut Array<C>,
    epsilon: C,
    words: &mut Shared<[u32]>,
    marks: &mut Shared<[u32]>,
    left: &mut Shared<[C]>,
    right: &mut Shared<[C]>,
    #[comptime] tiling: Tiling,
) {
    let seq_kv = inputs.key.shape(2);
    let n_words = seq_kv.div_ceil(comptime!(tiling.tile_size * WORD));
    let lowest = C::new(comptime!(HIDDEN as f32));
    let mut state = Array::<C>::new(comptime!(MICRO * SEARCH));
    #[unroll]
    for a in 0..MICRO {
        let largest = rows[a * OF_WEIGHTS + LARGEST];
        let at = comptime!(a * SEARCH);
        begin_search::<C>(&mut state, at, largest, epsilon, largest <= lowest);
    }
    let mut active = true;
    let mut passes = 0u32;
    while active {
        let mut sums = Array::<C>::new(comptime!(MICRO * 2));
        let mut ends = Array::<C>::new(comptime!(MICRO * 2));
        #[unroll]
        for i in 0..comptime!(MICRO * 2) {
            sums[i] = C::new(0.0);
        }
        #[unroll]
        for a in 0..MICRO {
            ends[a * 2] = lowest;
            ends[a * 2 + 1] = nothing_above::<C>(tiling.double);
        }
        for word in 0..n_words {
            let listed = words[word];
            let mut inside = 0u32;
            for bit in 0..comptime!(WORD as u32) {
                if (listed >> bit) & 1u32 == 1u32 {
                    let key = (word * WORD + bit as usize) * tiling.tile_size;
                    let cells = scores::<F, M, C>(inputs, coord, key, left, right, tiling);
                    #[unroll(tiling.unrolls())]
                    for i in 0..comptime!(MICRO * MICRO) {
                        let a = i / MICRO;
                        let p = visit::<C>(
                            &mut sums,
                            &mut ends,
                            a,
                            cells[i],
                            state[a * SEARCH + THRESHOLD],
                            state[a * SEARCH + SMALLEST],
                            state[a * SEARCH + BASE],
                            epsilon,
                        );
                        inside |= select(p == C::new(0.0), 0u32, 1u32) << bit;
                    }
                }
            }
            // The first threshold is below every score that may have weight.
            if passes == 0 {
                let inside = any(inside, marks, tiling);
                if UNIT_POS == 0 {
                    words[word] = inside;
                }
            }
        }
        total::<C>(&mut sums, 0usize, 2usize, left, CubeReduction::Sum, tiling);
        total::<C>(&mut sums, 1usize, 2usize, left, CubeReduction::Sum, tiling);
        total::<C>(&mut ends, 0usize, 2usize, left, CubeReduction::Max, tiling);
        total::<C>(&mut ends, 1usize, 2usize, left, CubeReduction::Max, tiling);
        passes += 1;
        let mut goes_on = 0u32;
        #[unroll]
        for a in 0..MICRO {
            let at = comptime!(a * SEARCH);
            advance_search::<C>(
                &mut state,
                at,
                sums[a * 2],
                sums[a * 2 + 1],
                ends[a * 2],
                -ends[a * 2 + 1],
                epsilon,
                tiling.double,
            );
            goes_on |= select(is_found::<C>(&state, at), 0u32, 1u32);
        }
        let some = any(goes_on, marks, tiling);
        active = some != 0u32 && passes < MAX_PASSES;
    }
    #[unroll]
    for a in 0..MICRO {
        let is_empty = rows[a * OF_WEIGHTS + LARGEST] <= lowest;
        let threshold = state[comptime!(a * SEARCH + THRESHOLD)];
        let smallest = state[comptime!(a * SEARCH + SMALLEST)];
        rows[a * OF_WEIGHTS + SHIFT] = select(is_empty, C::new(0.0), threshold);
        rows[a * OF_WEIGHTS + CORRECTION] = select(is_empty, C::new(0.0), smallest);
    }
}
