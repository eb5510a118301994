//! How the units of a cube share rows, and their reductions.

// Expansions of `#[cube]` name the crate `cubecl`.
use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// The launch configuration: how the units of a cube share rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaunchConfig {
    /// Units that work on one row, a power of two.
    pub units: usize,
    /// Rows of a cube: more than one only where its reductions need no barrier.
    pub rows: usize,
    /// Units of a plane, a power of two; 1 where planes cannot exchange values.
    pub plane: usize,
    /// Elements of its row that a unit keeps in registers; 0: rows are read again in every pass.
    pub items: usize,
}

impl LaunchConfig {
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
pub(crate) enum CubeReduction {
    Sum,
    Max,
}

/// Most values reduced at once.
pub(crate) const WIDTH: usize = 4;

#[cube]
fn combine<C: Float>(a: C, b: C, #[comptime] reduction: CubeReduction) -> C {
    match reduction {
        CubeReduction::Sum => a + b,
        CubeReduction::Max => select(b > a, b, a),
    }
}

/// Replaces `values[..k]` by their totals over the units of the row, the same bits in each unit:
/// a butterfly within the planes, then the planes' totals in order.
#[cube]
pub(crate) fn reduce<C: Float>(
    values: &mut Array<C>,
    scratch: &mut Shared<[C]>,
    #[comptime] k: usize,
    #[comptime] reduction: CubeReduction,
    #[comptime] config: LaunchConfig,
) {
    let in_plane = comptime!(if config.units < config.plane {
        config.units
    } else {
        config.plane
    });
    #[unroll]
    for bit in 0..comptime!(in_plane.trailing_zeros()) {
        #[unroll]
        for i in 0..k {
            let other = plane_shuffle_xor(values[i], comptime!(1u32 << bit));
            values[i] = combine::<C>(values[i], other, reduction);
        }
    }
    if comptime!(config.is_shared()) {
        let planes = comptime!(config.units / config.plane);
        let unit = UNIT_POS as usize;
        if unit.is_multiple_of(config.plane) {
            #[unroll]
            for i in 0..k {
                scratch[i * planes + unit / config.plane] = values[i];
            }
        }
        sync_cube();
        // Halve the planes' totals until few are left for every unit to read.
        let few = comptime!(if planes < 16 { planes } else { 16 });
        let levels = comptime!((planes / few).trailing_zeros());
        #[unroll]
        for level in 0..levels {
            let half = comptime!(planes >> (level + 1));
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
    #[comptime] reduction: CubeReduction,
    #[comptime] config: LaunchConfig,
) -> C {
    let mut values = Array::<C>::new(1usize);
    values[0] = value;
    reduce::<C>(&mut values, scratch, 1usize, reduction, config);
    values[0]
}

/// Whether a row of this unit's plane, or of its cube, goes on. Several rows share no more than a
/// plane, and the units of one row always agree.
#[cube]
pub(crate) fn any_row(active: bool, #[comptime] config: LaunchConfig) -> bool {
    if comptime!(config.units < config.plane) {
        plane_any(active)
    } else {
        active
    }
}

/// The coordinate of a unit: its row, and its index among the row's units.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct UnitCoord {
    /// Index of the row; the last one where the cube has room for more rows than there are.
    pub row: usize,
    /// Whether the row exists.
    pub exists: bool,
    /// This unit among those of its row.
    pub unit: usize,
}

#[cube]
pub(crate) fn unit_coord(n_rows: usize, #[comptime] config: LaunchConfig) -> UnitCoord {
    let unit = UNIT_POS as usize;
    let row = CUBE_POS * config.rows + unit / config.units;
    UnitCoord {
        row: min(row, n_rows - 1),
        exists: row < n_rows,
        unit: unit % config.units,
    }
}
