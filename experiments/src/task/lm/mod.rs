//! The language-model table: a Transformer-XL on a stream of words, scored by perplexity.

mod attend;
mod data;
mod export;
mod network;
mod objective;
mod score;
mod trained;

pub use attend::attend;
pub use export::export;
pub use score::{Score, score};

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, ensure};
use burn::tensor::Device;
use sparta_datasets::Split;
use sparta_datasets::baseline::ngram;
use sparta_datasets::batch::LmStream;
use sparta_datasets::tokenize::Language;
use sparta_model::LayerMask;
use sparta_model::layer::PlacedMechanism;
use sparta_model::layer::mechanism::{Readings, watch};
use sparta_model::transformer_xl::{TransformerXl, TransformerXlInput};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::{AttentionType, GlobalMask, IndexSets, Placement, StaticPattern, Valid};
use sparta_results::kept::{SEGMENTS, Segment};
use sparta_results::render::Layout;
use sparta_results::{Baseline, MaskRows, Metric, PerplexitySignature, RunRecord};

use crate::analysis::Tokens;
use crate::device::OpenDevice;
use crate::protocol::{
    Amount, AttentionLayers, BaselineLine, BothMasks, Cost, Examples, Fetch, Label, Line,
    MaskedModel, Observation, Observed, Phase, Pruned, Row, Run, RunFolder, Scoring, Side,
    TableRequest, Task, UnitScores, Variant, records,
};
use crate::recipe::{LmRecipe, Recipe};
use crate::task::segments;
use crate::train::{Selection, TrainingConfig};
use data::LmData;
use objective::{NextWord, input_tokens};

/// Name of the table's row: the network.
const ROW: &str = "transformer-xl";
/// Copies of the attention matrix: two score terms, their sum, mask, weights, gradients.
const SCORE_COPIES: usize = 8;
/// The n-gram models, as [`ngram::scores`] gives them.
const NGRAMS: [Baseline; 3] = [Baseline::Unigram, Baseline::Bigram, Baseline::Trigram];

/// Language modelling.
pub struct LanguageModel {
    recipe: LmRecipe,
    data: LmData,
    attention: Implementation,
    batch_size: usize,
}

impl LanguageModel {
    fn new(run: &Run<'_, LmRecipe>, data: LmData) -> Self {
        Self {
            recipe: run.recipe.clone(),
            batch_size: run.recipe.train.batch_size,
            attention: run.request.attention,
            data,
        }
    }

    /// The protocol of the test score.
    fn signature(&self) -> Result<String> {
        let (recipe, model) = (&self.recipe, &self.recipe.model);
        let n_targets = self.data.tokens(Split::Test).len().saturating_sub(1) as u64;
        let mut signature = PerplexitySignature::word(
            self.data.name.as_str(),
            Split::Test.name(),
            model.tgt_len,
            model.mem_len,
            self.data.vocab_size,
            n_targets,
        )?
        .with("batch", recipe.eval.batch_size)?;
        if model.clamp_len > 0 {
            signature = signature.with("clamp", model.clamp_len)?;
        }
        if model.same_length {
            signature = signature.with("same", "yes")?;
        }
        Ok(signature.to_string())
    }

    fn test_stream(&self) -> Result<LmStream<'_>> {
        let (tokens, recipe) = (self.data.tokens(Split::Test), &self.recipe);
        let batch_size = recipe.eval.batch_size;
        Ok(LmStream::for_eval(
            tokens,
            batch_size,
            recipe.model.tgt_len,
        )?)
    }
}

/// The line that a model stands in.
fn label(recipe: &LmRecipe, of: &Variant, row: Option<&Row>) -> Label {
    Label {
        row: ROW.to_owned(),
        p: of.p_of(row, recipe.retrain_start()),
        rows: MaskRows::True,
    }
}

/// That the network of a variant can be built for so many words.
fn check(
    recipe: &LmRecipe,
    vocab_size: usize,
    attention: Implementation,
    of: &Variant,
) -> Result<()> {
    let mechanism = of.mechanism(AttentionType::DecoderSelf);
    network::checked(&recipe.model, vocab_size, (mechanism, attention))?;
    let rows = Row::all(&of.pruned, recipe.masks());
    let is_pruned = rows.iter().any(|row| row.mask.is_some());
    let is_local = |of: &StaticPattern| matches!(of.sets, IndexSets::Local { .. });
    let pattern = network::pattern(&recipe.model, mechanism);
    ensure!(
        !(is_pruned && recipe.model.same_length) || pattern.as_ref().is_some_and(is_local),
        "a mask counts the cells that queries see, and `model.same_length = true` and the pattern of {} both hide some; \
         train it without masks, `--set 'prune.p=[0]' --set 'prune.random_masks=[0]'`, or with `--set model.same_length=false`",
        of.words()
    );
    Ok(())
}

