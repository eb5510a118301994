//! The one error type of this crate.

use std::path::PathBuf;

/// Result with [`ResultsError`].
pub type Result<T> = std::result::Result<T, ResultsError>;

/// What can go wrong between a run and its table; every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried, as in "cannot *read* …".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the system.
        cause: std::io::Error,
    },
    /// The folder that should hold run records is not there.
    #[error("no folder {}; make a run first, e.g. `cargo run --release --bin lm`, or name the folder of your runs", .0.display())]
    NoRuns(PathBuf),
    /// A run record is not the JSON this version writes.
    #[error("{} is not a run record: {cause}; delete it and repeat its run", path.display())]
    BadRecord {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        cause: serde_json::Error,
    },
    /// A run record with a key that this version does not have.
    #[error("{} has the key `{key}`, which this version does not know: it may be of a newer version, which reads it; if it was \
             written by hand, correct the key", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The first such key.
        key: String,
    },
    /// A run record of another schema version.
    #[error("{} has schema {found}, this version reads schema {expected}; repeat the run, or read it with the version that wrote it", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The schema number in the file.
        found: u64,
        /// The schema number of this crate.
        expected: u64,
    },
    /// A run record contradicts itself.
    #[error("run record `{id}`: {problem}")]
    Invalid {
        /// Id of the record.
        id: String,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// A signature part that could not be told apart again after printing.
    #[error(
        "signature part `{0}` contains one of `|`, `:` or a space, or is empty; replace it, for example by `-`"
    )]
    SignaturePart(String),
    /// A file where one of a figure's would go, without the figure that it would be of.
    #[error("{} is there already and is none of a figure that was written here: move it, or give another folder", .0.display())]
    Occupied(PathBuf),
    /// Claims that cannot be read.
    #[error("not claims: {0}; results/data/claims.toml shows the form")]
    Claims(String),
    /// Attention weights, or positions in them, that are not what a definition reads.
    #[error("attention weights: {0}")]
    Attention(String),
    /// Translations and references that do not belong together.
    #[error(
        "asked to score {hypotheses} translations against the references of {references} sentences; give one translation \
         and one list of references for each sentence, and at least one sentence"
    )]
    Sentences {
        /// Number of translations.
        hypotheses: usize,
        /// Number of sentences that references were given for.
        references: usize,
    },
    /// Predictions and references that do not belong together.
    #[error(
        "asked to score {predictions} predictions against {expected} references; give one of each for every example, and \
         at least one example"
    )]
    Predictions {
        /// Number of predictions.
        predictions: usize,
        /// Number of references.
        expected: usize,
    },
    /// Outcomes of a test set that cannot be scored or compared.
    #[error("the units of the test set cannot be compared: {0}")]
    Units(String),
    /// What scoring left beside a model cannot be read.
    #[error("{}: {problem}; delete it and score the model again: `eval --resume`", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A sentence that cannot be scored.
    #[error(
        "sentence {sentence} (counted from 0) has no reference; give at least one, or leave the sentence out"
    )]
    NoReference {
        /// Its place in the test set.
        sentence: usize,
    },
    /// A setting under which a score is not defined.
    #[error("{what} of the score is {found}; use {expected}")]
    MetricSetting {
        /// The setting.
        what: &'static str,
        /// Its value.
        found: String,
        /// What is possible.
        expected: &'static str,
    },
    /// A file that would be overwritten and is not ours.
    #[error(
        "{} is there and was not made by a report, and is not overwritten; move it, or choose another folder", .0.display()
    )]
    NotOurs(PathBuf),
    /// A form of a report that cannot be written.
    #[error("cannot write the report: {0}")]
    Render(String),
    /// There is nothing to draw or tabulate.
    #[error("no completed run to report; repeat the runs, or check the folder of the run records")]
    Empty,
    /// The plot could not be drawn.
    #[error("cannot draw the plot: {0}; find it in the csv table, and repeat its run")]
    Plot(String),
    /// Numbers that do not make a figure.
    #[error("figure `{figure}`: {problem}")]
    Figure {
        /// Its name, or its file.
        figure: String,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// A table of comma-separated values that cannot be written, or is none.
    #[error("cannot read or write csv: {0}")]
    Csv(csv::Error),
}

impl From<csv::Error> for ResultsError {
    fn from(error: csv::Error) -> Self {
        // Not its `source`, for its text is in this one's: it would be said twice.
        Self::Csv(error)
    }
}

impl ResultsError {
    pub(crate) fn figure(figure: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Figure {
            figure: figure.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        cause: std::io::Error,
    ) -> Self {
        Self::Io {
            action,
            path: path.into(),
            cause,
        }
    }
}
