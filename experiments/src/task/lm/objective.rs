//! The next word: contiguous batches whose memory goes from step to step, and perplexity.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, ensure};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use sparta_datasets::batch::{IGNORE, LmBatch, LmStream};
use sparta_model::LayerMask;
use sparta_model::layer::PlacedMechanism;
use sparta_model::transformer_xl::{Mems, TransformerXl, TransformerXlInput};
use sparta_results::Perplexity;
use sparta_results::kept::Segment;

use crate::protocol::BothMasks;
use crate::train::rng::{self, Purpose};
use crate::train::watch::stop_if_interrupted;
use crate::train::{Objective, Validation};

/// Training a Transformer-XL on a stream of tokens.
pub struct NextWord<'a> {
    stream: LmStream<'a>,
    tgt_len: usize,
    mem_len: usize,
    /// Tokens of the validation split, and columns to read them in.
    valid: (&'a [u32], usize),
    device: Device,
    first: usize,
    mems: Option<Mems>,
    masks: BothMasks<Option<Vec<LayerMask>>>,
}

/// The batch's words on the device, `[batch, len]`.
pub fn input_tokens(batch: &LmBatch, device: &Device) -> Tensor<2, Int> {
    let data = TensorData::new(batch.input.clone(), [batch.batch_size, batch.len]);
    Tensor::from_data(data, device)
}

/// Segments that fill a memory; of a very long one as many as a dry run has the patience for.
pub fn segments_of_memory(mem_len: usize, tgt_len: usize) -> usize {
    mem_len.div_ceil(tgt_len.max(1)).min(4)
}

impl<'a> NextWord<'a> {
    /// The objective under masks, on `device` (with autodiff).
    ///
    /// Steps walk through the columns of the text in order; which batch comes first is a function
    /// of the seed, the same for every row.
    pub fn new(
        (stream, tgt_len, mem_len): (LmStream<'a>, usize, usize),
        valid: (&'a [u32], usize),
        seed: u64,
        masks: BothMasks<Option<Vec<LayerMask>>>,
        device: &Device,
    ) -> Self {
        let n_batches = stream.n_batches() as u64;
        Self {
            stream,
            tgt_len,
            mem_len,
            valid,
            device: device.clone(),
            first: (rng::hash(seed, Purpose::Order, 0) % n_batches) as usize,
            mems: None,
            masks,
        }
    }

    /// What a step reads; the batch of index 0 starts without memory.
    ///
    /// # Errors
    /// A stream that has fewer batches than it says.
    pub fn batch(&self, step: u64) -> Result<LmBatch> {
        let n = self.stream.n_batches();
        let index = (self.first + (step % n as u64) as usize) % n;
        let batch = self.stream.get(index);
        batch.context("the stream has fewer batches than it said")
    }
}

impl Objective<TransformerXl> for NextWord<'_> {
    fn loss(&mut self, model: &TransformerXl, step: u64, _part: usize) -> Result<Tensor<1>> {
        let batch = self.batch(step)?;
        if batch.index == 0 {
            // The text starts again: what is remembered is its end.
            self.mems = None;
        }
        let output = model.forward(TransformerXlInput {
            tokens: input_tokens(&batch, &self.device),
            mems: self.mems.take(),
            masks: self.masks.training.clone(),
            return_weights: false,
        });
        self.mems = Some(output.mems);
        Ok(model.nll(output.hidden, &batch.target).mean())
    }

    fn typical_step(&self) -> u64 {
        let n = self.stream.n_batches();
        let full = segments_of_memory(self.mem_len, self.tgt_len).min(n - 1);
        // Where the text starts again the memory does too.
        let again = match self.first + full < n {
            true => 0,
            false => (n - self.first) % n,
        };
        (again + full).max(1) as u64
    }

    fn tokens_per_step(&self) -> f64 {
        (self.stream.batch_size() * self.tgt_len) as f64
    }

    fn mechanisms<'m>(&self, model: &'m TransformerXl) -> Vec<PlacedMechanism<'m>> {
        model.mechanisms()
    }

    fn validate(&mut self, model: &TransformerXl) -> Result<Validation> {
        let device = self.device.clone().without_autodiff();
        let masks = self.masks.plain.as_deref();
        let (tokens, batch_size) = self.valid;
        let stream = LmStream::for_eval(tokens, batch_size, self.tgt_len)?;
        let (score, _) = perplexity(&model.valid(), &stream, masks, &device, &mut |_| ())?;
        Ok(Validation::of(score.nll()))
    }

    fn state(&self) -> BTreeMap<String, TensorData> {
        let mems = self.mems.as_deref().unwrap_or_default();
        mems.iter()
            .enumerate()
            .map(|(i, memory)| (format!("mems.{i:03}"), memory.clone().inner().into_data()))
            .collect()
    }

    fn restore(&mut self, state: BTreeMap<String, TensorData>) -> Result<()> {
        let mut mems = Vec::with_capacity(state.len());
        for (name, data) in state {
            ensure!(
                name.starts_with("mems.") && data.rank() == 3,
                "the checkpoint holds `{name}`, which is no memory"
            );
            mems.push(Tensor::from_data(data, &self.device));
        }
        self.mems = (!mems.is_empty()).then_some(mems);
        Ok(())
    }
}