/// What a variant costs with so many words, and columns of a batch.
fn cost(
    recipe: &LmRecipe,
    (vocab_size, columns): (usize, usize),
    attention: Implementation,
    of: &Variant,
) -> Cost {
    let (model, mechanism) = (&recipe.model, of.mechanism(AttentionType::DecoderSelf));
    Cost {
        n_params: network::config(model, vocab_size, (mechanism, attention)).n_params(),
        tokens: columns * model.tgt_len,
        n_layers: model.n_layers,
        d_model: model.d_model,
        d_ff: model.d_ff,
        n_scores: model.n_heads * (model.mem_len + model.tgt_len),
        score_copies: SCORE_COPIES,
        n_outputs: model.cutoffs.first().copied().unwrap_or(vocab_size),
        batch_key: "train.batch_size",
        decoding: None,
    }
}

fn amount(stream: &LmStream<'_>) -> Amount {
    let n = stream.n_batches();
    Amount {
        n: n as u64,
        tokens: stream.n_targets() as f64 / n as f64,
    }
}

impl Task for LanguageModel {
    type Recipe = LmRecipe;
    type Network = TransformerXl;
    type Masks = Option<Vec<LayerMask>>;
    type Objective<'a> = NextWord<'a>;

    fn variants(recipe: &LmRecipe) -> Result<Vec<Variant>> {
        let pruned = [Pruned::only(AttentionType::DecoderSelf)];
        let is_pruned = |mechanism| recipe.prune.prunes(mechanism);
        let mechanisms = &recipe.model.normalizers;
        Ok(Variant::each(mechanisms, (0, ""), (&pruned, is_pruned)))
    }

    fn table(recipe: &LmRecipe, folder: &RunFolder) -> Result<TableRequest> {
        let title = format!(
            "{}: test perplexity under attention pruning ({}, {} thresholds, {} semantics)",
            recipe.table(),
            recipe.retrain_start().name(),
            recipe.threshold().scope.as_str(),
            recipe.threshold().semantics.as_str()
        );
        let labels = |of: &Variant, row: Option<&Row>| vec![label(recipe, of, row)];
        Ok(TableRequest {
            title: records::title(recipe, title),
            layout: records::layout(recipe, Layout::P),
            expected: records::expected::<Self>(recipe, folder, labels)?,
        })
    }

    const KEPT: &'static str = SEGMENTS;

    fn unit_scores(
        _: &LmRecipe,
        run: &RunFolder,
        model: &Path,
        records: &[RunRecord],
    ) -> Result<Vec<UnitScores>> {
        let text = data::hash_of_test(run)?;
        segments::unit_scores(&model.join(SEGMENTS), &text, records)
    }

    fn open(run: &Run<'_, LmRecipe>, fetch: Fetch) -> Result<Self> {
        let check = |vocab_size| {
            let (recipe, attention) = (run.recipe, run.request.attention);
            for of in Self::variants(recipe)? {
                check(recipe, vocab_size, attention, &of)?;
                let columns = recipe.train.batch_size;
                run.check_memory(&cost(recipe, (vocab_size, columns), attention, &of))?;
            }
            Ok(())
        };
        Ok(Self::new(run, data::prepare(run, fetch, check)?))
    }

    fn reopen(run: &Run<'_, LmRecipe>) -> Result<Self> {
        Ok(Self::new(run, data::reopen(run)?))
    }

    fn stand_in(run: &Run<'_, LmRecipe>) -> Result<Self> {
        Ok(Self::new(run, data::stand_in(run)?))
    }

    fn with_one_example(self) -> Self {
        Self {
            batch_size: 1,
            ..self
        }
    }

    fn describe(&self) -> Vec<String> {
        vec![self.data.description.clone()]
    }

    fn tokenizer_hash(&self) -> String {
        self.data.hash.clone()
    }

    fn check(&self, of: &Variant) -> Result<()> {
        check(&self.recipe, self.data.vocab_size, self.attention, of)
    }

