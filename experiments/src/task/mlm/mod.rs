//! Masked language modelling: a BERT with its head for word pieces, on running text, scored by accuracy and
//! pseudo-perplexity.

mod attend;
mod export;
mod test_text;
mod text;

pub use attend::attend;
pub use export::export;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use sparta_datasets::Split;
use sparta_datasets::batch::ExampleOrder;
use sparta_datasets::tokenize::Language;
use sparta_datasets::tokenize::pretrained::Encoding;
use sparta_model::LayerMask;
use sparta_model::bert::{BertConfig, BertMaskedLm};
use sparta_model::import::{ImportOptions, import_bert};
use sparta_model::layer::PlacedMechanism;
use sparta_model::layer::mechanism::{Readings, watch};
use sparta_ops::pruning::{AttentionType, GlobalMask, Placement, Valid};
use sparta_results::kept::{SEGMENTS, Segment};
use sparta_results::metric::TaskSignature;
use sparta_results::render::Layout;
use sparta_results::{Baseline, MaskRows, Metric, RunRecord};

use super::encoder::{
    Model, Pretrained, SCORE_COPIES, Sources, batch, check_pretrained, grid, layer_masks,
};
use super::segments;
use crate::analysis::Tokens;
use crate::device::OpenDevice;
use crate::protocol::init::new_weights;
use crate::protocol::{
    Amount, AttentionLayers, BaselineLine, BothMasks, Cost, ExampleIds, Examples, Fetch, Label,
    Line, Observation, Observed, Phase, Pruned, Row, Run, RunFolder, Scoring, Side, TableRequest,
    Task, UnitScores, Variant, data_files, records,
};
use crate::recipe::mlm::MlmDataRecipe;
use crate::recipe::{MlmRecipe, Recipe};
use crate::train::{AdamSettings, HeadRate, Selection, TrainingConfig};
use text::{BatchSizes, FIXED, MaskedTokens, Text};

/// The only attention there is.
const KIND: AttentionType = AttentionType::EncoderSelf;
/// Start of the published names of the head's parameters.
const HEAD: &str = "cls.predictions.";
/// What each model is scored by, in the order of the values.
const METRICS: [Metric; 2] = [Metric::PseudoPerplexity, Metric::Accuracy];

/// A BERT that predicts masked word pieces of a corpus.
pub struct MaskedLanguageModel {
    recipe: MlmRecipe,
    pretrained: Pretrained,
    text: Text,
    /// What the text is, for the person at the terminal.
    description: String,
    batch_size: usize,
}

impl MaskedLanguageModel {
    fn new(recipe: &MlmRecipe, pretrained: Pretrained, text: Text) -> Result<Self> {
        let (max_len, n_positions) = (recipe.data.max_len, pretrained.config.max_len);
        ensure!(
            max_len <= n_positions,
            "`data.max_len = {max_len}` is longer than the {n_positions} positions of {}",
            recipe.model.network.name()
        );
        let sizes = Split::ALL.map(|split| format!("{split} {}", text.size(split)));
        Ok(Self {
            recipe: recipe.clone(),
            description: format!(
                "{} in windows of at most {max_len} word pieces: {}",
                text.name,
                sizes.join(", ")
            ),
            batch_size: recipe.train.batch_size,
            pretrained,
            text,
        })
    }

    fn config(&self, of: &Variant) -> BertConfig {
        let config = self.pretrained.config.clone();
        config.with_mechanism(of.mechanism(AttentionType::EncoderSelf))
    }

    fn passes(&self) -> usize {
        self.recipe.eval.passes_of(self.recipe.data.max_len)
    }

    /// Whether the pretrained weights have a head for word pieces.
    fn has_head(&self) -> bool {
        let weights = self.pretrained.weights.as_ref();
        weights.is_some_and(|weights| weights.names().any(|name| name.contains(HEAD)))
    }

    /// The protocol of a score.
    fn signature(&self, metric: Metric) -> Result<String> {
        let Text {
            name, vocab_size, ..
        } = &self.text;
        let n = self.text.n_test();
        let signature = TaskSignature::new(metric, name, Split::Test.name(), n)?
            .with("unit", "wordpiece")?
            .with("vocab", vocab_size)?
            .with("len", self.recipe.data.max_len)?
            .with("passes", self.passes())?;
        Ok(signature.to_string())
    }

    /// Name of the table's row: the network.
    fn row(recipe: &MlmRecipe) -> String {
        recipe.model.network.name().to_owned()
    }
}

