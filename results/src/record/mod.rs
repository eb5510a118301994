//! What a run leaves behind: one JSON file per trained and scored model.

mod check;
mod file;

pub(crate) use file::write_atomic;
pub use file::{Damaged, SCHEMA, load_all, load_readable};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::metric::Metric;

/// The name among a record's versions that the git commit of the program has.
pub const COMMIT: &str = "commit";
/// The name among a record's versions of the commits that trained its model, in order and with [`THEN`] between them, where they
/// are not [`COMMIT`] alone.
pub const TRAINED_BY: &str = "trained by";
/// What stands between commits, and devices, that came one after another.
pub const THEN: &str = " then ";
/// What [`RunRecord::data`] has the sha256 of pretrained weights under.
pub const WEIGHTS: &str = "pretrained weights";

/// How a run ended; only completed runs reach a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Still going, or killed.
    Running,
    /// Trained to the end and scored.
    Completed,
    /// Stopped at a loss or gradient that was not finite.
    Diverged,
}

impl Status {
    /// The word in records and notes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Diverged => "diverged",
        }
    }
}

/// A published number that stands beside ours, with the words that say what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperReference {
    /// The published value.
    pub value: f64,
    /// The corpus it was taken on, in general not ours.
    pub corpus: String,
    /// Model, protocol and publication.
    pub note: String,
}

/// One run: who made it, from what, and what came out.
///
/// All p are in percent, 0 to 100. In a file keys that are not known are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Name, unique in its table; letters, digits and `._=+-`. Names the file.
    pub id: String,
    /// Table the run belongs to.
    pub table: String,
    /// Row of that table, in general the name of the recipe.
    pub row: String,
    /// Which of a row's networks, where the table holds several that differ in their attention: a
    /// row normaliser (`softmax`, `entmax15`) or another mechanism. None where there is one, and
    /// for baselines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Hash of what all runs of a row share: the resolved recipe without seed, mask seed, p, mask
    /// and device. Runs are averaged only if it is equal.
    pub recipe_hash: String,
    /// The resolved recipe as TOML.
    pub recipe: String,
    /// Training seed.
    pub seed: u64,
    /// Device that trained.
    pub device: String,
    /// The half type that its networks multiplied matrices and attended in: `bf16` or `f16`. None where all was in f32, and
    /// for baselines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Which implementation of attention was asked for, and which ran: `auto: fused 82 %, reference
    /// 18 %`, `fused`, `reference`. None for baselines and in records from before there was a
    /// choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    /// Dense, under a mask, or a baseline.
    #[serde(flatten)]
    pub condition: Condition,
    /// Percentage of cells asked to be hidden; none for baselines.
    pub p_nominal: Option<f64>,
    /// Percentage of the legal cells that is hidden.
    pub p_effective: Option<f64>,
    /// Percentage of the legal cells that is hidden, each cell weighted by how often the data uses
    /// it.
    pub p_token_weighted: Option<f64>,
    /// Which score.
    pub metric: Metric,
    /// The score; none as long as the run is not completed.
    pub value: Option<f64>,
    /// Protocol of the score; equal strings compare, others never.
    pub signature: String,
    /// The published number beside ours.
    pub paper: Option<PaperReference>,
    /// Optimiser steps made.
    pub steps: u64,
    /// Target tokens per second of training; none for baselines.
    pub tokens_per_second: Option<f64>,
    /// Number of parameters of the network. None for baselines and in records from before it was noted, as the
    /// next two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Largest resident memory of the process while it trained, in 10⁹ bytes, where that could be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_gigabytes: Option<f64>,
    /// What was watched of the attention mechanism on test examples, by name: means over layers, heads and queries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub observed: BTreeMap<String, f64>,
    /// Start, in seconds since 1970.
    pub started: u64,
    /// End, in seconds since 1970.
    pub finished: Option<u64>,
    /// How it ended.
    pub status: Status,
    /// The command line of the process that scored it, as a shell reads it. None in records from before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Program and library versions by name; under [`COMMIT`] the git commit of the program. Records of later programs also say
    /// the compiler, features, system, processor and threads.
    pub versions: BTreeMap<String, String>,
    /// sha256 of each file that the run's data were read from, in hexadecimal, by its name in the corpus (of the user's own, in its
    /// folder). Empty in records from before it was noted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
}

impl RunRecord {
    /// The git commit of the program that made the run: hexadecimal, with `-dirty` where the
    /// checkout had changes, or `unknown`. None in records from before it was noted.
    pub fn commit(&self) -> Option<&str> {
        self.versions.get(COMMIT).map(String::as_str)
    }

    /// The commits of the programs that made the run, `1a2b3c4d5e6f then 0f9e8d7c6b5a`: those that trained its model, and the one
    /// that scored it. None in records from before it was noted.
    pub fn build(&self) -> Option<String> {
        let commit = self.commit()?;
        Some(match self.versions.get(TRAINED_BY) {
            Some(trained) if trained.rsplit(THEN).next() == Some(commit) => trained.clone(),
            Some(trained) => format!("{trained}{THEN}{commit}"),
            None => commit.to_owned(),
        })
    }

    /// The names under which both runs read something, of other content.
    pub fn differs_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let differs =
            |(name, hash): &(&String, &String)| other.data.get(*name).is_some_and(|of| of != *hash);
        (self.data.iter())
            .filter(differs)
            .map(|(name, _)| name.as_str())
    }

    /// The first of [`RunRecord::differs_in`].
    pub fn reads_other<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        self.differs_in(other).next()
    }

    /// The device that trained, with the half type where it computed in one: `tch:cpu in bf16`.
    pub fn device_and_precision(&self) -> String {
        match &self.precision {
            Some(precision) => format!("{} in {precision}", self.device),
            None => self.device.clone(),
        }
    }
}
