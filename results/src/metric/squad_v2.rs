//! Exact match and F1 of answers to questions of which some have none, equal to SQuAD's official script for version 2.0
//! (`evaluate-v2.0.py`; Rajpurkar, Jia and Liang 2018, arXiv 1806.03822).

use serde::Serialize;

use crate::error::{Result, ResultsError};
use crate::metric::squad::{exact_match, normalize, word_f1};

/// A question, what was predicted, and how sure the model is that there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub struct AnsweredQuestion<'a> {
    /// The prediction; empty for no answer.
    pub predicted: &'a str,
    /// The answers that people gave; none where there is no answer.
    pub expected: Vec<&'a str>,
    /// How much likelier no answer is than one: what thresholds are set on.
    pub null_odds: f64,
}

/// What the script prints, by its names: percentages, numbers of questions, and thresholds.
///
/// Questions with an answer (`HasAns`) and without (`NoAns`) are also scored by themselves, where there are such. The best
/// scores are those of the threshold at which they are highest, where a question with greater odds gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SquadV2Score {
    /// Percentage of the questions whose prediction is one of the answers, or none where there is none.
    pub exact: f64,
    /// Mean F1 with the answer that fits best.
    pub f1: f64,
    /// Number of questions.
    pub total: usize,
    /// Exact match over the questions with an answer.
    #[serde(rename = "HasAns_exact", skip_serializing_if = "Option::is_none")]
    pub has_answer_exact: Option<f64>,
    /// F1 over them.
    #[serde(rename = "HasAns_f1", skip_serializing_if = "Option::is_none")]
    pub has_answer_f1: Option<f64>,
    /// Their number.
    #[serde(rename = "HasAns_total", skip_serializing_if = "Option::is_none")]
    pub has_answer_total: Option<usize>,
    /// Percentage of the questions without an answer that get none.
    #[serde(rename = "NoAns_exact", skip_serializing_if = "Option::is_none")]
    pub no_answer_exact: Option<f64>,
    /// The same: what is not empty shares no word with nothing.
    #[serde(rename = "NoAns_f1", skip_serializing_if = "Option::is_none")]
    pub no_answer_f1: Option<f64>,
    /// Their number.
    #[serde(rename = "NoAns_total", skip_serializing_if = "Option::is_none")]
    pub no_answer_total: Option<usize>,
    /// Exact match at the best threshold.
    pub best_exact: f64,
    /// That threshold.
    pub best_exact_thresh: f64,
    /// F1 at the best threshold.
    pub best_f1: f64,
    /// That threshold.
    pub best_f1_thresh: f64,
}

/// Whether a prediction is one of the expected answers, and its F1 with the one that fits best, 0 to 1.
///
/// Expected answers of which normalisation leaves nothing are left out; without any, nothing is expected. Against nothing
/// F1 is 1 for a prediction of which nothing is left either, and 0 for any other.
pub fn answer_scores(predicted: &str, expected: &[&str]) -> (bool, f64) {
    let mut expected: Vec<&str> = (expected.iter().copied())
        .filter(|answer| !normalize(answer).is_empty())
        .collect();
    if expected.is_empty() {
        expected.push("");
    }
    let is_exact = expected.iter().any(|answer| exact_match(predicted, answer));
    let f1 = |answer: &&str| match normalize(predicted).is_empty() || answer.is_empty() {
        true => f64::from(u8::from(exact_match(predicted, answer))),
        false => word_f1(predicted, answer),
    };
    let best = expected.iter().map(f1).fold(0.0, f64::max);
    (is_exact, best)
}

