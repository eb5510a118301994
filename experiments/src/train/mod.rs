//! The training loop: deterministic, resumable to the bit, watched.
//!
//! What is random in step `s` is a function of (seed, s) alone, and a checkpoint holds everything
//! that steps hand to each other, so that a run stopped at any checkpoint goes on as if it had
//! never stopped (on flex to the bit).

mod checkpoint;
mod epochs;
mod learned;
mod loss_scale;
mod optimizer;
mod patience;
pub mod rng;
mod schedule;
mod selection;
pub mod watch;

pub use checkpoint::{
    Checkpoint, Identity, kept, load_model, parameters, save_model, set_parameters, short,
};
pub use epochs::{BatchOrder, Epochs};
pub use learned::Heads;
pub use loss_scale::LossScale;
pub use optimizer::{AdamSettings, ClippedAdam, HeadRate, SavedMoments};
pub use patience::Waited;
pub use schedule::{Schedule, ScheduleName};
pub use selection::Selection;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};

use serde::Deserialize;
use sparta_model::Precision;
use sparta_model::layer::PlacedMechanism;
use sparta_model::layer::mechanism::{bound, redraw};
use sparta_ops::attention::{self, Calls};
use sparta_ops::profile::span;

use crate::status::Tracker;
use loss_scale::Outcome;
use selection::Selector;
use watch::{Interrupted, Metrics, Progress, is_interrupted, number};

/// What is minimised: batches in, a loss out, with a state from one to the next where there is one.
pub trait Objective<M: Module> {
    /// Parts of step `step` whose gradients are added up (gradient accumulation).
    fn n_parts(&self, _step: u64) -> usize {
        1
    }

    /// The loss `[1]` of a part of step `step`; the parts' losses add up to the mean loss of the
    /// step, in nats a token.
    ///
    /// # Errors
    /// If the batch cannot be had.
    fn loss(&mut self, model: &M, step: u64, part: usize) -> Result<Tensor<1>>;

    /// Target tokens of one step, on average.
    fn tokens_per_step(&self) -> f64;

    /// Scores the validation set; it must not disturb the state.
    ///
    /// # Errors
    /// If the batches cannot be had.
    fn validate(&mut self, model: &M) -> Result<Validation>;

    /// The attention mechanism of each layer; none where there is no attention. What they learn is logged, and their
    /// penalties are added to the loss.
    fn mechanisms<'m>(&self, _model: &'m M) -> Vec<PlacedMechanism<'m>> {
        Vec::new()
    }

    /// What a validation says, in a few words.
    fn describe(&self, validation: &Validation) -> String {
        format!("validation perplexity {:.2}", validation.nll.exp())
    }

    /// What the next step needs from the steps before it, by name; nothing where batches are a function of (seed, step).
    fn state(&self) -> BTreeMap<String, TensorData> {
        BTreeMap::new()
    }

    /// Takes back what [`Objective::state`] gave.
    ///
    /// # Errors
    /// If it does not fit.
    fn restore(&mut self, state: BTreeMap<String, TensorData>) -> Result<()> {
        ensure!(
            state.is_empty(),
            "the checkpoint holds {:?}, which nothing here hands from step to step",
            state.keys()
        );
        Ok(())
    }
}

/// What the validation set says of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// Mean loss, in nats a token.
    pub nll: f64,
    /// BLEU of its translations, if it was asked for.
    pub bleu: Option<f64>,
}

impl Validation {
    /// A loss alone.
    #[must_use]
    pub fn of(nll: f64) -> Self {
        Self { nll, bleu: None }
    }
}

/// The numbers of one training run: steps, optimiser, what is kept, and how often something is said.
#[derive(Debug, Clone)]
pub struct TrainingConfig {
    /// Learning rate by step; also says how many steps there are.
    pub schedule: Schedule,
    /// The optimiser.
    pub adam: AdamSettings,
    /// Which parameters are the result.
    pub selection: Selection,
    /// A line of metrics every so many steps.
    pub log_every: u64,
    /// Validation every so many steps; 0 = after the last only.
    pub valid_every: u64,
    /// Training ends after so many validations without a better one; 0 = never.
    pub patience: u64,
    /// A checkpoint every so many steps.
    pub checkpoint_every: u64,
    /// Random features of attention are drawn anew every so many steps; 0 = never.
    pub redraw_every: u64,
}

impl TrainingConfig {
    /// Whether random features are drawn anew before step `step`, counted from 0: not in the last tenth, in which what
    /// was learned settles on one draw, nor between parameters whose mean is kept.
    #[must_use]
    pub fn redraws_before(&self, step: u64) -> bool {
        let steps = self.schedule.steps;
        let first_kept = match self.selection {
            Selection::Last | Selection::BestLoss | Selection::BestBleu => steps,
            Selection::Average { n, every } => {
                steps.saturating_sub(every.saturating_mul(n.saturating_sub(1)))
            }
        };
        let last = (steps - steps / 10).min(first_kept);
        self.redraw_every > 0 && step > 0 && step.is_multiple_of(self.redraw_every) && step < last
    }
}