    fn network(&self, of: &Variant, seed: u64, device: &Device) -> Result<TransformerXl> {
        let attention = (of.mechanism(AttentionType::DecoderSelf), self.attention);
        let model = &self.recipe.model;
        network::init(model, self.data.vocab_size, attention, seed, device)
    }

    fn attention(&self, of: &Variant) -> Vec<AttentionLayers> {
        vec![AttentionLayers {
            kind: AttentionType::DecoderSelf,
            n_layers: self.recipe.model.n_layers,
            grid: network::grid(&self.recipe.model),
            pattern: network::pattern(&self.recipe.model, of.mechanism(AttentionType::DecoderSelf)),
        }]
    }

    fn masks(&self, mask: Option<&GlobalMask>, device: &Device) -> Result<Self::Masks> {
        network::layer_masks(mask, &self.recipe.model, device)
    }

    fn cost(&self, of: &Variant) -> Cost {
        let sizes = (self.data.vocab_size, self.batch_size);
        cost(&self.recipe, sizes, self.attention, of)
    }

    fn training(&self, of: &Variant, phase: Phase) -> TrainingConfig {
        let train = &self.recipe.train;
        let schedule = match phase {
            Phase::Dense => train.optimizer.schedule(train.steps),
            Phase::Again => self.recipe.retrain.schedule(),
        };
        TrainingConfig {
            schedule: schedule.for_width(self.recipe.model.d_model),
            adam: train.optimizer.settings(0.0),
            selection: Selection::Last,
            log_every: train.intervals.log_every,
            valid_every: train.intervals.valid_every,
            patience: train.intervals.patience,
            checkpoint_every: train.intervals.checkpoint_every,
            redraw_every: of.mechanisms.redraw_every(),
        }
    }

