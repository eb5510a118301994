//! Which parameters of a run are its result: the last, the best by validation, or a mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::{TrainingArguments, Validation, save_model, set_parameters};
use crate::io::{read_text, write_text};

/// Which parameters are the result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Those after the last step.
    Last,
    /// Those of the smallest validation loss.
    BestLoss,
    /// Those of the largest validation BLEU.
    BestBleu,
    /// The mean of the last `n` of those after every `every` steps, counted from the last.
    Average {
        /// How many.
        n: u64,
        /// Steps between them.
        every: u64,
    },
}

const BEST: &str = "best.safetensors";
const BEST_NOTE: &str = "best.json";
const SNAPSHOT: &str = "snapshot-";
const SNAPSHOT_END: &str = ".safetensors";

/// The best validation so far. The parameters are written before the note, and a run that goes on
/// meets the same scores again, so that the two agree whenever both are read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Best {
    step: u64,
    /// Larger is better; the bits, because decimal digits may not read back to the same number.
    score_bits: u64,
}

/// Keeps what [`Selection`] needs in the folder of a run.
pub(super) struct Selector<'a> {
    arguments: &'a TrainingArguments,
    folder: &'a Path,
    best: Option<Best>,
}

impl<'a> Selector<'a> {
    /// Goes on after `step`.
    pub(super) fn open(
        arguments: &'a TrainingArguments,
        folder: &'a Path,
        step: u64,
    ) -> Result<Self> {
        let path = folder.join(BEST_NOTE);
        let best = match step > 0 && path.exists() {
            false => None,
            true => {
                let text =
                    read_text(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let note = serde_json::from_str(&text).with_context(|| {
                    format!(
                        "{} is damaged; delete the folder to train this model again",
                        path.display()
                    )
                })?;
                Some(note)
            }
        };
        Ok(Self {
            arguments,
            folder,
            best,
        })
    }

    fn snapshot(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{SNAPSHOT}{step}{SNAPSHOT_END}"))
    }

    /// The steps before the last whose parameters go into the mean.
    fn snapshots(&self) -> Vec<u64> {
        match self.arguments.config.selection {
            Selection::Last | Selection::BestLoss | Selection::BestBleu => Vec::new(),
            Selection::Average { n, every } => (1..n)
                .filter_map(|k| self.arguments.config.schedule.steps.checked_sub(k * every))
                .filter(|&step| step > 0)
                .collect(),
        }
    }

    /// Saves the parameters after `step` if they go into the mean.
    pub(super) fn after_step<M: Module>(&self, model: &M, step: u64) -> Result<()> {
        if self.snapshots().contains(&step) {
            save_model(&self.snapshot(step), model, &self.arguments.identity, step)?;
        }
        Ok(())
    }

    /// Saves the parameters if they are the best so far.
    pub(super) fn after_validation<M: Module>(
        &mut self,
        model: &M,
        step: u64,
        valid: &Validation,
    ) -> Result<()> {
        let score = match self.arguments.config.selection {
            Selection::Last | Selection::Average { .. } => return Ok(()),
            Selection::BestLoss => -valid.nll,
            Selection::BestBleu => valid.bleu.context("validation gave no BLEU to choose by")?,
        };
        if self
            .best
            .is_some_and(|b| f64::from_bits(b.score_bits) >= score)
        {
            return Ok(());
        }
        let best = Best {
            step,
            score_bits: score.to_bits(),
        };
        save_model(
            &self.folder.join(BEST),
            model,
            &self.arguments.identity,
            step,
        )?;
        let text = serde_json::to_string(&best).context("cannot write best.json")?;
        write_text(&self.folder.join(BEST_NOTE), &(text + "\n"))?;
        self.best = Some(best);
        Ok(())
    }

    /// The parameters that are the result, and whether they are those after the last step.
    pub(super) fn result<M: Module>(&self, model: M) -> Result<(M, bool)> {
        let load = |path: &Path| -> Result<BTreeMap<String, TensorData>> {
            Ok(Checkpoint::load(path, &self.arguments.identity)?.model)
        };
        let chosen = match self.arguments.config.selection {
            Selection::Last => return Ok((model, true)),
            Selection::BestLoss | Selection::BestBleu => match self.best {
                None => bail!("no validation has chosen a model"),
                Some(best) if best.step == self.arguments.config.schedule.steps => {
                    return Ok((model, true));
                }
                Some(_) => load(&self.folder.join(BEST))?,
            },
            Selection::Average { .. } => {
                let mut all = vec![super::parameters(&model)];
                for step in self.snapshots() {
                    all.push(load(&self.snapshot(step))?);
                }
                mean(&all)?
            }
        };
        Ok((set_parameters(model, chosen)?, false))
    }
}

/// Whether a file of this name is kept for the choice alone, and not needed once the result is saved.
pub(super) fn is_needed_to_go_on(name: &str) -> bool {
    let of_step = name.strip_prefix(SNAPSHOT);
    let step = of_step.and_then(|rest| rest.strip_suffix(SNAPSHOT_END));
    [BEST, BEST_NOTE].contains(&name) || step.is_some_and(|step| step.parse::<u64>().is_ok())
}

/// Mean of each parameter, summed in f64.
fn mean(all: &[BTreeMap<String, TensorData>]) -> Result<BTreeMap<String, TensorData>> {
    let n = all.len() as f64;
    let first = all.first().context("no parameters to average")?;
    first
        .iter()
        .map(|(name, data)| {
            let mut sum = vec![0.0f64; data.num_elements()];
            for parameters in all {
                let other = parameters
                    .get(name)
                    .with_context(|| format!("a snapshot lacks `{name}`"))?;
                for (sum, x) in sum.iter_mut().zip(other.iter::<f32>()) {
                    *sum += f64::from(x);
                }
            }
            let values: Vec<f32> = sum.into_iter().map(|s| (s / n) as f32).collect();
            Ok((name.clone(), TensorData::new(values, data.shape().to_vec())))
        })
        .collect()
}
