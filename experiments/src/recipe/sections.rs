//! Sections that recipes of several tasks share, each with its own check.
//!
//! A task's section flattens these in and adds what is its own; the order of the fields is the order of the
//! keys in the text that is hashed.

use std::fmt::Display;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sparta_model::Precision;
use sparta_model::layer::MechanismConfig;
use sparta_ops::attention::BLOCK_SIZES;
use sparta_ops::pruning::{Scope, Semantics, Weighing};

use super::add_to;
use super::words::{LayoutName, OptimizerName, RetrainStart};
use crate::protocol::variant::is_whole;
use crate::train::{AdamSettings, Schedule, ScheduleName};

/// What a recipe starts with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heading {
    /// Name of the table, and of its run folder.
    pub table: String,
    /// Seeds to run; outside the recipe hash.
    pub seeds: Vec<u64>,
    /// Words that ask, for the figure of interrogation heads; none are those of the corpus' language. Outside the recipe
    /// hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interrogatives: Vec<String>,
    /// What stands in the rows of the table, and so how records name them.
    #[serde(default, skip_serializing_if = "LayoutName::is_default")]
    pub layout: LayoutName,
}

impl Heading {
    /// # Errors
    /// No seed, one twice, or a name that is none for a folder.
    pub(super) fn check(&self) -> Result<()> {
        let Self {
            table,
            seeds,
            interrogatives,
            layout: _,
        } = self;
        ensure!(
            interrogatives
                .iter()
                .all(|word| !word.is_empty() && !word.contains(char::is_whitespace)),
            "`interrogatives` are single words; found {interrogatives:?}"
        );
        ensure!(!seeds.is_empty(), "`seeds` must name at least one seed");
        for (i, seed) in seeds.iter().enumerate() {
            ensure!(
                !seeds[..i].contains(seed),
                "`seeds` names {seed} twice, which would be the same run again; give each once: `--seeds {}`",
                once(seeds)
            );
        }
        ensure!(
            !table.is_empty()
                && table
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)),
            "`table` names a folder: letters, digits, `-` and `_` only; found `{table}`"
        );
        ensure!(
            table.len() <= LONGEST_TABLE,
            "`table` names folders and records: at most {LONGEST_TABLE} characters; found {}",
            table.len()
        );
        Ok(())
    }
}

/// Characters of the name of a table: names of records are longer by more than a hundred, and file systems have 255 bytes.
const LONGEST_TABLE: usize = 64;

/// Each seed where it stands first, as `--seeds` takes them.
fn once(seeds: &[u64]) -> String {
    let is_first = |&(i, seed): &(usize, &u64)| !seeds[..i].contains(seed);
    let firsts = seeds.iter().enumerate().filter(is_first);
    let firsts: Vec<String> = firsts.map(|(_, seed)| seed.to_string()).collect();
    firsts.join(",")
}

/// The mechanisms of a table.
///
/// # Errors
/// None, or one twice.
pub(super) fn check_normalizers<M: PartialEq + Display>(normalizers: &[M]) -> Result<()> {
    ensure!(
        !normalizers.is_empty(),
        "`model.normalizers` must name at least one, e.g. `model.normalizers = [\"softmax\"]`"
    );
    for (i, normalizer) in normalizers.iter().enumerate() {
        ensure!(
            !normalizers[..i].contains(normalizer),
            "`model.normalizers` names `{normalizer}` twice"
        );
    }
    Ok(())
}

/// How long the learning rate rises before it falls.
pub trait Warmup {
    /// Updates of linear rise, of so many in all.
    fn steps(&self, of: u64) -> u64;
}

/// Warm-up as a number of updates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WarmupSteps {
    /// Updates of linear rise.
    pub warmup_steps: u64,
}

impl Warmup for WarmupSteps {
    fn steps(&self, _of: u64) -> u64 {
        self.warmup_steps
    }
}

/// Warm-up as a fraction, for runs whose length follows from the data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WarmupFraction {
    /// Fraction of the updates in which the learning rate rises linearly.
    pub warmup: f64,
}

