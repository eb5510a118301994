//! How much global masks agree.

use serde::{Deserialize, Serialize};

use super::source::Source;

/// Jaccard overlap of the hidden cells of masks: |A ∩ B| / |A ∪ B|, 1 for equal masks, 0 for masks
/// without a common cell. File: `pattern-overlap`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    /// What was measured.
    pub source: Source,
    /// A matrix for each thing that masks differ in.
    pub matrices: Vec<OverlapMatrix>,
}

/// The overlaps of some masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlapMatrix {
    /// What they differ in, such as `between seeds, encoder-self, p = 60 %`.
    pub title: String,
    /// The masks.
    pub labels: Vec<String>,
    /// Overlap, `[mask][mask]`, symmetric with 1 on the diagonal; none where two masks cannot be
    /// compared.
    pub overlap: Vec<Vec<Option<f64>>>,
    /// What random masks of the same size would have, where known.
    pub by_chance: Option<f64>,
}
