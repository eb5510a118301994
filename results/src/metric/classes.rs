//! Scores of predicted classes, equal to those of scikit-learn.

use crate::error::{Result, ResultsError};

/// Pairs of predictions and references that belong together, at least one.
pub(super) fn paired<'a, T>(predicted: &'a [T], expected: &'a [T]) -> Result<&'a [T]> {
    if predicted.len() == expected.len() && !expected.is_empty() {
        return Ok(predicted);
    }
    Err(ResultsError::Predictions {
        predictions: predicted.len(),
        expected: expected.len(),
    })
}

/// Fraction of predictions that are right, 0 to 1.
///
/// As `sklearn.metrics.accuracy_score`.
///
/// # Errors
/// [`ResultsError::Predictions`] for lists of different lengths and for empty ones.
pub fn accuracy(predicted: &[usize], expected: &[usize]) -> Result<f64> {
    let predicted = paired(predicted, expected)?;
    let right = predicted.iter().zip(expected).filter(|(p, e)| p == e);
    Ok(right.count() as f64 / expected.len() as f64)
}

/// F1 of class 1: `2 TP / (2 TP + FP + FN)`, 0 to 1; every other class counts as the negative one.
///
/// As `sklearn.metrics.f1_score` with `zero_division=0`: 0 where class 1 is neither predicted nor
/// expected.
///
/// # Errors
/// As [`accuracy`].
pub fn f1(predicted: &[usize], expected: &[usize]) -> Result<f64> {
    let predicted = paired(predicted, expected)?;
    let positive = |classes: &[usize]| classes.iter().filter(|&&class| class == 1).count();
    let pairs = predicted.iter().zip(expected);
    let both = pairs.filter(|&(&p, &e)| p == 1 && e == 1).count();
    let all = positive(predicted) + positive(expected);
    Ok(f1_of_counts(both as f64, all as f64))
}

/// F1 of class 1 from how often both have it, and how often either has (both counting twice).
pub(super) fn f1_of_counts(both: f64, all: f64) -> f64 {
    match all == 0.0 {
        true => 0.0,
        false => 2.0 * both / all,
    }
}

/// Matthews correlation of two labellings, −1 to 1, for any number of classes (Gorodkin 2004):
///
/// `(c s − Σ pₖ tₖ) / √((s² − Σ pₖ²)(s² − Σ tₖ²))` with `s` examples, `c` of them right, and `pₖ`
/// predictions and `tₖ` references of class `k`.
///
/// As `sklearn.metrics.matthews_corrcoef`: 0 where either side has one class only.
///
/// # Errors
/// As [`accuracy`].
pub fn matthews(predicted: &[usize], expected: &[usize]) -> Result<f64> {
    let predicted = paired(predicted, expected)?;
    let n_classes = predicted
        .iter()
        .chain(expected)
        .max()
        .map_or(0, |&max| max + 1);
    let counts = |classes: &[usize]| {
        let mut counts = vec![0.0; n_classes];
        classes.iter().for_each(|&class| counts[class] += 1.0);
        counts
    };
    let right = predicted
        .iter()
        .zip(expected)
        .filter(|(p, e)| p == e)
        .count() as f64;
    Ok(matthews_of_counts(
        right,
        &counts(predicted),
        &counts(expected),
    ))
}

/// Matthews correlation from how many are right and how often each class is predicted (`p`) and
/// expected (`t`).
pub(super) fn matthews_of_counts(right: f64, p: &[f64], t: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let s: f64 = t.iter().sum();
    let spread = (s * s - dot(p, p)) * (s * s - dot(t, t));
    match spread == 0.0 {
        true => 0.0,
        false => (right * s - dot(p, t)) / spread.sqrt(),
    }
}
