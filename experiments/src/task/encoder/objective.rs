//! Fine-tuning: the loss of a head on examples in an order drawn for each epoch.

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use sparta_datasets::Split;
use sparta_datasets::batch::ExampleOrder;
use sparta_model::LayerMask;
use sparta_model::layer::PlacedMechanism;

use super::head::{Head, Model};
use crate::protocol::BothMasks;
use crate::train::{Epochs, Objective, Validation};

/// Fine-tuning on a data set.
pub struct HeadLoss<'a, H: Head> {
    head: &'a H,
    batch_size: usize,
    seed: u64,
    epochs: Epochs<ExampleOrder>,
    masks: BothMasks<Option<Vec<LayerMask>>>,
    device: Device,
}

impl<'a, H: Head> HeadLoss<'a, H> {
    /// The objective under masks, on `device` (with autodiff).
    ///
    /// # Errors
    /// No training example.
    pub(super) fn new(
        head: &'a H,
        (batch_size, seed): (usize, u64),
        masks: BothMasks<Option<Vec<LayerMask>>>,
        device: &Device,
    ) -> Result<Self> {
        let order = ExampleOrder::shuffled(head.n_train(), batch_size, seed, 0)?;
        ensure!(
            order.n_batches() > 0,
            "{} has no training example",
            head.corpus()
        );
        Ok(Self {
            head,
            batch_size,
            seed,
            epochs: Epochs::new(order),
            masks,
            device: device.clone(),
        })
    }

    /// The head, and the training examples that a step reads.
    ///
    /// # Errors
    /// An order that cannot be drawn.
    pub(in crate::task) fn examples(&mut self, step: u64) -> Result<(&'a H, Vec<u32>)> {
        let (n, batch_size, seed) = (self.head.n_train(), self.batch_size, self.seed);
        let order = |epoch| Ok(ExampleOrder::shuffled(n, batch_size, seed, epoch)?);
        Ok((self.head, self.epochs.examples(step, order)?))
    }
}

impl<H: Head> Objective<H::Network> for HeadLoss<'_, H> {
    fn loss(&mut self, network: &H::Network, step: u64, _part: usize) -> Result<Tensor<1>> {
        let (head, indices) = self.examples(step)?;
        let model = Model {
            network,
            masks: self.masks.training.clone(),
            device: &self.device,
        };
        head.loss(&model, &indices)
    }

    fn tokens_per_step(&self) -> f64 {
        // Of an epoch, whose last batch may be a smaller one.
        self.head.n_train() as f64 * self.head.mean_len(Split::Train)
            / self.epochs.n_batches() as f64
    }

    fn mechanisms<'m>(&self, network: &'m H::Network) -> Vec<PlacedMechanism<'m>> {
        self.head.bert(network).mechanisms()
    }

    fn validate(&mut self, network: &H::Network) -> Result<Validation> {
        let device = self.device.clone().without_autodiff();
        let model = Model {
            network: &network.valid(),
            masks: self.masks.plain.clone(),
            device: &device,
        };
        let loss = self.head.valid_loss(&model)?;
        ensure!(loss.is_finite(), "the validation loss is not finite");
        Ok(Validation::of(loss))
    }

    fn describe(&self, validation: &Validation) -> String {
        format!("validation loss {:.4}", validation.nll)
    }
}
