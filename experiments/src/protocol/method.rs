//! *Data-Informed Global Sparseness in Attention* (arXiv 2012.02030), section 3, for any task:
//!
//! 1. train the network dense ─► `seed-N/VARIANT/dense/`
//! 2. average its attention over the training set ─► `seed-N/VARIANT/pattern.safetensors`
//! 3. hide the cells whose mean is below the p-th percentile ─► `seed-N/VARIANT/masks/ROW.safetensors`
//! 4. train again under the mask ─► `seed-N/VARIANT/rows/ROW/`
//! 5. score ─► `records/*.run.json` ─► `TABLE.md`
//!
//! Each step reads files of the run folder and writes files of the run folder; what is finished is not made again, and what has
//! its records is not trained again for a table (`needs.rs`).

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::Device;
use sparta_ops::attention;
use sparta_ops::profile::span;
use sparta_ops::pruning::{AttentionPattern, GlobalMask, PatternHeader};

use super::cost::available_memory;
use super::diverged::GivenUp;
use super::folder::ModelFolder;
use super::masks::check_pattern_memory;
use super::records::{Measured, Subject};
use super::rows::{Arm, Row, all_models};
use super::run::{ObservationSummary, Run, TrainingSummary, now};
use super::stage::{Fetch, Stage};
use super::task::{BothMasks, Examples, Line, MaskedModel, Observed, Phase, Scoring, Task};
use crate::device::{self, OpenDevice};
use crate::recipe::{Recipe, RetrainStart};
use crate::status::{Part, Plan, PlannedModel, Work};
use crate::train::watch::{self, stop_if_interrupted};
use crate::train::{Timing, last_timing, load_model, short};
use crate::version;

/// Queries of each layer whose attention is watched after scoring.
const WATCHED_QUERIES: usize = 64;

/// The method at work on a task, in a run folder, on a device.
pub struct Protocol<'a, T: Task> {
    pub(super) run: &'a Run<'a, T::Recipe>,
    pub(super) task: T,
    pub(super) on: OpenDevice,
    /// The device with autodiff.
    training: Device,
}

impl<'a, T: Task> Protocol<'a, T> {
    /// Opens the device, the task's data and the run folder.
    ///
    /// # Errors
    /// What is missing, each saying what to do.
    pub fn open(run: &'a Run<'a, T::Recipe>) -> Result<Self> {
        let (request, recipe) = (run.request, run.recipe);
        let on = device::open(request.device, T::Recipe::PROGRAM)?;
        request.attention.on(&on.device)?;
        on.check_precision(recipe.precision())?;
        run.note(&format!(
            "sparta {} · recipe {} ({}) · device {} · attention {} · precision {} · run folder {}",
            version::LONG,
            recipe.table(),
            short(&recipe.hash()),
            on.note,
            request.attention.as_str(),
            recipe.precision(),
            run.folder.root().display()
        ));
        run.computes_on(on.choice);
        let task = T::open(run, Fetch::Never)?;
        for line in task.describe() {
            run.note(&line);
        }
        // Before this, whose files are whole or not there, a signal ends the process at once.
        watch::listen()?;
        let training = on.device.clone().autodiff();
        Ok(Self {
            run,
            task,
            on,
            training,
        })
    }

    /// Goes through the stages that were asked for; gives the models that there are none of.
    ///
    /// # Errors
    /// The first step that fails, but for trainings that diverge; what is finished stays.
    pub(super) fn go(&self) -> Result<Vec<GivenUp>> {
        (self.run.recipe.precision()).within(|| self.stages())
    }

    /// The stages, in the precision of the recipe.
    fn stages(&self) -> Result<Vec<GivenUp>> {
        let (stage, recipe) = (self.run.request.stage, self.run.recipe);
        if stage.scores() {
            self.check_records()?;
        }
        self.run.tracker().plan(self.plan()?);
        // What is refused is not kept; what is stopped is gone on with.
        if stage.trains() || self.all_have_dense_models()? {
            self.run.keep_choice()?;
        }
        let mut given_up = Vec::new();
        for &seed in recipe.seeds() {
            if stage.scores() {
                self.score_baselines(seed)?;
            }
            for variant in T::variants(recipe)? {
                let arm = Arm::of(&self.run.folder, recipe, seed, variant);
                self.go_on_with(&arm, &mut given_up)?;
                // A GPU's pool keeps the pages of every shape that there was.
                self.on.device.memory_cleanup();
            }
        }
        Ok(given_up)
    }

