//! The errors of bad arguments.

/// What is wrong with the arguments of a mapping.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EntmaxError {
    /// α, λ or a budget is outside its range.
    #[error("{argument} = {value}: {needs}")]
    OutOfRange {
        /// The argument's name.
        argument: &'static str,
        /// What was given; of a tensor, its first element outside the range.
        value: f64,
        /// What is needed.
        needs: &'static str,
    },
    /// α or a budget does not broadcast over the rows.
    #[error(
        "{argument} of shape {found:?} does not broadcast over scores of shape {scores:?} along \
         dimension {dim}: give it size 1 in dimension {dim} and size 1 or the scores' size in the others"
    )]
    Shape {
        /// The argument's name.
        argument: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// Shape of the scores.
        scores: Vec<usize>,
        /// The normalised dimension.
        dim: usize,
    },
    /// The dimension does not exist.
    #[error("dimension {dim} does not exist in scores of rank {rank}: use {min}..{rank}", min = -(*.rank as isize))]
    Dimension {
        /// What was asked.
        dim: isize,
        /// Rank of the scores.
        rank: usize,
    },
    /// A score is NaN or +∞.
    #[error(
        "scores{position:?} is {value} (with {count} such elements in shape {shape:?}): a score is a finite \
         number, or -inf or any value <= -1e30 to hide it; look for {value} in what made them"
    )]
    NotAScore {
        /// Indices of the first such element.
        position: Vec<usize>,
        /// NaN or +∞.
        value: f64,
        /// Number of such elements.
        count: usize,
        /// Shape of the scores.
        shape: Vec<usize>,
    },
    /// A count that must be at least 1 is 0.
    #[error("{argument} = 0: give at least 1")]
    Zero {
        /// The argument's name.
        argument: &'static str,
    },
}
