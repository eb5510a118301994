//! Predicted classes and numbers of labelled texts.

use std::path::Path;

use super::damaged;
use crate::error::Result;

/// Name of the file beside a model: tab-separated, `part, index, expected, predicted, scores…`.
pub const PREDICTIONS: &str = "predictions.tsv";

/// What was predicted for one example.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// Its place in its part.
    pub index: String,
    /// The label of the corpus.
    pub expected: String,
    /// The label of the model.
    pub predicted: String,
    /// Probability of each class, or the number alone.
    pub scores: Vec<f64>,
}

/// The predictions for one part (`dev`, `dev-matched`) of a task.
///
/// # Errors
/// [`crate::ResultsError::Kept`] for a file that is missing, damaged, or without the part.
pub fn predictions(path: &Path, part: &str) -> Result<Vec<Predicted>> {
    let text = std::fs::read_to_string(path).map_err(|error| damaged(path, error))?;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [of, index, expected, predicted, scores @ ..] = cells.as_slice() else {
            let problem = format!(
                "line {} has {} cells, not 5 or more",
                number + 1,
                cells.len()
            );
            return Err(damaged(path, problem));
        };
        if *of != part {
            continue;
        }
        let scores = scores.iter().map(|score| score.parse::<f64>());
        let scores = scores.collect::<std::result::Result<Vec<f64>, _>>();
        found.push(Predicted {
            index: (*index).to_owned(),
            expected: (*expected).to_owned(),
            predicted: (*predicted).to_owned(),
            scores: scores
                .map_err(|error| damaged(path, format!("line {}: {error}", number + 1)))?,
        });
    }
    match found.is_empty() {
        true => Err(damaged(path, format!("it has no part `{part}`"))),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PREDICTIONS);
        let text = "part\tindex\texpected\tpredicted\tscores\n\
                    dev-matched\t0\tneutral\tentailment\t0.9\t0.1\n\
                    dev-mismatched\t0\tentailment\tentailment\t0.8\t0.2\n";
        std::fs::write(&path, text).unwrap();
        let found = predictions(&path, "dev-mismatched").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].expected.as_str(), found[0].scores[0]),
            ("entailment", 0.8)
        );
        let error = predictions(&path, "dev").unwrap_err().to_string();
        assert!(error.contains("it has no part `dev`"), "{error}");
        std::fs::write(&path, "head\ndev\t0\ta").unwrap();
        let error = predictions(&path, "dev").unwrap_err().to_string();
        assert!(error.contains("line 2 has 3 cells"), "{error}");
    }
}
