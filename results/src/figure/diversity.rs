//! How much heads of a layer differ.

use serde::{Deserialize, Serialize};

use super::source::Source;

/// Jensen–Shannon divergence of the heads of each layer, 0 (all alike) to 1 (no key shared), by
/// attention type, row normalisers side by side (AST, figure "Jensen-Shannon Divergence between
/// heads at each layer"). File: `diversity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diversity {
    /// What was measured.
    pub source: Source,
    /// Ours, an entry for each attention type and variant.
    pub series: Vec<LayerDiversity>,
    /// Published ones.
    pub published: Vec<PublishedDiversity>,
}

/// One attention type under one row normaliser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerDiversity {
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Divergence by layer.
    pub layers: Vec<f64>,
}

/// A published line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedDiversity {
    /// Corpus.
    pub corpus: String,
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Divergence by layer.
    pub layers: Vec<f64>,
}
