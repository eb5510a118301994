//! The errors of bad arguments of a loss.

use crate::entmax::EntmaxError;

/// What is wrong with the arguments of a loss.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LossError {
    /// α, the scores or the number of iterations.
    #[error(transparent)]
    Entmax(#[from] EntmaxError),
    /// Targets do not fit the scores.
    #[error(
        "targets of shape {targets:?} do not fit scores of shape {scores:?}: they need {expected:?}"
    )]
    TargetShape {
        /// Shape of the targets.
        targets: Vec<usize>,
        /// Shape of the scores.
        scores: Vec<usize>,
        /// What fits.
        expected: Vec<usize>,
    },
    /// A class that is not there.
    #[error(
        "targets (shape {targets:?}) hold {value} in row {row}, but scores of shape {scores:?} have \
         the classes 0..{n_classes}: set ignore_index = {value} to leave such rows out"
    )]
    TargetOutOfRange {
        /// The class.
        value: i64,
        /// Its row.
        row: usize,
        /// Number of classes.
        n_classes: usize,
        /// Shape of the targets.
        targets: Vec<usize>,
        /// Shape of the scores.
        scores: Vec<usize>,
    },
    /// A soft target is not a distribution.
    #[error(
        "targets (shape {targets:?}) must be distributions, but row {row} has sum {sum} and smallest \
         element {smallest}: divide non-negative numbers by their sum"
    )]
    NotADistribution {
        /// The row.
        row: usize,
        /// Its sum.
        sum: f64,
        /// Its smallest element.
        smallest: f64,
        /// Shape of the targets.
        targets: Vec<usize>,
    },
    /// There are not as many class weights as classes.
    #[error(
        "class_weights has {found} weights, but scores of shape {scores:?} have {n_classes} classes"
    )]
    ClassWeights {
        /// Number of weights.
        found: usize,
        /// Number of classes.
        n_classes: usize,
        /// Shape of the scores.
        scores: Vec<usize>,
    },
}
