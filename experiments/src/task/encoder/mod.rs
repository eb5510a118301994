//! Tasks for a pretrained encoder: fine-tuning with a [`Head`], on one data set or several.

mod attend;
pub(super) mod batch;
mod export;
mod head;
mod network;
mod objective;
mod pretrained;
mod shipped;
mod trained;
pub mod weights;

pub use attend::attend;
pub use export::{ExportedHead, package};
pub use head::{BaselineScore, Column, Head, Model};
pub use network::{check_pretrained, grid, layer_masks};
pub use pretrained::{Pretrained, Sources};
pub use trained::TrainedEncoder;

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Device;
use sparta_datasets::Split;
use sparta_datasets::batch::ExampleOrder;
use sparta_datasets::source::Origins;
use sparta_datasets::tokenize::Language;
use sparta_model::LayerMask;
use sparta_model::bert::BertConfig;
use sparta_model::import::{ImportOptions, import_bert};
use sparta_model::layer::PlacedMechanism;
use sparta_model::layer::mechanism::{Readings, watch};
use sparta_ops::pruning::{AttentionType, GlobalMask, Placement, Valid};
use sparta_results::render::Layout;
use sparta_results::{MaskRows, RunRecord};

use crate::analysis::Tokens;
use crate::device::OpenDevice;
use crate::protocol::init::new_weights;
use crate::protocol::{
    Amount, AttentionLayers, BaselineLine, BothMasks, Cost, ExampleIds, Examples, Fetch, Label,
    Line, Observation, Observed, Phase, Pruned, Row, Run, RunFolder, Scoring, Side, TableRequest,
    Task, UnitScores, Variant, data_files, records,
};
use crate::recipe::{EncoderRecipe, Recipe};
use crate::train::{AdamSettings, Selection, TrainingConfig};
pub(in crate::task) use objective::HeadLoss;

/// Copies of a layer's attention weights that autodiff keeps.
pub(super) const SCORE_COPIES: usize = 5;

/// A pretrained encoder with a head for each data set of a recipe.
pub struct Encoder<H: Head> {
    recipe: H::Recipe,
    pretrained: Pretrained,
    heads: Vec<H>,
    batch_size: usize,
}

impl<H: Head> Encoder<H> {
    fn head(&self, of: &Variant) -> &H {
        &self.heads[of.dataset]
    }

    fn config(&self, of: &Variant) -> BertConfig {
        let config = self.pretrained.config.clone();
        config.with_mechanism(of.mechanism(AttentionType::EncoderSelf))
    }

    /// Remembers in the run folder what it was made of, or refuses other files than then.
    fn enter(&self, folder: &RunFolder) -> Result<()> {
        self.heads.iter().try_for_each(|head| {
            data_files::remember(folder, head.origins())?;
            head.enter(folder)
        })
    }

    fn new(recipe: &H::Recipe, pretrained: Pretrained, heads: Vec<H>) -> Self {
        Self {
            recipe: recipe.clone(),
            batch_size: recipe.train().batch_size,
            pretrained,
            heads,
        }
    }
}

/// Every variant of the data sets that are named.
pub(super) fn variants<R: EncoderRecipe>(recipe: &R, datasets: &[String]) -> Vec<Variant> {
    let pruned = [Pruned::only(AttentionType::EncoderSelf)];
    let mechanisms = &recipe.model().normalizers;
    let of = |(i, name): (usize, &String)| {
        let is_pruned = |mechanism| recipe.prune().prunes(mechanism);
        Variant::each(mechanisms, (i, name), (&pruned, is_pruned))
    };
    datasets.iter().enumerate().flat_map(of).collect()
}

/// The row without a mask, or the one with a mask.
fn row_of<'a>(row: Option<&Row>, [plain, masked]: [&'a String; 2]) -> &'a String {
    match row.and_then(|row| row.mask) {
        None => plain,
        Some(_) => masked,
    }
}

impl<H: Head> Task for Encoder<H> {
    type Recipe = H::Recipe;
    type Network = H::Network;
    type Masks = Option<Vec<LayerMask>>;
    type Objective<'a>
        = HeadLoss<'a, H>
    where
        Self: 'a;

    fn variants(recipe: &H::Recipe) -> Result<Vec<Variant>> {
        Ok(variants(recipe, &H::datasets(recipe)?))
    }

    fn table(recipe: &H::Recipe, folder: &RunFolder) -> Result<TableRequest> {
        let title = format!(
            "{}: {} under attention pruning ({}, {} thresholds, {} semantics)",
            recipe.table(),
            recipe.model().network.name(),
            recipe.retrain_start().words(),
            recipe.threshold().scope.as_str(),
            recipe.threshold().semantics.as_str()
        );
        let rows = (0..H::datasets(recipe)?.len())
            .map(|dataset| H::rows(recipe, folder, dataset))
            .collect::<Result<Vec<_>>>()?;
        let labels = |of: &Variant, row: Option<&Row>| {
            let label = |[plain, masked]: &[String; 2]| Label {
                row: row_of(row, [plain, masked]).clone(),
                p: of.p_of(row, recipe.retrain_start()),
                rows: MaskRows::True,
            };
            rows[of.dataset].iter().map(label).collect()
        };
        Ok(TableRequest {
            title: records::title(recipe, title),
            layout: records::layout(recipe, Layout::Pivot(H::layout(recipe)?)),
            expected: records::expected::<Self>(recipe, folder, labels)?,
        })
    }

