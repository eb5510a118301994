//! Scores of answers.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Name of the file beside a model.
pub const QUESTIONS: &str = "test-questions.csv";

/// The score of an answer to one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionScore {
    /// The id of the question in the corpus.
    pub id: String,
    /// 1 for an answer that is right to the word, else 0.
    pub exact_match: u8,
    /// F1 of its words, 0 to 1.
    pub f1: f64,
    /// 1 for a question that has an answer, 0 for one that has none, where some have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_answer: Option<u8>,
}

impl QuestionScore {
    /// Writes the questions of a test set, in its order.
    ///
    /// # Errors
    /// [`crate::ResultsError::Io`] if the disk refuses.
    pub fn save_all(path: &Path, questions: &[Self]) -> Result<()> {
        super::save(path, questions)
    }

    /// Reads what [`QuestionScore::save_all`] wrote.
    ///
    /// # Errors
    /// [`crate::ResultsError::Kept`] for a file that is missing or damaged.
    pub fn load_all(path: &Path) -> Result<Vec<Self>> {
        super::load(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_more_where_some_have_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(QUESTIONS);
        for (has_answer, text) in [
            (None, "id,exact_match,f1\n7,1,0.5\n"),
            (Some(0), "id,exact_match,f1,has_answer\n7,1,0.5,0\n"),
        ] {
            let questions = [QuestionScore {
                id: "7".to_owned(),
                exact_match: 1,
                f1: 0.5,
                has_answer,
            }];
            QuestionScore::save_all(&path, &questions).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(QuestionScore::load_all(&path).unwrap(), questions);
        }
    }
}