    fn objective<'a>(
        &'a self,
        _: &'a Variant,
        seed: u64,
        masks: BothMasks<Self::Masks>,
        device: &Device,
    ) -> Result<NextWord<'a>> {
        let (tokens, tgt_len) = (self.data.tokens(Split::Train), self.recipe.model.tgt_len);
        let stream = LmStream::new(tokens, self.batch_size, tgt_len)?;
        let valid = (self.data.tokens(Split::Valid), self.recipe.eval.batch_size);
        let read = (stream, tgt_len, self.recipe.model.mem_len);
        Ok(NextWord::new(read, valid, seed, masks, device))
    }

    fn observe<'a>(
        &'a self,
        _: &'a Variant,
        model: &'a MaskedModel<'a, TransformerXl, Self::Masks>,
        examples: Examples,
    ) -> Result<Observation<'a>> {
        let (recipe, split) = (&self.recipe, examples.split());
        let (all, tgt_len) = (self.data.tokens(split), recipe.model.tgt_len);
        let (stream, n) = match examples {
            Examples::Observed => {
                let n = examples.of(all.len(), recipe.observe.train_tokens);
                let stream = LmStream::new(&all[..n], recipe.observe.batch_size, tgt_len)?;
                (stream, n)
            }
            Examples::First { n, .. } => {
                // A token more: the last target.
                let n = n.map_or(all.len(), |n| n.saturating_mul(tgt_len).saturating_add(1));
                let n = n.min(all.len());
                let batch_size = recipe.eval.batch_size.min(n.saturating_sub(1)).max(1);
                let stream = LmStream::for_eval(&all[..n], batch_size, tgt_len)?;
                (stream, n)
            }
        };
        let amount = amount(&stream);
        let (network, device) = (model.network, model.device);
        let mem_len = network.lengths().mem_len;
        let mut mems = None;
        let mut read = vec![Vec::new(); stream.batch_size()];
        let weights = move |i| -> Result<Vec<Observed>> {
            let Some(batch) = stream.get(i) else {
                return Ok(Vec::new());
            };
            let output = network.forward(TransformerXlInput {
                tokens: input_tokens(&batch, device),
                mems: mems.take(),
                masks: model.masks.clone(),
                return_weights: true,
            });
            mems = Some(output.mems);
            let weights = output.weights.unwrap_or_default();
            // Of the memory's columns only the last exist while it fills.
            let memory = weights.first().map_or(0, |weights| {
                let [_, _, seq_q, seq_kv] = weights.dims();
                seq_kv - seq_q
            });
            let ids = data::ids(&batch, &mut read, memory);
            let placement = Placement::at(0, mem_len - memory);
            let valid = ids.iter().map(|ids| Valid {
                rows: 0..ids.queries.len(),
                cols: 0..ids.keys.len(),
            });
            let placement = match ids.iter().any(|ids| ids.queries.len() < batch.len) {
                // What the last columns lack.
                true => placement.with_valid(valid.collect()),
                false => placement,
            };
            Ok(vec![Observed {
                kind: AttentionType::DecoderSelf,
                weights,
                placement,
                ids,
            }])
        };
        Ok(Observation {
            corpus: format!("{}:{split}:{n}", self.data.name),
            words: format!("{n} tokens"),
            amount,
            batches: Box::new((0..amount.n as usize).map(weights)),
        })
    }

    /// Segments after a full memory; of a mechanism that hands on a state each by itself, since the keys in a state are
    /// gone.
    fn watch(
        &self,
        of: &Variant,
        model: &MaskedModel<'_, TransformerXl, Self::Masks>,
        n_queries: usize,
    ) -> Result<Readings> {
        let sizes = &self.recipe.model;
        let stream = LmStream::for_eval(self.data.tokens(Split::Test), 1, sizes.tgt_len)?;
        let carries_state = of.mechanism(AttentionType::DecoderSelf).carries_state();
        let n_before = match carries_state {
            true => 0,
            false => sizes.mem_len.div_ceil(sizes.tgt_len),
        };
        let mut mems = None;
        let mut read = |segments: Range<usize>| {
            for batch in segments.map_while(|i| stream.get(i)) {
                let output = model.network.forward(TransformerXlInput {
                    tokens: input_tokens(&batch, model.device),
                    mems: mems.take(),
                    masks: model.masks.clone(),
                    return_weights: false,
                });
                mems = (!carries_state).then_some(output.mems);
            }
        };
        let n = n_queries.div_ceil(sizes.tgt_len);
        read(0..n_before);
        let ((), readings) = watch(|| read(n_before..n_before + n));
        Ok(readings)
    }

    fn tokens(&self, _: Side, ids: &[u32]) -> Result<Tokens> {
        Tokens::of_words(&self.data.vocabulary, ids)
    }

    fn language(&self) -> Language {
        let data = &self.recipe.data;
        data.corpus
            .language(data.files.as_ref().map(|files| &files.text))
    }

    fn mechanisms<'n>(&self, _: &Variant, network: &'n TransformerXl) -> Vec<PlacedMechanism<'n>> {
        network.mechanisms()
    }

    fn lines(&self, of: &Variant, row: Option<&Row>, _: &OpenDevice) -> Result<Vec<Line>> {
        let paper = &self.recipe.paper;
        Ok(vec![Line {
            label: label(&self.recipe, of, row),
            file: String::new(),
            metric: Metric::Perplexity,
            signature: self.signature()?,
            attention: None,
            paper: Some((paper.table.clone(), paper.row.clone())),
        }])
    }

    fn scored(&self, _: &Variant) -> Amount {
        let stream = self.test_stream();
        stream.as_ref().map_or(Amount { n: 0, tokens: 0.0 }, amount)
    }

    fn score(
        &self,
        _: &Variant,
        model: &MaskedModel<'_, TransformerXl, Self::Masks>,
        scoring: &Scoring<'_>,
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<f64>> {
        let (stream, masks) = (self.test_stream()?, model.masks.as_deref());
        let (score, segments) =
            objective::perplexity(model.network, &stream, masks, model.device, at)?;
        Segment::save_all(&scoring.folder.path.join(SEGMENTS), &segments)?;
        Ok(vec![score.ppl()])
    }

    fn baselines(&self) -> Result<Vec<BaselineLine>> {
        let signature = self.signature()?;
        let line = |baseline: Baseline| BaselineLine {
            baseline,
            file: baseline.to_string(),
            row: ROW.to_owned(),
            metric: Metric::Perplexity,
            signature: signature.clone(),
            files: None,
        };
        Ok(NGRAMS.map(line).into())
    }

    fn score_baselines(&self) -> Result<Vec<f64>> {
        let [train, test] = [Split::Train, Split::Test].map(|split| self.data.tokens(split));
        let scores = ngram::scores(train, test, self.data.vocab_size)?;
        Ok(scores.map(|score| score.ppl()).into())
    }
}
