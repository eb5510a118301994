//! Train, validation and test.

use std::fmt;

/// One of the three parts of a corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// What a model learns from and attention is observed on.
    Train,
    /// What choices are made on.
    Valid,
    /// What a table reports.
    Test,
}

impl Split {
    /// All splits, in the order train, valid, test.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// The word used in file names and signatures: `train`, `valid`, `test`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
