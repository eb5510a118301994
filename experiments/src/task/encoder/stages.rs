//! The stages. Each reads files of the run folder and writes files of the run folder; what is
//! finished is not made again.

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::Device;
use sparta_datasets::batch::ExampleOrder;
use sparta_model::bert::BertConfig;
use sparta_model::import::{ImportOptions, import_bert};
use sparta_ops::pruning::{AttentionPattern, GlobalMask, PatternHeader, Placement, Valid};

use super::lesson::ExampleLesson;
use super::network::{self, KIND, layer_masks};
use super::pretrained::Pretrained;
use super::records;
use super::subject::{Fit, Subject};
use crate::protocol::init::new_weights;
use crate::protocol::masks::{MaskedRow, semantics};
use crate::protocol::run::{TrainingSummary, now};
use crate::protocol::{ArmFolder, ModelFolder, Row, Run, Stage};
use crate::recipe::{EncoderRecipe, RetrainStart};
use crate::train::watch::{Progress, stop_if_interrupted};
use crate::train::{AdamSettings, Keep, Plan, load_model};

/// A recipe at work in a run folder, on a device.
pub(in crate::task) struct Session<'a, R: EncoderRecipe> {
    pub(in crate::task) work: Run<'a, R>,
    pub(in crate::task) pretrained: Pretrained,
}

/// The model of a folder in evaluation mode, on the plain device; `init` makes one of its shape.
///
/// # Errors
/// A model that is not trained yet, or that does not fit the tokenizer.
pub(in crate::task) fn trained_network<M: Module>(
    init: impl FnOnce(&BertConfig, &Device) -> M,
    pretrained: &Pretrained,
    folder: &ModelFolder,
    training: &Device,
) -> Result<M> {
    let hash = pretrained.wordpiece.hash();
    TrainingSummary::load(folder)?.check_vocabulary(folder, &hash)?;
    let empty = init(&pretrained.config, training);
    Ok(load_model(&folder.model(), empty, &folder.identity)?.valid())
}

