//! The work around a model that does not depend on the task: entering the run folder, skipping
//! what is finished, training into a folder, masks and patterns.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use sparta_ops::attention::Implementation;

use super::folder::{ArmFolder, ModelFolder, RunFolder};
use super::stage::{Request, Stage, note};
use crate::device::{self, OpenDevice};
use crate::io::write_text;
use crate::recipe::Recipe;
use crate::train::{Lesson, Plan, Trained, save_model, short, train};
use crate::version;

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

/// Who was asked to compute attention, and who does where nobody was named.
pub(crate) fn attention_label(asked: Implementation, found: Implementation) -> String {
    match asked {
        Implementation::Auto => format!("auto: {}", found.as_str()),
        Implementation::Reference | Implementation::Fused => asked.as_str().to_owned(),
    }
}

/// What training leaves beside its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingSummary {
    pub(crate) steps: u64,
    pub(crate) tokens_per_second: f64,
    pub(crate) valid_nll: f64,
    pub(crate) started: u64,
    pub(crate) finished: u64,
    /// Hash of the tokenizers the model was trained with, where a model is used on new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vocabulary: Option<String>,
}

impl TrainingSummary {
    pub(crate) fn load(folder: &ModelFolder) -> Result<Self> {
        let path = folder.trained();
        let text = std::fs::read_to_string(&path).with_context(|| {
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
}

impl TrainingSummary {
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

/// A run folder that was entered, a device that was opened, and what was asked.
pub struct Run<'a, R: Recipe> {
    /// What was asked.
    pub request: &'a Request<R>,
    /// The recipe of the request.
    pub recipe: &'a R,
    /// The run folder.
    pub folder: RunFolder,
    /// The device, without autodiff.
    pub opened: OpenDevice,
    /// The device with autodiff.
    pub training: Device,
}

impl<'a, R: Recipe> Run<'a, R> {
    /// Opens the device and makes or enters the folder.
    ///
    /// # Errors
    /// A device that does not open, or a folder of something else.
    pub(crate) fn begin(request: &'a Request<R>, folder: RunFolder) -> Result<Self> {
        let opened = device::open(request.device, R::PROGRAM)?;
        let attention = request.attention.on(&opened.device)?;
        let fresh = request.stage == Stage::Reproduce && !request.resume;
        folder.enter(&request.recipe, fresh)?;
        note(
            request.quiet,
            &format!(
                "sparta {} · recipe {} ({}) · device {} · attention {} · run folder {}",
                version::LONG,
                request.recipe.table(),
                short(&request.recipe.hash()),
                opened.note,
                attention_label(request.attention, attention),
                folder.root().display()
            ),
        );
        let training = opened.device.clone().autodiff();
        Ok(Self {
            request,
            recipe: &request.recipe,
            folder,
            opened,
            training,
        })
    }

    /// What one dense model of one seed leads to; see [`RunFolder::branch`].
    pub(crate) fn branch(&self, seed: u64, name: &str) -> ArmFolder {
        self.folder.branch(self.recipe, seed, name)
    }

    /// A line for the person at the terminal.
    pub(crate) fn note(&self, line: &str) {
        note(self.request.quiet, line);
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

    /// Trains into a folder of its own; the note that says so is written last.
    pub(crate) fn train<M: Module, L: Lesson<M>>(
        &self,
        folder: &ModelFolder,
        model: M,
        lesson: &mut L,
        plan: &Plan,
        vocabulary: Option<String>,
    ) -> Result<()> {
        let started = now();
        let Trained {
            model,
            steps,
            tokens_per_second,
            valid_nll,
            leftovers,
        } = train(model, lesson, plan, &folder.path, &self.training)?;
        save_model(&folder.model(), &model, &folder.identity, steps)?;
        let done = TrainingSummary {
            steps,
            tokens_per_second,
            valid_nll,
            started,
            finished: now(),
            vocabulary,
        };
        let text = serde_json::to_string_pretty(&done).context("cannot write trained.json")?;
        write_text(&folder.trained(), &(text + "\n"))?;
        // The optimiser is not needed again, and is twice as large as the model.
        for file in leftovers.iter().filter(|f| f.exists()) {
            std::fs::remove_file(file)
                .with_context(|| format!("cannot remove {}", file.display()))?;
        }
        Ok(())
    }
}
