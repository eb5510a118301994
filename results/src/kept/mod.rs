//! What scoring leaves beside a model, unit by unit of the test set, so that models can be compared
//! later: losses of segments, classes and numbers of examples, answers to questions. (Translations
//! are kept as text.)

mod predictions;
mod questions;
mod segments;

pub use predictions::{PREDICTIONS, Predicted, predictions};
pub use questions::{QUESTIONS, QuestionScore};
pub use segments::{SEGMENTS, Segment};

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Result, ResultsError};
use crate::record::write_atomic;

/// Writes rows with the names of their fields as head, atomically.
fn save<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| ResultsError::Csv(error.into_error().into()))?;
    write_atomic(path, &bytes)
}

/// Reads rows that [`save`] wrote.
fn load<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut reader = csv::Reader::from_path(path).map_err(|error| damaged(path, error))?;
    let rows = reader.deserialize().collect::<std::result::Result<_, _>>();
    rows.map_err(|error| damaged(path, error))
}

fn damaged(path: &Path, problem: impl std::fmt::Display) -> ResultsError {
    ResultsError::Kept {
        path: path.to_path_buf(),
        problem: problem.to_string(),
    }
}
