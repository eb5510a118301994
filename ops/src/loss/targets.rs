//! Targets of a loss: a class or a distribution per row.

use burn::tensor::{Int, Tensor};

use super::LossError;

/// Targets of a loss, made from a tensor of classes `[…]` or of distributions `[…, n]`.
#[derive(Clone, Debug)]
pub struct Targets {
    pub(crate) kind: Kind,
    /// Before it was flattened to rows.
    pub(crate) shape: Vec<usize>,
}

#[derive(Clone, Debug)]
// Made, moved once and taken apart: a box would only hide the tensor.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Kind {
    /// `[rows]`
    Classes(Tensor<1, Int>),
    /// `[rows, n]`
    Distributions(Tensor<2>),
}

impl<const D: usize> From<Tensor<D, Int>> for Targets {
    fn from(classes: Tensor<D, Int>) -> Self {
        let shape = classes.dims().to_vec();
        Self {
            kind: Kind::Classes(classes.reshape([-1])),
            shape,
        }
    }
}

impl<const D: usize> From<Tensor<D>> for Targets {
    fn from(distributions: Tensor<D>) -> Self {
        let shape = distributions.dims();
        let size = [shape[..D - 1].iter().product(), shape[D - 1]];
        // Burn's reshape keeps a dimension of the source where the size is 0.
        let rows = match size.contains(&0) {
            true => Tensor::zeros(size, (&distributions.device(), distributions.dtype())),
            false => distributions.reshape(size),
        };
        Self {
            kind: Kind::Distributions(rows),
            shape: shape.to_vec(),
        }
    }
}

impl Targets {
    /// Whether the shape is that of the scores, without the classes for hard targets.
    pub(crate) fn check_shape(&self, scores: &[usize]) -> Result<(), LossError> {
        let expected = match self.kind {
            Kind::Classes(_) => &scores[..scores.len() - 1],
            Kind::Distributions(_) => scores,
        };
        // A single row of scores [n] has one class, whatever the rank of its tensor.
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        match self.shape == expected || (expected.is_empty() && count(&self.shape) == 1) {
            true => Ok(()),
            false => Err(LossError::TargetShape {
                targets: self.shape.clone(),
                scores: scores.to_vec(),
                expected: expected.to_vec(),
            }),
        }
    }

    /// Reads the targets from their device: classes must be in `0..n` or `ignored`, distributions
    /// non-negative with sum 1.
    pub(crate) fn check_values(
        &self,
        scores: &[usize],
        ignored: Option<i64>,
    ) -> Result<(), LossError> {
        let n_classes = scores[scores.len() - 1];
        match &self.kind {
            Kind::Classes(classes) => {
                let data = classes.to_data();
                let is_wrong = |&(_, class): &(usize, i64)| {
                    Some(class) != ignored && !(0..n_classes as i64).contains(&class)
                };
                match data.iter::<i64>().enumerate().find(is_wrong) {
                    None => Ok(()),
                    Some((row, value)) => Err(LossError::TargetOutOfRange {
                        value,
                        row,
                        n_classes,
                        targets: self.shape.clone(),
                        scores: scores.to_vec(),
                    }),
                }
            }
            Kind::Distributions(rows) => {
                let rounding = match rows.dtype() {
                    burn::tensor::DType::F16 | burn::tensor::DType::BF16 => 1e-2,
                    _ => 1e-4,
                };
                let data: Vec<f64> = rows.to_data().iter::<f64>().collect();
                for (row, y) in data.chunks(n_classes.max(1)).enumerate() {
                    let sum: f64 = y.iter().sum();
                    let smallest = y.iter().fold(f64::INFINITY, |a, &b| a.min(b));
                    let is_distribution = (sum - 1.0).abs() <= rounding && smallest >= 0.0;
                    if !is_distribution {
                        return Err(LossError::NotADistribution {
                            row,
                            sum,
                            smallest,
                            targets: self.shape.clone(),
                        });
                    }
                }
                Ok(())
            }
        }
    }
}
