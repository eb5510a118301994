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
    Ok(match positive(predicted) + positive(expected) {
        0 => 0.0,
        all => 2.0 * both as f64 / all as f64,
    })
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
    let (p, t) = (counts(predicted), counts(expected));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let s = expected.len() as f64;
    let right = predicted
        .iter()
        .zip(expected)
        .filter(|(p, e)| p == e)
        .count() as f64;
    let spread = (s * s - dot(&p, &p)) * (s * s - dot(&t, &t));
    if spread == 0.0 {
        return Ok(0.0);
    }
    Ok((right * s - dot(&p, &t)) / spread.sqrt())
}