impl Warmup for WarmupFraction {
    fn steps(&self, of: u64) -> u64 {
        (self.warmup * of as f64).round() as u64
    }
}

/// The optimiser and its learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimizer<W> {
    /// Which one.
    pub optimizer: OptimizerName,
    /// Peak learning rate; for `noam`, the factor.
    pub lr: f64,
    /// How it falls.
    pub schedule: ScheduleName,
    /// How long it rises.
    #[serde(flatten)]
    pub warmup: W,
    /// Adam's first moment.
    pub beta_1: f32,
    /// Adam's second moment.
    pub beta_2: f32,
    /// Adam's denominator.
    pub epsilon: f32,
    /// Largest global gradient norm; 0 = no limit.
    pub clip: f64,
    /// The type that networks multiply matrices and attend in; f32 in recipes from before there was a choice.
    #[serde(default, skip_serializing_if = "Precision::is_full")]
    pub precision: Precision,
}

impl<W: Warmup> Optimizer<W> {
    /// The learning rate of each of so many updates.
    #[must_use]
    pub fn schedule(&self, steps: u64) -> Schedule {
        Schedule {
            name: self.schedule,
            peak: self.lr,
            warmup_steps: self.warmup.steps(steps),
            steps,
        }
    }

    /// The optimiser's numbers, with decoupled weight decay of every parameter and no head of another rate.
    #[must_use]
    pub fn settings(&self, weight_decay: f64) -> AdamSettings {
        match self.optimizer {
            OptimizerName::Adam => AdamSettings {
                beta_1: self.beta_1,
                beta_2: self.beta_2,
                epsilon: self.epsilon,
                clip: self.clip,
                weight_decay,
                decay_vectors: true,
                head: None,
            },
        }
    }
}

/// How often a training run says and saves something.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// A line of metrics every so many updates.
    pub log_every: u64,
    /// Validation every so many updates; 0 = at the end only.
    pub valid_every: u64,
    /// Training ends early after so many validations without a better one; 0 = never, as in recipes from before there was a
    /// choice.
    #[serde(default, skip_serializing_if = "is_never")]
    pub patience: u64,
    /// A checkpoint every so many updates.
    pub checkpoint_every: u64,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands a reference to it"
)]
fn is_never(patience: &u64) -> bool {
    *patience == 0
}

impl Intervals {
    /// # Errors
    /// Patience without validations that could run out of it.
    pub(super) fn check(&self) -> Result<()> {
        let Self {
            patience,
            valid_every,
            ..
        } = self;
        ensure!(
            *patience == 0 || *valid_every > 0,
            "`train.patience = {patience}` counts the validations during training, and `train.valid_every = 0` makes none: \
             set `train.valid_every` to the steps between them, or `train.patience = 0`"
        );
        Ok(())
    }
}

/// Keys that only add runs, and masks to them: a recipe from before there were any lacks them and adds none.
pub(super) const ADD_RUNS: [&str; 2] = ["prune.block_sizes", "prune.weigh"];

/// Keys that change no result, only what is drawn of it: a recipe may lack them.
pub(super) const DRAWN: [&str; 1] = ["interrogatives"];

/// Keys that came later, with a default that is what there was before: an earlier recipe lacks them. Those of tables of
/// mechanisms say what stands in rows, and what is pruned.
pub(super) const LATER: [&str; 7] = [
    "layout",
    "prune.only",
    "prune.others",
    "eval.search",
    "eval.null_threshold",
    "train.patience",
    "train.precision",
];

/// Keys that the recipes of every program can have, whether the reference of one has them or not; serde checks their types.
pub(super) const IN_EVERY: [&str; 4] = [
    "layout",
    "interrogatives",
    "prune.block_sizes",
    "prune.weigh",
];