    /// Whether the dense models that other stages need are there, or their records are.
    fn all_have_dense_models(&self) -> Result<bool> {
        for (arm, row) in all_models::<T>(self.run.recipe, &self.run.folder)? {
            let is_there = row.is_some() || arm.folder.dense().has_weights();
            if !is_there && !self.has_records(&arm, None)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The stages of one variant and seed.
    fn go_on_with(&self, arm: &Arm, given_up: &mut Vec<GivenUp>) -> Result<()> {
        let (stage, recipe) = (self.run.request.stage, self.run.recipe);
        let rows = Row::all(&arm.variant.pruned, recipe.masks());
        let needs = self.needs(arm, &rows)?;
        self.note_needs(arm, &needs)?;
        let is_observed = needs.rows.iter().any(|row| row.mask.is_some());
        if stage.observes() && is_observed && !arm.folder.pattern().exists() {
            check_pattern_memory(&self.task.attention(&arm.variant), available_memory())?;
        }
        // What is there is looked through for what only its training needed.
        let is_there = arm.folder.dense().has_weights();
        let lives = if stage.trains() && (needs.dense.is_needed() || is_there) {
            self.survives(self.train_dense(arm), (arm, None), given_up)?
        } else {
            stage.trains() || self.is_there((arm, None), given_up)?
        };
        if !lives {
            return Ok(());
        }
        if stage.scores() {
            self.score(arm, None)?;
        }
        // Without a mask, nothing needs the attention: p = 0 alone, or a variant that is not pruned.
        if is_observed {
            if stage.observes() {
                self.observe(arm)?;
            }
            if stage.prunes() {
                self.run.tracker().begin(Stage::Prune)?;
                self.run.make_masks(&arm.folder, &rows)?;
            }
        }
        let start = recipe.retrain_start();
        for row in rows.iter().filter(|row| row.is_trained_again(start)) {
            let is_there = arm.model(Some(row)).has_weights();
            let lives = if stage.prunes() && (needs.rows.contains(row) || is_there) {
                self.survives(self.train_again(arm, row), (arm, Some(row)), given_up)?
            } else {
                !stage.scores() || self.is_there((arm, Some(row)), given_up)?
            };
            if lives && stage.scores() {
                self.score(arm, Some(row))?;
            }
        }
        Ok(())
    }

    /// Everything that the stages that were asked for do, and what of it is there already.
    fn plan(&self) -> Result<Plan> {
        let (stage, run) = (self.run.request.stage, self.run);
        let part = |is_asked: bool, is_there: bool| match (is_asked, is_there) {
            (false, _) => Part::None,
            (true, false) => Part::Left,
            (true, true) => Part::Done { seconds: None },
        };
        let mut models = Vec::new();
        for (arm, row) in all_models::<T>(run.recipe, &run.folder)? {
            let (folder, row) = (arm.model(row.as_ref()), row.as_ref());
            let rows = Row::all(&arm.variant.pruned, run.recipe.masks());
            let needs = self.needs(&arm, &rows)?;
            let (phase, asked, is_needed) = match row {
                None => (Phase::Dense, stage.trains(), needs.dense.is_needed()),
                Some(row) => (Phase::Again, stage.prunes(), needs.rows.contains(row)),
            };
            // What is there is told, needed or not.
            let trains = asked && (is_needed || folder.has_weights());
            let is_observed = row.is_none() && needs.rows.iter().any(|row| row.mask.is_some());
            models.push(PlannedModel {
                variant: arm.variant.folder.clone(),
                steps: self.task.training(&arm.variant, phase).schedule.steps,
                step_seconds: last_timing(&folder.path).and_then(Timing::step_seconds),
                train: part(trains, folder.has_weights()),
                observe: part(
                    stage.observes() && is_observed,
                    arm.folder.pattern().exists(),
                ),
                score: part(stage.scores(), self.has_records(&arm, row)?),
                identity: folder.identity,
            });
        }
        models.retain(|of| {
            [of.train, of.observe, of.score]
                .iter()
                .any(|&of| of != Part::None)
        });
        Ok(Plan { models })
    }

    fn train_dense(&self, arm: &Arm) -> Result<()> {
        let folder = arm.folder.dense();
        let what = format!("the dense model ({})", arm.variant.words());
        if self.run.is_trained(&folder, &what)? {
            return Ok(());
        }
        let seed = arm.folder.seed();
        let network = self.task.initial(&arm.variant, seed, &self.training)?;
        self.train(arm, network, None)
    }

    fn train_again(&self, arm: &Arm, row: &Row) -> Result<()> {
        let folder = arm.folder.row(&row.name());
        if self.run.is_trained(&folder, &row.name())? {
            return Ok(());
        }
        let (dense, seed) = (arm.folder.dense(), arm.folder.seed());
        let mask = self.mask(arm, row)?;
        let network = match self.run.recipe.retrain_start() {
            RetrainStart::Scratch | RetrainStart::Pretrained => {
                self.task.initial(&arm.variant, seed, &self.training)?
            }
            RetrainStart::Dense => {
                TrainingSummary::load(&dense)?;
                let empty = self.task.network(&arm.variant, seed, &self.training)?;
                load_model(&dense.model(), empty, &dense.identity)?
            }
        };
        self.train(arm, network, Some((row, mask.as_ref())))
    }

    fn train(
        &self,
        arm: &Arm,
        network: T::Network,
        row: Option<(&Row, Option<&GlobalMask>)>,
    ) -> Result<()> {
        let (task, variant) = (&self.task, &arm.variant);
        let (phase, stage) = match row {
            None => (Phase::Dense, Stage::Train),
            Some(_) => (Phase::Again, Stage::Prune),
        };
        let folder = arm.model(row.map(|(row, _)| row));
        let tracker = self.run.tracker();
        tracker.begin_with(stage, &folder.identity, Work::Train)?;
        let mask = row.and_then(|(_, mask)| mask);
        let masks = BothMasks {
            training: task.masks(mask, &self.training)?,
            plain: task.masks(mask, &self.on.device)?,
        };
        let objective = task.objective(variant, arm.folder.seed(), masks, &self.training)?;
        let config = task.training(variant, phase);
        let started = now();
        self.run
            .train(
                &folder,
                (network, objective),
                config,
                task.tokenizer_hash(),
                (&self.training, self.on.choice),
            )
            .inspect_err(|error| {
                self.run.note_failure(error, started, || {
                    let lines = task.lines(variant, row.map(|(row, _)| row), &self.on)?;
                    self.run.describe(&self.subject(arm, row), &lines)
                });
            })?;
        tracker.finished();
        Ok(())
    }

    /// The model of a folder in evaluation mode, on the plain device.
    fn trained(&self, arm: &Arm, folder: &ModelFolder) -> Result<(T::Network, TrainingSummary)> {
        let summary = TrainingSummary::load(folder)?;
        summary.check_vocabulary(folder, &self.task.tokenizer_hash())?;
        let seed = arm.folder.seed();
        let empty = self.task.network(&arm.variant, seed, &self.training)?;
        let network = load_model(&folder.model(), empty, &folder.identity)?;
        Ok((network.valid(), summary))
    }

    fn observe(&self, arm: &Arm) -> Result<()> {
        let path = arm.folder.pattern();
        let what = format!("the attention pattern ({})", arm.variant.words());
        match self.run.is_finished(&path, &what)? {
            true => self.check_pattern(arm),
            false => span("observe", || self.observe_dense(arm)),
        }
    }

    /// That an attention pattern which is there leaves out the cells that the network never sees.
    fn check_pattern(&self, arm: &Arm) -> Result<()> {
        for of in self.task.attention(&arm.variant) {
            let Some(expected) = of.pattern else {
                continue;
            };
            let pattern = self.run.load_pattern(&arm.folder)?;
            let found = pattern.header().static_patterns.get(&(of.kind, 0));
            ensure!(
                found == Some(&expected),
                "{} counts cells that no query sees, as versions before did: delete it, and the folders of masks and rows \
                 beside it, and observe again with `--resume`",
                arm.folder.pattern().display()
            );
        }
        Ok(())
    }

    /// Averages the attention of the dense model.
    fn observe_dense(&self, arm: &Arm) -> Result<()> {
        let dense = arm.folder.dense();
        let tracker = self.run.tracker();
        tracker.begin_with(Stage::Observe, &dense.identity, Work::Observe)?;
        let (network, _) = self.trained(arm, &dense)?;
        let before = attention::calls();
        let model = MaskedModel {
            network: &network,
            masks: self.task.masks(None, &self.on.device)?,
            device: &self.on.device,
        };
        let pass = self
            .task
            .observe(&arm.variant, &model, Examples::Observed)?;
        let padding = self.run.recipe.threshold().semantics.padding();
        let layers = self.task.attention(&arm.variant);
        let header = layers.into_iter().fold(
            PatternHeader::new(pass.corpus, arm.folder.model_name()).with_padding(padding),
            |header, of| {
                let header = header.with_layers(of.kind, of.n_layers, of.grid);
                match of.pattern {
                    Some(pattern) => header.with_static(of.kind, of.n_layers, pattern),
                    None => header,
                }
            },
        );
        let mut pattern = AttentionPattern::new(header);
        let mut progress = self
            .run
            .progress("observe", pass.amount.n, pass.amount.tokens);
        for (i, batch) in pass.batches.enumerate() {
            for observed in batch? {
                let Observed {
                    kind,
                    weights,
                    placement,
                    ids: _,
                } = observed;
                for (layer, weights) in weights.into_iter().enumerate() {
                    pattern.observe_tensor(kind, layer, weights, &placement)?;
                }
            }
            progress.at(i as u64 + 1, "")?;
            stop_if_interrupted("observation")?;
        }
        let rate = progress.rate(pass.amount.n);
        let calls = attention::calls() - before;
        progress.finish(&format!(
            "mean attention over {}, {rate:.0} tokens/s, computed by {calls}",
            pass.words
        ));
        ObservationSummary { attention: calls }.save(&arm.folder)?;
        pattern.save(arm.folder.pattern())?;
        tracker.finished();
        Ok(())
    }

    fn mask(&self, arm: &Arm, row: &Row) -> Result<Option<GlobalMask>> {
        let attention = self.task.attention(&arm.variant);
        self.run.load_mask(&arm.folder, row, &attention)
    }

    fn score(&self, arm: &Arm, row: Option<&Row>) -> Result<()> {
        let folder = arm.model(row);
        let lines = self.task.lines(&arm.variant, row, &self.on)?;
        let what = format!("the score of {}", folder.identity.run);
        let mut is_recorded = !lines.is_empty();
        for line in &lines {
            is_recorded &= self
                .run
                .is_finished(&self.run.record_path(&folder, line), &what)?;
        }
        // Scores of earlier versions left nothing beside the model that it can be compared by; records alone have no model.
        let is_kept = folder.path.join(T::KEPT).is_file() || !folder.has_weights();
        if is_recorded && (is_kept || self.run.request.stage != Stage::Eval) {
            return self.run.forget_diverged(&folder, &lines);
        }
        let all = lines.clone();
        // What is only measured of a model is no sum over a test set.
        let is_scored = |line: &Line| !is_recorded || line.attention.is_none();
        let lines: Vec<Line> = lines.into_iter().filter(is_scored).collect();
        span("score", || {
            self.score_lines(arm, row, (&lines, is_recorded))
        })?;
        self.run.forget_diverged(&folder, &all)
    }

    /// Scores a model; where it has its records, for what scoring leaves beside it alone.
    fn score_lines(
        &self,
        arm: &Arm,
        row: Option<&Row>,
        (lines, is_recorded): (&[Line], bool),
    ) -> Result<()> {
        let folder = arm.model(row);
        let tracker = self.run.tracker();
        tracker.begin_with(Stage::Eval, &folder.identity, Work::Score)?;
        let mask = match row {
            None => None,
            Some(row) => self.mask(arm, row)?,
        };
        let (network, summary) = self.trained(arm, &folder)?;
        let device = &self.on.device;
        let model = MaskedModel {
            network: &network,
            masks: self.task.masks(mask.as_ref(), device)?,
            device,
        };
        let scoring = Scoring {
            lines,
            folder: &folder,
            mask_path: arm.mask(row),
            on: &self.on,
        };
        let amount = self.task.scored(&arm.variant);
        let mut progress = self.run.progress("test", amount.n, amount.tokens);
        let before = attention::calls();
        // The status is no part of the score: what keeps it from being written is said when the score is there.
        let mut told = Ok(());
        let mut at = |n| {
            if told.is_ok() {
                told = progress.at(n, "");
            }
        };
        let values = self.task.score(&arm.variant, &model, &scoring, &mut at)?;
        told?;
        let scored = attention::calls() - before;
        let words: Vec<String> = lines
            .iter()
            .zip(&values)
            .map(|(line, value)| format!("{} {} {value:.2}", line.label.row, line.metric.label()))
            .collect();
        progress.finish(&format!("{}: {}", folder.identity.run, words.join(", ")));
        if is_recorded {
            self.run.note(&format!(
                "{}: {} is added; its records stay as they are",
                folder.identity.run,
                T::KEPT
            ));
            return Ok(());
        }
        let subject = self.subject(arm, row.map(|row| (row, mask.as_ref())));
        let records = self.run.describe(&subject, lines)?;
        let measured = Measured {
            summary: &summary,
            scored,
            observed: self.observed(arm, &model)?,
        };
        self.run
            .save_scores(&subject, records, &values, &measured)?;
        tracker.finished();
        Ok(())
    }

    fn score_baselines(&self, seed: u64) -> Result<()> {
        let started = now();
        let lines = self.task.baselines()?;
        let mut missing = Vec::new();
        for line in &lines {
            let path = self.run.baseline_path(seed, line);
            missing.push(!self.run.is_finished(&path, "the score of the baselines")?);
        }
        if !missing.contains(&true) {
            return Ok(());
        }
        self.run.tracker().begin(Stage::Eval)?;
        let values = self.task.score_baselines()?;
        let scored = lines.iter().zip(values).zip(missing);
        for ((line, value), _) in scored.filter(|(_, is_missing)| *is_missing) {
            self.run.save_baseline(seed, line, value, started)?;
        }
        Ok(())
    }

    fn subject<'b>(
        &'b self,
        arm: &'b Arm,
        row: Option<(&'b Row, Option<&'b GlobalMask>)>,
    ) -> Subject<'b> {
        Subject {
            arm,
            row: row.map(|(row, _)| row),
            mask: row.and_then(|(_, mask)| mask),
            device: self.on.choice,
            parameters: self.task.cost(&arm.variant).n_params,
            files: self.task.files(&arm.variant),
            weights: self.task.weights(),
        }
    }

    /// What is watched of a model's mechanisms while it reads a few examples: of those that its variant is about, by type
    /// where they are several.
    fn observed(
        &self,
        arm: &Arm,
        model: &MaskedModel<'_, T::Network, T::Masks>,
    ) -> Result<BTreeMap<String, f64>> {
        let readings = self.task.watch(&arm.variant, model, WATCHED_QUERIES)?;
        let mechanisms = arm.variant.mechanisms.distinct();
        let mut observed = BTreeMap::new();
        for (_, kinds) in &mechanisms {
            for found in readings.of(kinds) {
                let Some(mean) = found.mean().filter(|mean| mean.is_finite()) else {
                    continue;
                };
                let name = match mechanisms.len() {
                    1 => found.name.to_owned(),
                    _ => {
                        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
                        format!("{}: {}", kinds.join("+"), found.name)
                    }
                };
                observed.insert(name, mean);
            }
        }
        Ok(observed)
    }
}
