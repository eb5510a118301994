//! The translation tables: an encoder–decoder for each normaliser, pruned by attention type, scored by BLEU.

mod attend;
mod batch;
mod corpus;
mod data;
mod export;
mod network;
mod objective;
mod output;
mod rows;
mod samples;
mod score;
mod search;
mod trained;
mod translate;
mod units;

pub use attend::attend;
pub use export::export;
pub use translate::{Translate, translate};

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Device;
use sparta_datasets::Split;
use sparta_datasets::batch::{BucketOptions, TokenBucket};
use sparta_datasets::tokenize::Language;
use sparta_model::layer::PlacedMechanism;
use sparta_model::layer::mechanism::{Readings, watch};
use sparta_model::seq2seq::{self, Seq2Seq, Seq2SeqMasks};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::{AttentionType, GlobalMask, Placement};
use sparta_results::render::Layout;
use sparta_results::{Baseline, MaskRows, Metric, RunRecord};

use crate::analysis::Tokens;
use crate::device::OpenDevice;
use crate::protocol::{
    Amount, AttentionLayers, BaselineLine, BothMasks, Cost, Decoding, Examples, Fetch, Line,
    MaskedModel, Observation, Observed, Phase, Row, Run, RunFolder, Scoring, Side, TableRequest,
    Task, UnitScores, Variant, records,
};
use crate::recipe::{Recipe, RowsName, TranslationRecipe};
use crate::train::TrainingConfig;
use batch::{input, valid_cells};
use data::PairData;
use objective::NextPiece;
use output::Reader;
use search::Search;

/// Name of the baselines' row.
const NO_MODEL: &str = "no model";
/// What needs no network, as [`PairData::baselines`] gives it.
const BASELINES: [Baseline; 2] = [Baseline::CopySource, Baseline::WordTranslation];

/// Translation.
pub struct Translation {
    recipe: TranslationRecipe,
    data: PairData,
    attention: Implementation,
    max_tokens: usize,
}

impl Translation {
    fn new(run: &Run<'_, TranslationRecipe>, data: PairData) -> Self {
        Self {
            recipe: run.recipe.clone(),
            max_tokens: run.recipe.train.max_tokens,
            attention: run.request.attention,
            data,
        }
    }
}

/// That the network of a variant can be built for so many pieces of both dictionaries.
fn check(
    recipe: &TranslationRecipe,
    sizes: (usize, usize),
    attention: Implementation,
    of: &Variant,
) -> Result<()> {
    network::checked(&recipe.model, sizes, (of.mechanisms, attention)).map(drop)
}

/// What a variant costs with so many pieces of both dictionaries, and tokens of a batch.
fn cost(
    recipe: &TranslationRecipe,
    (sizes, max_tokens): ((usize, usize), usize),
    attention: Implementation,
    of: &Variant,
) -> Cost {
    let (model, eval) = (&recipe.model, &recipe.eval);
    Cost {
        n_params: network::config(model, sizes, (of.mechanisms, attention)).n_params(),
        tokens: max_tokens,
        // The decoder attends twice.
        n_layers: model.n_encoder_layers + 2 * model.n_decoder_layers,
        d_model: model.d_model,
        d_ff: model.d_ff,
        // Sentences are short: their scores are few beside their hidden states.
        n_scores: 0,
        score_copies: 0,
        n_outputs: sizes.1,
        batch_key: "train.max_tokens",
        decoding: Some(Decoding {
            n_sentences: eval.batch_size,
            beam_size: eval.beam_size,
            n_words: sizes.1,
            key: "`eval.beam_size` or `eval.batch_size`",
        }),
    }
}

impl Task for Translation {
    type Recipe = TranslationRecipe;
    type Network = Seq2Seq;
    type Masks = Seq2SeqMasks;
    type Objective<'a> = NextPiece<'a>;

    fn variants(recipe: &TranslationRecipe) -> Result<Vec<Variant>> {
        Ok(rows::variants(recipe))
    }

    fn table(recipe: &TranslationRecipe, folder: &RunFolder) -> Result<TableRequest> {
        let title = format!(
            "{}: test BLEU by normaliser, and under attention pruning ({}, {} thresholds, {} semantics)",
            recipe.table(),
            recipe.retrain_start().name(),
            recipe.threshold().scope.as_str(),
            recipe.threshold().semantics.as_str()
        );
        let labels = |of: &Variant, row: Option<&Row>| {
            let lines = rows::lines(recipe, of, row);
            lines.into_iter().map(|line| line.label).collect()
        };
        Ok(TableRequest {
            title: records::title(recipe, title),
            layout: records::layout(recipe, Layout::P),
            expected: records::expected::<Self>(recipe, folder, labels)?,
        })
    }

    fn after_table(recipe: &TranslationRecipe, folder: &RunFolder) -> Result<String> {
        samples::report(recipe, folder)
    }

    const KEPT: &'static str = samples::LINES;

    fn unit_scores(
        recipe: &TranslationRecipe,
        run: &RunFolder,
        model: &Path,
        _: &[RunRecord],
    ) -> Result<Vec<UnitScores>> {
        data::open(recipe, run)?.unit_scores(recipe, model)
    }

