//! The training loop: deterministic, resumable to the bit, watched.
//!
//! What is random in step `s` is a function of (seed, s) alone, and a checkpoint holds everything
//! that steps hand to each other, so that a run stopped at any checkpoint goes on as if it had
//! never stopped (on flex to the bit).

mod arguments;
mod checkpoint;
mod epochs;
mod files;
mod learned;
mod loss_scale;
mod objective;
mod optimizer;
mod outcome;
mod patience;
pub mod rng;
mod run;
mod schedule;
mod selection;
pub mod watch;

pub use arguments::{TrainingArguments, TrainingConfig};
pub use checkpoint::{
    Checkpoint, Identity, TrainedBy, kept, load_model, parameters, save_model, set_parameters,
    short, trained_so_far,
};
pub use epochs::{BatchOrder, Epochs};
pub use files::{CHECKPOINT, METRICS, TIMING, leftovers};
pub(crate) use files::{Timing, last_timing};
pub use learned::Heads;
pub use loss_scale::LossScale;
pub use objective::{Objective, Validation};
pub use optimizer::{AdamSettings, ClippedAdam, HeadRate, SavedMoments};
pub use outcome::{Diverged, Trained};
pub use patience::Waited;
pub use schedule::{Schedule, ScheduleName};
pub use selection::Selection;

use std::path::Path;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;

use run::Run;

/// Trains `model` on `objective`, in `folder`, to the end of the schedule.
///
/// `device` is the one the model lives on, with autodiff.
///
/// # Errors
/// [`watch::Interrupted`] after Ctrl-C, [`Diverged`] at a loss that is not finite, or what the disk and
/// the objective say; the last good checkpoint stays in the folder.
pub fn train<M: Module, L: Objective<M>>(
    model: M,
    objective: &mut L,
    arguments: &TrainingArguments,
    folder: &Path,
    device: &Device,
) -> Result<Trained<M>> {
    let run = || Run::open(model, objective, arguments, folder, device)?.finish();
    arguments.precision.within(run)
}

#[cfg(all(test, feature = "flex"))]
mod tests;
