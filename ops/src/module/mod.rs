//! The mappings and losses as Burn modules, each made from a configuration.
//!
//! Of all of them a network saves the raw α of [`AlphaEntmax`] alone. Everything else is the configuration's, which the module is
//! made from again before a record is loaded: mapping and dimension, the shape of α and its lower bound, and the options of a loss,
//! class weights among them (which are a plain tensor: moved to another device with the module, in no record of it).

mod alpha_entmax;
mod entmax;
mod entmax_loss;

pub use alpha_entmax::{AlphaEntmax, AlphaEntmaxConfig};
pub use entmax::{Entmax, EntmaxConfig, RowMapping};
pub use entmax_loss::{EntmaxLoss, EntmaxLossConfig, LossMapping, Reduction};
