//! A trained model of a run folder with everything around it: text in, translations and attention out.

use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use sparta_datasets::batch::PairBatch;
use sparta_datasets::pairs::{PairVocabulary, ParallelCorpus};
use sparta_datasets::tokenize::{Dictionary, Language};
use sparta_model::decode::{Certificate, Hypothesis, SearchMethod, Searched};
use sparta_model::layer::{PageReport, Paging};
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqInput, Seq2SeqMasks, Seq2SeqWeights};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::GlobalMask;

use super::batch::input;
use super::corpus::{Preparer, as_printed};
use super::data::{Longest, open_vocabulary, vocabulary_hash};
use super::search::Search;
use super::{Translation, network, rows};
use crate::device::{self, DeviceChoice};
use crate::protocol::find::{Found, find};
use crate::protocol::run::TrainingSummary;
use crate::protocol::{Decoding, ModelFolder, RunFolder, Variant, available_memory};
use crate::recipe::{Recipe, TranslationRecipe};
use crate::train::load_model;

/// A model that translates.
pub(super) struct Trained {
    pub(super) run: RunFolder,
    pub(super) recipe: TranslationRecipe,
    pub(super) vocabulary: PairVocabulary,
    pub(super) corpus: ParallelCorpus,
    pub(super) folder: ModelFolder,
    pub(super) network: Seq2Seq,
    pub(super) mask: Option<GlobalMask>,
    /// The attention of its layers.
    pub(super) variant: Variant,
    choice: DeviceChoice,
    device: Device,
    pub(super) device_note: String,
}

/// A translation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    /// As it is printed.
    pub(super) text: String,
    /// By which they are ranked.
    pub(super) score: f64,
    /// Its pieces, without the end.
    pub(super) ids: Vec<u32>,
}

/// How a sentence is to be translated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// Hypotheses kept; those of the recipe if not given.
    pub(super) beam: Option<usize>,
    /// Translations wanted.
    pub(super) n_best: usize,
    /// How they are looked for; as the recipe says if not given.
    pub(super) search: Option<SearchMethod>,
    /// Which pages of keys are read; all if not given.
    pub(super) pages: Option<Paging>,
}

/// What was found for a sentence.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Translations {
    /// Best first.
    pub(super) candidates: Vec<Candidate>,
    /// What is known of the others; none for a dense output layer, or a blank source.
    pub(super) certificate: Option<Certificate>,
    /// What was read of pages of keys, where they are.
    pub(super) pages: Option<PageReport>,
}

impl Trained {
    /// The model that a path names, on a device.
    ///
    /// # Errors
    /// A folder without a trained model, or a model and tokenizers that do not fit.
    pub(super) fn open(path: &Path, device: DeviceChoice) -> Result<Self> {
        let found: Found<TranslationRecipe> =
            find::<Translation>(path, |recipe| Ok(rows::variants(recipe)))?;
        let mask = found.arm.load_mask(found.row.as_ref())?;
        let Found {
            run,
            recipe,
            arm,
            folder,
            ..
        } = found;
        let trained = TrainingSummary::load(&folder)?;
        let (vocabulary, corpus) = open_vocabulary(&run)?;
        trained.check_vocabulary(&folder, &vocabulary_hash(&vocabulary))?;
        let opened = device::open(device, TranslationRecipe::PROGRAM)?;
        let training = opened.device.clone().autodiff();
        let seed = folder.identity.seed;
        let sizes = (vocabulary.source.len(), vocabulary.target.len());
        let attention = (arm.variant.mechanisms, Implementation::Auto);
        let empty = network::init(&recipe.model, sizes, attention, seed, &training)?;
        let network = load_model(&folder.model(), empty, &folder.identity)?.valid();
        Ok(Self {
            run,
            recipe,
            vocabulary,
            corpus,
            folder,
            network,
            mask,
            variant: arm.variant,
            choice: opened.choice,
            device: opened.device,
            device_note: opened.note,
        })
    }

    /// Text as it is typed → tokenised text as the corpus has it.
    pub(super) fn prepare(&self, language: Language, line: &str) -> String {
        Preparer::new(&self.recipe.data, language).prepare(line)
    }

    fn masks(&self, longest: Longest) -> Result<Seq2SeqMasks> {
        let rows = self.recipe.prune.rows;
        network::layer_masks(self.mask.as_ref(), longest, rows, &self.device)
    }

