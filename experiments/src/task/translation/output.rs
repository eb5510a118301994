//! What the output layer does on the test set: how many tokens it leaves, and what the search could prove of them.

use anyhow::{Result, anyhow};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};
use sparta_datasets::batch::{PaddingSide, PairBatch};
use sparta_datasets::pairs::PairStore;
use sparta_datasets::tokenize::Dictionary;
use sparta_model::decode::{Certificate, SearchMethod};
use sparta_model::layer::OutputMap;
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqMasks};

use super::batch::{input, targets};
use super::search::Found;
use super::trained::with_end;
use crate::recipe::TranslationRecipe;
use crate::train::watch::stop_if_interrupted;

/// The observables of the output layer, in a model's `test.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OutputNote {
    /// From scores to probabilities.
    map: OutputMap,
    /// How translations were looked for.
    search: SearchMethod,
    /// Probability of the empty translation, mean over the sentences.
    empty: f64,
    /// Share of the sentences whose empty translation has probability above 0.
    empty_possible: f64,
    /// What only sparse output maps have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sparse: Option<SparseNote>,
}

/// Peters, Niculae & Martins 2019, section 5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SparseNote {
    /// Tokens of probability above 0, mean over the steps of the translations.
    support: f64,
    /// Share of those steps that leave one token.
    support_one: f64,
    /// The mean after the words of the references.
    support_of_references: f64,
    /// Share of the references of probability 0, whose log-likelihood is −∞.
    references_impossible: f64,
    /// Share of the sentences of which the search found every translation of probability above 0.
    exact: f64,
    /// Share of the sentences whose likeliest translation was found for sure.
    likeliest: f64,
    /// Probability that the search gave up, mean over the sentences.
    cut: f64,
    /// Hypotheses that died: all their probability was on tokens that may not be written.
    dead: usize,
    /// Sentences for which exact search had read as many prefixes as it may.
    limited: usize,
}

/// What the network gives each token of one target.
struct Read {
    sizes: Vec<f64>,
    /// Whether each token has probability above 0.
    is_possible: bool,
    /// Of the empty translation.
    empty: f64,
}

/// Targets that are read with the words before them.
pub(super) struct Reader<'a> {
    pub(super) recipe: &'a TranslationRecipe,
    pub(super) network: &'a Seq2Seq,
    pub(super) masks: &'a Seq2SeqMasks,
    pub(super) device: &'a Device,
}

impl Reader<'_> {
    /// Reads the references of a store and what a search found for its sources. Masks have the rows of training.
    ///
    /// # Errors
    /// A device that gives no numbers, or Ctrl-C.
    pub(super) fn note(&self, store: &PairStore, found: &Found) -> Result<OutputNote> {
        let map = self.network.output_map();
        let search = self.recipe.eval.search;
        let n = store.len().max(1) as f64;
        let source = |i| store.source(i).unwrap_or_default();
        let mut order: Vec<usize> = (0..store.len()).collect();
        order.sort_by_key(|&i| source(i).len());
        let target = |i: &usize| (source(*i), store.target(*i).unwrap_or_default());
        let references: Vec<(&[u32], &[u32])> = order.iter().map(target).collect();
        let references = self.read_all(&references)?;
        let empty: Vec<f64> = references.iter().map(|read| read.empty).collect();
        let sparse = match map.is_sparse() {
            false => None,
            true => {
                let written: Vec<Vec<u32>> =
                    found.translations.iter().map(|t| with_end(t)).collect();
                let pairs = order.iter().map(|&i| (source(i), written[i].as_slice()));
                let translations = self.read_all(&pairs.collect::<Vec<_>>())?;
                Some(SparseNote::new(
                    &references,
                    &translations,
                    &found.certificates,
                ))
            }
        };
        Ok(OutputNote {
            map,
            search,
            empty: empty.iter().sum::<f64>() / n,
            empty_possible: empty.iter().filter(|p| **p > 0.0).count() as f64 / n,
            sparse,
        })
    }

    fn read_all(&self, pairs: &[(&[u32], &[u32])]) -> Result<Vec<Read>> {
        let eval = &self.recipe.eval;
        let padding = self.recipe.data.pad_source;
        let mut read = Vec::with_capacity(pairs.len());
        for pairs in pairs.chunks(eval.batch_size) {
            read.extend(self.read(pairs, padding)?);
            stop_if_interrupted("reading references")?;
        }
        Ok(read)
    }

    fn read(&self, pairs: &[(&[u32], &[u32])], padding: PaddingSide) -> Result<Vec<Read>> {
        let batch = PairBatch::new(pairs, padding);
        let masks = self.masks.clone();
        let hidden = (self
            .network
            .forward(input(&batch, self.device).masks(masks)))
        .hidden;
        let [n, target_len, d_model] = hidden.dims();
        let first = hidden.clone().slice([0..n, 0..1, 0..d_model]);
        let end = Tensor::<2, Int>::full([n, 1], i64::from(Dictionary::EOS), self.device);
        let empty = floats(self.network.target_support(first, end).probabilities)?;
        let found = (self.network).target_support(hidden, targets(&batch, self.device));
        let sizes = floats(found.sizes.float())?;
        let probabilities = floats(found.probabilities)?;
        let of = |i: usize| {
            let places = i * target_len..i * target_len + batch.target_lengths[i];
            Read {
                sizes: sizes[places.clone()]
                    .iter()
                    .map(|s| f64::from(*s))
                    .collect(),
                is_possible: probabilities[places].iter().all(|p| *p > 0.0),
                empty: f64::from(empty[i]),
            }
        };
        Ok((0..n).map(of).collect())
    }
}

