//! A run: what was asked, its folder, and training into it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use sparta_ops::attention::Calls;

use super::cost::{Cost, available_memory};
use super::folder::{ArmFolder, ModelFolder, RunFolder};
use super::lock::RunLock;
use super::stage::{Request, Stage, note};
use crate::device::DeviceChoice;
use crate::io::{in_one_line, read_text, write_text};
use crate::memory;
use crate::recipe::Recipe;
use crate::status::{Ended, Tracker};
use crate::train::watch::{Interrupted, Progress};
use crate::train::{
    Objective, Trained, TrainedBy, TrainingArguments, TrainingConfig, leftovers, save_model, short,
    train,
};
use crate::version;

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

/// What training leaves beside its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingSummary {
    pub(crate) steps: u64,
    pub(crate) tokens_per_second: f64,
    pub(crate) valid_nll: f64,
    pub(crate) started: u64,
    pub(crate) finished: u64,
    /// Hash of the tokenizers the model was trained with; files of earlier versions may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vocabulary: Option<String>,
    /// Largest resident memory of the process while it trained, in 10⁹ bytes, where the processor computed and the system
    /// says; after an interruption, of the last part. Files of earlier versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peak_gigabytes: Option<f64>,
    /// Calls of attention while training; files of earlier versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attention: Option<Calls>,
    /// Devices and builds that trained, one after the other; files of earlier versions lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) by: Vec<TrainedBy>,
}

impl TrainingSummary {
    pub(crate) fn load(folder: &ModelFolder) -> Result<Self> {
        let path = folder.trained();
        let text = read_text(&path).with_context(|| {
            format!(
                "`{}` of seed {} is not trained yet ({} is missing); run the stage before this one",
                folder.identity.run,
                folder.identity.seed,
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is damaged; delete it and use `--resume`",
                path.display()
            )
        })
    }

    /// Refuses tokenizers that the model was not trained with.
    pub(crate) fn check_vocabulary(&self, folder: &ModelFolder, found: &str) -> Result<()> {
        match self.vocabulary.as_deref() {
            Some(expected) if expected != found => bail!(
                "the model {} does not fit the tokenizers of its run folder: it was trained with \
                 those of hash {} and these have {}; put back the folder `data` it was trained with, \
                 or train again in a new run folder with `--out DIR`",
                folder.path.display(),
                short(expected),
                short(found)
            ),
            Some(_) | None => Ok(()),
        }
    }
}

/// What observation leaves with its pattern, before it: a pattern that is there is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObservationSummary {
    /// Which implementation computed the weights, in calls.
    pub(crate) attention: Calls,
}

impl ObservationSummary {
    /// Writes it into the folder of the arm.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn save(&self, arm: &ArmFolder) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("cannot write observed.json")?;
        write_text(&arm.observed(), &(text + "\n"))
    }

    /// That of an arm; none where an earlier version observed, which left none.
    ///
    /// # Errors
    /// A damaged file.
    pub(crate) fn load(arm: &ArmFolder) -> Result<Option<Self>> {
        let path = arm.observed();
        if !path.exists() {
            return Ok(None);
        }
        let damaged = || {
            format!(
                "{} is damaged; delete it and the pattern with it, and use `--resume`",
                path.display()
            )
        };
        let text = read_text(&path).with_context(damaged)?;
        serde_json::from_str(&text).map(Some).with_context(damaged)
    }
}

/// What was asked, and the run folder it is about.
pub struct Run<'a, R: Recipe> {
    /// What was asked.
    pub request: &'a Request<R>,
    /// The recipe of the request.
    pub recipe: &'a R,
    /// The run folder.
    pub folder: RunFolder,
    /// Held from [`Run::enter`] on.
    lock: OnceCell<RunLock>,
    /// Where it computes, from when that is open.
    choice: OnceCell<DeviceChoice>,
    /// How far it is, from when the folder is entered.
    tracker: Rc<Tracker>,
}

impl<R: Recipe> Drop for Run<'_, R> {
    /// What was not ended by `Run::end` ends by a panic; the folder is still this process's own.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.tracker.end(Ended::Failed);
        }
    }
}

impl<'a, R: Recipe> Run<'a, R> {
    /// Neither makes nor enters the folder.
    #[must_use]
    pub fn new(request: &'a Request<R>) -> Self {
        Self {
            request,
            recipe: &request.recipe,
            folder: RunFolder::of(&request.recipe, request.out.as_deref()),
            lock: OnceCell::new(),
            choice: OnceCell::new(),
            tracker: Rc::default(),
        }
    }

    /// Takes note of the device that was opened.
    pub(crate) fn computes_on(&self, choice: DeviceChoice) {
        self.choice.get_or_init(|| choice);
    }

    /// That what a variant costs fits into the memory of this machine, where it is computed there.
    ///
    /// # Errors
    /// What does not fit, with the key that makes it smaller.
    pub(crate) fn check_memory(&self, cost: &Cost) -> Result<()> {
        match self.choice.get() {
            Some(choice) if choice.is_cpu() => cost.check(available_memory()),
            Some(_) | None => Ok(()),
        }
    }

