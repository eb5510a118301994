//! The mappings and losses as Burn modules: made from a configuration, saved with a network.

mod alpha_entmax;
mod entmax;
mod entmax_loss;

pub use alpha_entmax::{AlphaEntmax, AlphaEntmaxConfig};
pub use entmax::{Entmax, EntmaxConfig, RowMapping};
pub use entmax_loss::{EntmaxLoss, EntmaxLossConfig, LossMapping, Reduction};
