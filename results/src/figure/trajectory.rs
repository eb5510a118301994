//! α of every head over training.

use serde::{Deserialize, Serialize};

use super::source::Source;

/// Learned α of every head against training steps, one panel for each attention type (AST, figure
/// "Trajectories of α values"). File: `trajectory`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trajectory {
    /// What was measured.
    pub source: Source,
    /// Training steps at which α was written down, rising.
    pub steps: Vec<u64>,
    /// Every head of every attention type.
    pub heads: Vec<HeadTrajectory>,
    /// Published heads.
    pub published: Vec<PublishedTrajectory>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadTrajectory {
    /// Attention type.
    pub attention: String,
    /// Layer, from 0.
    pub layer: usize,
    /// Head, from 0.
    pub head: usize,
    /// α at each of the steps.
    pub alphas: Vec<f64>,
}

/// What was published of one head's trajectory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTrajectory {
    /// Corpus.
    pub corpus: String,
    /// Attention type.
    pub attention: String,
    /// Layer, from 0.
    pub layer: usize,
    /// Head, from 0.
    pub head: usize,
    /// What the head was found to do.
    pub role: Option<String>,
    /// α at the start.
    pub start: f64,
    /// Lowest α.
    pub min: f64,
    /// α at the end.
    pub end: f64,
}

impl HeadTrajectory {
    /// Whether the head was dense and ends sparse: its α fell below 1.5, the middle of its range, and
    /// ends above it, at least 0.1 above its lowest value.
    pub fn turns_sparse(&self) -> bool {
        turns_sparse(self.lowest(), self.alphas.last().copied())
    }

    /// Lowest α.
    pub fn lowest(&self) -> Option<f64> {
        self.alphas.iter().copied().reduce(f64::min)
    }
}

impl PublishedTrajectory {
    /// As [`HeadTrajectory::turns_sparse`].
    pub fn turns_sparse(&self) -> bool {
        turns_sparse(Some(self.min), Some(self.end))
    }
}

fn turns_sparse(lowest: Option<f64>, end: Option<f64>) -> bool {
    let (Some(lowest), Some(end)) = (lowest, end) else {
        return false;
    };
    lowest < 1.5 && end > 1.5 && end - lowest >= 0.1
}
