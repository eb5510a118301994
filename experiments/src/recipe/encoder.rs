//! What the recipes of tasks for a pretrained encoder have in common.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use sparta_model::layer::MechanismConfig;

use super::idle::is_set;
use super::sections::check_normalizers;
use super::{Intervals, Optimizer, Prune, Recipe, RetrainStart, WarmupFraction};
use crate::train::ScheduleName;

/// A recipe for a task that a pretrained encoder is fine-tuned for.
pub trait EncoderRecipe: Recipe {
    /// The network.
    fn model(&self) -> &EncoderModelRecipe;
    /// Fine-tuning.
    fn train(&self) -> &EncoderTrainRecipe;
    /// The pass that averages attention.
    fn observe(&self) -> &EncoderObserveRecipe;
    /// Thresholds and masks.
    fn prune(&self) -> &Prune;
    /// Longest sequence in tokens: rows and columns of the masks.
    fn max_len(&self) -> usize;
}

/// A published network by name; its sizes must be those of the `config.json` beside its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkName {
    /// paraphrase-MiniLM-L3-v2: 3 layers of 384; ships with the program.
    #[serde(rename = "minilm-l3")]
    MiniLmL3,
    /// MiniLM-L6: 6 layers of 384.
    #[serde(rename = "minilm-l6")]
    MiniLmL6,
    /// BERT-base uncased.
    #[serde(rename = "bert-base-uncased")]
    BertBaseUncased,
    /// BERT-base cased.
    #[serde(rename = "bert-base-cased")]
    BertBaseCased,
    /// Whichever BERT the folder of weights has, of the sizes in its `config.json`.
    #[serde(rename = "bert")]
    Bert,
}

impl NetworkName {
    /// The word in the recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MiniLmL3 => "minilm-l3",
            Self::MiniLmL6 => "minilm-l6",
            Self::BertBaseUncased => "bert-base-uncased",
            Self::BertBaseCased => "bert-base-cased",
            Self::Bert => "bert",
        }
    }
}

impl NetworkName {
    /// Whether its weights ship with the program.
    #[must_use]
    pub fn is_shipped(self) -> bool {
        match self {
            Self::MiniLmL3 => true,
            Self::MiniLmL6 | Self::BertBaseUncased | Self::BertBaseCased | Self::Bert => false,
        }
    }

    /// What its weights are called on the Hugging Face hub.
    #[must_use]
    pub fn hub_names(self) -> &'static [&'static str] {
        match self {
            Self::MiniLmL3 => &["sentence-transformers/paraphrase-MiniLM-L3-v2"],
            Self::MiniLmL6 => &["sentence-transformers/all-MiniLM-L6-v2"],
            Self::BertBaseUncased => &["google-bert/bert-base-uncased", "bert-base-uncased"],
            Self::BertBaseCased => &["google-bert/bert-base-cased", "bert-base-cased"],
            Self::Bert => &[],
        }
    }

    /// The licence of its weights, as their pages on the Hugging Face hub have it.
    #[must_use]
    pub fn licence(self) -> &'static str {
        match self {
            Self::MiniLmL3 | Self::MiniLmL6 | Self::BertBaseUncased | Self::BertBaseCased => {
                "Apache-2.0"
            }
            Self::Bert => "that of the weights you give",
        }
    }
}

/// How wide batches are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddingName {
    /// `max_len` (the paper).
    Fixed,
    /// As the longest example of the batch.
    Dynamic,
}

impl PaddingName {
    /// The word in the recipe, for signatures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Dynamic => "dynamic",
        }
    }
}

/// The network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderModelRecipe {
    /// Whose sizes and weights.
    pub network: NetworkName,
    /// Row normalisers of attention, each with a dense model of its own.
    pub normalizers: Vec<MechanismConfig>,
    /// Dropout of hidden states, and before the head.
    pub dropout: f64,
    /// Dropout of attention weights.
    pub attention_dropout: f64,
}

/// Fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderTrainRecipe {
    /// Passes over the training set, where `steps` is 0.
    pub epochs: u64,
    /// Updates; 0 = as many as `epochs` take.
    pub steps: u64,
    /// Examples of a batch.
    pub batch_size: usize,
    /// The optimiser and its learning rate.
    #[serde(flatten)]
    pub optimizer: Optimizer<WarmupFraction>,
    /// Decoupled weight decay of matrices; offsets and normalisations have none.
    pub weight_decay: f64,
    /// How often something is said and saved.
    #[serde(flatten)]
    pub intervals: Intervals,
}

impl EncoderTrainRecipe {
    /// # Errors
    /// Passes that were typed, beside a number of updates.
    pub(super) fn check_overruled(&self, sets: &[String]) -> Result<()> {
        let Self { epochs, steps, .. } = self;
        ensure!(
            *steps == 0 || !is_set(sets, "train.epochs"),
            "`--set train.epochs={epochs}` would do nothing: the recipe has `train.steps = {steps}`, whatever the epochs are; add \
             `--set train.steps=0`, which is as many as they take"
        );
        Ok(())
    }

    /// Updates of one fine-tuning on so many examples.
    #[must_use]
    pub fn steps_for(&self, n_examples: usize) -> u64 {
        let per_epoch = n_examples.div_ceil(self.batch_size).max(1) as u64;
        match self.steps {
            0 => per_epoch * self.epochs,
            steps => steps,
        }
    }
}

/// The pass over the training set that averages attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderObserveRecipe {
    /// Examples of a batch.
    pub batch_size: usize,
    /// Examples to observe; 0 = the whole training set.
    pub examples: usize,
}

/// Fine-tuning under a mask: as the first one, for as many steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderRetrainRecipe {
    /// Where it starts.
    pub start: RetrainStart,
}

impl EncoderRetrainRecipe {
    /// It trains as the dense model did, and has no learning rate of its own.
    pub(super) fn lr(&self) -> Option<f64> {
        None
    }
}

/// Checks the common sections.
pub(super) fn validate<R: EncoderRecipe>(recipe: &R) -> Result<()> {
    let (m, t) = (recipe.model(), recipe.train());
    recipe.heading().check()?;
    t.intervals.check()?;
    check_normalizers(&m.normalizers)?;
    ensure!(
        t.optimizer.schedule != ScheduleName::Noam,
        "`train.schedule` cannot be noam, which is for training from nothing; use linear"
    );
    recipe
        .retrain_start()
        .check(&[RetrainStart::Dense, RetrainStart::Pretrained])
}