impl Task for MaskedLanguageModel {
    type Recipe = MlmRecipe;
    type Network = BertMaskedLm;
    type Masks = Option<Vec<LayerMask>>;
    type Objective<'a> = MaskedTokens<'a>;

    fn variants(recipe: &MlmRecipe) -> Result<Vec<Variant>> {
        let pruned = [Pruned::only(KIND)];
        let is_pruned = |mechanism| recipe.prune.prunes(mechanism);
        let mechanisms = &recipe.model.normalizers;
        Ok(Variant::each(mechanisms, (0, ""), (&pruned, is_pruned)))
    }

    fn table(recipe: &MlmRecipe, folder: &RunFolder) -> Result<TableRequest> {
        let title = format!(
            "{}: masked language modelling under attention pruning ({}, {} thresholds, {} semantics)",
            recipe.table(),
            recipe.retrain_start().words(),
            recipe.threshold().scope.as_str(),
            recipe.threshold().semantics.as_str()
        );
        let labels = |of: &Variant, row: Option<&Row>| {
            vec![Label {
                row: Self::row(recipe),
                p: of.p_of(row, recipe.retrain_start()),
                rows: MaskRows::True,
            }]
        };
        Ok(TableRequest {
            title: records::title(recipe, title),
            layout: records::layout(recipe, Layout::P),
            expected: records::expected::<Self>(recipe, folder, labels)?,
        })
    }

    const KEPT: &'static str = SEGMENTS;

    fn unit_scores(
        _: &MlmRecipe,
        run: &RunFolder,
        model: &Path,
        records: &[RunRecord],
    ) -> Result<Vec<UnitScores>> {
        let text = test_text::of_run(run)?;
        segments::unit_scores(&model.join(SEGMENTS), &text, records)
    }

    fn open(run: &Run<'_, MlmRecipe>, fetch: Fetch) -> Result<Self> {
        let sources = Sources::of(run.request).or_remembered(&run.folder)?;
        let model = &run.recipe.model;
        let pretrained =
            Pretrained::open(model, &sources, fetch)?.computed_by(run.request.attention);
        let from = sources.data.as_deref();
        let text = Text::load(run.recipe, &pretrained.tokenizer, from, fetch)?;
        let task = Self::new(run.recipe, pretrained, text)?;
        task.check_all(run)?;
        run.enter()?;
        data_files::remember(&run.folder, &task.text.origins)?;
        task.pretrained
            .enter(model.network, &run.folder, &sources)?;
        test_text::save(&run.folder, &task.text, &task.pretrained.tokenizer)?;
        Ok(task)
    }

    fn reopen(run: &Run<'_, MlmRecipe>) -> Result<Self> {
        let sources = Sources::of(run.request).or_remembered(&run.folder)?;
        let pretrained = Pretrained::of_run(&run.recipe.model, &run.folder, MlmRecipe::PROGRAM)?
            .computed_by(run.request.attention);
        let from = sources.data.as_deref();
        let text = Text::load(run.recipe, &pretrained.tokenizer, from, Fetch::Never)?;
        data_files::same(&run.folder, &text.origins)?;
        Self::new(run.recipe, pretrained, text)
    }

    fn stand_in(run: &Run<'_, MlmRecipe>) -> Result<Self> {
        let sources = Sources::of(run.request).or_remembered(&run.folder)?;
        let (recipe, from) = (run.recipe, sources.data.as_deref());
        let pretrained =
            Pretrained::open_or_sizes(&recipe.model, &sources)?.computed_by(run.request.attention);
        // A batch is tried: of a long corpus only its start is cut.
        let mut few = recipe.clone();
        let MlmDataRecipe {
            train_windows,
            valid_windows,
            test_windows,
            ..
        } = &mut few.data;
        for n in [train_windows, valid_windows, test_windows] {
            *n = recipe.train.batch_size;
        }
        let tokenizer = &pretrained.tokenizer;
        let (text, what) = match Text::load(&few, tokenizer, from, Fetch::Never) {
            Ok(text) => (text, "its first windows alone"),
            Err(error) if from.is_some() => return Err(error),
            Err(_) => (
                Text::stand_in(&few, tokenizer)?,
                "not at hand: SYNTHETIC text; give the files by `--data DIR`",
            ),
        };
        let description = format!("{}: {what}", text.name);
        Ok(Self {
            description,
            ..Self::new(recipe, pretrained, text)?
        })
    }

    fn with_one_example(self) -> Self {
        Self {
            batch_size: 1,
            ..self
        }
    }

