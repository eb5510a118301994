//! What is asked of a program: a stage, a recipe, and where to compute.

use std::path::PathBuf;

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use sparta_ops::attention::Implementation;

use crate::device::DeviceChoice;
use crate::io::say;

/// A stage of a table, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Read the corpus, build the vocabulary, write the token stores
    Prepare,
    /// Train dense models
    Train,
    /// Average their attention over the training set
    Observe,
    /// Make the masks and train again under each
    Prune,
    /// Test every trained model and write run records
    Eval,
    /// Make the table from the run records
    Report,
    /// All stages in order (the default)
    Reproduce,
}

impl Stage {
    /// The subcommand.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Train => "train",
            Self::Observe => "observe",
            Self::Prune => "prune",
            Self::Eval => "eval",
            Self::Report => "report",
            Self::Reproduce => "reproduce",
        }
    }

    /// Whether dense models are trained.
    #[must_use]
    pub fn trains(self) -> bool {
        matches!(self, Self::Train | Self::Reproduce)
    }

    /// Whether attention is averaged.
    #[must_use]
    pub fn observes(self) -> bool {
        matches!(self, Self::Observe | Self::Reproduce)
    }

    /// Whether masks are made, and models trained under them.
    #[must_use]
    pub fn prunes(self) -> bool {
        matches!(self, Self::Prune | Self::Reproduce)
    }

    /// Whether it begins with what an earlier one made.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Self::Observe | Self::Prune | Self::Eval)
    }

    /// Whether models are scored.
    #[must_use]
    pub fn scores(self) -> bool {
        matches!(self, Self::Eval | Self::Reproduce)
    }
}

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Request<R> {
    /// What to do.
    pub stage: Stage,
    /// The recipe, edits applied.
    pub recipe: R,
    /// Where to compute.
    pub device: DeviceChoice,
    /// Which implementation computes attention there.
    pub attention: Implementation,
    /// Resolve and try only.
    pub dry_run: bool,
    /// The recipe's seeds were named for this command: a report is then of these alone.
    pub only_seeds: bool,
    /// The same of its tasks.
    pub only_tasks: bool,
    /// Go on in a run folder that exists.
    pub resume: bool,
    /// Go on beside records of another build, and average runs of several builds.
    pub is_mixed: bool,
    /// The run folder, if not the default one.
    pub out: Option<PathBuf>,
    /// Folder with the corpus files.
    pub data: Option<PathBuf>,
    /// Folder with pretrained weights.
    pub weights: Option<PathBuf>,
    /// Say where time went, and write it to the run folder.
    pub profile: bool,
    /// No progress output.
    pub quiet: bool,
}

/// Whether a corpus that is not at hand may be fetched: only the stage `prepare` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Download what is missing.
    Allowed {
        /// Say nothing of it.
        quiet: bool,
    },
    /// Use `--data` and the cache alone.
    Never,
}

/// A line for the person at the terminal.
pub(crate) fn note(quiet: bool, line: &str) {
    if !quiet {
        say(line);
    }
}