    const KEPT: &'static str = H::KEPT;

    fn unit_scores(
        recipe: &H::Recipe,
        _: &RunFolder,
        model: &Path,
        records: &[RunRecord],
    ) -> Result<Vec<UnitScores>> {
        H::unit_scores(recipe, model, records)
    }

    fn open(run: &Run<'_, H::Recipe>, fetch: Fetch) -> Result<Self> {
        let sources = Sources::of(run.request).or_remembered(&run.folder)?;
        let model = run.recipe.model();
        let pretrained =
            Pretrained::open(model, &sources, fetch)?.computed_by(run.request.attention);
        let heads = H::open(run, &sources, &pretrained.tokenizer, fetch)?;
        let task = Self::new(run.recipe, pretrained, heads);
        task.check_all(run)?;
        run.enter()?;
        task.pretrained
            .enter(model.network, &run.folder, &sources)?;
        task.enter(&run.folder)?;
        Ok(task)
    }

    fn reopen(run: &Run<'_, H::Recipe>) -> Result<Self> {
        let sources = Sources::of(run.request).or_remembered(&run.folder)?;
        let model = run.recipe.model();
        let pretrained = Pretrained::of_run(model, &run.folder, H::Recipe::PROGRAM)?
            .computed_by(run.request.attention);
        let heads = H::open(run, &sources, &pretrained.tokenizer, Fetch::Never)?;
        let task = Self::new(run.recipe, pretrained, heads);
        for head in &task.heads {
            data_files::same(&run.folder, head.origins())?;
        }
        Ok(task)
    }

    fn stand_in(run: &Run<'_, H::Recipe>) -> Result<Self> {
        let sources = Sources::of(run.request).or_remembered(&run.folder)?;
        let pretrained = Pretrained::open_or_sizes(run.recipe.model(), &sources)?
            .computed_by(run.request.attention);
        let heads = H::stand_in(run, &sources, &pretrained.tokenizer)?;
        Ok(Self::new(run.recipe, pretrained, heads))
    }

    fn with_one_example(self) -> Self {
        Self {
            batch_size: 1,
            ..self
        }
    }

    fn describe(&self) -> Vec<String> {
        let heads = self.heads.iter().map(|head| head.description().to_owned());
        let weights = format!("weights: {}", self.pretrained.origin);
        heads.chain([weights]).collect()
    }