    fn open(run: &Run<'_, TranslationRecipe>, fetch: Fetch) -> Result<Self> {
        let check = |sizes| {
            let (recipe, attention) = (run.recipe, run.request.attention);
            for of in Self::variants(recipe)? {
                check(recipe, sizes, attention, &of)?;
                let max_tokens = recipe.train.max_tokens;
                run.check_memory(&cost(recipe, (sizes, max_tokens), attention, &of))?;
            }
            Ok(())
        };
        Ok(Self::new(run, data::prepare(run, fetch, check)?))
    }

    fn reopen(run: &Run<'_, TranslationRecipe>) -> Result<Self> {
        Ok(Self::new(run, data::reopen(run)?))
    }

    fn stand_in(run: &Run<'_, TranslationRecipe>) -> Result<Self> {
        Ok(Self::new(run, data::stand_in(run)?))
    }

    fn with_one_example(self) -> Self {
        let longest = self.data.longest_of(&[Split::Train]);
        Self {
            max_tokens: longest.source.max(longest.target),
            ..self
        }
    }

    fn describe(&self) -> Vec<String> {
        let description = self.data.description.clone();
        let lines = [Some(description), self.recipe.train.chooses_nothing()];
        lines.into_iter().flatten().collect()
    }

    fn tokenizer_hash(&self) -> String {
        self.data.vocabulary_hash()
    }

    fn check(&self, of: &Variant) -> Result<()> {
        check(&self.recipe, self.data.sizes(), self.attention, of)
    }

    fn network(&self, of: &Variant, seed: u64, device: &Device) -> Result<Seq2Seq> {
        let attention = (of.mechanisms, self.attention);
        let sizes = self.data.sizes();
        network::init(&self.recipe.model, sizes, attention, seed, device)
    }

    fn attention(&self, of: &Variant) -> Vec<AttentionLayers> {
        let (model, longest) = (&self.recipe.model, self.data.longest_of(&[Split::Train]));
        let layers = |kind| AttentionLayers {
            kind,
            n_layers: network::n_layers(model, kind),
            grid: network::grid(model, kind, longest),
            pattern: of.mechanism(kind).static_pattern(),
        };
        AttentionType::ALL.map(layers).into()
    }

    fn masks(&self, mask: Option<&GlobalMask>, device: &Device) -> Result<Seq2SeqMasks> {
        let longest = self.data.longest(&self.recipe);
        network::layer_masks(mask, longest, self.recipe.prune.rows, device)
    }

    fn cost(&self, of: &Variant) -> Cost {
        let sizes = (self.data.sizes(), self.max_tokens);
        cost(&self.recipe, sizes, self.attention, of)
    }

    fn n_parts(&self) -> usize {
        self.recipe.train.grad_accum
    }

    fn training(&self, of: &Variant, phase: Phase) -> TrainingConfig {
        let train = &self.recipe.train;
        let schedule = match phase {
            Phase::Dense => train.optimizer.schedule(train.steps),
            Phase::Again => self.recipe.retrain.schedule(),
        };
        TrainingConfig {
            schedule: schedule.for_width(self.recipe.model.d_model),
            adam: train.optimizer.settings(train.weight_decay),
            selection: train.selection(),
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
        masks: BothMasks<Seq2SeqMasks>,
        device: &Device,
    ) -> Result<NextPiece<'a>> {
        let recipe = (&self.recipe, self.max_tokens);
        NextPiece::new(recipe, &self.data, seed, masks, device)
    }