    fn describe(&self) -> Vec<String> {
        let head = match self.pretrained.weights {
            None => "",
            Some(_) if self.has_head() => ", with their head for word pieces",
            Some(_) => ", with a new head for word pieces",
        };
        vec![
            self.description.clone(),
            format!("weights: {}{head}", self.pretrained.origin),
        ]
    }

    fn weights(&self) -> Option<String> {
        Some(self.pretrained.weights_hash())
    }

    fn tokenizer_hash(&self) -> String {
        self.pretrained.tokenizer.hash()
    }

    fn check(&self, of: &Variant) -> Result<()> {
        check_pretrained(&self.config(of))
    }

    fn network(&self, of: &Variant, seed: u64, device: &Device) -> Result<BertMaskedLm> {
        let config = self.config(of);
        Ok(new_weights(seed, device, |host| {
            config.init_masked_lm(host)
        }))
    }

    /// The pretrained network, with a new head where the weights have none.
    fn initial(&self, of: &Variant, seed: u64, device: &Device) -> Result<BertMaskedLm> {
        let weights = self.pretrained.weights.clone();
        let weights = weights.context("the pretrained weights were not read")?;
        let mut options = ImportOptions::default()
            .allow_unexpected("cls.seq_relationship.")
            .allow_unexpected("pooler.");
        if !self.has_head() {
            options = options.allow_missing(HEAD);
        }
        let network = self.network(of, seed, device)?;
        let (network, _) = import_bert(network, weights, &options)
            .with_context(|| format!("weights {}", self.pretrained.origin))?;
        Ok(network)
    }

    fn attention(&self, of: &Variant) -> Vec<AttentionLayers> {
        let config = &self.pretrained.config;
        vec![AttentionLayers {
            kind: KIND,
            n_layers: config.n_layers,
            grid: grid(config, self.recipe.data.max_len),
            pattern: self.config(of).static_pattern(),
        }]
    }

    fn masks(&self, mask: Option<&GlobalMask>, device: &Device) -> Result<Self::Masks> {
        layer_masks(mask, self.recipe.data.max_len, device)
    }

    fn cost(&self, of: &Variant) -> Cost {
        let (config, max_len) = (self.config(of), self.recipe.data.max_len);
        let outputs = self.recipe.masking.fraction * config.vocab_size as f64;
        Cost {
            n_params: config.n_masked_lm_params(),
            tokens: self.batch_size * max_len,
            n_layers: config.n_layers,
            d_model: config.d_model,
            d_ff: config.d_ff,
            n_scores: config.n_heads * max_len,
            score_copies: SCORE_COPIES,
            // Only masked positions have any.
            n_outputs: outputs.ceil() as usize,
            batch_key: "train.batch_size",
            decoding: None,
        }
    }

    fn training(&self, of: &Variant, phase: Phase) -> TrainingConfig {
        let (train, retrain) = (&self.recipe.train, &self.recipe.retrain);
        TrainingConfig {
            schedule: match phase {
                Phase::Dense => train.optimizer.schedule(train.steps),
                Phase::Again => retrain.schedule(),
            },
            adam: AdamSettings {
                decay_vectors: false,
                head: Some(HeadRate {
                    module: "head",
                    factor: self.recipe.head.lr_factor,
                }),
                ..train.optimizer.settings(train.weight_decay)
            },
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
    ) -> Result<MaskedTokens<'a>> {
        let batch_sizes = BatchSizes {
            train: self.batch_size,
            eval: self.recipe.eval.batch_size,
        };
        MaskedTokens::new(&self.text, (batch_sizes, seed), masks, device)
    }

