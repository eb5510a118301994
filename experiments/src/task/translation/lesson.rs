//! Translation as a lesson: batches of pairs of like length, in an order drawn for each epoch.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use sparta_datasets::Split;
use sparta_datasets::batch::{BucketOptions, PairBatch, PairLength, TokenBucket};
use sparta_datasets::pairs::PairStore;
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqMasks};
use sparta_ops::pruning::GlobalMask;

use super::batch::{input, side, targets};
use super::data::PairData;
use super::network::layer_masks;
use super::{pass, search};
use crate::recipe::TranslationRecipe;
use crate::recipe::translation::KeepName;
use crate::train::{Lesson, Validation};

/// Training an encoder–decoder on pairs of sentences.
pub struct TranslationLesson<'a> {
    recipe: &'a TranslationRecipe,
    data: &'a PairData,
    train: &'a PairStore,
    lengths: Vec<PairLength>,
    seed: u64,
    n_batches: u64,
    epoch: (u64, TokenBucket),
    masks: Seq2SeqMasks,
    plain_masks: Seq2SeqMasks,
    device: Device,
}

impl<'a> TranslationLesson<'a> {
    /// The lesson of a recipe under a mask, on `device` (with autodiff).
    ///
    /// # Errors
    /// A sentence that no batch can hold, or a mask without one of its layers.
    pub fn new(
        recipe: &'a TranslationRecipe,
        data: &'a PairData,
        seed: u64,
        mask: Option<&GlobalMask>,
        device: &Device,
    ) -> Result<Self> {
        let train = data.store(Split::Train);
        let lengths = train.lengths();
        let options = BucketOptions::tokens(recipe.train.max_tokens);
        let first = TokenBucket::new(&lengths, &options, seed, 0)
            .context("`train.max_tokens` of the recipe")?;
        let plain = device.clone().without_autodiff();
        let longest = data.longest(recipe);
        Ok(Self {
            recipe,
            data,
            train,
            seed,
            n_batches: first.n_batches().max(1) as u64,
            epoch: (0, first),
            masks: layer_masks(mask, longest, recipe.prune.rows, device)?,
            plain_masks: layer_masks(mask, longest, recipe.prune.rows, &plain)?,
            device: device.clone(),
            lengths,
        })
    }

    /// The pairs of batch `index`, counted over all epochs.
    fn indices(&mut self, index: u64) -> Result<Vec<u32>> {
        let epoch = index / self.n_batches;
        if self.epoch.0 != epoch {
            let options = BucketOptions::tokens(self.recipe.train.max_tokens);
            let bucket = TokenBucket::new(&self.lengths, &options, self.seed, epoch)?;
            self.epoch = (epoch, bucket);
        }
        let batch = self.epoch.1.get((index % self.n_batches) as usize);
        Ok(batch
            .context("an epoch has fewer batches than the first")?
            .to_vec())
    }

    /// Target tokens of all parts of a step.
    fn n_targets(&mut self, step: u64) -> Result<usize> {
        let n_parts = self.recipe.train.grad_accum as u64;
        let mut n = 0;
        for part in 0..n_parts {
            let indices = self.indices(step * n_parts + part)?;
            n += indices
                .iter()
                .map(|&i| self.lengths[i as usize].1)
                .sum::<usize>();
        }
        Ok(n)
    }
}

impl Lesson<Seq2Seq> for TranslationLesson<'_> {
    fn n_parts(&self, _step: u64) -> usize {
        self.recipe.train.grad_accum
    }

    fn loss(&mut self, model: &Seq2Seq, step: u64, part: usize) -> Result<Tensor<1>> {
        let n_parts = self.recipe.train.grad_accum as u64;
        // The last part's epoch may be the next one; look there first, so that it is made once.
        let n_targets = self.n_targets(step)?;
        let indices = self.indices(step * n_parts + part as u64)?;
        let batch = self
            .train
            .batch(&indices, side(self.recipe.data.pad_source));
        let loss = smoothed_loss(
            model,
            &batch,
            &self.masks,
            self.recipe.train.label_smoothing,
            &self.device,
        );
        Ok(loss / n_targets as f64)
    }

    fn tokens_per_step(&self) -> f64 {
        let per_batch = self.train.n_target_tokens() as f64 / self.n_batches as f64;
        per_batch * self.recipe.train.grad_accum as f64
    }

    fn validate(&mut self, model: &Seq2Seq) -> Result<Validation> {
        let device = self.device.clone().without_autodiff();
        let model = model.valid();
        let nll = pass::valid_nll(
            &model,
            self.data.store(Split::Valid),
            self.recipe,
            &self.plain_masks,
            &device,
        )?;
        let bleu = match self.recipe.train.keep {
            KeepName::Last | KeepName::BestLoss | KeepName::Average => None,
            KeepName::BestBleu => {
                let searcher = search::Search::new(self.recipe, &self.plain_masks, &device);
                let found =
                    searcher.translate(&model, self.data.store(Split::Valid), &mut |_| ())?;
                let lines = self.data.decode(&found.translations)?;
                Some(self.data.bleu(self.recipe, Split::Valid, &lines)?.score)
            }
        };
        Ok(Validation { nll, bleu })
    }

    fn carried(&self) -> BTreeMap<String, TensorData> {
        // Batches are a function of (seed, step): nothing goes from step to step.
        BTreeMap::new()
    }

    fn restore(&mut self, carried: BTreeMap<String, TensorData>) -> Result<()> {
        anyhow::ensure!(
            carried.is_empty(),
            "the checkpoint carries {:?}, which translation does not",
            carried.keys()
        );
        Ok(())
    }
}

/// The sum of the training loss over a batch, `[1]`.
pub(super) fn smoothed_loss(
    model: &Seq2Seq,
    batch: &PairBatch,
    masks: &Seq2SeqMasks,
    label_smoothing: f64,
    device: &Device,
) -> Tensor<1> {
    let output = model.forward(input(batch, device).masks(masks.clone()));
    let loss = model.loss(output.hidden, targets(batch, device), label_smoothing);
    loss.smoothed.sum()
}
