//! Batches in an order that is drawn anew for each epoch.

use anyhow::{Context, Result};
use sparta_datasets::batch::{ExampleOrder, TokenBucket};

/// The batches of one epoch.
pub trait BatchOrder {
    /// How many there are, the same in each epoch.
    fn n_batches(&self) -> usize;

    /// Examples of a batch; `None` past the end.
    fn get(&self, index: usize) -> Option<&[u32]>;
}

impl BatchOrder for ExampleOrder {
    fn n_batches(&self) -> usize {
        self.n_batches()
    }

    fn get(&self, index: usize) -> Option<&[u32]> {
        self.get(index)
    }
}

impl BatchOrder for TokenBucket {
    fn n_batches(&self) -> usize {
        self.n_batches()
    }

    fn get(&self, index: usize) -> Option<&[u32]> {
        self.get(index)
    }
}

/// Batches counted over all epochs: which examples are in batch `i` is a function of (seed, i) alone.
pub struct Epochs<O> {
    n_batches: u64,
    at: (u64, O),
}

impl<O: BatchOrder> Epochs<O> {
    /// Starts with epoch 0.
    pub fn new(first: O) -> Self {
        Self {
            n_batches: first.n_batches().max(1) as u64,
            at: (0, first),
        }
    }

    /// Batches of an epoch.
    #[must_use]
    pub fn n_batches(&self) -> u64 {
        self.n_batches
    }

    /// The examples of batch `index`; `order` draws those of an epoch.
    ///
    /// # Errors
    /// What `order` says.
    pub fn examples(
        &mut self,
        index: u64,
        order: impl FnOnce(u64) -> Result<O>,
    ) -> Result<Vec<u32>> {
        let epoch = index / self.n_batches;
        if self.at.0 != epoch {
            self.at = (epoch, order(epoch)?);
        }
        let batch = self.at.1.get((index % self.n_batches) as usize);
        Ok(batch
            .context("an epoch has fewer batches than the first")?
            .to_vec())
    }
}
