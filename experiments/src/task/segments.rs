//! Scores of running text, segment by segment.

use std::path::Path;

use anyhow::{Context, Result};
use sparta_datasets::source::sha256;
use sparta_results::kept::Segment;
use sparta_results::metric::Outcomes;
use sparta_results::{Metric, RunRecord};

use crate::protocol::UnitScores;

/// The scores of a model for each of its records: perplexity, and accuracy where tokens were predicted. `text` is the hash of what
/// they are scored on.
///
/// # Errors
/// A file that is missing or damaged.
pub(super) fn unit_scores(
    path: &Path,
    text: &str,
    records: &[RunRecord],
) -> Result<Vec<UnitScores>> {
    let segments = Segment::load_all(path)?;
    let places: Vec<String> = segments
        .iter()
        .map(|of| format!("{}:{}", of.segment, of.tokens))
        .collect();
    let test_set = sha256(format!("{text} {}", places.join(" ")).as_bytes());
    let mut scores = Vec::new();
    for record in records {
        let outcomes = match record.metric {
            Metric::Perplexity | Metric::PseudoPerplexity => {
                Outcomes::losses(segments.iter().map(|of| (of.nll, of.tokens)))?
            }
            Metric::Accuracy => {
                let right = |of: &Segment| Some((of.right? as f64, of.tokens as f64));
                let right: Option<Vec<_>> = segments.iter().map(right).collect();
                let right = right.with_context(|| {
                    format!("{} does not say how many are right", path.display())
                })?;
                Outcomes::percentage(right)?
            }
            // No other score is of running text.
            _ => continue,
        };
        scores.push(UnitScores {
            metric: record.metric,
            signature: record.signature.clone(),
            units: "segments of the test text",
            outcomes,
            test_set: test_set.clone(),
        });
    }
    Ok(scores)
}
