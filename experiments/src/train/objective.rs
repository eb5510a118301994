//! What is minimised, and what the validation set says of it.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use sparta_model::layer::PlacedMechanism;

/// What is minimised: batches in, a loss out, with a state from one to the next where there is one.
pub trait Objective<M: Module> {
    /// Parts of step `step` whose gradients are added up (gradient accumulation).
    fn n_parts(&self, _step: u64) -> usize {
        1
    }

    /// The loss `[1]` of a part of step `step`; the parts' losses add up to the mean loss of the
    /// step, in nats a token.
    ///
    /// # Errors
    /// If the batch cannot be had.
    fn loss(&mut self, model: &M, step: u64, part: usize) -> Result<Tensor<1>>;

    /// A step near the beginning that is like most, for a dry run: where steps hand on a memory, one whose memory is full.
    fn typical_step(&self) -> u64 {
        1
    }

    /// Target tokens of one step, on average.
    fn tokens_per_step(&self) -> f64;

    /// Scores the validation set; it must not disturb the state.
    ///
    /// # Errors
    /// If the batches cannot be had.
    fn validate(&mut self, model: &M) -> Result<Validation>;

    /// The attention mechanism of each layer; none where there is no attention. What they learn is logged, and their
    /// penalties are added to the loss.
    fn mechanisms<'m>(&self, _model: &'m M) -> Vec<PlacedMechanism<'m>> {
        Vec::new()
    }

    /// What a validation says, in a few words.
    fn describe(&self, validation: &Validation) -> String {
        format!("validation perplexity {:.2}", validation.nll.exp())
    }

    /// What the next step needs from the steps before it, by name; nothing where batches are a function of (seed, step).
    fn state(&self) -> BTreeMap<String, TensorData> {
        BTreeMap::new()
    }

    /// Takes back what [`Objective::state`] gave.
    ///
    /// # Errors
    /// If it does not fit.
    fn restore(&mut self, state: BTreeMap<String, TensorData>) -> Result<()> {
        ensure!(
            state.is_empty(),
            "the checkpoint holds {:?}, which nothing here hands from step to step",
            state.keys()
        );
        Ok(())
    }
}

/// What the validation set says of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// Mean loss, in nats a token.
    pub nll: f64,
    /// BLEU of its translations, if it was asked for.
    pub bleu: Option<f64>,
}

impl Validation {
    /// A loss alone.
    #[must_use]
    pub fn of(nll: f64) -> Self {
        Self { nll, bleu: None }
    }
}