/// One training run.
#[derive(Debug, Clone)]
pub struct TrainingArguments {
    /// Whose checkpoints these are.
    pub identity: Identity,
    /// Its numbers.
    pub config: TrainingConfig,
    /// The type that networks compute in; parameters and the optimiser are in f32.
    pub precision: Precision,
    /// Whether to go on from a checkpoint that is there.
    pub resume: bool,
    /// No progress output.
    pub quiet: bool,
    /// How far the run is that it is a part of.
    pub(crate) tracker: Rc<Tracker>,
}

impl TrainingArguments {
    /// A new training in f32 that is no part of a run, without progress output.
    #[must_use]
    pub fn alone(identity: Identity, config: TrainingConfig) -> Self {
        Self {
            identity,
            config,
            precision: Precision::F32,
            resume: false,
            quiet: true,
            tracker: Rc::default(),
        }
    }
}

/// A finished training run.
#[derive(Debug)]
pub struct Trained<M> {
    /// The module that is kept.
    pub model: M,
    /// Steps made, those before a resume included; fewer than the schedule has where training ended early.
    pub steps: u64,
    /// Mean target tokens a second while training.
    pub tokens_per_second: f64,
    /// Validation loss of the module that is kept, in nats a token.
    pub valid_nll: f64,
    /// Calls of attention, those before a resume included; none after a checkpoint of a version that did not count.
    pub attention: Option<Calls>,
}

/// A loss or gradient that is not finite; nothing is saved after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Diverged {
    /// What was trained.
    pub run: String,
    /// The step, counted from 1.
    pub step: u64,
    /// Its learning rate.
    pub lr: f64,
    /// Its loss.
    pub loss: f64,
    /// Its gradient norm.
    pub norm: f64,
    /// Step of the checkpoint that is kept.
    pub kept: Option<u64>,
}

impl std::fmt::Display for Diverged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "training of `{}` diverged at step {} (loss {}, gradient norm {}, lr {:.2e}); ",
            self.run, self.step, self.loss, self.norm, self.lr
        )?;
        match self.kept {
            Some(step) => write!(f, "the checkpoint of step {step} is kept; ")?,
            None => write!(f, "there was no checkpoint yet; ")?,
        }
        write!(
            f,
            "try a smaller learning rate, e.g. `--set train.lr={:.2e} --out DIR`",
            self.lr / 3.0
        )
    }
}

impl std::error::Error for Diverged {}

/// File name of the checkpoint inside the folder of a run.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// File name of the metrics inside the folder of a run: what is a function of recipe, seed and kind of processor.
pub const METRICS: &str = "metrics.jsonl";
/// File name of the times inside the folder of a run, which are none.
pub const TIMING: &str = "timing.jsonl";

/// The last line of a training's times.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Timing {
    /// Steps that were made.
    pub(crate) step: u64,
    /// What they took.
    pub(crate) seconds: f64,
}

impl Timing {
    /// What a step took.
    pub(crate) fn step_seconds(self) -> Option<f64> {
        (self.step > 0).then(|| self.seconds / self.step as f64)
    }
}

/// How far the training in the folder of a model is, by its last logged step.
pub(crate) fn last_timing(model: &Path) -> Option<Timing> {
    let text = std::fs::read_to_string(model.join(TIMING)).ok()?;
    // The last line may be half written.
    let mut lines = text.lines().rev();
    lines.find_map(|line| serde_json::from_str(line).ok())
}

/// The files in the folder of a run that were needed to go on, and are not any more once its module is saved.
///
/// # Errors
/// A folder that cannot be read.
pub fn leftovers(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = || format!("cannot read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == CHECKPOINT || selection::is_needed_to_go_on(&name) {
            files.push(path);
        }
    }
    Ok(files)
}

/// Trains `model` on `objective`, in `folder`, to the end of the schedule.
///
/// `device` is the one the model lives on, with autodiff.
///
/// # Errors
/// [`Interrupted`] after Ctrl-C, [`Diverged`] at a loss that is not finite, or what the disk and
/// the objective say; the last good checkpoint stays in the folder.
pub fn train<M: Module, L: Objective<M>>(
    model: M,
    objective: &mut L,
    arguments: &TrainingArguments,
    folder: &Path,
    device: &Device,
) -> Result<Trained<M>> {
    let run = || Run::open(model, objective, arguments, folder, device)?.finish();
    arguments.precision.within(run)
}

