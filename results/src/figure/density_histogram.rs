//! Attention density by head and sequence.

use serde::{Deserialize, Serialize};

use super::source::{Histogram, Source};

/// Histogram of attention density, one value for each head and sequence, 15 bins on \[0, 1\] (AST,
/// figure "Distribution of attention densities"). File: `density-histogram`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DensityHistogram {
    /// What was measured.
    pub source: Source,
    /// Ours, an entry for each attention type and variant.
    pub panels: Vec<VariantHistogram>,
    /// Published ones.
    pub published: Vec<PublishedHistogram>,
}

/// One attention type under one row normaliser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantHistogram {
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Shares by bin.
    pub histogram: Histogram,
}

/// A published histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedHistogram {
    /// Corpus.
    pub corpus: String,
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Shares by bin.
    pub histogram: Histogram,
}