/// Scores predictions as they are, and by thresholds on their odds.
///
/// Of equal odds the order of the questions decides where a threshold is looked for: that of the script is the order of its
/// file of odds.
///
/// # Errors
/// [`ResultsError::Predictions`] without questions.
pub fn squad_v2(questions: &[AnsweredQuestion<'_>]) -> Result<SquadV2Score> {
    if questions.is_empty() {
        return Err(ResultsError::Predictions {
            predictions: 0,
            expected: 0,
        });
    }
    let (exact, f1): (Vec<f64>, Vec<f64>) = (questions.iter())
        .map(|of| answer_scores(of.predicted, &of.expected))
        .map(|(is_exact, f1)| (f64::from(u8::from(is_exact)), f1))
        .unzip();
    let mean = |scores: &[f64], is_part: &dyn Fn(&AnsweredQuestion<'_>) -> bool| {
        let parts = questions.iter().zip(scores).filter(|(of, _)| is_part(of));
        let (sum, n) = parts.fold((0.0, 0), |(sum, n), (_, score)| (sum + score, n + 1));
        (n > 0).then(|| (100.0 * sum / n as f64, n))
    };
    let all = |_: &AnsweredQuestion<'_>| true;
    let has = |of: &AnsweredQuestion<'_>| !of.expected.is_empty();
    let lacks = |of: &AnsweredQuestion<'_>| of.expected.is_empty();
    let score = |found: Option<(f64, usize)>| found.map(|(score, _)| score);
    let total = |found: Option<(f64, usize)>| found.map(|(_, n)| n);
    let (best_exact, best_exact_thresh) = best_threshold(questions, &exact);
    let (best_f1, best_f1_thresh) = best_threshold(questions, &f1);
    Ok(SquadV2Score {
        exact: score(mean(&exact, &all)).unwrap_or(0.0),
        f1: score(mean(&f1, &all)).unwrap_or(0.0),
        total: questions.len(),
        has_answer_exact: score(mean(&exact, &has)),
        has_answer_f1: score(mean(&f1, &has)),
        has_answer_total: total(mean(&f1, &has)),
        no_answer_exact: score(mean(&exact, &lacks)),
        no_answer_f1: score(mean(&f1, &lacks)),
        no_answer_total: total(mean(&f1, &lacks)),
        best_exact,
        best_exact_thresh,
        best_f1,
        best_f1_thresh,
    })
}

/// The highest score of any threshold, in percent, and the threshold: the odds of the last question that keeps its answer, or
/// 0 where it is best that none does (`find_best_thresh` of the script).
fn best_threshold(questions: &[AnsweredQuestion<'_>], scores: &[f64]) -> (f64, f64) {
    let mut order: Vec<(&AnsweredQuestion<'_>, f64)> =
        questions.iter().zip(scores.iter().copied()).collect();
    // Stable, as Python's sort is.
    order.sort_by(|(a, _), (b, _)| a.null_odds.total_cmp(&b.null_odds));
    // Without an answer to any question, those that have none are right.
    let lacks = |of: &&AnsweredQuestion<'_>| of.expected.is_empty();
    let mut current = questions.iter().filter(lacks).count() as f64;
    let (mut best, mut threshold) = (current, 0.0);
    for (question, score) in order {
        current += match (question.expected.is_empty(), question.predicted.is_empty()) {
            (false, _) => score,
            (true, true) => 0.0,
            (true, false) => -1.0,
        };
        if current > best {
            (best, threshold) = (current, question.null_odds);
        }
    }
    (100.0 * best / questions.len() as f64, threshold)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 4] = ["", "red", "red house", "blue"];

    /// What the questions get where those above a threshold have no answer.
    fn at(questions: &[AnsweredQuestion<'_>], threshold: f64, with_f1: bool) -> f64 {
        let score = |of: &AnsweredQuestion<'_>| {
            let kept = if of.null_odds > threshold {
                ""
            } else {
                of.predicted
            };
            let (is_exact, f1) = answer_scores(kept, &of.expected);
            if with_f1 {
                f1
            } else {
                f64::from(u8::from(is_exact))
            }
        };
        100.0 * questions.iter().map(score).sum::<f64>() / questions.len() as f64
    }

    proptest! {
        /// Every threshold that makes a difference, one after another.
        #[test]
        fn no_threshold_is_better_than_the_best(
            drawn in prop::collection::vec((0..4usize, 0..4usize), 1..14),
            order in Just((0..14usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let questions: Vec<AnsweredQuestion<'_>> = (drawn.iter().zip(&order))
                .map(|(&(predicted, expected), &place)| AnsweredQuestion {
                    predicted: WORDS[predicted],
                    expected: WORDS[expected..=expected].iter().copied().filter(|of| !of.is_empty()).collect(),
                    null_odds: place as f64 - 6.5,
                })
                .collect();
            let found = squad_v2(&questions).unwrap();
            let odds = questions.iter().map(|of| of.null_odds).chain([-100.0]);
            let thresholds: Vec<f64> = odds.collect();
            for (best, threshold, with_f1) in [
                (found.best_exact, found.best_exact_thresh, false),
                (found.best_f1, found.best_f1_thresh, true),
            ] {
                let all = thresholds.iter().map(|&threshold| at(&questions, threshold, with_f1));
                let highest = all.fold(0.0, f64::max);
                prop_assert!((best - highest).abs() < 1e-9, "{best} and {highest}");
                // 0 stands for: no answer to any question.
                let is_none = !questions.iter().any(|of| of.null_odds == threshold);
                let threshold = if is_none { -100.0 } else { threshold };
                prop_assert!((at(&questions, threshold, with_f1) - best).abs() < 1e-9);
            }
            prop_assert!((found.exact - at(&questions, f64::INFINITY, false)).abs() < 1e-9);
            prop_assert!(found.best_exact >= found.exact - 1e-9);
        }
    }

    #[test]
    fn nothing_is_an_answer_to_a_question_without_one() {
        for (predicted, expected, score) in [
            ("", &[][..], (true, 1.0)),
            ("the", &[], (true, 1.0)),
            ("house", &[], (false, 0.0)),
            ("", &["house"], (false, 0.0)),
            ("", &["the", "house"], (false, 0.0)),
            ("a", &["the"], (true, 1.0)),
            ("red house", &["the house", "a"], (false, 2.0 / 3.0)),
        ] {
            assert_eq!(
                answer_scores(predicted, expected),
                score,
                "{predicted}, {expected:?}"
            );
        }
        assert!(squad_v2(&[]).is_err());
    }

    #[test]
    fn it_is_written_by_the_names_of_the_script() {
        let question = AnsweredQuestion {
            predicted: "",
            expected: Vec::new(),
            null_odds: 1.5,
        };
        let found = serde_json::to_value(squad_v2(&[question]).unwrap()).unwrap();
        let expected = serde_json::json!({
            "exact": 100.0, "f1": 100.0, "total": 1,
            "NoAns_exact": 100.0, "NoAns_f1": 100.0, "NoAns_total": 1,
            "best_exact": 100.0, "best_exact_thresh": 0.0, "best_f1": 100.0, "best_f1_thresh": 0.0,
        });
        assert_eq!(found, expected);
    }
}
