//! One more token for every hypothesis, with kept keys and values or without.

use burn::prelude::*;
use burn::tensor::TensorData;

use crate::error::ModelError;
use crate::layer::{PageReport, Paging};
use crate::seq2seq::{DecoderState, Encoded, Seq2Seq, Seq2SeqMasks};

/// What is needed to score the next token of each hypothesis.
pub(super) struct Stepper<'a> {
    model: &'a Seq2Seq,
    masks: &'a Seq2SeqMasks,
    past: Past,
}

// One a search: a box would only hide the tensors.
#[allow(clippy::large_enum_variant)]
enum Past {
    Cached(Option<DecoderState>),
    Recomputed {
        encoded: Encoded,
        /// Tokens read by each hypothesis.
        tokens: Vec<Vec<i32>>,
    },
}

impl<'a> Stepper<'a> {
    /// One hypothesis per sentence, nothing read yet.
    pub(super) fn new(
        model: &'a Seq2Seq,
        masks: &'a Seq2SeqMasks,
        encoded: Encoded,
        cache: bool,
        pages: Option<Paging>,
    ) -> Result<Self, ModelError> {
        let past = match (cache, pages) {
            (true, None) => Past::Cached(Some(model.start(encoded))),
            (_, Some(paging)) => Past::Cached(Some(model.start_by_pages(encoded, paging)?)),
            (false, None) => Past::Recomputed {
                tokens: vec![Vec::new(); encoded.memory.dims()[0]],
                encoded,
            },
        };
        Ok(Self { model, masks, past })
    }

    /// What was read of the pages of keys for a sentence, by its present number.
    pub(super) fn pages(&self, sentence: usize) -> Option<PageReport> {
        match &self.past {
            Past::Cached(state) => state.as_ref()?.pages(sentence),
            Past::Recomputed { .. } => None,
        }
    }

    /// Reads a token of each hypothesis and scores the next, `[rows, vocab_size]`.
    pub(super) fn step(&mut self, read: &[i32], device: &Device) -> Tensor<2> {
        match &mut self.past {
            Past::Cached(state) => {
                let tokens =
                    Tensor::from_data(TensorData::new(read.to_vec(), [read.len()]), device);
                let before = state.take().expect("a state is put back after each step");
                let step = self.model.decode_step(before, tokens, self.masks, false);
                *state = Some(step.state);
                step.logits
            }
            Past::Recomputed { encoded, tokens } => {
                for (row, token) in tokens.iter_mut().zip(read) {
                    row.push(*token);
                }
                let (rows, n) = (tokens.len(), tokens[0].len());
                let target = Tensor::from_data(TensorData::new(tokens.concat(), [rows, n]), device);
                let decoded = self
                    .model
                    .decode(encoded.clone(), target, None, self.masks, false);
                let d_model = decoded.hidden.dims()[2];
                let last = decoded.hidden.slice([0..rows, n - 1..n, 0..d_model]);
                self.model.scores(last.reshape([rows, d_model]))
            }
        }
    }

    /// Keeps hypotheses and sentences, as [`DecoderState::select`].
    pub(super) fn select(&mut self, rows: &[usize], sentences: &[usize], device: &Device) {
        match &mut self.past {
            Past::Cached(state) => {
                *state = state.take().map(|state| state.select(rows, sentences));
            }
            Past::Recomputed { encoded, tokens } => {
                let index: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
                let index = TensorData::new(index, [rows.len()]);
                let index = Tensor::<1, Int>::from_data(index, device);
                encoded.memory = encoded.memory.clone().select(0, index.clone());
                encoded.padding = encoded
                    .padding
                    .take()
                    .map(|padding| padding.select(0, index));
                *tokens = rows.iter().map(|row| tokens[*row].clone()).collect();
            }
        }
    }
}
