//! Scores of predicted numbers, equal to those of SciPy.

use crate::error::Result;
use crate::metric::classes::paired;

/// Pearson's correlation `Σ (x − x̄)(y − ȳ) / √(Σ (x − x̄)² Σ (y − ȳ)²)`, −1 to 1.
///
/// As `scipy.stats.pearsonr`. `None` where that is not a number: one side is constant or has a
/// value that is not finite, or there is one pair only.
///
/// # Errors
/// [`crate::ResultsError::Predictions`] for lists of different lengths and for empty ones.
pub fn pearson(predicted: &[f64], expected: &[f64]) -> Result<Option<f64>> {
    let predicted = paired(predicted, expected)?;
    let (Some(x), Some(y)) = (standardised(predicted), standardised(expected)) else {
        return Ok(None);
    };
    let product: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    Ok(Some(product.clamp(-1.0, 1.0)))
}

/// Spearman's correlation: [`pearson`] of the ranks, equal values sharing the mean of theirs.
///
/// As `scipy.stats.spearmanr`; `None` as there. Infinite values have ranks like others.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(predicted: &[f64], expected: &[f64]) -> Result<Option<f64>> {
    let predicted = paired(predicted, expected)?;
    if predicted.iter().chain(expected).any(|value| value.is_nan()) {
        return Ok(None);
    }
    pearson(&ranks(predicted), &ranks(expected))
}

/// Mean of the squared differences; as `sklearn.metrics.mean_squared_error`.
///
/// # Errors
/// As [`pearson`].
pub fn mean_squared_error(predicted: &[f64], expected: &[f64]) -> Result<f64> {
    let predicted = paired(predicted, expected)?;
    let squares = predicted.iter().zip(expected).map(|(p, e)| (p - e).powi(2));
    Ok(squares.sum::<f64>() / expected.len() as f64)
}

/// Differences from the mean over their norm; `None` where that is zero or not finite.
fn standardised(values: &[f64]) -> Option<Vec<f64>> {
    // A mean of equal values may differ from them in the last place.
    let first = *values.first()?;
    if values.iter().all(|&value| value == first) || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let differences: Vec<f64> = values.iter().map(|value| value - mean).collect();
    // Scaled, so that squares neither overflow nor vanish.
    let scale = differences
        .iter()
        .fold(0.0_f64, |most, d| most.max(d.abs()));
    if scale == 0.0 || !scale.is_finite() {
        return None;
    }
    let norm = scale
        * differences
            .iter()
            .map(|d| (d / scale).powi(2))
            .sum::<f64>()
            .sqrt();
    Some(differences.into_iter().map(|d| d / norm).collect())
}

/// Ranks from 1 on in the order of the values; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for run in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let shared = start as f64 + (run.len() + 1) as f64 / 2.0;
        run.iter().for_each(|&at| ranks[at] = shared);
        start += run.len();
    }
    ranks
}