    /// The best translations of sources, given as ids ending in `</s>`; a source that is its end alone stays blank.
    ///
    /// # Errors
    /// Settings that cannot be.
    pub(super) fn translate(&self, sources: &[Vec<u32>], wish: Wish) -> Result<Vec<Translations>> {
        let max_len = self.network.max_len();
        let longest = Longest {
            source: sources.iter().map(Vec::len).max().unwrap_or(1),
            target: max_len,
        };
        let masks = self.masks(longest)?;
        let (eval, n_best) = (&self.recipe.eval, wish.n_best);
        let beam = wish.beam.unwrap_or(eval.beam_size).max(n_best);
        let method = self.search(wish.search);
        if self.choice.is_cpu() {
            let decoding = Decoding {
                n_sentences: sources.len(),
                beam_size: beam,
                n_words: self.vocabulary.target.len(),
                key: match wish.beam {
                    Some(_) => "`--beam` and `--n-best`",
                    None => "`--n-best`",
                },
            };
            decoding.check(available_memory())?;
        }
        let search = Search::new(&self.recipe, &masks, &self.device).with_config(|c| {
            let penalty = match method.is_beam() {
                true => c.length_penalty,
                // The most probable translation, whatever the recipe ranks a beam by.
                false => 0.0,
            };
            c.with_beam_size(beam)
                .with_n_best(n_best)
                .with_method(method)
                .with_length_penalty(penalty)
                .with_pages(wish.pages)
        });
        let views = sources.iter().map(Vec::as_slice).filter(|s| s.len() > 1);
        let mut found = search
            .n_best(&self.network, &views.collect::<Vec<_>>())?
            .into_iter();
        let blank = || Searched {
            hypotheses: vec![Hypothesis {
                tokens: Vec::new(),
                log_probabilities: Vec::new(),
                score: 0.0,
                finished: true,
            }],
            certificate: None,
            pages: None,
        };
        let found: Vec<Searched> = sources
            .iter()
            .map(|source| match source.len() {
                0 | 1 => blank(),
                _ => found.next().unwrap_or_else(blank),
            })
            .collect();
        let candidate = |hypothesis: Hypothesis| -> Result<Candidate> {
            let ids: Vec<u32> = hypothesis.tokens.iter().map(|&t| t as u32).collect();
            let line = self.vocabulary.target.decode(&ids)?;
            Ok(Candidate {
                text: as_printed(&self.recipe.data, self.corpus.target, line),
                score: hypothesis.score,
                ids,
            })
        };
        let of_line = |found: Searched| -> Result<Translations> {
            let candidates = found.hypotheses.into_iter().map(candidate);
            Ok(Translations {
                candidates: candidates.collect::<Result<_>>()?,
                certificate: found.certificate,
                pages: found.pages,
            })
        };
        found.into_iter().map(of_line).collect()
    }

    /// The search that is asked for, or the recipe's.
    pub(super) fn search(&self, asked: Option<SearchMethod>) -> SearchMethod {
        asked.unwrap_or(self.recipe.eval.search)
    }

    /// Refuses a sentence that the network cannot read.
    ///
    /// # Errors
    /// How long it is and how long it may be.
    pub(super) fn check_length(&self, what: &str, n_tokens: usize) -> Result<()> {
        let max_len = self.network.max_len();
        if n_tokens > max_len {
            bail!("{what} has {n_tokens} tokens; the model reads at most {max_len}: split it");
        }
        Ok(())
    }

    /// The attention of the network while it reads a source and, token by token, this target; both end in `</s>`.
    ///
    /// # Errors
    /// A mask without one of its layers.
    pub(super) fn weights(&self, source: &[u32], target: &[u32]) -> Result<Seq2SeqWeights> {
        let (_, request) = self.input(&[(source, target)])?;
        let weights = self.network.forward(request.return_weights()).weights;
        weights.context("the model gave no weights")
    }

    /// The scores of every piece as the next one, `[batch, target_len, pieces]`, where the network reads sources and
    /// these targets, which end in `</s>`.
    ///
    /// # Errors
    /// A mask without one of its layers.
    pub(super) fn logits(&self, pairs: &[(&[u32], &[u32])]) -> Result<(PairBatch, Tensor<3>)> {
        let (batch, request) = self.input(pairs)?;
        let hidden = self.network.forward(request).hidden;
        Ok((batch, self.network.logits(hidden)))
    }

    /// Pairs as the network reads them, under its mask.
    fn input(&self, pairs: &[(&[u32], &[u32])]) -> Result<(PairBatch, Seq2SeqInput)> {
        let batch = PairBatch::new(pairs, self.recipe.data.pad_source);
        let masks = self.masks(Longest {
            source: batch.source_len,
            target: batch.target_len,
        })?;
        let request = input(&batch, &self.device).masks(masks);
        Ok((batch, request))
    }
}

/// A translation with its end, as the network is asked to write it.
pub(super) fn with_end(ids: &[u32]) -> Vec<u32> {
    let mut ids = ids.to_vec();
    ids.push(Dictionary::EOS);
    ids
}
