//! Exact match and F1 of answers, equal to SQuAD's official script for version 1.1
//! (`evaluate-v1.1.py`; Rajpurkar et al., 2016, arXiv 1606.05250, section 6.1).

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::error::{Result, ResultsError};
use crate::metric::corpus::words;

/// Letters, digits and `_`, as Python's `\b` has them.
static WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]+").expect("a fixed pattern, tried by the tests"));

/// An answer as it is compared: lower case, without ASCII punctuation, without the articles `a`,
/// `an`, `the`, words separated by one space.
///
/// ```
/// assert_eq!(sparta_results::metric::squad::normalize("The  Eiffel-Tower (in a park)!"), "eiffeltower in park");
/// ```
pub fn normalize(answer: &str) -> String {
    let lower = answer.to_lowercase();
    let plain: String = lower
        .chars()
        .filter(|c| !c.is_ascii_punctuation())
        .collect();
    let without_articles = WORD.replace_all(&plain, |word: &regex::Captures<'_>| match &word[0] {
        "a" | "an" | "the" => " ".to_owned(),
        other => other.to_owned(),
    });
    words(&without_articles).join(" ")
}

/// Whether two answers are equal once [`normalize`]d.
pub fn exact_match(predicted: &str, expected: &str) -> bool {
    normalize(predicted) == normalize(expected)
}

/// F1 of the words of two answers, 0 to 1: words count as often as both have them.
///
/// 0 where no word is shared, two empty answers included.
pub fn word_f1(predicted: &str, expected: &str) -> f64 {
    let (predicted, expected) = (normalize(predicted), normalize(expected));
    let (predicted, expected) = (words(&predicted), words(&expected));
    let mut left: HashMap<&str, usize> = HashMap::new();
    expected
        .iter()
        .for_each(|word| *left.entry(word).or_default() += 1);
    let is_shared = |word: &&&str| match left.get_mut(**word) {
        Some(n) if *n > 0 => {
            *n -= 1;
            true
        }
        Some(_) | None => false,
    };
    let shared = predicted.iter().filter(is_shared).count();
    if shared == 0 {
        return 0.0;
    }
    let precision = shared as f64 / predicted.len() as f64;
    let recall = shared as f64 / expected.len() as f64;
    2.0 * precision * recall / (precision + recall)
}

/// Whether an answer is one of the expected ones, and its F1 with the one that fits best, 0 to 1.
pub fn answer_scores(predicted: &str, expected: &[&str]) -> (bool, f64) {
    let best = expected.iter().map(|expected| word_f1(predicted, expected));
    let best = best.fold(0.0, f64::max);
    (expected.iter().any(|e| exact_match(predicted, e)), best)
}

/// Exact match and F1 over questions, both 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquadScore {
    /// Percentage of the questions whose answer is one of the expected ones.
    pub exact_match: f64,
    /// Mean over the questions of the F1 with the expected answer that fits best.
    pub f1: f64,
    /// Number of questions.
    pub n: usize,
}

/// Scores answers: for each question what was predicted and the answers that people gave.
///
/// A question without a prediction counts with the empty answer, as the script counts it with 0.
///
/// # Errors
/// [`ResultsError::NoReference`] for a question without an answer, [`ResultsError::Predictions`]
/// without questions.
pub fn squad<'a, Q, E>(questions: Q) -> Result<SquadScore>
where
    Q: IntoIterator<Item = (Option<&'a str>, E)>,
    E: IntoIterator<Item = &'a str>,
{
    let (mut exact, mut f1, mut n) = (0_usize, 0.0, 0);
    for (predicted, expected) in questions {
        let expected: Vec<&str> = expected.into_iter().collect();
        if expected.is_empty() {
            return Err(ResultsError::NoReference { sentence: n });
        }
        if let Some(predicted) = predicted {
            let (is_exact, best) = answer_scores(predicted, &expected);
            f1 += best;
            exact += usize::from(is_exact);
        }
        n += 1;
    }
    if n == 0 {
        return Err(ResultsError::Predictions {
            predictions: 0,
            expected: 0,
        });
    }
    Ok(SquadScore {
        exact_match: 100.0 * exact as f64 / n as f64,
        f1: 100.0 * f1 / n as f64,
        n,
    })
}