    /// Makes or enters the run folder, and keeps other processes out as long as this run lives; a new table goes
    /// only into a folder where nothing was trained yet.
    ///
    /// # Errors
    /// A folder of something else, or of a run that is not gone on with, or that another process works in.
    pub fn enter(&self) -> Result<()> {
        if self.lock.get().is_none() {
            let fresh = self.request.stage == Stage::Reproduce && !self.request.resume;
            let lock = self.folder.enter(self.recipe, fresh)?;
            self.lock.get_or_init(|| lock);
            self.tracker.enter(self.folder.root(), Stage::Prepare)?;
        }
        Ok(())
    }

    /// Keeps with the run what this call adds to it: seeds, data sets and rows.
    ///
    /// # Errors
    /// A recipe that cannot be read or written.
    pub(crate) fn keep_choice(&self) -> Result<()> {
        match self.is_entered() {
            true => self.folder.keep_choice(self.recipe),
            false => Ok(()),
        }
    }

    /// Whether the run folder is held by this process.
    pub(crate) fn is_entered(&self) -> bool {
        self.lock.get().is_some()
    }

    /// How far it is.
    pub(crate) fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Leaves a note of how it ended, while other processes are still kept out of the folder.
    ///
    /// # Errors
    /// Its own; else, if that note cannot be written.
    pub(crate) fn end(&self, outcome: Result<()>) -> Result<()> {
        let state = match &outcome {
            Ok(()) => Ended::Done,
            Err(error) if error.chain().any(|e| e.is::<Interrupted>()) => Ended::Stopped,
            Err(_) => Ended::Failed,
        };
        self.tracker.log(&match &outcome {
            Ok(()) => "done".to_owned(),
            Err(error) => in_one_line(error),
        });
        let noted = self.tracker.end(state);
        outcome.and(noted)
    }

    /// A line for the person at the terminal.
    pub(crate) fn note(&self, line: &str) {
        note(self.request.quiet, line);
        self.tracker.log(line);
    }

    /// Progress over so many batches.
    pub(crate) fn progress(&self, label: &str, n: u64, tokens_per_batch: f64) -> Progress {
        Progress::start(label, 0, n, tokens_per_batch, self.request.quiet)
            .of_run(Rc::clone(&self.tracker))
    }

    /// Whether a file that a stage makes is there already, so that the stage is skipped.
    ///
    /// # Errors
    /// If it is there without `--resume`: nothing finished is overwritten.
    pub(crate) fn is_finished(&self, path: &Path, what: &str) -> Result<bool> {
        if !path.exists() {
            return Ok(false);
        }
        let alone = matches!(
            self.request.stage,
            Stage::Train | Stage::Observe | Stage::Prune | Stage::Eval
        );
        if alone && !self.request.resume {
            bail!(
                "{what} is finished ({}) and is not overwritten; keep it with `--resume`, delete \
                 it to make it again, or start a new run folder with `--out DIR`",
                path.display()
            );
        }
        Ok(true)
    }

    /// Whether a model is trained already. What only its training needed goes, if a process was stopped before it could.
    ///
    /// # Errors
    /// As [`Run::is_finished`]; a file that cannot be removed.
    pub(crate) fn is_trained(&self, folder: &ModelFolder, what: &str) -> Result<bool> {
        // Whose parameters are gone is trained again.
        let is_trained = folder.has_weights() && self.is_finished(&folder.trained(), what)?;
        if is_trained {
            remove(&leftovers(&folder.path)?)?;
        }
        Ok(is_trained)
    }

    /// Trains a network into a folder of its own, on a device with autodiff; the summary that says so is written last.
    ///
    /// # Errors
    /// Those of [`train`].
    pub(crate) fn train<M: Module, O: Objective<M>>(
        &self,
        folder: &ModelFolder,
        (network, mut objective): (M, O),
        config: TrainingConfig,
        vocabulary: String,
        (device, choice): (&Device, DeviceChoice),
    ) -> Result<()> {
        let started = now();
        let is_measured = choice.is_cpu() && memory::forget_largest();
        let arguments = TrainingArguments {
            identity: folder.identity.clone(),
            config,
            by: TrainedBy {
                device: choice.to_string(),
                commit: version::COMMIT.to_owned(),
            },
            precision: self.recipe.precision(),
            resume: self.request.resume,
            quiet: self.request.quiet,
            tracker: Rc::clone(&self.tracker),
        };
        let Trained {
            model,
            steps,
            tokens_per_second,
            valid_nll,
            attention,
            by,
        } = train(network, &mut objective, &arguments, &folder.path, device)?;
        let peak_gigabytes = memory::largest_resident().filter(|_| is_measured);
        save_model(&folder.model(), &model, &folder.identity, steps)?;
        let done = TrainingSummary {
            steps,
            tokens_per_second,
            valid_nll,
            started,
            finished: now(),
            vocabulary: Some(vocabulary),
            peak_gigabytes,
            attention,
            by,
        };
        let text = serde_json::to_string_pretty(&done).context("cannot write trained.json")?;
        write_text(&folder.trained(), &(text + "\n"))?;
        // The optimiser is not needed again, and is twice as large as the model.
        remove(&leftovers(&folder.path)?)
    }
}

pub(super) fn remove(files: &[PathBuf]) -> Result<()> {
    for file in files {
        std::fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(())
}
