//! Fused attention on every CubeCL runtime.
//!
//! A cube computes the rows of one tile of queries, or of keys: tiles of scores are made anew, through
//! shared memory, wherever they are needed, and what a row leaves between kernels is [`scores::SAVED`]
//! numbers, and a bit for each tile that holds a weight. Tiles of keys that masks hide as a whole, and from
//! the first step of root finding on those without weight, are skipped. No sum depends on the order in
//! which cubes run.

mod backward;
mod forward;
mod fusion;
mod inputs;
mod masks;
mod matmul;
mod problem;
mod scores;
mod tiling;

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use cubecl::prelude::*;
use cubecl::server::CubeCountSelection;

use crate::attention::AttentionExtras;
pub(crate) use backward::attention_backward;
pub(crate) use forward::attention_forward;
pub(crate) use fusion::{backward_meta, forward_meta};
pub(crate) use problem::unserved;

type Extras = AttentionExtras<CubeBackend>;

fn cubes(client: &Client, n: usize) -> CubeCount {
    CubeCountSelection::new(client, n as u32).cube_count()
}
