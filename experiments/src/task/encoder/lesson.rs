//! Fine-tuning as a lesson: examples in an order drawn for each epoch.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use sparta_datasets::batch::ExampleOrder;
use sparta_model::LayerMask;
use sparta_ops::pruning::GlobalMask;

use super::network::layer_masks;
use super::subject::{Fit, Subject};
use crate::train::{Lesson, Validation};

/// Fine-tuning for a task.
pub(super) struct ExampleLesson<'a, S: Subject> {
    subject: &'a S,
    batch_size: usize,
    seed: u64,
    epoch: (u64, ExampleOrder),
    masks: Option<Vec<LayerMask>>,
    plain_masks: Option<Vec<LayerMask>>,
    device: Device,
}

impl<'a, S: Subject> ExampleLesson<'a, S> {
    /// The lesson of a task under a mask, on `device` (with autodiff).
    ///
    /// # Errors
    /// A mask without one of its layers.
    pub(super) fn new(
        subject: &'a S,
        (batch_size, max_len): (usize, usize),
        seed: u64,
        mask: Option<&GlobalMask>,
        device: &Device,
    ) -> Result<Self> {
        let order = ExampleOrder::shuffled(subject.n_train(), batch_size, seed, 0)?;
        ensure!(
            order.n_batches() > 0,
            "{} has no training example",
            subject.corpus()
        );
        let plain = device.clone().without_autodiff();
        Ok(Self {
            subject,
            batch_size,
            seed,
            epoch: (0, order),
            masks: layer_masks(mask, max_len, device)?,
            plain_masks: layer_masks(mask, max_len, &plain)?,
            device: device.clone(),
        })
    }

    /// The examples of a step.
    fn indices(&mut self, step: u64) -> Result<Vec<u32>> {
        let n_batches = self.epoch.1.n_batches() as u64;
        let epoch = step / n_batches;
        if self.epoch.0 != epoch {
            let n = self.subject.n_train();
            let order = ExampleOrder::shuffled(n, self.batch_size, self.seed, epoch)?;
            self.epoch = (epoch, order);
        }
        let batch = self.epoch.1.get((step % n_batches) as usize);
        Ok(batch
            .context("an epoch has fewer batches than the first")?
            .to_vec())
    }
}

impl<S: Subject> Lesson<S::Model> for ExampleLesson<'_, S> {
    fn loss(&mut self, model: &S::Model, step: u64, _part: usize) -> Result<Tensor<1>> {
        let indices = self.indices(step)?;
        let fit = Fit {
            model,
            masks: self.masks.clone(),
            mask_path: None,
            device: &self.device,
        };
        self.subject.loss(&fit, &indices)
    }

    fn tokens_per_step(&self) -> f64 {
        self.batch_size.min(self.subject.n_train()) as f64 * self.subject.mean_len()
    }

    fn validate(&mut self, model: &S::Model) -> Result<Validation> {
        let device = self.device.clone().without_autodiff();
        let fit = Fit {
            model: &model.valid(),
            masks: self.plain_masks.clone(),
            mask_path: None,
            device: &device,
        };
        let loss = self.subject.valid_loss(&fit)?;
        ensure!(loss.is_finite(), "the validation loss is not finite");
        Ok(Validation::of(loss))
    }

    fn describe(&self, validation: &Validation) -> String {
        format!("validation loss {:.4}", validation.nll)
    }

    fn carried(&self) -> BTreeMap<String, TensorData> {
        // Batches are a function of (seed, step): nothing goes from step to step.
        BTreeMap::new()
    }

    fn restore(&mut self, carried: BTreeMap<String, TensorData>) -> Result<()> {
        ensure!(
            carried.is_empty(),
            "the checkpoint carries {:?}, which fine-tuning does not",
            carried.keys()
        );
        Ok(())
    }
}
