//! A task as read from files, and how they compare with the published ones.

use std::fmt;
use std::path::PathBuf;

use super::ClassificationCorpus;

/// How many examples a file has, and how many were published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartCount {
    /// The part.
    pub part: &'static str,
    /// The file it was read from.
    pub path: PathBuf,
    /// Published number of examples.
    pub published: usize,
    /// Number found.
    pub found: usize,
    /// Rows left out because columns were missing; only QQP's first release has any.
    pub n_skipped: usize,
}

impl PartCount {
    /// Whether the file is not the published one by its size.
    pub fn differs(&self) -> bool {
        self.found != self.published || self.n_skipped > 0
    }
}

impl fmt::Display for PartCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (found, published) = (self.found, self.published);
        write!(
            f,
            "{}: {found} examples, published {published}",
            self.path.display()
        )?;
        match self.n_skipped {
            0 => Ok(()),
            n => write!(f, ", {n} rows without all columns left out"),
        }
    }
}

/// A task as read, and how its files compare with the published ones.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedTask {
    /// The examples.
    pub corpus: ClassificationCorpus,
    /// One for each file of GLUE; none for the shipped task.
    pub counts: Vec<PartCount>,
}
