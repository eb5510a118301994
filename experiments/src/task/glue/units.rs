//! Scores of labelled texts, example by example.

use std::path::Path;

use anyhow::{Context, Result, bail};
use sparta_datasets::source::sha256;
use sparta_results::RunRecord;
use sparta_results::kept::{PREDICTIONS, Predicted, predictions};
use sparta_results::metric::Outcomes;
use sparta_results::metric::glue::Predictions;

use super::labels;
use super::prediction::LabelHead;
use crate::protocol::UnitScores;
use crate::recipe::{GlueRecipe, Source};
use sparta_datasets::classification::Labels;

/// The scores of a model for each of its records.
///
/// # Errors
/// A file that is missing or damaged; a record whose signature names no task or part.
pub(super) fn unit_scores(
    recipe: &GlueRecipe,
    model: &Path,
    records: &[RunRecord],
) -> Result<Vec<UnitScores>> {
    let path = model.join(PREDICTIONS);
    let score = |record: &RunRecord| -> Result<UnitScores> {
        let named = |key: &str| {
            let mut parts = record.signature.split('|');
            parts
                .find_map(|part| part.strip_prefix(key))
                .with_context(|| format!("the signature `{}` names no {key}", record.signature))
        };
        let (task, part) = (named("task:")?, named("split:")?);
        let task = match recipe.data.files {
            Some(_) => Source::Files,
            None => Source::tasks()
                .find(|known| known.name() == task)
                .with_context(|| format!("the signature `{}` is of no task", record.signature))?,
        };
        let found = predictions(&path, part)?;
        let expected: Vec<&str> = found.iter().map(|of| of.expected.as_str()).collect();
        let test_set = sha256(expected.join("\n").as_bytes());
        let labels = LabelHead::of(task, recipe, || labels::of_run(model))?.labels;
        let outcomes = outcomes(record, &labels, &found)
            .with_context(|| format!("{}, part {part}", path.display()))?;
        Ok(UnitScores {
            metric: record.metric,
            signature: record.signature.clone(),
            units: "examples",
            outcomes,
            test_set,
        })
    };
    records.iter().map(score).collect()
}

fn outcomes(record: &RunRecord, labels: &Labels, found: &[Predicted]) -> Result<Outcomes> {
    Ok(match labels {
        Labels::Classes(names) => {
            let class = |word: &String| {
                let place = names.iter().position(|name| name == word);
                place.with_context(|| format!("`{word}` is none of {}", names.join(", ")))
            };
            let classes = |word: fn(&Predicted) -> &String| {
                found
                    .iter()
                    .map(|of| class(word(of)))
                    .collect::<Result<Vec<usize>>>()
            };
            let (predicted, expected) = (classes(|of| &of.predicted)?, classes(|of| &of.expected)?);
            Outcomes::predictions(record.metric, Predictions::Classes(&predicted, &expected))?
        }
        Labels::Score => {
            let (mut predicted, mut expected) = (Vec::new(), Vec::new());
            for of in found {
                let Some(score) = of.scores.first() else {
                    bail!("example {} has no score", of.index);
                };
                predicted.push(*score);
                expected.push(of.expected.parse().with_context(|| {
                    format!("example {} expects `{}`, no number", of.index, of.expected)
                })?);
            }
            Outcomes::predictions(record.metric, Predictions::Numbers(&predicted, &expected))?
        }
    })
}
