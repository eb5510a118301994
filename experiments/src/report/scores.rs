//! Further scores of what models have left: chrF and tokenised BLEU of translations.

use anyhow::{Result, ensure};
use sparta_results::{Metric, RunRecord};

use crate::io::whole;
use crate::protocol::scored::{self, ScoredModel};
use crate::protocol::{RunFolder, Task, UnitScores};

/// Records of the scores that kept outcomes give besides those that are recorded, and why some models have none. They are
/// printed and not saved.
///
/// # Errors
/// Nothing kept of any model.
pub(super) fn further<T: Task>(
    recipe: &T::Recipe,
    folder: &RunFolder,
    records: &[RunRecord],
) -> Result<(Vec<RunRecord>, Vec<String>)> {
    let is_translation = |record: &RunRecord| record.metric == Metric::Bleu;
    if !records.iter().any(is_translation) {
        return Ok((Vec::new(), Vec::new()));
    }
    let models = scored::models(folder.root(), records)?;
    ensure!(
        !models.is_empty(),
        "{} has no model with translations beside it (published runs keep records alone)",
        folder.root().display()
    );
    let (mut further, mut without) = (Vec::new(), Vec::new());
    for model in &models {
        let scores = match T::unit_scores(recipe, folder, &model.path, &model.records) {
            Ok(scores) => scores,
            Err(error) => {
                let name = model.name();
                without.push(format!("no further scores of {name}: {}", whole(&error)));
                continue;
            }
        };
        let is_recorded = |score: &UnitScores| {
            model
                .records
                .iter()
                .any(|record| record.signature == score.signature)
        };
        for score in scores.iter().filter(|score| !is_recorded(score)) {
            further.extend(of_model(model, score));
        }
    }
    Ok((further, without))
}

/// The lines that a model has under a score.
fn of_model<'a>(
    model: &'a ScoredModel,
    score: &'a UnitScores,
) -> impl Iterator<Item = RunRecord> + 'a {
    let is_translation = |record: &&RunRecord| record.metric == Metric::Bleu;
    let line = |record: &RunRecord| RunRecord {
        id: format!("{}-{}", record.id, score.metric),
        metric: score.metric,
        signature: score.signature.clone(),
        value: Some(score.outcomes.score()),
        // Published values are BLEU.
        paper: record
            .paper
            .clone()
            .filter(|_| score.metric == Metric::Bleu),
        ..record.clone()
    };
    model.records.iter().filter(is_translation).map(line)
}
