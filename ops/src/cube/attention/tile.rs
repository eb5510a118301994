//! Products of tiles through shared memory, and sums over a tile's rows.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::plan::{MICRO, Plan};
use crate::cube::group::Reduction;

/// The vectors of one head in a tensor `[batch, n_heads, n, width]` of any strides.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Vectors {
    start: usize,
    row: usize,
    column: usize,
    n: usize,
    pub width: usize,
}

#[cube]
pub(super) fn vectors<F: Float>(tensor: &Tensor<F>, batch: usize, head: usize) -> Vectors {
    Vectors {
        start: batch * tensor.stride(0) + head * tensor.stride(1),
        row: tensor.stride(2),
        column: tensor.stride(3),
        n: tensor.shape(2),
        width: tensor.shape(3),
    }
}

/// This unit's row of a tile, the first of [`MICRO`], [`Plan::side`] apart.
#[cube]
pub(super) fn unit_row(#[comptime] plan: Plan) -> usize {
    UNIT_POS as usize / comptime!(plan.side())
}

/// This unit's column of a tile, the first of [`MICRO`].
#[cube]
pub(super) fn unit_column(#[comptime] plan: Plan) -> usize {
    UNIT_POS as usize % comptime!(plan.side())
}

/// Copies a chunk of the components of a tile's vectors to shared memory, zeros where there are none.
#[cube]
fn load<F: Float, C: Float>(
    to: &mut Shared<[C]>,
    tensor: &Tensor<F>,
    from: &Vectors,
    first: usize,
    column: usize,
    #[comptime] plan: Plan,
) {
    let unit = UNIT_POS as usize;
    let units = comptime!(plan.units());
    for step in 0..comptime!(plan.edge * plan.chunk / units) {
        let at = step * units + unit;
        let r = at / plan.chunk;
        let c = at % plan.chunk;
        let i = first + r;
        let j = column + c;
        let mut x = C::new(0.0);
        if i < from.n && j < from.width {
            x = C::cast_from(tensor[from.start + i * from.row + j * from.column]);
        }
        to[r * comptime!(plan.stride()) + c] = x;
    }
}

/// `cells[a, b] += left vector a · right vector b` of two tiles of vectors.
#[cube]
pub(super) fn add_dots<F: Float, C: Float>(
    cells: &mut Array<C>,
    left_tensor: &Tensor<F>,
    left_vectors: &Vectors,
    left_first: usize,
    right_tensor: &Tensor<F>,
    right_vectors: &Vectors,
    right_first: usize,
    left: &mut Shared<[C]>,
    right: &mut Shared<[C]>,
    #[comptime] plan: Plan,
) {
    let row = unit_row(plan) * comptime!(plan.stride());
    let column = unit_column(plan) * comptime!(plan.stride());
    let step = comptime!(plan.side() * plan.stride());
    let width = left_vectors.width;
    for part in 0..width.div_ceil(plan.chunk) {
        let first = part * plan.chunk;
        sync_cube();
        load::<F, C>(left, left_tensor, left_vectors, left_first, first, plan);
        load::<F, C>(right, right_tensor, right_vectors, right_first, first, plan);
        sync_cube();
        let n = min(width - first, comptime!(plan.chunk));
        for k in 0..n {
            let mut x = Array::<C>::new(MICRO);
            #[unroll]
            for a in 0..MICRO {
                x[a] = left[row + a * step + k];
            }
            #[unroll]
            for b in 0..MICRO {
                let y = right[column + b * step + k];
                #[unroll]
                for a in 0..MICRO {
                    cells[a * MICRO + b] += x[a] * y;
                }
            }
        }
    }
}

/// Leaves a tile's cells in shared memory, once no unit reads what was there: whoever reads waits first.
#[cube]
pub(super) fn put<C: Float>(weights: &mut Shared<[C]>, cells: &Array<C>, #[comptime] plan: Plan) {
    let stride = comptime!(plan.weights_stride());
    let side = comptime!(plan.side());
    let at = unit_row(plan) * stride + unit_column(plan);
    #[unroll]
    for a in 0..MICRO {
        #[unroll]
        for b in 0..MICRO {
            weights[at + comptime!(a * side * stride + b * side)] = cells[a * MICRO + b];
        }
    }
}

/// `sums += weights · vectors`, or the weights' transpose, of the columns from one on: `sums[strip, a]`.
#[cube]
pub(super) fn add_product<F: Float, C: Float>(
    sums: &mut Array<C>,
    weights: &Shared<[C]>,
    tensor: &Tensor<F>,
    from: &Vectors,
    first: usize,
    column: usize,
    right: &mut Shared<[C]>,
    #[comptime] transposed: bool,
    #[comptime] plan: Plan,
) {
    let stride = comptime!(plan.weights_stride());
    let side = comptime!(plan.side());
    let (along, across) = comptime!(if transposed { (stride, 1) } else { (1, stride) });
    let row = unit_row(plan) * across;
    let unit_column = unit_column(plan);
    let strips = comptime!(plan.chunk / plan.side());
    #[unroll]
    for part in 0..comptime!(plan.strips / strips) {
        sync_cube();
        load::<F, C>(right, tensor, from, first, column + part * plan.chunk, plan);
        sync_cube();
        for k in 0..comptime!(plan.edge) {
            let mut x = Array::<C>::new(MICRO);
            #[unroll]
            for a in 0..MICRO {
                x[a] = weights[row + comptime!(a * side * across) + k * along];
            }
            #[unroll]
            for s in 0..strips {
                let y = right[k * comptime!(plan.stride()) + comptime!(s * side) + unit_column];
                #[unroll]
                for a in 0..MICRO {
                    sums[comptime!((part * strips + s) * MICRO + a)] += x[a] * y;
                }
            }
        }
    }
}

/// Replaces this unit's parts, `values[first + a · step]`, by the totals of its rows, the same bits in
/// every unit of a row.
#[cube]
pub(super) fn total<C: Float>(
    values: &mut Array<C>,
    #[comptime] first: usize,
    #[comptime] step: usize,
    scratch: &mut Shared<[C]>,
    #[comptime] reduction: Reduction,
    #[comptime] plan: Plan,
) {
    let side = comptime!(plan.side());
    let stride = comptime!(side + 1);
    let row = unit_row(plan) * stride;
    sync_cube();
    #[unroll]
    for a in 0..MICRO {
        let at = row + comptime!(a * side * stride) + unit_column(plan);
        scratch[at] = values[comptime!(first + a * step)];
    }
    sync_cube();
    #[unroll]
    for a in 0..MICRO {
        let at = row + comptime!(a * side * stride);
        let mut sum = scratch[at];
        for j in 1..side {
            let other = scratch[at + j];
            sum = match reduction {
                Reduction::Sum => sum + other,
                Reduction::Max => select(other > sum, other, sum),
            };
        }
        values[comptime!(first + a * step)] = sum;
    }
}

/// The bits that any unit of the cube has set.
#[cube]
pub(super) fn any(mine: u32, marks: &mut Shared<[u32]>, #[comptime] plan: Plan) -> u32 {
    let unit = UNIT_POS as usize;
    sync_cube();
    marks[unit] = mine;
    sync_cube();
    let halvings = comptime!(plan.units().trailing_zeros());
    #[unroll]
    for halving in 0..halvings {
        let half = comptime!(plan.units() >> (halving + 1));
        if unit < half {
            let other = marks[unit + half];
            marks[unit] |= other;
        }
        sync_cube();
    }
    marks[0]
}