    fn observe<'a>(
        &'a self,
        _: &'a Variant,
        model: &'a MaskedModel<'a, Seq2Seq, Seq2SeqMasks>,
        examples: Examples,
    ) -> Result<Observation<'a>> {
        let (recipe, split) = (&self.recipe, examples.split());
        let store = self.data.store(split);
        let mut lengths = store.lengths();
        lengths.truncate(examples.of(lengths.len(), recipe.observe.train_pairs));
        let options = BucketOptions::tokens(recipe.observe.max_tokens);
        let bucket = TokenBucket::in_order(&lengths, &options)
            .context("`observe.max_tokens` of the recipe")?;
        let n_tokens: usize = lengths.iter().map(|(_, target)| target).sum();
        let n_batches = bucket.n_batches();
        let padding = recipe.data.pad_source;
        let weights = move |i| -> Result<Vec<Observed>> {
            let batch = store.batch(bucket.get(i).unwrap_or_default(), padding);
            // Targets are given: teacher forcing.
            let read = input(&batch, model.device).masks(model.masks.clone());
            let output = model.network.forward(read.return_weights());
            let weights = output.weights.context("the model gave no weights")?;
            let observed = |kind| Observed {
                kind,
                weights: weights.of(kind).to_vec(),
                placement: Placement::at(0, 0).with_valid(valid_cells(&batch, kind)),
                ids: batch::ids(&batch, kind),
            };
            let all = AttentionType::ALL.map(observed).into_iter();
            Ok(all.filter(|of| !of.weights.is_empty()).collect())
        };
        Ok(Observation {
            corpus: format!("{}:{split}:{}", self.data.corpus.name, lengths.len()),
            words: format!("{} pairs", lengths.len()),
            amount: Amount {
                n: n_batches as u64,
                tokens: n_tokens as f64 / n_batches.max(1) as f64,
            },
            batches: Box::new((0..n_batches).map(weights)),
        })
    }

    /// Targets are given: teacher forcing.
    fn watch(
        &self,
        _: &Variant,
        model: &MaskedModel<'_, Seq2Seq, Seq2SeqMasks>,
        n_queries: usize,
    ) -> Result<Readings> {
        let store = self.data.store(Split::Test);
        let (mut in_source, mut in_target) = (0, 0);
        let read = || {
            for (i, (source, target)) in store.lengths().into_iter().enumerate() {
                if in_source.min(in_target) >= n_queries {
                    break;
                }
                let batch = store.batch(&[i as u32], self.recipe.data.pad_source);
                let read = input(&batch, model.device).masks(model.masks.clone());
                model.network.forward(read);
                in_source += source;
                in_target += target;
            }
        };
        Ok(watch(read).1)
    }

    fn tokens(&self, side: Side, ids: &[u32]) -> Result<Tokens> {
        let vocabulary = match side {
            Side::Encoder => &self.data.vocabulary.source,
            Side::Decoder => &self.data.vocabulary.target,
        };
        Tokens::of_bpe(vocabulary, ids)
    }

    fn language(&self) -> Language {
        self.data.corpus.source
    }

    fn mechanisms<'n>(&self, _: &Variant, network: &'n Seq2Seq) -> Vec<PlacedMechanism<'n>> {
        network.mechanisms()
    }

    fn lines(&self, of: &Variant, row: Option<&Row>, _: &OpenDevice) -> Result<Vec<Line>> {
        let signature = self.data.signature(&self.recipe)?;
        let lines = rows::lines(&self.recipe, of, row);
        let line = |line: rows::TableLine<'_>| Line {
            paper: Some((line.paper.to_owned(), line.label.row.clone())),
            label: line.label,
            file: line.file.to_owned(),
            metric: Metric::Bleu,
            signature: signature.clone(),
            attention: None,
        };
        Ok(lines.into_iter().map(line).collect())
    }

    fn scored(&self, _: &Variant) -> Amount {
        let store = self.data.store(Split::Test);
        Amount {
            n: store.len() as u64,
            tokens: store.n_target_tokens() as f64 / store.len() as f64,
        }
    }

    /// BLEU of the test set, by each choice of the mask's rows that lines ask for; the translations stay beside the model.
    fn score(
        &self,
        _: &Variant,
        model: &MaskedModel<'_, Seq2Seq, Seq2SeqMasks>,
        scoring: &Scoring<'_>,
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<f64>> {
        let (recipe, store) = (&self.recipe, self.data.store(Split::Test));
        let wanted: BTreeSet<MaskRows> = scoring.lines.iter().map(|of| of.label.rows).collect();
        let (n_passes, n) = (wanted.len() as u64, store.len() as u64);
        let mut scores: BTreeMap<MaskRows, f64> = BTreeMap::new();
        for (pass, rows) in wanted.into_iter().enumerate() {
            let is_beside = recipe.prune.rows == RowsName::Both && rows == MaskRows::Paper;
            let mut masks = model.masks.clone();
            if is_beside {
                masks.rows = seq2seq::MaskRows::PaperFaithful;
            }
            let search = Search::new(recipe, &masks, model.device);
            let mut at_pass = |done: u64| at((pass as u64 * n + done) / n_passes);
            let found = search.translate(model.network, store, &mut at_pass)?;
            let lines = self.data.decode(&found.translations)?;
            let bleu = self.data.bleu(recipe, Split::Test, &lines)?;
            let reader = Reader {
                recipe,
                network: model.network,
                masks: &masks,
                device: model.device,
            };
            let output = reader.note(store, &found)?;
            let files = match is_beside {
                true => &samples::PAPER_ROWS,
                false => &samples::OWN,
            };
            samples::save(scoring.folder, files, &lines, &bleu, (&found, output))?;
            scores.insert(rows, bleu.score);
        }
        let of_line = |line: &Line| scores.get(&line.label.rows).copied();
        let values: Option<Vec<f64>> = scoring.lines.iter().map(of_line).collect();
        values.context("a line of the table was not scored")
    }

    fn baselines(&self) -> Result<Vec<BaselineLine>> {
        let signature = self.data.signature(&self.recipe)?;
        let line = |baseline: Baseline| BaselineLine {
            baseline,
            file: baseline.to_string(),
            row: NO_MODEL.to_owned(),
            metric: Metric::Bleu,
            signature: signature.clone(),
            files: None,
        };
        Ok(BASELINES.map(line).into())
    }

    fn score_baselines(&self) -> Result<Vec<f64>> {
        Ok(self.data.baselines(&self.recipe)?.into())
    }
}
