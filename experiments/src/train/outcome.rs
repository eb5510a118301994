//! How training ends.

use sparta_ops::attention::Calls;

use super::checkpoint::{Identity, TrainedBy};

/// A finished training run.
#[derive(Debug)]
pub struct Trained<M> {
    /// The module that is kept.
    pub model: M,
    /// Steps made, those before a resume included; fewer than the schedule has where training ended early.
    pub steps: u64,
    /// Mean target tokens a second while training.
    pub tokens_per_second: f64,
    /// Validation loss of the module that is kept, in nats a token.
    pub valid_nll: f64,
    /// Calls of attention, those before a resume included; none after a checkpoint of a version that did not count.
    pub attention: Option<Calls>,
    /// What trained it, one after the other.
    pub by: Vec<TrainedBy>,
}

/// A loss or gradient that is not finite; nothing is saved after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Diverged {
    /// What was trained.
    pub identity: Identity,
    /// The step, counted from 1.
    pub step: u64,
    /// Its learning rate.
    pub lr: f64,
    /// Its loss.
    pub loss: f64,
    /// Its gradient norm.
    pub norm: f64,
    /// Step of the checkpoint that is kept.
    pub kept: Option<u64>,
}

impl std::fmt::Display for Diverged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "training of `{}` of seed {} diverged at step {} (loss {}, gradient norm {}, lr {:.2e}); ",
            self.identity.run, self.identity.seed, self.step, self.loss, self.norm, self.lr
        )?;
        match self.kept {
            Some(step) => write!(f, "the checkpoint of step {step} is kept"),
            None => write!(f, "there was no checkpoint yet"),
        }
    }
}

impl std::error::Error for Diverged {}
