//! A training run from its beginning, or its last checkpoint, to its end.

mod step;

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use sparta_ops::attention::{self, Calls};
use sparta_ops::profile::span;

use super::checkpoint::TrainedBy;
use super::selection::Selector;
use super::watch::{self, Interrupted, Metrics, Progress, is_interrupted, number};
use super::{
    CHECKPOINT, Checkpoint, ClippedAdam, Heads, LossScale, METRICS, Objective, TIMING, Trained,
    TrainingArguments, Validation, Waited, learned, parameters, set_parameters,
};
use crate::io::say;

/// A training run at work.
pub(super) struct Run<'a, M: Module, L: Objective<M>> {
    model: Option<M>,
    optimizer: ClippedAdam,
    /// What losses are multiplied by before gradients are taken, where they have to be.
    loss_scale: Option<LossScale>,
    selector: Selector<'a>,
    /// Whether a mechanism of attention has a penalty, and parameters within bounds.
    is_penalised: bool,
    objective: &'a mut L,
    arguments: &'a TrainingArguments,
    folder: &'a Path,
    device: &'a Device,
    step: u64,
    /// Whether the validation after this step was interrupted and is still to be made.
    owes_validation: bool,
    /// The best validation so far, where a better one is waited for.
    waited: Option<Waited>,
    /// What ended training early.
    stall: Option<Stall>,
    kept: Option<u64>,
    /// What trained it, this process the last.
    by: Vec<TrainedBy>,
    seconds_before: f64,
    started: Instant,
    /// Calls of attention before this process went on, none if they were not counted; and its own before that.
    calls_before: (Option<Calls>, Calls),
    metrics: Metrics,
    timing: Metrics,
    /// Step and seconds of the last line of times.
    timed: (u64, f64),
    progress: Progress,
    /// Loss and gradient norm of the last step, not yet read from the device.
    pending: Option<(u64, f64, Tensor<1>)>,
    window: Window,
}

/// The validation that ended training early.
struct Stall {
    validation: Validation,
    /// Calls of attention before it, and what was waited for then: an interrupted run makes it again.
    before: (Option<Calls>, Option<Waited>),
}

/// Mean of the loss, and last norm, since the last line of metrics.
#[derive(Default)]
struct Window {
    loss: f64,
    n: u64,
    norm: f64,
    lr: f64,
}

impl<'a, M: Module, L: Objective<M>> Run<'a, M, L> {
    /// Begins, or goes on from the checkpoint that is there.
    ///
    /// # Errors
    /// A checkpoint that is not asked for, or does not fit; what the disk says.
    pub(super) fn open(
        model: M,
        objective: &'a mut L,
        arguments: &'a TrainingArguments,
        folder: &'a Path,
        device: &'a Device,
    ) -> Result<Self> {
        let path = folder.join(CHECKPOINT);
        let mut model = model;
        let mut optimizer = ClippedAdam::new(arguments.config.adam);
        let mut loss_scale = LossScale::of(arguments.precision);
        let (mut step, mut seconds_before, mut kept) = (0, 0.0, None);
        let mut calls_before = Some(Calls::default());
        let mut window = Window::default();
        let (mut owes_validation, mut waited) = (false, None);
        let mut by = Vec::new();
        if path.exists() {
            if !arguments.resume {
                bail!(
                    "{} is there from an earlier run; go on with `--resume`, or start a new run \
                     folder with `--out DIR`",
                    path.display()
                );
            }
            let found = Checkpoint::load(&path, &arguments.identity)?;
            model =
                set_parameters(model, found.model).with_context(|| path.display().to_string())?;
            optimizer.restore(found.optimizer, device);
            objective.restore(found.state)?;
            (step, seconds_before, kept) = (found.step, found.seconds, Some(found.step));
            (window.loss, window.n) = found.window;
            calls_before = found.attention;
            (owes_validation, waited) = (found.owes_validation, found.patience);
            loss_scale = loss_scale.map(|start| found.loss_scale.unwrap_or(start));
            by = found.by;
        }
        if let Some(last) = by.last().filter(|last| **last != arguments.by) {
            let apart = match last.commit == arguments.by.commit {
                true => "",
                false => ", and tables keep it apart from models of one build, without `--mixed`",
            };
            let line = format!(
                "`{}` was trained to step {step} on {last} and goes on on {}: its numbers are those of neither alone{apart}",
                arguments.identity.run, arguments.by
            );
            say(&line);
            arguments.tracker.log(&line);
        }
        if by.last() != Some(&arguments.by) {
            by.push(arguments.by.clone());
        }
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let selector = Selector::open(arguments, folder, step)?;
        let mut metrics = Metrics::resume(&folder.join(METRICS), step, owes_validation)?;
        let timing = Metrics::resume(&folder.join(TIMING), step, false)?;
        if step == 0 {
            let learned = learned::fields(&objective.mechanisms(&model))?;
            if !learned.is_empty() {
                metrics.write(0, learned)?;
            }
        }
        let is_penalised = learned::penalty(&objective.mechanisms(&model)).is_some();
        let progress = Progress::start(
            &arguments.identity.run,
            step,
            arguments.config.schedule.steps,
            objective.tokens_per_step(),
            arguments.quiet,
        )
        .of_run(Rc::clone(&arguments.tracker));
        Ok(Self {
            model: Some(model),
            optimizer,
            loss_scale,
            by,
            selector,
            is_penalised,
            objective,
            arguments,
            folder,
            device,
            step,
            owes_validation,
            waited,
            stall: None,
            kept,
            seconds_before,
            started: Instant::now(),
            calls_before: (calls_before, attention::calls()),
            metrics,
            timing,
            timed: (step, seconds_before),
            progress,
            pending: None,
            window,
        })
    }