    fn files(&self, of: &Variant) -> Option<&Origins> {
        Some(self.head(of).origins())
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

    fn network(&self, of: &Variant, seed: u64, device: &Device) -> Result<H::Network> {
        let config = self.config(of);
        Ok(new_weights(seed, device, |host| {
            self.head(of).init(&config, host)
        }))
    }

    /// The pretrained network with a new head.
    fn initial(&self, of: &Variant, seed: u64, device: &Device) -> Result<H::Network> {
        let weights = self.pretrained.weights.clone();
        let weights = weights.context("the pretrained weights were not read")?;
        let network = self.network(of, seed, device)?;
        let head = self.head(of);
        let mut options = ImportOptions::default().allow_unexpected("cls.");
        for name in head.head_names() {
            options = options.allow_missing(*name);
        }
        if head.bert(&network).pooler.is_none() {
            options = options.allow_unexpected("pooler.");
        }
        let (network, _) = import_bert(network, weights, &options)
            .with_context(|| format!("weights {}", self.pretrained.origin))?;
        Ok(network)
    }

    fn attention(&self, of: &Variant) -> Vec<AttentionLayers> {
        let config = &self.pretrained.config;
        vec![AttentionLayers {
            kind: AttentionType::EncoderSelf,
            n_layers: config.n_layers,
            grid: network::grid(config, self.recipe.max_len()),
            pattern: self.config(of).static_pattern(),
        }]
    }

    fn masks(&self, mask: Option<&GlobalMask>, device: &Device) -> Result<Self::Masks> {
        layer_masks(mask, self.recipe.max_len(), device)
    }

    fn cost(&self, of: &Variant) -> Cost {
        let (config, max_len) = (self.config(of), self.recipe.max_len());
        Cost {
            n_params: config.n_params(),
            tokens: self.batch_size * max_len,
            n_layers: config.n_layers,
            d_model: config.d_model,
            d_ff: config.d_ff,
            n_scores: config.n_heads * max_len,
            score_copies: SCORE_COPIES,
            n_outputs: 0,
            batch_key: "train.batch_size",
            decoding: None,
        }
    }

    fn positions_per_step(&self, of: &Variant) -> f64 {
        let head = self.head(of);
        self.batch_size.min(head.n_train()) as f64 * head.mean_width(self.batch_size)
    }

    fn training(&self, of: &Variant, _: Phase) -> TrainingConfig {
        let (train, head) = (self.recipe.train(), self.head(of));
        let intervals = train.intervals;
        TrainingConfig {
            schedule: train.optimizer.schedule(train.steps_for(head.n_epoch())),
            adam: AdamSettings {
                decay_vectors: false,
                head: head.head_rate(),
                ..train.optimizer.settings(train.weight_decay)
            },
            selection: Selection::Last,
            log_every: intervals.log_every,
            valid_every: intervals.valid_every,
            patience: intervals.patience,
            checkpoint_every: intervals.checkpoint_every,
            redraw_every: of.mechanisms.redraw_every(),
        }
    }

    fn objective<'a>(
        &'a self,
        of: &'a Variant,
        seed: u64,
        masks: BothMasks<Self::Masks>,
        device: &Device,
    ) -> Result<HeadLoss<'a, H>> {
        HeadLoss::new(self.head(of), (self.batch_size, seed), masks, device)
    }

    fn observe<'a>(
        &'a self,
        of: &'a Variant,
        model: &'a Model<'a, H::Network>,
        examples: Examples,
    ) -> Result<Observation<'a>> {
        let (head, observe) = (self.head(of), self.recipe.observe());
        let split = examples.split();
        let n = examples.of(head.n_examples(split), observe.examples);
        let order = ExampleOrder::in_order(n, observe.batch_size)?;
        let n_batches = order.n_batches();
        let weights = move |i| -> Result<Vec<Observed>> {
            let indices = order.get(i).unwrap_or_default();
            let (input, ids) = head.input(split, indices, model.device)?;
            let valid = ids.iter().map(|ids| Valid::first(ids.len(), ids.len()));
            let valid = valid.collect();
            let input = input.masks(model.masks.clone()).return_weights();
            let output = head.bert(model.network).forward(input);
            Ok(vec![Observed {
                kind: AttentionType::EncoderSelf,
                weights: output.weights,
                placement: Placement::at(0, 0).with_valid(valid),
                ids: ids.into_iter().map(ExampleIds::of_self).collect(),
            }])
        };
        Ok(Observation {
            corpus: format!("{}:{}:{n}", head.corpus(), head.part(split)),
            words: format!("{n} examples"),
            amount: Amount {
                n: n_batches as u64,
                tokens: n as f64 * head.mean_len(split) / n_batches.max(1) as f64,
            },
            batches: Box::new((0..n_batches).map(weights)),
        })
    }

    fn watch(
        &self,
        of: &Variant,
        model: &Model<'_, H::Network>,
        n_queries: usize,
    ) -> Result<Readings> {
        let head = self.head(of);
        let (mut n_read, n) = (0, head.n_examples(Split::Test) as u32);
        let read = || -> Result<()> {
            for index in 0..n {
                if n_read >= n_queries {
                    break;
                }
                let (input, ids) = head.input(Split::Test, &[index], model.device)?;
                let len = ids.first().map_or(0, Vec::len);
                let input = batch::without_padding(input, len).masks(model.masks.clone());
                head.bert(model.network).forward(input);
                n_read += len;
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
        // Every data set of labelled texts and of questions that there is.
        Language::En
    }

    fn mechanisms<'n>(&self, of: &Variant, network: &'n H::Network) -> Vec<PlacedMechanism<'n>> {
        self.head(of).bert(network).mechanisms()
    }

    fn lines(&self, of: &Variant, row: Option<&Row>, on: &OpenDevice) -> Result<Vec<Line>> {
        let line = |column: Column| Line {
            file: column.name(),
            label: Label {
                row: row_of(row, [&column.row, &column.masked_row]).clone(),
                p: of.p_of(row, self.recipe.retrain_start()),
                rows: MaskRows::True,
            },
            metric: column.metric,
            signature: column.signature,
            attention: column.attention,
            paper: column.paper,
        };
        let columns = self.head(of).columns(on)?;
        Ok(columns.into_iter().map(line).collect())
    }

    fn scored(&self, of: &Variant) -> Amount {
        Amount {
            n: self.head(of).n_scored() as u64,
            tokens: 1.0,
        }
    }

    fn score(
        &self,
        of: &Variant,
        model: &Model<'_, H::Network>,
        scoring: &Scoring<'_>,
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<f64>> {
        self.head(of).score(of, model, scoring, at)
    }

    fn baselines(&self) -> Result<Vec<BaselineLine>> {
        let mut lines = Vec::new();
        for (name, head) in H::datasets(&self.recipe)?.iter().zip(&self.heads) {
            for BaselineScore {
                baseline, column, ..
            } in head.baselines()?
            {
                lines.push(BaselineLine {
                    baseline,
                    file: format!("{name}-{baseline}-{}", column.name()),
                    row: column.row,
                    metric: column.metric,
                    signature: column.signature,
                    files: Some(head.origins().clone()),
                });
            }
        }
        Ok(lines)
    }

    fn score_baselines(&self) -> Result<Vec<f64>> {
        let mut values = Vec::new();
        for head in &self.heads {
            values.extend(head.baselines()?.iter().map(|scored| scored.value));
        }
        Ok(values)
    }
}