    /// The network sees masked windows, as in training.
    fn observe<'a>(
        &'a self,
        _: &'a Variant,
        model: &'a Model<'a, BertMaskedLm>,
        examples: Examples,
    ) -> Result<Observation<'a>> {
        let (observe, split) = (&self.recipe.observe, examples.split());
        let windows = self.text.windows(split);
        let n = examples.of(windows.len(), observe.windows);
        let order = ExampleOrder::in_order(n, observe.batch_size)?;
        let n_batches = order.n_batches();
        let weights = move |i| -> Result<Vec<Observed>> {
            let indices = order.get(i).unwrap_or_default();
            let batch = self.text.batch(split, indices, FIXED)?;
            let lengths = indices.iter().map(|&index| windows[index as usize].len());
            let rows = batch.ids.chunks(batch.len).zip(lengths.clone());
            // As the network reads them: masked.
            let ids = rows.map(|(row, n)| row[..n].iter().map(|&id| id as u32).collect());
            let ids = ids.map(ExampleIds::of_self).collect();
            let valid = lengths.map(|length| Valid::first(length, length));
            let input = text::input(&batch, model.device).masks(model.masks.clone());
            let input = input.return_weights();
            Ok(vec![Observed {
                kind: KIND,
                weights: model.network.bert.forward(input).weights,
                placement: Placement::at(0, 0).with_valid(valid.collect()),
                ids,
            }])
        };
        let n_tokens: usize = windows[..n].iter().map(Encoding::len).sum();
        Ok(Observation {
            corpus: format!("{}:{split}:{n}", self.text.name),
            words: format!("{n} windows"),
            amount: Amount {
                n: n_batches as u64,
                tokens: n_tokens as f64 / n_batches as f64,
            },
            batches: Box::new((0..n_batches).map(weights)),
        })
    }

    /// Masked windows, as in training.
    fn watch(
        &self,
        _: &Variant,
        model: &Model<'_, BertMaskedLm>,
        n_queries: usize,
    ) -> Result<Readings> {
        let windows = self.text.windows(Split::Test);
        let mut n_read = 0;
        let read = || -> Result<()> {
            for (i, window) in windows.iter().enumerate() {
                if n_read >= n_queries {
                    break;
                }
                let masked = self.text.batch(Split::Test, &[i as u32], FIXED)?;
                let input = text::input(&masked, model.device);
                let input = batch::without_padding(input, window.len());
                model.network.bert.forward(input.masks(model.masks.clone()));
                n_read += window.len();
            }
            Ok(())
        };
        let (read, readings) = watch(read);
        read.map(|()| readings)
    }

    fn tokens(&self, _: Side, ids: &[u32]) -> Result<Tokens> {
        Tokens::of_pretrained(&self.pretrained.tokenizer, ids)
    }

    fn language(&self) -> Language {
        let data = &self.recipe.data;
        data.corpus.language(data.files.as_ref())
    }

    fn mechanisms<'n>(&self, _: &Variant, network: &'n BertMaskedLm) -> Vec<PlacedMechanism<'n>> {
        network.bert.mechanisms()
    }

    fn lines(&self, of: &Variant, row: Option<&Row>, _: &OpenDevice) -> Result<Vec<Line>> {
        let line = |metric: Metric| {
            Ok(Line {
                label: Label {
                    row: Self::row(&self.recipe),
                    p: of.p_of(row, self.recipe.retrain_start()),
                    rows: MaskRows::True,
                },
                file: metric.to_string(),
                metric,
                signature: self.signature(metric)?,
                attention: None,
                // The paper has no table of this task.
                paper: None,
            })
        };
        METRICS.into_iter().map(line).collect()
    }

    fn scored(&self, _: &Variant) -> Amount {
        let n_windows = self.text.windows(Split::Test).len();
        let n_batches = n_windows.div_ceil(self.recipe.eval.batch_size);
        let n_tokens = n_windows as f64 * self.text.mean_len(Split::Test);
        Amount {
            n: (self.passes() * n_batches) as u64,
            tokens: n_tokens / n_batches as f64,
        }
    }

    fn score(
        &self,
        _: &Variant,
        model: &Model<'_, BertMaskedLm>,
        scoring: &Scoring<'_>,
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<f64>> {
        let how = (self.passes(), self.recipe.eval.batch_size);
        let (score, segments) = text::score(&self.text, model, how, at)?;
        let values = values(score)?;
        Segment::save_all(&scoring.folder.path.join(SEGMENTS), &segments)?;
        Ok(values)
    }

    fn baselines(&self) -> Result<Vec<BaselineLine>> {
        let line = |metric: Metric| {
            Ok(BaselineLine {
                baseline: Baseline::Unigram,
                file: format!("{}-{metric}", Baseline::Unigram),
                row: Self::row(&self.recipe),
                metric,
                signature: self.signature(metric)?,
                files: None,
            })
        };
        METRICS.into_iter().map(line).collect()
    }

    fn score_baselines(&self) -> Result<Vec<f64>> {
        values(self.text.unigram()?)
    }
}

/// One value for each of [`METRICS`].
fn values(score: text::MaskedScore) -> Result<Vec<f64>> {
    let ppl = score.nll.ppl();
    ensure!(ppl.is_finite(), "no word piece of the test text was scored");
    Ok(vec![ppl, score.accuracy()])
}