impl<R: EncoderRecipe> Session<'_, R> {
    /// Does a stage for one task and seed.
    pub(in crate::task) fn run<S: Subject>(
        &self,
        subject: &S,
        seed: u64,
        stage: Stage,
    ) -> Result<()> {
        let branch = self.work.branch(seed, subject.name());
        let rows = Row::all(self.work.recipe.masks());
        let is = |stages: &[Stage]| stages.contains(&stage);
        if is(&[Stage::Eval, Stage::Reproduce]) {
            records::baselines(self, subject, seed)?;
        }
        if is(&[Stage::Train, Stage::Reproduce]) {
            self.train_dense(subject, &branch)?;
        }
        if is(&[Stage::Eval, Stage::Reproduce]) {
            self.eval(subject, &branch, None)?;
        }
        if rows.len() > 1 {
            if is(&[Stage::Observe, Stage::Reproduce]) {
                self.observe(subject, &branch)?;
            }
            if is(&[Stage::Prune, Stage::Reproduce]) {
                self.masks(&branch, &rows)?;
            }
        }
        for row in rows.iter().filter(|row| self.is_trained_again(row)) {
            if is(&[Stage::Prune, Stage::Reproduce]) {
                self.train_row(subject, &branch, row)?;
            }
            if is(&[Stage::Eval, Stage::Reproduce]) {
                self.eval(subject, &branch, Some(row))?;
            }
        }
        Ok(())
    }

    /// Whether a row has a model of its own: at p = 0 fine-tuning again from the same weights, for as
    /// many steps in the same order, would give the dense model again.
    pub(super) fn is_trained_again(&self, row: &Row) -> bool {
        match self.work.recipe.retrain_start() {
            RetrainStart::Pretrained | RetrainStart::Scratch => *row != Row::Dense,
            RetrainStart::Dense => true,
        }
    }

    /// The pretrained network with a new head, the same for the same seed on every device.
    fn pretrained_model<S: Subject>(&self, subject: &S, seed: u64) -> Result<S::Model> {
        let config: &BertConfig = &self.pretrained.config;
        let weights = self.pretrained.weights.clone();
        let weights = weights.context("the pretrained weights were not read")?;
        let model = new_weights(seed, &self.work.training, |host| subject.init(config, host));
        let mut options = ImportOptions::default().allow_unexpected("cls.");
        for name in subject.head_names() {
            options = options.allow_missing(*name);
        }
        if subject.bert(&model).pooler.is_none() {
            options = options.allow_unexpected("pooler.");
        }
        let (model, _) = import_bert(model, weights, &options)
            .with_context(|| format!("weights {}", self.pretrained.origin))?;
        Ok(model)
    }

    fn trained_model<S: Subject>(&self, subject: &S, folder: &ModelFolder) -> Result<S::Model> {
        let init = |config: &BertConfig, device: &Device| subject.init(config, device);
        trained_network(init, &self.pretrained, folder, &self.work.training)
    }

    fn train_dense<S: Subject>(&self, subject: &S, branch: &ArmFolder) -> Result<()> {
        let folder = branch.dense();
        let what = format!("the dense model of {}", subject.name());
        if self.work.is_finished(&folder.trained(), &what)? {
            return Ok(());
        }
        let model = self.pretrained_model(subject, branch.seed())?;
        self.train(subject, branch, &folder, model, None)
    }

    fn train_row<S: Subject>(&self, subject: &S, branch: &ArmFolder, row: &Row) -> Result<()> {
        let folder = branch.row(&row.name());
        if self.work.is_finished(&folder.trained(), &row.name())? {
            return Ok(());
        }
        let dense = branch.dense();
        TrainingSummary::load(&dense)?;
        let mask = self.load_mask(branch, row)?;
        let model = match self.work.recipe.retrain_start() {
            RetrainStart::Pretrained | RetrainStart::Scratch => {
                self.pretrained_model(subject, branch.seed())?
            }
            RetrainStart::Dense => {
                let empty = subject.init(&self.pretrained.config, &self.work.training);
                load_model(&dense.model(), empty, &dense.identity)?
            }
        };
        self.train(subject, branch, &folder, model, Some((row, mask.as_ref())))
    }

    fn train<S: Subject>(
        &self,
        subject: &S,
        branch: &ArmFolder,
        folder: &ModelFolder,
        model: S::Model,
        row: Option<(&Row, Option<&GlobalMask>)>,
    ) -> Result<()> {
        let work = &self.work;
        let (r, max_len) = (work.recipe.train(), work.recipe.max_len());
        let mask = row.and_then(|(_, mask)| mask);
        let shape = (r.batch_size, max_len);
        let mut lesson = ExampleLesson::new(subject, shape, branch.seed(), mask, &work.training)?;
        let steps = r.steps_for(subject.n_train());
        let plan = Plan {
            identity: folder.identity.clone(),
            schedule: r.optimizer.schedule(steps),
            adam: AdamSettings {
                decay_vectors: false,
                head: subject.head_rate(),
                ..r.optimizer.settings(r.weight_decay)
            },
            keep: Keep::Last,
            log_every: r.intervals.log_every,
            valid_every: r.intervals.valid_every,
            checkpoint_every: r.intervals.checkpoint_every,
            resume: work.request.resume,
            quiet: work.request.quiet,
        };
        let started = now();
        let vocabulary = Some(self.pretrained.wordpiece.hash());
        work.train(folder, model, &mut lesson, &plan, vocabulary)
            .inspect_err(|error| records::failed(self, subject, branch, row, error, started))
    }

    fn observe<S: Subject>(&self, subject: &S, branch: &ArmFolder) -> Result<()> {
        let path = branch.pattern();
        let what = format!("the attention pattern of {}", subject.name());
        if self.work.is_finished(&path, &what)? {
            return Ok(());
        }
        let (work, recipe) = (&self.work, self.work.recipe);
        let dense = branch.dense();
        let model = self.trained_model(subject, &dense)?;
        let observe = recipe.observe();
        let n = match observe.examples {
            0 => subject.n_train(),
            n => n.min(subject.n_train()),
        };
        let config = &self.pretrained.config;
        let corpus = format!("{}:train:{n}", subject.corpus());
        let header = PatternHeader::new(corpus, branch.model_name())
            .with_layers(
                KIND,
                config.n_layers,
                network::grid(config, recipe.max_len()),
            )
            .with_padding(semantics(recipe.threshold().semantics).padding());
        let mut pattern = AttentionPattern::new(header);
        let order = ExampleOrder::in_order(n, observe.batch_size)?;
        let n_batches = order.n_batches() as u64;
        let per_batch = n as f64 * subject.mean_len() / n_batches.max(1) as f64;
        let quiet = work.request.quiet;
        let mut progress = Progress::start("observe", 0, n_batches, per_batch, quiet);
        for (i, indices) in order.iter().enumerate() {
            let (input, lengths) = subject.input(indices, &work.opened.device)?;
            let valid = lengths.iter().map(|&length| Valid::first(length, length));
            let placement = Placement::at(0, 0).with_valid(valid.collect());
            let output = subject.bert(&model).forward(input.return_weights());
            for (layer, weights) in output.weights.into_iter().enumerate() {
                pattern.observe_tensor(KIND, layer, weights, &placement)?;
            }
            progress.at(i as u64 + 1, "");
            stop_if_interrupted("observation")?;
        }
        let rate = progress.rate(n_batches);
        progress.finish(&format!(
            "mean attention over {n} examples, {rate:.0} tokens/s"
        ));
        Ok(pattern.save(&path)?)
    }

    /// Thresholds the pattern: the masks of every row.
    fn masks(&self, branch: &ArmFolder, rows: &[Row]) -> Result<()> {
        let masked = rows.iter().filter(|row| **row != Row::Dense);
        let masked: Vec<MaskedRow> = masked
            .map(|&row| MaskedRow {
                name: row.name(),
                row,
                types: vec![KIND],
            })
            .collect();
        let threshold = self.work.recipe.threshold();
        self.work.make_masks(branch, &masked, threshold)
    }

    fn load_mask(&self, branch: &ArmFolder, row: &Row) -> Result<Option<GlobalMask>> {
        let max_len = self.work.recipe.max_len();
        let fits = |mask: &GlobalMask| network::check_mask(mask, &self.pretrained.config, max_len);
        self.work.load_mask(branch, row, &row.name(), fits)
    }

    fn eval<S: Subject>(&self, subject: &S, branch: &ArmFolder, row: Option<&Row>) -> Result<()> {
        let folder = match row {
            None => branch.dense(),
            Some(row) => branch.row(&row.name()),
        };
        let what = format!("the score of {}", folder.identity.run);
        let path = records::last_path(self, subject, &folder);
        if self.work.is_finished(&path, &what)? {
            return Ok(());
        }
        let mask = match row {
            None => None,
            Some(row) => self.load_mask(branch, row)?,
        };
        let (work, max_len) = (&self.work, self.work.recipe.max_len());
        let device = &work.opened.device;
        let model = self.trained_model(subject, &folder)?;
        let fit = Fit {
            model: &model,
            masks: layer_masks(mask.as_ref(), max_len, device)?,
            mask_path: mask.as_ref().and(row).map(|row| branch.mask(&row.name())),
            device,
        };
        let n = subject.n_scored() as u64;
        let mut progress = Progress::start("test", 0, n, 1.0, work.request.quiet);
        let values = subject.score(&fit, &folder, &mut |n| progress.at(n as u64, ""))?;
        let described: Vec<String> = subject
            .columns()
            .iter()
            .zip(&values)
            .map(|(column, value)| format!("{} {} {value:.2}", column.row, column.metric.label()))
            .collect();
        progress.finish(&format!(
            "{}: {}",
            folder.identity.run,
            described.join(", ")
        ));
        records::scores(self, subject, branch, (row, mask.as_ref()), &values)
    }
}