/// Which masks the models are trained under, of which the table is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Masks {
    /// Nominal fractions in per cent; the first is 0, no mask.
    pub p: Vec<u32>,
    /// Random masks beside each p.
    pub random_masks: Vec<u32>,
    /// Block sizes of further masks beside each p, which hide whole blocks; outside the recipe hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block_sizes: Vec<usize>,
    /// What p is a share of, each in masks of its own; outside the recipe hash.
    #[serde(default, skip_serializing_if = "Weigh::is_default")]
    pub weigh: Weigh,
}

/// What p is a share of: `"cells"`, `"uses"`, or a list of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WeighKey")]
pub struct Weigh(pub Vec<Weighing>);

/// [`Weigh`] as it is written.
#[derive(Deserialize)]
#[serde(untagged, expecting = "it is \"cells\", \"uses\", or a list of both")]
enum WeighKey {
    One(Weighing),
    All(Vec<Weighing>),
}

impl From<WeighKey> for Weigh {
    fn from(key: WeighKey) -> Self {
        match key {
            WeighKey::One(of) => Self(vec![of]),
            WeighKey::All(all) => Self(all),
        }
    }
}

impl Default for Weigh {
    /// The paper's.
    fn default() -> Self {
        Self(vec![Weighing::Cells])
    }
}

impl Weigh {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn words(&self) -> Vec<String> {
        self.0.iter().map(|of| format!("\"{of}\"")).collect()
    }
}

impl Masks {
    /// What p is a share of, as results name it.
    #[must_use]
    pub fn weighings(&self) -> Vec<sparta_results::Weighing> {
        let named = |of: &Weighing| match of {
            Weighing::Cells => sparta_results::Weighing::Cells,
            Weighing::Uses => sparta_results::Weighing::Uses,
        };
        self.weigh.0.iter().map(named).collect()
    }

    /// Leaves out what only adds runs, or chooses which masks there are: it is outside the recipe hash.
    pub(super) fn clear_added(&mut self) {
        self.block_sizes.clear();
        self.weigh = Weigh::default();
    }

    /// Adds what only adds runs of other masks, but of keys that `is_settled`.
    pub(super) fn add(&mut self, of: &Self, is_settled: &dyn Fn(&str) -> bool) {
        let [block_sizes, weigh] = ADD_RUNS;
        if !is_settled(block_sizes) {
            add_to(&mut self.block_sizes, &of.block_sizes);
        }
        if !is_settled(weigh) {
            add_to(&mut self.weigh.0, &of.weigh.0);
        }
    }

    /// What adds runs, as `--set` spells it.
    #[must_use]
    pub fn added(&self) -> Vec<String> {
        let [block_sizes, weigh] = ADD_RUNS;
        let mut added = Vec::new();
        if !self.block_sizes.is_empty() {
            let sizes = self.block_sizes.iter().map(usize::to_string);
            let sizes = sizes.collect::<Vec<_>>().join(",");
            added.push(format!("{block_sizes}=[{sizes}]"));
        }
        // Quotation marks are in the list: a shell must leave them there.
        match self.weigh.0.as_slice() {
            _ if self.weigh.is_default() => {}
            [one] => added.push(format!("{weigh}={one}")),
            _ => added.push(format!("'{weigh}=[{}]'", self.weigh.words().join(","))),
        }
        added
    }

    /// # Errors
    /// Names the key of a list that cannot be.
    pub(super) fn check(&self) -> Result<()> {
        let Self {
            p,
            random_masks,
            block_sizes: sizes,
            weigh: Weigh(weigh),
        } = self;
        ensure!(
            p.first() == Some(&0) && p.windows(2).all(|w| w[0] < w[1]),
            "`prune.p` must start with 0 (the dense control) and rise; found {p:?}"
        );
        ensure!(
            random_masks.len() == p.len(),
            "`prune.random_masks` needs one number for each of the {} `prune.p`; found {}",
            p.len(),
            random_masks.len()
        );
        ensure!(
            random_masks[0] == 0,
            "`prune.random_masks` starts with 0: at p = 0 nothing is hidden and no mask is drawn"
        );
        ensure!(
            !weigh.is_empty() && (1..weigh.len()).all(|at| !weigh[..at].contains(&weigh[at])),
            "`prune.weigh` is \"cells\", \"uses\" or [\"cells\", \"uses\"]; found [{}]",
            self.weigh.words().join(", ")
        );
        // What fused attention knows.
        for (i, size) in sizes.iter().enumerate() {
            ensure!(
                BLOCK_SIZES.contains(size) && !sizes[..i].contains(size),
                "`prune.block_sizes` are some of 16, 32, 64 and 128, each once; found {sizes:?}"
            );
        }
        Ok(())
    }
}