    /// Goes to the end of the schedule.
    ///
    /// # Errors
    /// Those of [`train`](super::train).
    pub(super) fn finish(mut self) -> Result<Trained<M>> {
        let steps = self.arguments.config.schedule.steps;
        while self.step < steps && self.stall.is_none() {
            if !std::mem::take(&mut self.owes_validation) {
                self.one_step()?;
                if self.step.is_multiple_of(self.arguments.config.log_every) || self.step == steps {
                    self.log()?;
                }
            }
            let (step, arguments) = (self.step, self.arguments);
            if arguments.config.valid_every > 0
                && step % arguments.config.valid_every == 0
                && step < steps
            {
                let before = (self.calls(), self.waited);
                let validated = self.validate();
                let validation = self.or_save(validated, before)?;
                if self.is_patience_over(&validation) {
                    self.stall = Some(Stall { validation, before });
                    break;
                }
            }
            if let Some(model) = &self.model {
                self.selector.after_step(model, step)?;
            }
            let stop = is_interrupted() && step < steps;
            if (step % arguments.config.checkpoint_every == 0 && step < steps) || stop {
                self.checkpoint((self.calls(), self.waited), false)?;
            }
            if stop {
                return Err(self.stopped().into());
            }
        }
        self.read_pending()?;
        let seconds = self.seconds();
        let tokens = self.step as f64 * self.objective.tokens_per_step();
        let tokens_per_second = tokens / seconds.max(1e-9);
        let before = match &self.stall {
            Some(stall) => stall.before,
            None => (self.calls(), self.waited),
        };
        let result = self.result();
        let (model, kept, heads) = self.or_save(result, before)?;
        let valid_nll = kept.nll;
        let attention = self.calls();
        let patience = self.arguments.config.patience;
        let early = match &self.stall {
            Some(_) => {
                format!(" of {steps} (ended early: {patience} validation(s) without a better one)")
            }
            None => String::new(),
        };
        let skipped = self.skipped_words();
        self.progress.finish(&format!(
            "{} steps{early}{skipped} in {}, {tokens_per_second:.0} tokens/s, {}{}",
            self.step,
            watch::duration(seconds),
            self.objective.describe(&kept),
            heads.words()
        ));
        Ok(Trained {
            model,
            steps: self.step,
            tokens_per_second,
            valid_nll,
            attention,
            by: self.by,
        })
    }

    /// The module that is kept, what the validation set says of it, and what became of its heads.
    fn result(&mut self) -> Result<(M, Validation, Heads)> {
        // Where training ended early, it was by the validation of this step.
        let last = match &self.stall {
            Some(stall) => stall.validation,
            None => self.validate()?,
        };
        let model = self.model.clone();
        let model = model.context("the model was lost in training")?;
        let (model, is_last) = self.selector.result(model)?;
        let (model, is_settled, heads) = learned::prune_heads(model, self.objective)?;
        if is_settled {
            let fields = learned::fields(&self.objective.mechanisms(&model))?;
            self.metrics.write(self.step, fields)?;
        }
        let kept = match is_last && !is_settled {
            true => last,
            false => self.objective.validate(&model)?,
        };
        Ok((model, kept, heads))
    }

