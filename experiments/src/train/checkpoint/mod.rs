//! Checkpoints: one safetensors file with the model, the optimiser, the state of the objective and
//! where it stands; and model files, which hold the parameters alone.
//!
//! Tensor names: `model.<path>`, `adam.first.<path>`, `adam.second.<path>`, `carried.<name>`.

mod file;
mod parameters;
#[cfg(all(test, feature = "flex"))]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use burn::module::Module;
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};
use sparta_ops::attention::Calls;

use self::file::{FORMAT, Header, read_by, read_tensors, stored, write_tensors};
pub use self::parameters::{parameters, set_parameters};
use super::CHECKPOINT;
use super::loss_scale::LossScale;
use super::optimizer::SavedMoments;
use super::patience::Waited;

/// What this process saved last, or went on from.
static KEPT: Mutex<Option<PathBuf>> = Mutex::new(None);

fn keep(path: &Path) {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.to_owned());
}

/// What this process saved last, or went on from, if it is there: where a run that fails goes on by `--resume`.
#[must_use]
pub fn kept() -> Option<PathBuf> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.clone().filter(|path| path.exists())
}

/// What a checkpoint belongs to; a file made for something else is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Hash of the recipe.
    pub recipe_hash: String,
    /// Seed of the run.
    pub seed: u64,
    /// Name of what is trained: `dense`, `ap-p80`, …
    pub run: String,
}

/// Where a model was trained, and by which build: those of a part of its steps, where it was stopped and went on elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainedBy {
    /// The device, as `--device` spells it.
    pub device: String,
    /// The git commit of the program.
    pub commit: String,
}

impl std::fmt::Display for TrainedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} by commit {}", self.device, self.commit)
    }
}

/// Everything that training needs to go on as if it had never stopped.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// What it belongs to.
    pub identity: Identity,
    /// Updates made.
    pub step: u64,
    /// Training time so far, in seconds.
    pub seconds: f64,
    /// Losses since the last line of metrics: their sum and number.
    pub window: (f64, u64),
    /// Parameters by path.
    pub model: BTreeMap<String, TensorData>,
    /// Optimiser state by path.
    pub optimizer: BTreeMap<String, SavedMoments>,
    /// Calls of attention so far; checkpoints of earlier versions lack it.
    pub attention: Option<Calls>,
    /// What trained it so far; checkpoints of earlier versions lack it.
    pub by: Vec<TrainedBy>,
    /// What steps hand to the next (memories), by name.
    pub state: BTreeMap<String, TensorData>,
    /// Whether the validation after the last step was interrupted and is still to be made.
    pub owes_validation: bool,
    /// The best validation so far; none where nobody waits for a better one.
    pub patience: Option<Waited>,
    /// What losses are multiplied by before gradients are taken; none where they are not.
    pub loss_scale: Option<LossScale>,
}

impl Checkpoint {
    /// Writes the checkpoint atomically.
    ///
    /// # Errors
    /// As [`write_atomic`](crate::io::write_atomic); an older checkpoint at the same path survives.
    pub fn save(&self, path: &Path) -> Result<()> {
        let header = Header {
            format: FORMAT.to_owned(),
            identity: self.identity.clone(),
            step: self.step,
            seconds: self.seconds,
            window_bits: self.window.0.to_bits(),
            window_len: self.window.1,
            attention: self.attention,
            by: self.by.clone(),
            owes_validation: self.owes_validation,
            patience: self.patience,
            loss_scale: self.loss_scale,
            times: self
                .optimizer
                .iter()
                .map(|(k, v)| (k.clone(), v.time))
                .collect(),
        };
        let mut tensors = Vec::new();
        for (name, data) in &self.model {
            tensors.push((format!("model.{name}"), stored(data)));
        }
        for (name, moments) in &self.optimizer {
            tensors.push((format!("adam.first.{name}"), stored(&moments.first)));
            tensors.push((format!("adam.second.{name}"), stored(&moments.second)));
        }
        for (name, data) in &self.state {
            tensors.push((format!("carried.{name}"), stored(data)));
        }
        write_tensors(path, tensors, &header)
    }

