//! Scores of answers.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Name of the file beside a model.
pub const QUESTIONS: &str = "test-questions.csv";

/// The score of an answer to one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The id of the question in the corpus.
    pub id: String,
    /// 1 for an answer that is right to the word, else 0.
    pub exact_match: u8,
    /// F1 of its words, 0 to 1.
    pub f1: f64,
}

impl Question {
    /// Writes the questions of a test set, in its order.
    ///
    /// # Errors
    /// [`crate::ResultsError::Io`] if the disk refuses.
    pub fn save_all(path: &Path, questions: &[Self]) -> Result<()> {
        super::save(path, questions)
    }

    /// Reads what [`Question::save_all`] wrote.
    ///
    /// # Errors
    /// [`crate::ResultsError::Kept`] for a file that is missing or damaged.
    pub fn load_all(path: &Path) -> Result<Vec<Self>> {
        super::load(path)
    }
}
