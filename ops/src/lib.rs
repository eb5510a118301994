//! The mathematics of sparse attention on every Burn backend.
//!
//! - [`mod@entmax`]: the row mappings softmax, sparsemax, 1.5-entmax, α-entmax, normmax, budget, fusedmax
//!   and oscarmax, with gradients in the scores and in α (Peters et al. 2019; Correia et al. 2019; Niculae &
//!   Blondel 2017).
//! - [`attention`]: [`attention::sparse_attention`], scaled dot-product attention with any of these
//!   normalisers and any combination of masks.
//! - [`pruning`]: the mean attention of a training set, its percentiles and the global masks cut
//!   from it (Rugina et al. 2020).
//! - [`loss`]: cross-entropy and the Fenchel–Young losses of the mappings.
//! - [`activation`]: the exact gelu.
//! - [`mod@linear`], [`layer_norm`] and [`optimizer`]: what surrounds attention in a network and its training, fused on CPUs.
//! - [`profile`]: what each of them takes.
//! - [`module`]: mappings, losses and α-entmax with a learned α as Burn modules.
//!
//! Every operation takes Burn's run-time `Tensor<D>` and is differentiable on a device with
//! `.autodiff()`. A score ≤ −1e30 ([`HIDDEN`]; −∞ included) is *hidden*: its weight is zero. A row with every
//! score hidden gives zeros, forward and backward.

pub mod activation;
pub mod attention;
mod backend;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "tch"))]
mod cpu;
#[cfg(feature = "cube")]
mod cube;
mod dropout;
pub mod entmax;
#[cfg(feature = "flex")]
mod flex;
pub mod fusion;
pub mod linear;
pub mod loss;
pub mod module;
#[cfg(feature = "ndarray")]
mod ndarray;
mod norm;
pub mod optimizer;
mod primitive;
pub mod profile;
pub mod pruning;
#[cfg(feature = "tch")]
mod tch;
#[cfg(feature = "testing")]
pub mod testing;

pub use activation::gelu;
pub use backend::SpartaBackend;
pub use dropout::dropout;
pub use entmax::{PerRow, entmax, entmax15, fusedmax, oscarmax, softmax, sparsemax};
pub use norm::layer_norm;
pub use primitive::HIDDEN;
