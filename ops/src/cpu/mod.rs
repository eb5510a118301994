//! Kernels for tensors in the host's memory: rows in parallel, lanes within a row.
//!
//! Sums run over a fixed number of lanes and never depend on the number of threads, so that the same
//! input gives the same bits.

mod backward;
mod beside;
mod compact;
mod float;
mod forward;
mod host;
mod isa;
mod loss;
mod pack;
mod power;
mod rows;
mod search;
mod transpose;

pub(crate) use host::*;
pub(crate) use rows::Strided;

#[cfg(all(test, feature = "testing"))]
mod tests;
