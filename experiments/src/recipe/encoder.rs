//! What the recipes of tasks for a pretrained encoder have in common.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::parts::{
    at_least_one, block_sizes, in_unit_interval, nominal_shares, positive, random_masks,
    seeds_and_table,
};
use super::{NormalizerName, OptimizerName, Recipe, ScopeName, SemanticsName};
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
    fn prune(&self) -> &EncoderPruneRecipe;
    /// Fine-tuning under each mask.
    fn retrain(&self) -> &EncoderRetrainRecipe;
    /// Longest sequence in tokens: rows and columns of the masks.
    fn max_len(&self) -> usize;
}

/// A published network by name; its sizes are those of its `config.json`.
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
#[serde(deny_unknown_fields)]
pub struct EncoderModelRecipe {
    /// Whose sizes and weights.
    pub network: NetworkName,
    /// Row normaliser of attention.
    pub normalizer: NormalizerName,
    /// Dropout of hidden states, and before the head.
    pub dropout: f64,
    /// Dropout of attention weights.
    pub attention_dropout: f64,
}

/// Fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderTrainRecipe {
    /// Passes over the training set, where `steps` is 0.
    pub epochs: u64,
    /// Updates; 0 = as many as `epochs` take.
    pub steps: u64,
    /// Examples of a batch.
    pub batch_size: usize,
    /// The optimiser.
    pub optimizer: OptimizerName,
    /// Peak learning rate.
    pub lr: f64,
    /// How it falls.
    pub schedule: ScheduleName,
    /// Share of the updates in which it rises linearly.
    pub warmup: f64,
    /// Adam's first moment.
    pub beta_1: f32,
    /// Adam's second moment.
    pub beta_2: f32,
    /// Adam's denominator.
    pub epsilon: f32,
    /// Largest global gradient norm; 0 = no limit.
    pub clip: f64,
    /// Decoupled weight decay of matrices; offsets and normalisations have none.
    pub weight_decay: f64,
    /// A line of metrics every so many updates.
    pub log_every: u64,
    /// Validation every so many updates; 0 = at the end only.
    pub valid_every: u64,
    /// A checkpoint every so many updates.
    pub checkpoint_every: u64,
}

impl EncoderTrainRecipe {
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
#[serde(deny_unknown_fields)]
pub struct EncoderObserveRecipe {
    /// Examples of a batch.
    pub batch_size: usize,
    /// Examples to observe; 0 = the whole training set.
    pub examples: usize,
}

/// Thresholds and masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderPruneRecipe {
    /// Nominal shares in per cent; the first is 0, no mask.
    pub p: Vec<u32>,
    /// Random masks beside each p.
    pub random_masks: Vec<u32>,
    /// Edges of the blocks of further masks beside each p, which hide whole blocks; outside the recipe hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block_sizes: Vec<usize>,
    /// Over which cells one threshold is taken.
    pub scope: ScopeName,
    /// Which cells count.
    pub semantics: SemanticsName,
}

/// Fine-tuning under a mask: as the first one, for as many steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderRetrainRecipe {
    /// Where it starts.
    pub start: StartName,
}

/// Where fine-tuning under a mask starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartName {
    /// From the pretrained weights again (the paper); p = 0 is then the dense model.
    Pretrained,
    /// From the dense model; p = 0 goes on from it too.
    Dense,
}

impl StartName {
    /// What it means, for titles.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Pretrained => "fine-tuned from the pretrained weights",
            Self::Dense => "fine-tuned on from the dense model",
        }
    }
}

/// Checks the common sections.
pub(super) fn validate<R: EncoderRecipe>(recipe: &R) -> Result<()> {
    let (m, t, prune) = (recipe.model(), recipe.train(), recipe.prune());
    at_least_one(&[
        ("data.max_len", recipe.max_len()),
        ("train.epochs", t.epochs as usize),
        ("train.batch_size", t.batch_size),
        ("train.log_every", t.log_every as usize),
        ("train.checkpoint_every", t.checkpoint_every as usize),
        ("observe.batch_size", recipe.observe().batch_size),
    ])?;
    in_unit_interval(&[
        ("model.dropout", m.dropout),
        ("model.attention_dropout", m.attention_dropout),
        ("train.warmup", t.warmup),
    ])?;
    positive(&[("train.lr", t.lr)])?;
    for (key, value) in [
        ("train.clip", t.clip),
        ("train.weight_decay", t.weight_decay),
    ] {
        ensure!(
            value >= 0.0 && value.is_finite(),
            "`{key}` must be 0 or more; found {value}"
        );
    }
    ensure!(
        t.schedule != ScheduleName::Noam,
        "`train.schedule` cannot be noam, which is for training from nothing; use linear"
    );
    seeds_and_table(recipe.seeds(), recipe.table())?;
    nominal_shares(&prune.p)?;
    random_masks(&prune.random_masks, &prune.p)?;
    block_sizes(&prune.block_sizes, prune.semantics)
}
