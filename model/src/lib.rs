//! Networks whose attention may be sparse, as Burn modules.
//!
//! - [`layer`]: multi-head attention with any mechanism and any mask, Transformer-XL's relative
//!   attention, feed-forward, positions, adaptive embedding and softmax.
//! - [`layer::mechanism`]: how queries read values, and what each way can do.
//! - [`transformer_xl`]: the Transformer-XL language model (Dai et al. 2019).
//! - [`seq2seq`]: the encoder–decoder (Vaswani et al. 2017).
//! - [`decode`]: greedy and beam search with it.
//! - [`bert`]: BERT (Devlin et al. 2019) with heads for labels, scores, spans and masked word pieces.
//! - [`import`]: published weights into these networks.
//! - [`export`]: these networks into files that PyTorch reads.
//! - [`Precision`]: any of them in bf16 or f16, with parameters in f32.
//!
//! Every module follows Burn: `Config` → `init(&device)` → `forward`. A device made with
//! `.autodiff()` is the training mode (dropout on); `model.valid()` is the evaluation mode.

#![forbid(unsafe_code)]

pub mod bert;
mod check;
pub mod decode;
pub mod error;
pub mod export;
pub mod import;
mod key_map;
pub mod layer;
mod masks;
mod paths;
mod precision;
pub mod seq2seq;
pub mod transformer_xl;

pub use error::ModelError;
pub use masks::{LayerMask, masks_of};
pub use paths::current_path;
pub use precision::Precision;
