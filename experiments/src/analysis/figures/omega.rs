//! Ω-regularised argmax, from our own functions.

use anyhow::{Result, anyhow};
use burn::tensor::{Device, Tensor, TensorData};
use sparta_ops::{entmax, softmax, sparsemax};
use sparta_results::figure::{OmegaCurve, OmegaFigure, OmegaSurface};

/// Scores of two classes.
const CURVE: (f64, usize) = (2.0, 161);
/// Scores of three classes, of each of the first two.
const SURFACE: (f64, usize) = (1.5, 41);

/// A mapping from scores to probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mapping {
    Softmax,
    Entmax(f64),
    Sparsemax,
    Argmax,
}

impl Mapping {
    const ALL: [Self; 6] = [
        Self::Softmax,
        Self::Entmax(1.25),
        Self::Entmax(1.5),
        Self::Sparsemax,
        Self::Entmax(4.0),
        Self::Argmax,
    ];

    fn name(self) -> String {
        match self {
            Self::Softmax => "softmax (α = 1)".to_owned(),
            Self::Entmax(alpha) => format!("{alpha}-entmax"),
            Self::Sparsemax => "sparsemax (α = 2)".to_owned(),
            Self::Argmax => "argmax (α → ∞)".to_owned(),
        }
    }

    const fn alpha(self) -> Option<f64> {
        match self {
            Self::Softmax => Some(1.0),
            Self::Entmax(alpha) => Some(alpha),
            Self::Sparsemax => Some(2.0),
            Self::Argmax => None,
        }
    }

    /// Probabilities of rows of `n` scores.
    fn probabilities(self, scores: &[f32], n: usize, device: &Device) -> Result<Vec<f32>> {
        let rows = scores.len() / n;
        let tensor = || Tensor::<2>::from_data(TensorData::new(scores.to_vec(), [rows, n]), device);
        let mapped = match self {
            Self::Softmax => softmax(tensor(), -1),
            Self::Entmax(alpha) => entmax(tensor(), alpha, -1),
            Self::Sparsemax => sparsemax(tensor(), -1),
            Self::Argmax => return Ok(scores.chunks(n).flat_map(argmax).collect()),
        };
        mapped
            .try_into_vec_as::<f32>()
            .map_err(|e| anyhow!("cannot read from the device: {e:?}"))
    }
}

/// The limit of α-entmax: the greatest scores share everything.
fn argmax(row: &[f32]) -> Vec<f32> {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let n = row.iter().filter(|&&score| score == max).count();
    let share = |&score: &f32| if score == max { 1.0 / n as f32 } else { 0.0 };
    row.iter().map(share).collect()
}

/// `n` numbers from −`end` to `end`, 0 among them.
fn scale((end, n): (f64, usize)) -> Vec<f64> {
    let half = (n / 2) as f64;
    let at = |i: usize| end * (i as f64 - half) / half;
    (0..n).map(at).collect()
}

/// Two and three classes under every mapping.
///
/// # Errors
/// A device that failed.
pub(in crate::analysis) fn omega(device: &Device) -> Result<OmegaFigure> {
    let (t, axis) = (scale(CURVE), scale(SURFACE));
    let scores: Vec<f32> = t.iter().flat_map(|&t| [t as f32, 0.0]).collect();
    let cells = axis
        .iter()
        .flat_map(|t_2| axis.iter().map(move |t_1| (t_1, t_2)));
    let three: Vec<f32> = cells
        .flat_map(|(&t_1, &t_2)| [t_1 as f32, t_2 as f32, 0.0])
        .collect();
    let mut figure = OmegaFigure {
        two: Vec::new(),
        three: Vec::new(),
    };
    for mapping in Mapping::ALL {
        let p = mapping.probabilities(&scores, 2, device)?;
        figure.two.push(OmegaCurve {
            name: mapping.name(),
            alpha: mapping.alpha(),
            t: t.clone(),
            p: p.chunks(2).map(|p| f64::from(p[0])).collect(),
        });
        let p = mapping.probabilities(&three, 3, device)?;
        let rows = || p.chunks(3 * axis.len());
        let support = |p: &[f32]| p.iter().filter(|&&p| p > 0.0).count() as u8;
        figure.three.push(OmegaSurface {
            name: mapping.name(),
            alpha: mapping.alpha(),
            t: axis.clone(),
            p: rows()
                .map(|row| row.chunks(3).map(|p| p[0]).collect())
                .collect(),
            support: rows()
                .map(|row| row.chunks(3).map(support).collect())
                .collect(),
        });
    }
    Ok(figure)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn the_mappings_are_as_the_paper_draws_them() {
        let figure = omega(&Device::flex()).unwrap();
        let at = |name: &str, t: f64| {
            let curve = figure.two.iter().find(|of| of.name.starts_with(name));
            let curve = curve.unwrap();
            let i = curve
                .t
                .iter()
                .position(|&of| (of - t).abs() < 1e-9)
                .unwrap();
            curve.p[i]
        };
        for of in &figure.two {
            assert!((at(&of.name, 0.0) - 0.5).abs() < 1e-6, "{}", of.name);
        }
        // Softmax never reaches 1; sparsemax does at t = 1, and 4-entmax at 1/(α − 1).
        assert!(at("softmax", 2.0) < 0.9);
        assert_eq!(at("sparsemax", 1.0), 1.0);
        assert!((at("sparsemax", 0.5) - 0.75).abs() < 1e-6);
        assert!(at("4-entmax", 0.3) < 1.0 && at("4-entmax", 0.35) == 1.0);
        assert_eq!((at("argmax", -0.1), at("argmax", 0.1)), (0.0, 1.0));
        // At the origin all three classes share under every mapping.
        let middle = SURFACE.1 / 2;
        assert!(
            figure
                .three
                .iter()
                .all(|of| of.support[middle][middle] == 3)
        );
    }
}
