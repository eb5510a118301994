//! Search over a split, and what comes out of it.

use std::time::Instant;

use anyhow::Result;
use burn::tensor::Device;
use sparta_datasets::batch::{PaddingSide, PairBatch};
use sparta_datasets::pairs::PairStore;
use sparta_datasets::tokenize::Dictionary;
use sparta_model::decode::{Certificate, DecodeConfig, Searched, search};
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqMasks};

use super::batch::source;
use crate::recipe::TranslationRecipe;
use crate::recipe::translation::EvalRecipe;
use crate::train::watch::stop_if_interrupted;

/// Translations of a split, in its order, and how long they took.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Token ids, without start and end.
    pub(super) translations: Vec<Vec<u32>>,
    /// What is known of what was not found; none for a dense output layer.
    pub(super) certificates: Vec<Option<Certificate>>,
    /// Tokens written, ends counted.
    pub(super) n_tokens: usize,
    /// Seconds of the search.
    pub(super) seconds: f64,
}

/// The search of a recipe under masks.
pub(super) struct Search<'a> {
    config: DecodeConfig,
    batch_size: usize,
    padding: PaddingSide,
    masks: &'a Seq2SeqMasks,
    device: &'a Device,
}

/// The search settings of a recipe.
pub(super) fn decode_config(eval: &EvalRecipe) -> DecodeConfig {
    let never = [Dictionary::BOS, Dictionary::PAD, Dictionary::UNK];
    DecodeConfig::new(Dictionary::EOS as i32, Dictionary::EOS as i32)
        .with_never(never.map(|id| id as i32).to_vec())
        .with_beam_size(eval.beam_size)
        .with_length_penalty(eval.length_penalty)
        .with_max_len_a(eval.max_len_a)
        .with_max_len_b(eval.max_len_b)
        .with_method(eval.search)
}

impl<'a> Search<'a> {
    pub(super) fn new(
        recipe: &TranslationRecipe,
        masks: &'a Seq2SeqMasks,
        device: &'a Device,
    ) -> Self {
        Self {
            config: decode_config(&recipe.eval),
            batch_size: recipe.eval.batch_size,
            padding: recipe.data.pad_source,
            masks,
            device,
        }
    }

    /// The same search with other settings.
    pub(super) fn with_config(mut self, change: impl FnOnce(DecodeConfig) -> DecodeConfig) -> Self {
        self.config = change(self.config);
        self
    }

    /// The best translations of some source sentences, given as ids ending in `</s>`.
    ///
    /// # Errors
    /// Settings or masks that cannot be.
    pub(super) fn n_best(&self, model: &Seq2Seq, sources: &[&[u32]]) -> Result<Vec<Searched>> {
        let end: &[u32] = &[Dictionary::EOS];
        let pairs: Vec<(&[u32], &[u32])> = sources.iter().map(|s| (*s, end)).collect();
        let batch = PairBatch::new(&pairs, self.padding);
        let (tokens, padding) = source(&batch, self.device);
        Ok(search(model, tokens, padding, self.masks, &self.config)?)
    }

    /// Translates the source side of a store; sentences of like length are decoded together.
    ///
    /// # Errors
    /// As [`Search::n_best`], or Ctrl-C.
    pub(super) fn translate(
        &self,
        model: &Seq2Seq,
        store: &PairStore,
        at: &mut dyn FnMut(u64),
    ) -> Result<Found> {
        let started = Instant::now();
        let mut order: Vec<usize> = (0..store.len()).collect();
        order.sort_by_key(|&i| store.source(i).map(<[u32]>::len));
        let mut translations = vec![Vec::new(); store.len()];
        let mut certificates = vec![None; store.len()];
        let (mut n_tokens, mut done) = (0, 0);
        // Exact search goes through one sentence after the other, and each can take long.
        let batch_size = match self.config.method.is_beam() {
            true => self.batch_size,
            false => 1,
        };
        for indices in order.chunks(batch_size) {
            let sources: Vec<&[u32]> = indices.iter().filter_map(|&i| store.source(i)).collect();
            let found = self.n_best(model, &sources)?;
            for (&i, found) in indices.iter().zip(found) {
                certificates[i] = found.certificate;
                if let Some(best) = found.hypotheses.into_iter().next() {
                    n_tokens += best.log_probabilities.len();
                    translations[i] = best.tokens.iter().map(|&t| t as u32).collect();
                }
            }
            done += indices.len() as u64;
            at(done);
            stop_if_interrupted("translating")?;
        }
        Ok(Found {
            translations,
            certificates,
            n_tokens,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}
