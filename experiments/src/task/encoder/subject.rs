//! What a task says of itself, so that the stages can be the same for all.

use std::path::PathBuf;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use sparta_model::LayerMask;
use sparta_model::bert::{Bert, BertConfig, BertInput};
use sparta_ops::attention::Implementation;
use sparta_results::{MaskKind, Metric};

use crate::protocol::ModelFolder;
use crate::train::HeadRate;

/// A score that each model of the task gets: a line of the table.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::task) struct Column {
    /// The row of the table.
    pub(in crate::task) row: String,
    /// That of a model under a mask, where it is another one.
    pub(in crate::task) masked_row: String,
    /// The score.
    pub(in crate::task) metric: Metric,
    /// Its protocol.
    pub(in crate::task) signature: String,
    /// Who computed attention for it, where that is not the run's choice.
    pub(in crate::task) attention: Option<Implementation>,
    /// Row of the published table beside it, if there is one.
    pub(in crate::task) paper: Option<(String, String)>,
}

impl Column {
    /// Name in files, beside other columns of the task.
    pub(in crate::task) fn name(&self) -> String {
        let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = self.row.chars().map(keep).collect();
        format!("{name}-{}", self.metric)
    }
}

/// A score that needs no network.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::task) struct Baseline {
    /// Its column's place among [`Subject::columns`].
    pub(in crate::task) column: usize,
    /// What it is.
    pub(in crate::task) mask: MaskKind,
    /// The score.
    pub(in crate::task) value: f64,
}

/// A model on a device, under masks that hide the same cells for every sequence.
pub(in crate::task) struct Fit<'a, M> {
    pub(in crate::task) model: &'a M,
    pub(in crate::task) masks: Option<Vec<LayerMask>>,
    /// Where the masks are stored, if they are.
    pub(in crate::task) mask_path: Option<PathBuf>,
    pub(in crate::task) device: &'a Device,
}

/// A task with its examples as token ids, for one network.
pub(in crate::task) trait Subject {
    /// An encoder with the task's head.
    type Model: Module;

    /// Name in folders.
    fn name(&self) -> &str;

    /// What the attention is observed on, for the pattern's header.
    fn corpus(&self) -> &str;

    /// Number of training examples.
    fn n_train(&self) -> usize;

    /// Mean tokens of a training example, padding not counted.
    fn mean_len(&self) -> f64;

    /// The network with a new head.
    fn init(&self, config: &BertConfig, device: &Device) -> Self::Model;

    /// Starts of published names of the head's parameters, which pretrained weights lack.
    fn head_names(&self) -> &[&str];

    /// How fast the part on top of the encoder learns, if not like the rest.
    fn head_rate(&self) -> Option<HeadRate>;

    /// The encoder of a network.
    fn bert<'a>(&self, model: &'a Self::Model) -> &'a Bert;

    /// The loss `[1]` of some training examples.
    fn loss(&self, fit: &Fit<'_, Self::Model>, indices: &[u32]) -> Result<Tensor<1>>;

    /// Some training examples as the encoder reads them, and their lengths.
    fn input(&self, indices: &[u32], device: &Device) -> Result<(BertInput, Vec<usize>)>;

    /// The mean loss over what is watched while training.
    fn valid_loss(&self, fit: &Fit<'_, Self::Model>) -> Result<f64>;

    /// The scores that each model gets.
    fn columns(&self) -> &[Column];

    /// Scores a model, one value for each column; predictions go beside it. `at` is told how many
    /// examples are done.
    fn score(
        &self,
        fit: &Fit<'_, Self::Model>,
        folder: &ModelFolder,
        at: &mut dyn FnMut(usize),
    ) -> Result<Vec<f64>>;

    /// Number of examples that are scored.
    fn n_scored(&self) -> usize;

    /// What needs no network.
    fn baselines(&self) -> Result<Vec<Baseline>>;
}
