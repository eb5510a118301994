//! Networks whose attention may be sparse, as Burn modules.
//!
//! - [`layer`]: multi-head attention with any row normaliser and any mask, Transformer-XL's
//!   relative attention, feed-forward, positions, adaptive embedding and softmax.
//! - [`transformer_xl`]: the Transformer-XL language model (Dai et al. 2019).
//!
//! Every module follows Burn: `Config` → `init(&device)` → `forward`. A device made with
//! `.autodiff()` is the training mode (dropout on); `model.valid()` is the evaluation mode.

pub mod error;
pub mod layer;
pub mod transformer_xl;

pub use error::ModelError;