    /// Reads a checkpoint and checks that it belongs to `identity`.
    ///
    /// # Errors
    /// A file that is damaged, of another recipe, seed or run; each says what to do.
    pub fn load(path: &Path, identity: &Identity) -> Result<Self> {
        let (header, mut tensors) = read_tensors(path)?;
        header.identity.must_be(identity, path)?;
        keep(path);
        let mut take = |prefix: &str| -> BTreeMap<String, TensorData> {
            let names: Vec<String> = tensors
                .keys()
                .filter(|k| k.starts_with(prefix))
                .cloned()
                .collect();
            names
                .into_iter()
                .filter_map(|k| Some((k[prefix.len()..].to_owned(), tensors.remove(&k)?)))
                .collect()
        };
        let model = take("model.");
        let first = take("adam.first.");
        let mut second = take("adam.second.");
        let state = take("carried.");
        let mut optimizer = BTreeMap::new();
        for (name, first) in first {
            let (Some(second), Some(&time)) = (second.remove(&name), header.times.get(&name))
            else {
                bail!(
                    "{}: the optimiser state of `{name}` is incomplete; delete the file to start this run again",
                    path.display()
                );
            };
            optimizer.insert(
                name,
                SavedMoments {
                    time,
                    first,
                    second,
                },
            );
        }
        Ok(Self {
            identity: header.identity,
            step: header.step,
            seconds: header.seconds,
            window: (f64::from_bits(header.window_bits), header.window_len),
            attention: header.attention,
            by: header.by,
            model,
            optimizer,
            state,
            owes_validation: header.owes_validation,
            patience: header.patience,
            loss_scale: header.loss_scale,
        })
    }
}

/// What trained the model of a folder so far, of which there is a checkpoint; nothing where there is none, or one that is damaged,
/// of which going on says so.
#[must_use]
pub fn trained_so_far(folder: &Path) -> Vec<TrainedBy> {
    read_by(&folder.join(CHECKPOINT)).unwrap_or_default()
}

impl Identity {
    fn must_be(&self, wanted: &Self, path: &Path) -> Result<()> {
        ensure!(
            self.recipe_hash == wanted.recipe_hash,
            "{} belongs to another recipe (hash {} and not {}); \
             use `--out` for a new run folder, or the recipe it was made with",
            path.display(),
            short(&self.recipe_hash),
            short(&wanted.recipe_hash)
        );
        ensure!(
            self == wanted,
            "{} belongs to run `{}` of seed {} and not to `{}` of seed {}; \
             put it back or delete it",
            path.display(),
            self.run,
            self.seed,
            wanted.run,
            wanted.seed
        );
        Ok(())
    }
}

/// First digits of a hash, as printed.
#[must_use]
pub fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

/// Writes the parameters alone; see [`load_model`].
///
/// # Errors
/// As [`write_atomic`](crate::io::write_atomic).
pub fn save_model<M: Module>(
    path: &Path,
    module: &M,
    identity: &Identity,
    step: u64,
) -> Result<()> {
    let header = Header {
        format: FORMAT.to_owned(),
        identity: identity.clone(),
        step,
        seconds: 0.0,
        window_bits: 0,
        window_len: 0,
        attention: None,
        by: Vec::new(),
        owes_validation: false,
        patience: None,
        loss_scale: None,
        times: BTreeMap::new(),
    };
    let parameters = parameters(module);
    let tensors = parameters
        .iter()
        .map(|(name, data)| (format!("model.{name}"), stored(data)))
        .collect();
    write_tensors(path, tensors, &header)
}

/// Reads a model file (or the model of a checkpoint) into a module of the same shape.
///
/// # Errors
/// A damaged file, one of another recipe, or parameters that do not fit the module.
pub fn load_model<M: Module>(path: &Path, module: M, identity: &Identity) -> Result<M> {
    let checkpoint = Checkpoint::load(path, identity)?;
    set_parameters(module, checkpoint.model).with_context(|| path.display().to_string())
}