    /// Takes note of a validation; whether there were too many without a better one.
    fn is_patience_over(&mut self, validation: &Validation) -> bool {
        let (patience, selection) = (
            self.arguments.config.patience,
            self.arguments.config.selection,
        );
        if patience == 0 {
            return false;
        }
        let waited = Waited::after(self.waited, validation, selection);
        self.waited = Some(waited);
        waited.is_too_long(patience)
    }

    /// Saves the training that an interrupted validation comes after, with the calls of attention before it and what was
    /// waited for then; the run goes on with that validation.
    fn or_save<T>(
        &mut self,
        validated: Result<T>,
        before: (Option<Calls>, Option<Waited>),
    ) -> Result<T> {
        match validated {
            Err(error) if error.chain().any(|e| e.is::<Interrupted>()) => {
                self.checkpoint(before, true)?;
                Err(self.stopped().into())
            }
            Ok(_) | Err(_) => validated,
        }
    }

    /// What is said of a run that was stopped at a checkpoint.
    fn stopped(&self) -> Interrupted {
        let (step, run) = (self.step, &self.arguments.identity.run);
        Interrupted {
            resume: format!("step {step} of `{run}` is saved; go on with `--resume`"),
        }
    }

    /// Calls of attention in the whole run so far.
    fn calls(&self) -> Option<Calls> {
        let (before, at_start) = self.calls_before;
        before.map(|before| before + (attention::calls() - at_start))
    }

    fn log(&mut self) -> Result<()> {
        self.read_pending()?;
        let window = std::mem::take(&mut self.window);
        if window.n == 0 {
            return Ok(());
        }
        let model = self
            .model
            .as_ref()
            .context("the model was lost in training")?;
        let mut fields = vec![
            number("train/nll", window.loss / window.n as f64),
            number("train/grad_norm", window.norm),
            number("train/lr", window.lr),
        ];
        if let Some(scale) = self.loss_scale {
            fields.push(number("train/loss_scale", scale.factor()));
            fields.push(("train/skipped_steps".to_owned(), scale.skipped().into()));
        }
        fields.extend(learned::fields(&self.objective.mechanisms(model))?);
        self.metrics.write(self.step, fields)?;
        let (from, seconds) = (self.timed, self.seconds());
        self.timed = (self.step, seconds);
        let tokens = (self.step - from.0) as f64 * self.objective.tokens_per_step();
        let fields = [
            number("seconds", seconds),
            number("tokens_per_second", tokens / (seconds - from.1).max(1e-9)),
        ];
        self.timing.write(self.step, fields)
    }

    /// Seconds of training, those before a resume included.
    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    fn validate(&mut self) -> Result<Validation> {
        self.read_pending()?;
        let model = self
            .model
            .as_ref()
            .context("the model was lost in training")?;
        let valid = span("validation", || self.objective.validate(model))?;
        let mut fields = vec![
            number("valid/nll", valid.nll),
            number("valid/ppl", valid.nll.exp()),
        ];
        fields.extend(valid.bleu.map(|bleu| number("valid/bleu", bleu)));
        self.metrics.write(self.step, fields)?;
        self.selector.after_validation(model, self.step, &valid)?;
        Ok(valid)
    }

    fn checkpoint(
        &mut self,
        (calls, waited): (Option<Calls>, Option<Waited>),
        owes_validation: bool,
    ) -> Result<()> {
        self.read_pending()?;
        self.metrics.sync()?;
        self.timing.sync()?;
        let model = self
            .model
            .as_ref()
            .context("the model was lost in training")?;
        Checkpoint {
            identity: self.arguments.identity.clone(),
            step: self.step,
            seconds: self.seconds(),
            window: (self.window.loss, self.window.n),
            by: self.by.clone(),
            attention: calls,
            owes_validation,
            patience: waited,
            loss_scale: self.loss_scale,
            model: parameters(model),
            optimizer: self.optimizer.save(),
            state: self.objective.state(),
        }
        .save(&self.folder.join(CHECKPOINT))?;
        self.kept = Some(self.step);
        Ok(())
    }
}
