//! What `sparta analyze` is asked.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::device::DeviceChoice;

/// A figure by its name on the command line, which is that of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum FigureName {
    /// Ω-regularised argmax: softmax, α-entmax, argmax; needs no run
    Omega,
    /// Histogram of the learned α
    Alpha,
    /// Learned α of each head over training
    Trajectory,
    /// Density of attention per layer and head
    Density,
    /// Histogram of density per head and sequence
    DensityHistogram,
    /// Jensen–Shannon divergence of the heads of each layer
    Diversity,
    /// Heads that attend to a neighbour
    Positional,
    /// Heads that join the pieces of a word
    Merging,
    /// Heads that go from interrogative words to the question mark
    Interrogation,
    /// Mean attention, masks, their sparsity and overlap
    Pattern,
    /// Learning curves, of one run or several
    Curves,
}

impl FigureName {
    /// Every figure that a run may give; Ω needs none.
    pub const OF_RUNS: [Self; 10] = [
        Self::Alpha,
        Self::Trajectory,
        Self::Density,
        Self::DensityHistogram,
        Self::Diversity,
        Self::Positional,
        Self::Merging,
        Self::Interrogation,
        Self::Pattern,
        Self::Curves,
    ];

    /// As it is typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Omega => "omega",
            Self::Alpha => "alpha",
            Self::Trajectory => "trajectory",
            Self::Density => "density",
            Self::DensityHistogram => "density-histogram",
            Self::Diversity => "diversity",
            Self::Positional => "positional",
            Self::Merging => "merging",
            Self::Interrogation => "interrogation",
            Self::Pattern => "pattern",
            Self::Curves => "curves",
        }
    }
}

impl fmt::Display for FigureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What `sparta analyze` is asked.
#[derive(Debug, Clone)]
pub struct Analyze {
    /// Run folders, or folders of models in them.
    pub runs: Vec<PathBuf>,
    /// The figures; none is all that there can be.
    pub figures: Vec<FigureName>,
    /// The seed whose models are read; the first there is if not given.
    pub seed: Option<u64>,
    /// How many examples of the validation set are read; all if not given.
    pub examples: Option<usize>,
    /// Offsets of positional heads.
    pub offsets: Vec<i64>,
    /// Words that ask; those of the recipe, or of the language, if none are given.
    pub interrogatives: Vec<String>,
    /// Folder with the corpus files, where a run reads them again.
    pub data: Option<PathBuf>,
    /// Folder of the figures, if not the run's own.
    pub out: Option<PathBuf>,
    /// Where to compute.
    pub device: DeviceChoice,
    /// No words on standard error but errors.
    pub quiet: bool,
}

impl Analyze {
    /// Whether a figure of a run is meant.
    #[must_use]
    pub fn asks(&self, figure: FigureName) -> bool {
        self.figures.contains(&figure)
            || self.figures.is_empty() && FigureName::OF_RUNS.contains(&figure)
    }
}
