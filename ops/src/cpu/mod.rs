//! Kernels for tensors in the host's memory: rows in parallel, lanes within a row.
//!
//! Sums run over a fixed number of lanes and never depend on the number of threads, so that the same
//! input gives the same bits.

mod attention;
mod backward;
mod beside;
mod compact;
mod float;
mod forward;
mod gelu;
mod host;
mod isa;
mod loss;
mod pack;
mod power;
mod rows;
mod search;
mod transpose;

pub(crate) use attention::{attention_backward, attention_forward};
pub(crate) use host::*;
pub(crate) use rows::View;
#[cfg(feature = "ndarray")]
pub(crate) use rows::row_major;

#[cfg(all(test, feature = "testing"))]
mod tests;
