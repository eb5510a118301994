//! A row of a matrix as the units that share it read it.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::group::{Layout, Place};

/// Elements of the row that each unit visits, the last one perhaps past the row's end.
#[cube]
pub(crate) fn visits(n: usize, #[comptime] layout: Layout) -> usize {
    n.div_ceil(layout.units)
}

/// The element that this unit visits i-th; `missing` past the row's end.
#[cube]
pub(crate) fn read<F: Float, C: Float>(
    matrix: &Tensor<F>,
    place: &Place,
    i: usize,
    missing: C,
    #[comptime] layout: Layout,
) -> C {
    let n = matrix.shape(1);
    let column = i * layout.units + place.unit;
    let mut value = missing;
    if column < n {
        value = C::cast_from(matrix[place.row * n + column]);
    }
    value
}

/// This unit's elements in registers, if the layout keeps them there.
#[cube]
pub(crate) fn load<F: Float, C: Float>(
    matrix: &Tensor<F>,
    place: &Place,
    missing: C,
    #[comptime] layout: Layout,
) -> Array<C> {
    let size = comptime!(if layout.items > 0 {
        layout.items
    } else {
        1usize
    });
    let mut kept = Array::<C>::new(size);
    #[unroll]
    for i in 0..layout.items {
        kept[i] = read::<F, C>(matrix, place, i, missing, layout);
    }
    kept
}

/// Writes the element that this unit visits i-th.
#[cube]
pub(crate) fn write<F: Float, C: Float>(
    matrix: &mut Tensor<F>,
    place: &Place,
    i: usize,
    value: C,
    #[comptime] layout: Layout,
) {
    let n = matrix.shape(1);
    let column = i * layout.units + place.unit;
    if place.exists && column < n {
        matrix[place.row * n + column] = F::cast_from(value);
    }
}
