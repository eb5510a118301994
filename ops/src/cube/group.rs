//! How the units of a cube share rows, and their reductions.

// Expansions of `#[cube]` name the crate `cubecl`.
use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// The shares of the units in the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Layout {
    /// Units that work on one row, a power of two.
    pub units: usize,
    /// Rows of a cube: more than one only where its reductions need no barrier.
    pub rows: usize,
    /// Units of a plane, a power of two; 1 where planes cannot exchange values.
    pub plane: usize,
    /// Elements of its row that a unit keeps in registers; 0: rows are read again in every pass.
    pub items: usize,
}

impl Layout {
    /// Numbers of shared memory that the reductions of [`WIDTH`] values need.
    pub fn scratch(&self) -> usize {
        (WIDTH * self.units / self.plane).max(1)
    }

    /// Whether a reduction goes through shared memory.
    pub fn is_shared(&self) -> bool {
        self.units > self.plane
    }
}

/// What a reduction does with two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reduction {
    Sum,
    Max,
}

/// Most values reduced at once.
pub(crate) const WIDTH: usize = 4;

#[cube]
fn combine<C: Float>(a: C, b: C, #[comptime] reduction: Reduction) -> C {
    match reduction {
        Reduction::Sum => a + b,
        Reduction::Max => select(b > a, b, a),
    }
}

/// Replaces `values[..k]` by their totals over the units of the row, the same bits in each unit:
/// a butterfly within the planes, then the planes' totals in order.
#[cube]
pub(crate) fn reduce<C: Float>(
    values: &mut Array<C>,
    scratch: &mut Shared<[C]>,
    #[comptime] k: usize,
    #[comptime] reduction: Reduction,
    #[comptime] layout: Layout,
) {
    let in_plane = comptime!(if layout.units < layout.plane {
        layout.units
    } else {
        layout.plane
    });
    #[unroll]
    for bit in 0..comptime!(in_plane.trailing_zeros()) {
        #[unroll]
        for i in 0..k {
            let other = plane_shuffle_xor(values[i], comptime!(1u32 << bit));
            values[i] = combine::<C>(values[i], other, reduction);
        }
    }
    if comptime!(layout.is_shared()) {
        let planes = comptime!(layout.units / layout.plane);
        let unit = UNIT_POS as usize;
        if unit.is_multiple_of(layout.plane) {
            #[unroll]
            for i in 0..k {
                scratch[i * planes + unit / layout.plane] = values[i];
            }
        }
        sync_cube();
        // Halve the planes' totals until few are left for every unit to read.
        let few = comptime!(if planes < 16 { planes } else { 16 });
        let halvings = comptime!((planes / few).trailing_zeros());
        #[unroll]
        for halving in 0..halvings {
            let half = comptime!(planes >> (halving + 1));
            if unit < half {
                #[unroll]
                for i in 0..k {
                    let at = i * planes + unit;
                    scratch[at] = combine::<C>(scratch[at], scratch[at + half], reduction);
                }
            }
            sync_cube();
        }
        #[unroll]
        for i in 0..k {
            let mut total = scratch[i * planes];
            #[unroll]
            for j in 1..few {
                total = combine::<C>(total, scratch[i * planes + j], reduction);
            }
            values[i] = total;
        }
        sync_cube();
    }
}

/// The total of one value.
#[cube]
pub(crate) fn reduce_one<C: Float>(
    value: C,
    scratch: &mut Shared<[C]>,
    #[comptime] reduction: Reduction,
    #[comptime] layout: Layout,
) -> C {
    let mut values = Array::<C>::new(1usize);
    values[0] = value;
    reduce::<C>(&mut values, scratch, 1usize, reduction, layout);
    values[0]
}

/// Whether a row of this unit's plane, or of its cube, goes on. Several rows share no more than a
/// plane, and the units of one row always agree.
#[cube]
pub(crate) fn any_row(active: bool, #[comptime] layout: Layout) -> bool {
    if comptime!(layout.units < layout.plane) {
        plane_any(active)
    } else {
        active
    }
}

/// The row of this unit, and its place among the row's units.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Place {
    /// Index of the row; the last one where the cube has more places than there are rows.
    pub row: usize,
    /// Whether this place's row exists.
    pub exists: bool,
    /// This unit among those of its row.
    pub unit: usize,
}

#[cube]
pub(crate) fn place(n_rows: usize, #[comptime] layout: Layout) -> Place {
    let unit = UNIT_POS as usize;
    let row = CUBE_POS * layout.rows + unit / layout.units;
    Place {
        row: min(row, n_rows - 1),
        exists: row < n_rows,
        unit: unit % layout.units,
    }
}