struct Run<'a, M: Module, L: Objective<M>> {
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
    fn open(
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

    fn finish(mut self) -> Result<Trained<M>> {
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

    fn one_step(&mut self) -> Result<()> {
        let (step, arguments) = (self.step, self.arguments);
        let model = self
            .model
            .take()
            .context("the model was lost in training")?;
        let model = match arguments.config.redraws_before(step) {
            true => {
                let seed = rng::hash(arguments.identity.seed, rng::Purpose::Features, step);
                redraw(model, seed)
            }
            false => model,
        };
        self.device
            .seed(rng::hash(arguments.identity.seed, rng::Purpose::Step, step));
        let (value, mut gradients) = self.gradients(&model, step)?;
        let lr = arguments.config.schedule.at(step);
        if !self.unscale(&model, &mut gradients, (&value, lr))? {
            self.model = Some(model);
            self.step += 1;
            return Ok(());
        }
        let (model, norm) = span("optimiser", || {
            self.optimizer.step(model, gradients, lr, self.device)
        });
        let model = match self.is_penalised {
            true => bound(model),
            false => model,
        };
        self.model = Some(model);
        // The step before is read only now, when this one is on its way to the device.
        self.read_pending()?;
        self.pending = Some((step + 1, lr, Tensor::cat(vec![value, norm], 0)));
        self.step += 1;
        Ok(())
    }

    /// Divides gradients by what the loss was multiplied by; whether the step is made, and not skipped because some of them
    /// are not finite.
    fn unscale(
        &mut self,
        model: &M,
        gradients: &mut GradientsParams,
        (loss, lr): (&Tensor<1>, f64),
    ) -> Result<bool> {
        let Some(scale) = &mut self.loss_scale else {
            return Ok(true);
        };
        let is_finite = scale.unscale(model, gradients)?;
        let outcome = scale.after(is_finite);
        if outcome == Outcome::Good {
            return Ok(true);
        }
        self.read_pending()?;
        let loss = f64::from(loss.clone().into_scalar::<f32>());
        if outcome == Outcome::Diverged {
            return Err(self.diverged((self.step + 1, lr), (loss, f64::INFINITY)));
        }
        if !loss.is_finite() {
            // What overflowed in the forward pass is not remembered.
            self.objective.restore(BTreeMap::new())?;
        }
        Ok(false)
    }

    /// How many steps were skipped, where some were.
    fn skipped_words(&self) -> String {
        match self.loss_scale.map(LossScale::skipped) {
            None | Some(0) => String::new(),
            Some(n) => format!(" ({n} skipped, whose gradients overflowed)"),
        }
    }

    /// Loss and gradients of a step, its parts added up; the gradients are those of the scaled loss, where there is a scale.
    fn gradients(&mut self, model: &M, step: u64) -> Result<(Tensor<1>, GradientsParams)> {
        let n_parts = self.objective.n_parts(step);
        let factor = self.loss_scale.map(LossScale::factor);
        let mut part = |part| -> Result<_> {
            let loss = span("forward", || self.objective.loss(model, step, part))?;
            // What is told is the task's loss.
            let value = loss.clone().inner();
            let penalty = match part {
                0 => learned::penalty(&self.objective.mechanisms(model)),
                _ => None,
            };
            let loss = match penalty {
                Some(penalty) => loss + penalty,
                None => loss,
            };
            let loss = match factor {
                Some(factor) => loss.mul_scalar(factor),
                None => loss,
            };
            let gradients = span("backward", || {
                GradientsParams::from_grads(loss.backward(), model)
            });
            Ok((value, gradients))
        };
        let (mut value, first) = part(0)?;
        if n_parts <= 1 {
            return Ok((value, first));
        }
        let mut sum = GradientsAccumulator::new();
        sum.accumulate(model, first);
        for index in 1..n_parts {
            let (more, gradients) = part(index)?;
            value = value + more;
            sum.accumulate(model, gradients);
        }
        Ok((value, sum.grads()))
    }

    /// Reads loss and norm of the last step and stops the run if they are not finite.
    fn read_pending(&mut self) -> Result<()> {
        let Some((step, lr, pair)) = self.pending.take() else {
            return Ok(());
        };
        let pair = pair
            .try_into_vec_as::<f32>()
            .map_err(|e| anyhow::anyhow!("cannot read the loss from the device: {e:?}"))?;
        let (loss, norm) = (f64::from(pair[0]), f64::from(pair[1]));
        if !loss.is_finite() || !norm.is_finite() {
            return Err(self.diverged((step, lr), (loss, norm)));
        }
        self.window.loss += loss;
        self.window.n += 1;
        self.window.norm = norm;
        self.window.lr = lr;
        self.progress.at(step, &format!("loss {loss:.3}"))
    }

    /// Notes a step whose loss or gradient is not finite; gives the error.
    fn diverged(&mut self, (step, lr): (u64, f64), (loss, norm): (f64, f64)) -> anyhow::Error {
        let fields = [number("train/nll", loss), number("train/grad_norm", norm)];
        let _ = self.metrics.write(step, fields);
        Diverged {
            run: self.arguments.identity.run.clone(),
            step,
            lr,
            loss,
            norm,
            kept: self.kept,
        }
        .into()
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
        let model = self
            .model
            .as_ref()
            .context("the model was lost in training")?;
        Checkpoint {
            identity: self.arguments.identity.clone(),
            step: self.step,
            seconds: self.seconds(),
            window: (self.window.loss, self.window.n),
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

#[cfg(all(test, feature = "flex"))]
mod tests;