fn floats(tensor: Tensor<2>) -> Result<Vec<f32>> {
    (tensor.try_into_vec_as::<f32>())
        .map_err(|e| anyhow!("cannot read the probabilities from the device: {e:?}"))
}

impl SparseNote {
    fn new(
        references: &[Read],
        translations: &[Read],
        certificates: &[Option<Certificate>],
    ) -> Self {
        let sizes = |of: &[Read]| of.iter().flat_map(|r| r.sizes.clone()).collect::<Vec<_>>();
        let of_references = sizes(references);
        let of_translations = sizes(translations);
        let known: Vec<&Certificate> = certificates.iter().flatten().collect();
        let share = |n: usize, of: usize| n as f64 / of.max(1) as f64;
        let count = |is: fn(&Certificate) -> bool| known.iter().filter(|c| is(c)).count();
        let impossible = references.iter().filter(|r| !r.is_possible).count();
        let ones = of_translations.iter().filter(|s| **s == 1.0).count();
        Self {
            support: mean(&of_translations),
            support_one: share(ones, of_translations.len()),
            support_of_references: mean(&of_references),
            references_impossible: share(impossible, references.len()),
            exact: share(count(Certificate::is_exact), known.len()),
            likeliest: share(count(Certificate::proves_likeliest), known.len()),
            cut: mean(&known.iter().map(|c| c.cut).collect::<Vec<_>>()),
            dead: known.iter().map(|c| c.n_dead).sum(),
            limited: count(|c| c.limited),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

impl OutputNote {
    /// One line for the terminal, about a model of this name.
    pub(super) fn line(&self, model: &str) -> String {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let Self {
            map,
            search,
            empty,
            empty_possible,
            sparse,
        } = self;
        let mut text = format!("Output layer of {model} ({map}, {search} search): ");
        if let Some(of) = sparse {
            text += &format!(
                "{:.1} tokens of p > 0 a step, one alone in {} of the steps; every translation found for {} of the \
                 sentences, the likeliest for sure for {}; cut mass {:.3}, {} dead; p = 0 for {} of the references; ",
                of.support,
                percent(of.support_one),
                percent(of.exact),
                percent(of.likeliest),
                of.cut,
                of.dead,
                percent(of.references_impossible),
            );
            if of.limited > 0 {
                text += &format!("{} sentences reached the most prefixes; ", of.limited);
            }
        }
        text + &format!(
            "empty translation p = {empty:.1e}, above 0 for {}",
            percent(*empty_possible)
        )
    }
}
