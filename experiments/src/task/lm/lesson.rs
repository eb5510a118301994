//! Language modelling as a lesson: contiguous batches, memory carried from step to step.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use sparta_datasets::Split;
use sparta_datasets::batch::{LmBatch, LmStream};
use sparta_model::LayerMask;
use sparta_model::transformer_xl::{Mems, TransformerXl, TransformerXlInput};
use sparta_ops::pruning::GlobalMask;

use super::data::LmData;
use super::network::layer_masks;
use super::pass;
use crate::recipe::LmRecipe;
use crate::train::rng::{self, Purpose};
use crate::train::{Lesson, Validation};

/// Training a Transformer-XL on a stream of tokens.
pub struct LmLesson<'a> {
    stream: LmStream<'a>,
    valid: &'a [u32],
    eval_batch_size: usize,
    tgt_len: usize,
    device: Device,
    first: usize,
    mems: Option<Mems>,
    masks: Option<Vec<LayerMask>>,
    plain_masks: Option<Vec<LayerMask>>,
}

/// The batch's words on the device, `[batch, len]`.
pub fn input_tokens(batch: &LmBatch, device: &Device) -> Tensor<2, Int> {
    let data = TensorData::new(batch.input.clone(), [batch.batch_size, batch.len]);
    Tensor::from_data(data, device)
}

impl<'a> LmLesson<'a> {
    /// The lesson of a recipe under a mask, on `device` (with autodiff).
    ///
    /// Steps walk through the columns of the text in order; which batch comes first is a function
    /// of the seed, the same for every row.
    ///
    /// # Errors
    /// Too little text, or a mask that does not fit the model.
    pub fn new(
        recipe: &LmRecipe,
        data: &'a LmData,
        seed: u64,
        mask: Option<&GlobalMask>,
        device: &Device,
    ) -> Result<Self> {
        let tgt_len = recipe.model.tgt_len;
        let stream = LmStream::new(data.tokens(Split::Train), recipe.train.batch_size, tgt_len)?;
        let n_batches = stream.n_batches() as u64;
        let plain = device.clone().without_autodiff();
        let masks = |device| {
            mask.map(|m| layer_masks(m, &recipe.model, device))
                .transpose()
        };
        Ok(Self {
            stream,
            valid: data.tokens(Split::Valid),
            eval_batch_size: recipe.eval.batch_size,
            tgt_len,
            device: device.clone(),
            first: (rng::hash(seed, Purpose::Order, 0) % n_batches) as usize,
            mems: None,
            masks: masks(device)?,
            plain_masks: masks(&plain)?,
        })
    }

    /// Steps that show every batch once.
    #[must_use]
    pub fn steps_per_epoch(&self) -> usize {
        self.stream.n_batches()
    }
}

impl Lesson<TransformerXl> for LmLesson<'_> {
    fn loss(&mut self, model: &TransformerXl, step: u64, _part: usize) -> Result<Tensor<1>> {
        let n = self.stream.n_batches();
        let index = (self.first + (step % n as u64) as usize) % n;
        if index == 0 {
            // The text starts again: what is remembered is its end.
            self.mems = None;
        }
        let batch = self
            .stream
            .get(index)
            .context("the stream has fewer batches than it said")?;
        let output = model.forward(TransformerXlInput {
            tokens: input_tokens(&batch, &self.device),
            mems: self.mems.take(),
            masks: self.masks.clone(),
            return_weights: false,
        });
        self.mems = Some(output.mems);
        Ok(model.nll(output.hidden, &batch.target).mean())
    }

    fn tokens_per_step(&self) -> f64 {
        (self.stream.batch_size() * self.tgt_len) as f64
    }

    fn validate(&mut self, model: &TransformerXl) -> Result<Validation> {
        let device = self.device.clone().without_autodiff();
        let masks = self.plain_masks.as_deref();
        let stream = LmStream::for_eval(self.valid, self.eval_batch_size, self.tgt_len)?;
        let score = pass::perplexity(&model.valid(), &stream, masks, &device, &mut |_| ())?;
        Ok(Validation::of(score.nll()))
    }

    fn carried(&self) -> BTreeMap<String, TensorData> {
        let mems = self.mems.as_deref().unwrap_or_default();
        mems.iter()
            .enumerate()
            .map(|(i, memory)| (format!("mems.{i:03}"), memory.clone().inner().into_data()))
            .collect()
    }

    fn restore(&mut self, carried: BTreeMap<String, TensorData>) -> Result<()> {
        let mut mems = Vec::with_capacity(carried.len());
        for (name, data) in carried {
            ensure!(
                name.starts_with("mems.") && data.rank() == 3,
                "the checkpoint carries `{name}`, which is no memory"
            );
            mems.push(Tensor::from_data(data, &self.device));
        }
        self.mems = (!mems.is_empty()).then_some(mems);
        Ok(())
    }
}
