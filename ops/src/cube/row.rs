//! A row of a matrix as the units that share it read it.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::group::{LaunchConfig, UnitCoord};

/// Elements of the row that each unit visits, the last one perhaps past the row's end.
#[cube]
pub(crate) fn visits(n: usize, #[comptime] config: LaunchConfig) -> usize {
    n.div_ceil(config.units)
}

/// The element that this unit visits i-th; `missing` past the row's end.
#[cube]
pub(crate) fn read<F: Float, C: Float>(
    matrix: &Tensor<F>,
    coord: &UnitCoord,
    i: usize,
    missing: C,
    #[comptime] config: LaunchConfig,
) -> C {
    let n = matrix.shape(1);
    let column = i * config.units + coord.unit;
    let mut value = missing;
    if column < n {
        value = C::cast_from(matrix[coord.row * n + column]);
    }
    value
}

/// This unit's elements in registers, if the configuration keeps them there.
#[cube]
pub(crate) fn load<F: Float, C: Float>(
    matrix: &Tensor<F>,
    coord: &UnitCoord,
    missing: C,
    #[comptime] config: LaunchConfig,
) -> Array<C> {
    let size = comptime!(if config.items > 0 {
        config.items
    } else {
        1usize
    });
    let mut kept = Array::<C>::new(size);
    #[unroll]
    for i in 0..config.items {
        kept[i] = read::<F, C>(matrix, coord, i, missing, config);
    }
    kept
}

/// Writes the element that this unit visits i-th.
#[cube]
pub(crate) fn write<F: Float, C: Float>(
    matrix: &mut Tensor<F>,
    coord: &UnitCoord,
    i: usize,
    value: C,
    #[comptime] config: LaunchConfig,
) {
    let n = matrix.shape(1);
    let column = i * config.units + coord.unit;
    if coord.exists && column < n {
        matrix[coord.row * n + column] = F::cast_from(value);
    }
}
