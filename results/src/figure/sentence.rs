//! One head on one sentence.

use serde::{Deserialize, Serialize};

/// The attention weights of one head on one sequence, as a picture with the pieces on both axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentenceWeights {
    /// Row normaliser.
    pub variant: String,
    /// Attention type.
    pub attention: String,
    /// Layer, from 0.
    pub layer: usize,
    /// Head, from 0.
    pub head: usize,
    /// Its α, where it is learned.
    pub alpha: Option<f64>,
    /// Pieces that ask, as displayed.
    pub queries: Vec<String>,
    /// Pieces that are attended to.
    pub keys: Vec<String>,
    /// Weights, `[query][key]`; none where the query must not see the key.
    pub weights: Vec<Vec<Option<f32>>>,
    /// Cells (query, key) that the score of the figure counts, outlined in the picture.
    pub counted: Vec<(usize, usize)>,
}