/// How the mean attention becomes a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    /// Over which cells one threshold is taken.
    pub scope: Scope,
    /// Which cells count.
    pub semantics: Semantics,
}

impl Threshold {
    /// # Errors
    /// Blocks of a table whose thresholds rank no blocks.
    pub(super) fn check(self, masks: &Masks) -> Result<()> {
        ensure!(
            masks.block_sizes.is_empty() || self.semantics == Semantics::Corrected,
            "`prune.block_sizes` needs `prune.semantics = \"corrected\"`: the released code knows no blocks; \
             leave them out with `prune.block_sizes = []`"
        );
        ensure!(
            !masks.weigh.0.contains(&Weighing::Uses) || self.semantics == Semantics::Corrected,
            "`prune.weigh = \"uses\"` needs `prune.semantics = \"corrected\"`: the released code counts every cell once, \
             those that no example can use among them; leave it out, or set `prune.weigh = \"cells\"`"
        );
        Ok(())
    }
}

/// Masks of a network whose attention is all of one type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prune {
    /// Which masks.
    #[serde(flatten)]
    pub masks: Masks,
    /// Those of `model.normalizers` whose models are pruned; all that can be where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<MechanismConfig>,
    /// How they are made.
    #[serde(flatten)]
    pub threshold: Threshold,
}

impl Prune {
    /// Whether models with a mechanism are pruned, if they can be.
    #[must_use]
    pub fn prunes(&self, mechanism: MechanismConfig) -> bool {
        self.only.is_empty() || self.only.contains(&mechanism)
    }

    /// # Errors
    /// As [`Masks`] and [`Threshold`]; a mechanism to be pruned that is not in the table, or cannot be.
    pub(super) fn check(&self, mechanisms: &[MechanismConfig]) -> Result<()> {
        self.masks.check()?;
        for (i, pruned) in self.only.iter().enumerate() {
            ensure!(
                mechanisms.contains(pruned),
                "`prune.only` names `{pruned}`, which is not trained: add it to `model.normalizers`, or leave it out"
            );
            ensure!(
                !self.only[..i].contains(pruned),
                "`prune.only` names `{pruned}` twice; name each once"
            );
            if let Some(cannot) = is_whole(*pruned) {
                bail!("`prune.only` names `{pruned}`, but {cannot}: leave it out");
            }
        }
        self.threshold.check(&self.masks)
    }
}

/// Training again under each mask; what it does not name is as in `train`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retrain {
    /// Where it starts.
    pub start: RetrainStart,
    /// Updates.
    pub steps: u64,
    /// Peak learning rate; for `noam`, the factor.
    pub lr: f64,
    /// How it falls.
    pub schedule: ScheduleName,
    /// How long it rises.
    #[serde(flatten)]
    pub warmup: WarmupSteps,
}

impl Retrain {
    /// Its learning rate, as the recipe has it.
    pub(super) fn lr(&self) -> Option<f64> {
        Some(self.lr)
    }

    /// The learning rate of each update.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule {
            name: self.schedule,
            peak: self.lr,
            warmup_steps: self.warmup.steps(self.steps),
            steps: self.steps,
        }
    }

    /// # Errors
    /// A start that there is not.
    pub(super) fn check(&self, starts: &[RetrainStart]) -> Result<()> {
        self.start.check(starts)
    }
}
