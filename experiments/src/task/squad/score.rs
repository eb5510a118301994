//! Scores of answers, and what they leave beside a model.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use sparta_datasets::source::sha256;
use sparta_datasets::squad::Article;
use sparta_results::RunRecord;
use sparta_results::kept::{QUESTIONS, QuestionScore};
use sparta_results::metric::squad::{SquadScore, answer_scores, squad};
use sparta_results::metric::squad_v2::{self, AnsweredQuestion, SquadV2Score, squad_v2};
use sparta_results::metric::{Metric, Outcomes};

use super::answers::{Answered, json};
use crate::io::write_text;
use crate::protocol::UnitScores;

/// Answers to the test questions, by id, as the official scripts read them; beside a model.
const PREDICTIONS: &str = "predictions.json";
/// How much likelier no answer is than one, by id, where some questions have none: `--na-prob-file` of the official script.
pub(super) const NULL_ODDS: &str = "null_odds.json";
/// What the official script prints of both.
const EVALUATION: &str = "eval.json";

/// The quality of answers.
pub(super) enum Quality {
    /// Where every question has an answer.
    V1(SquadScore),
    /// Where some have none.
    V2(SquadV2Score),
}

impl Quality {
    /// A score of it.
    pub(super) fn value(&self, metric: Metric) -> Option<f64> {
        match (self, metric) {
            (Self::V1(of), Metric::ExactMatch) => Some(of.exact_match),
            (Self::V1(of), Metric::AnswerF1) => Some(of.f1),
            (Self::V1(_), _) => None,
            (Self::V2(of), Metric::ExactMatch) => Some(of.exact),
            (Self::V2(of), Metric::AnswerF1) => Some(of.f1),
            (Self::V2(of), Metric::HasAnswerExact) => of.has_answer_exact,
            (Self::V2(of), Metric::HasAnswerF1) => of.has_answer_f1,
            (Self::V2(of), Metric::NoAnswerExact) => of.no_answer_exact,
            (Self::V2(of), Metric::BestExact) => Some(of.best_exact),
            (Self::V2(of), Metric::BestExactThreshold) => Some(of.best_exact_thresh),
            (Self::V2(of), Metric::BestF1) => Some(of.best_f1),
            (Self::V2(of), Metric::BestF1Threshold) => Some(of.best_f1_thresh),
            (Self::V2(_), _) => None,
        }
    }
}

/// The scores of a question set, by how many of its questions have an answer and how many none.
pub(super) fn metrics(n_answered: usize, n_impossible: usize, has_impossible: bool) -> Vec<Metric> {
    let mut metrics = vec![Metric::ExactMatch, Metric::AnswerF1];
    if has_impossible {
        if n_answered > 0 {
            metrics.extend([Metric::HasAnswerExact, Metric::HasAnswerF1]);
        }
        if n_impossible > 0 {
            metrics.push(Metric::NoAnswerExact);
        }
        metrics.extend([Metric::BestExact, Metric::BestExactThreshold]);
        metrics.extend([Metric::BestF1, Metric::BestF1Threshold]);
    }
    metrics
}

/// Scores answers, and keeps them in `folder`; a threshold is set where some questions have no answer.
///
/// # Errors
/// A file that cannot be written; no questions.
pub(super) fn score(
    answers: &[Answered],
    articles: &[Article],
    threshold: Option<f64>,
    folder: &Path,
) -> Result<Quality> {
    let asked = |of: &Answered| of.place.of(articles).1;
    let predicted: BTreeMap<&str, &str> = (answers.iter())
        .map(|of| {
            (
                asked(of).id.as_str(),
                of.predicted(threshold).unwrap_or_default(),
            )
        })
        .collect();
    write_text(&folder.join(PREDICTIONS), &json(&predicted)?)?;
    let kept = |of: &Answered| {
        let question = asked(of);
        let expected = question.answers.iter().map(|answer| answer.text.as_str());
        let expected: Vec<&str> = expected.collect();
        let predicted = of.predicted(threshold);
        let (is_exact, f1) = match threshold {
            // A question without a prediction counts 0, as in the score.
            None => predicted.map_or((false, 0.0), |text| answer_scores(text, &expected)),
            Some(_) => squad_v2::answer_scores(predicted.unwrap_or_default(), &expected),
        };
        QuestionScore {
            id: question.id.clone(),
            exact_match: u8::from(is_exact),
            f1,
            has_answer: threshold.map(|_| u8::from(!expected.is_empty())),
        }
    };
    let questions: Vec<QuestionScore> = answers.iter().map(kept).collect();
    QuestionScore::save_all(&folder.join(QUESTIONS), &questions)?;
    if threshold.is_none() {
        return Ok(Quality::V1(squad(answers.iter().map(|of| {
            let expected = asked(of).answers.iter();
            (
                of.predicted(threshold),
                expected
                    .map(|answer| answer.text.as_str())
                    .collect::<Vec<_>>(),
            )
        }))?));
    }
    let odds: BTreeMap<&str, f64> = (answers.iter())
        .map(|of| (asked(of).id.as_str(), of.null_odds))
        .collect();
    write_text(&folder.join(NULL_ODDS), &json(&odds)?)?;
    // In the order of the file of odds, which decides between equal ones.
    let mut judged: Vec<(&str, AnsweredQuestion<'_>)> = (answers.iter())
        .map(|of| {
            let question = asked(of);
            let expected = question.answers.iter().map(|answer| answer.text.as_str());
            let judged = AnsweredQuestion {
                predicted: of.predicted(threshold).unwrap_or_default(),
                expected: expected.collect(),
                null_odds: of.null_odds,
            };
            (question.id.as_str(), judged)
        })
        .collect();
    judged.sort_by_key(|(id, _)| *id);
    let judged: Vec<AnsweredQuestion<'_>> = judged.into_iter().map(|(_, judged)| judged).collect();
    let scored = squad_v2(&judged)?;
    write_text(&folder.join(EVALUATION), &json(&scored)?)?;
    Ok(Quality::V2(scored))
}

/// The scores of a model question by question: quality at its threshold alone, for time, memory and best thresholds are no
/// sums over questions.
///
/// # Errors
/// A file that is missing or damaged.
pub(super) fn unit_scores(model: &Path, records: &[RunRecord]) -> Result<Vec<UnitScores>> {
    let questions = QuestionScore::load_all(&model.join(QUESTIONS))?;
    let mut scores = Vec::new();
    for record in records {
        let (has_answer, is_exact) = match record.metric {
            Metric::ExactMatch => (None, true),
            Metric::AnswerF1 => (None, false),
            Metric::HasAnswerExact => (Some(1), true),
            Metric::HasAnswerF1 => (Some(1), false),
            Metric::NoAnswerExact => (Some(0), true),
            _ => continue,
        };
        let is_of = |of: &&QuestionScore| has_answer.is_none() || of.has_answer == has_answer;
        let chosen: Vec<&QuestionScore> = questions.iter().filter(is_of).collect();
        let value = |of: &&QuestionScore| match is_exact {
            true => (f64::from(of.exact_match), 1.0),
            false => (of.f1, 1.0),
        };
        let ids: Vec<&str> = chosen.iter().map(|of| of.id.as_str()).collect();
        scores.push(UnitScores {
            metric: record.metric,
            signature: record.signature.clone(),
            units: "questions",
            outcomes: Outcomes::percentage(chosen.iter().map(value))?,
            test_set: sha256(ids.join("\n").as_bytes()),
        });
    }
    Ok(scores)
}
