//! Kernels for tensors in the host's memory: rows in parallel, lanes within a row.
//!
//! Sums run over a fixed number of lanes and never depend on the number of threads, so that the same
//! input gives the same bits.

mod adam;
mod attention;
mod backend;
mod backward;
mod centre;
mod compress;
mod direct;
mod dropout;
mod float;
mod forward;
mod gelu;
mod interleaved;
mod isa;
mod kept;
mod large_alpha;
mod loss;
mod mapping;
mod norm;
mod operations;
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod products;
mod root;
mod rows;
mod simd;
mod tensor;
mod transpose;
mod view;
mod workspace;

pub(crate) use attention::{attention_backward, attention_forward};
pub(crate) use backend::run_on_host;
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) use backend::run_products_on_host;
pub(crate) use operations::*;
pub(crate) use tensor::{HostBackend, HostTensor, vector};
pub(crate) use view::View;
#[cfg(feature = "ndarray")]
pub(crate) use view::row_major;

#[cfg(all(test, feature = "testing"))]
mod tests;