/// Scores every target of a stream, and says what each segment of the text adds, in the order of the text; `model` is in
/// evaluation mode on `device`.
///
/// # Errors
/// A score that is not finite, or Ctrl-C.
pub fn perplexity(
    model: &TransformerXl,
    stream: &LmStream<'_>,
    masks: Option<&[LayerMask]>,
    device: &Device,
    at: &mut dyn FnMut(u64),
) -> Result<(Perplexity, Vec<Segment>)> {
    let mut sum = Perplexity::default();
    let mut segments = Vec::new();
    let mut mems = None;
    for batch in stream.iter() {
        let output = model.forward(TransformerXlInput {
            tokens: input_tokens(&batch, device),
            mems: mems.take(),
            masks: masks.map(<[_]>::to_vec),
            return_weights: false,
        });
        mems = Some(output.mems);
        let nll = model
            .nll(output.hidden, &batch.target)
            .try_into_vec_as::<f32>()
            .map_err(|e| anyhow!("cannot read the scores from the device: {e:?}"))?;
        let total: f64 = nll.iter().map(|&x| f64::from(x)).sum();
        ensure!(
            total.is_finite(),
            "the score of segment {} is not finite",
            batch.index
        );
        sum.add(total, batch.n_targets() as u64);
        let rows = nll.chunks(batch.len).zip(batch.target.chunks(batch.len));
        for (column, (nll, targets)) in rows.enumerate() {
            let tokens = targets.iter().filter(|&&target| target != IGNORE).count() as u64;
            if tokens > 0 {
                segments.push(Segment {
                    segment: (column * stream.n_batches() + batch.index) as u64,
                    nll: nll.iter().map(|&x| f64::from(x)).sum(),
                    tokens,
                    right: None,
                });
            }
        }
        at(batch.index as u64 + 1);
        stop_if_interrupted("scoring")?;
    }
    segments.sort_by_key(|of| of.segment);
    Ok((sum, segments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typical_step_has_all_of_its_memory() {
        let device = Device::default();
        let tokens = vec![7; 2 * (5 * 4 + 1)];
        for mem_len in [0, 3, 4, 8, 9, 100] {
            for seed in 1..20 {
                let masks = BothMasks {
                    training: None,
                    plain: None,
                };
                let stream = LmStream::new(&tokens, 2, 4).unwrap();
                assert_eq!(stream.n_batches(), 5);
                let words = NextWord::new((stream, 4, mem_len), (&tokens, 2), seed, masks, &device);
                let typical = words.typical_step();
                // Segments since the text, or the training, began.
                let mut remembered = 0;
                for step in 0..typical {
                    let index = words.batch(step).unwrap().index;
                    remembered = if index == 0 { 1 } else { remembered + 1 };
                }
                let index = words.batch(typical).unwrap().index;
                let full = segments_of_memory(mem_len, 4);
                assert!(typical > 0 && typical < 10, "{typical}");
                assert!(
                    full == 0 || (index != 0 && remembered >= full),
                    "seed {seed}, {mem_len}: step {typical}, index {index}, {remembered}"
                );
            }
        }
    }
}
