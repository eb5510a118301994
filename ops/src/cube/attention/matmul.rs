//! Matrix products of tiles through shared memory, and sums over a tile's rows.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::tiling::{MICRO, Tiling};
use crate::cube::group::CubeReduction;

/// The vectors of one head in a tensor `[batch, n_heads, n, width]` of any strides.
#[derive(CubeType, Clone, Copy)]
pub(super) struct HeadView {
    start: usize,
    row: usize,
    column: usize,
    n: usize,
    pub width: usize,
}

#[cube]
pub(super) fn head_view<F: Float>(tensor: &Tensor<F>, batch: usize, head: usize) -> HeadView {
    HeadView {
        start: batch * tensor.stride(0) + head * tensor.stride(1),
        row: tensor.stride(2),
        column: tensor.stride(3),
        n: tensor.shape(2),
        width: tensor.shape(3),
    }
}

/// This unit's row of a tile, the first of [`MICRO`], [`Tiling::side`] apart.
#[cube]
pub(super) fn unit_row(#[comptime] tiling: Tiling) -> usize {
    UNIT_POS as usize / comptime!(tiling.side())
}

/// This unit's column of a tile, the first of [`MICRO`].
#[cube]
pub(super) fn unit_column(#[comptime] tiling: Tiling) -> usize {
    UNIT_POS as usize % comptime!(tiling.side())
}

/// Copies a chunk of the components of a tile's vectors to shared memory, zeros where there are none.
#[cube]
fn load<F: Float, C: Float>(
    to: &mut Shared<[C]>,
    tensor: &Tensor<F>,
    from: &HeadView,
    first: usize,
    column: usize,
    #[comptime] tiling: Tiling,
) {
    let unit = UNIT_POS as usize;
    let units = comptime!(tiling.units());
    for step in 0..comptime!(tiling.tile_size * tiling.chunk / units) {
        let at = step * units + unit;
        let r = at / tiling.chunk;
        let c = at % tiling.chunk;
        let i = first + r;
        let j = column + c;
        let mut x = C::new(0.0);
        if i < from.n && j < from.width {
            x = C::cast_from(tensor[from.start + i * from.row + j * from.column]);
        }
        to[r * comptime!(tiling.stride()) + c] = x;
    }
}

/// `cells[a, b] += left vector a · right vector b` of two tiles of vectors.
#[cube]
pub(super) fn add_dots<F: Float, C: Float>(
    cells: &mut Array<C>,
    left_tensor: &Tensor<F>,
    left_vectors: &HeadView,
    left_first: usize,
    right_tensor: &Tensor<F>,
    right_vectors: &HeadView,
    right_first: usize,
    left: &mut Shared<[C]>,
    right: &mut Shared<[C]>,
    #[comptime] tiling: Tiling,
) {
    let row = unit_row(tiling) * comptime!(tiling.stride());
    let column = unit_column(tiling) * comptime!(tiling.stride());
    let step = comptime!(tiling.side() * tiling.stride());
    let width = left_vectors.width;
    for part in 0..width.div_ceil(tiling.chunk) {
        let first = part * tiling.chunk;
        sync_cube();
        load::<F, C>(left, left_tensor, left_vectors, left_first, first, tiling);
        load::<F, C>(
            right,
            right_tensor,
            right_vectors,
            right_first,
            first,
            tiling,
        );
        sync_cube();
        let n = min(width - first, comptime!(tiling.chunk));
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
pub(super) fn put<C: Float>(
    weights: &mut Shared<[C]>,
    cells: &Array<C>,
    #[comptime] tiling: Tiling,
) {
    let stride = comptime!(tiling.weights_stride());
    let side = comptime!(tiling.side());
    let at = unit_row(tiling) * stride + unit_column(tiling);
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
    from: &HeadView,
    first: usize,
    column: usize,
    right: &mut Shared<[C]>,
    #[comptime] transposed: bool,
    #[comptime] tiling: Tiling,
) {
    let stride = comptime!(tiling.weights_stride());
    let side = comptime!(tiling.side());
    let (along, across) = comptime!(if transposed { (stride, 1) } else { (1, stride) });
    let row = unit_row(tiling) * across;
    let unit_column = unit_column(tiling);
    let strips = comptime!(tiling.chunk / tiling.side());
    #[unroll]
    for part in 0..comptime!(tiling.strips / strips) {
        sync_cube();
        load::<F, C>(
            right,
            tensor,
            from,
            first,
            column + part * tiling.chunk,
            tiling,
        );
        sync_cube();
        for k in 0..comptime!(tiling.tile_size) {
            let mut x = Array::<C>::new(MICRO);
            #[unroll]
            for a in 0..MICRO {
                x[a] = weights[row + comptime!(a * side * across) + k * along];
            }
            #[unroll]
            for s in 0..strips {
                let y = right[k * comptime!(tiling.stride()) + comptime!(s * side) + unit_column];
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
    #[comptime] reduction: CubeReduction,
    #[comptime] tiling: Tiling,
) {
    let side = comptime!(tiling.side());
    let stride = comptime!(side + 1);
    let row = unit_row(tiling) * stride;
    sync_cube();
    #[unroll]
    for a in 0..MICRO {
        let at = row + comptime!(a * side * stride) + unit_column(tiling);
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
                CubeReduction::Sum => sum + other,
                CubeReduction::Max => select(other > sum, other, sum),
            };
        }
        values[comptime!(first + a * step)] = sum;
    }
}

/// The bits that any unit of the cube has set.
#[cube]
pub(super) fn any(mine: u32, marks: &mut Shared<[u32]>, #[comptime] tiling: Tiling) -> u32 {
    let unit = UNIT_POS as usize;
    sync_cube();
    marks[unit] = mine;
    sync_cube();
    let levels = comptime!(tiling.units().trailing_zeros());
    #[unroll]
    for level in 0..levels {
        let half = comptime!(tiling.units() >> (level + 1));
        if unit < half {
            let other = marks[unit + half];
            marks[unit] |= other;
        }
        sync_cube();
    }
    marks[0]
}
