//! Attention density by layer and head.

use serde::{Deserialize, Serialize};

use super::source::Source;

/// Share of the keys that a head gives a weight above 0, the heads of each layer sorted by it (AST,
/// figure "Head density per layer"). File: `density`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Density {
    /// What was measured.
    pub source: Source,
    /// Ours, an entry for each attention type and variant.
    pub panels: Vec<HeadDensity>,
    /// Published ones.
    pub published: Vec<PublishedDensity>,
}

/// The density of one attention type under one row normaliser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadDensity {
    /// Attention type.
    pub attention: String,
    /// Row normaliser, such as `1.5-entmax`.
    pub variant: String,
    /// Density, `[layer][head]`, heads in their own order.
    pub density: Vec<Vec<f64>>,
    /// Share of the keys that at least one head of the layer attends to, by layer.
    pub union: Vec<f64>,
    /// Mean support size: keys with a weight above 0 per query, `[layer][head]`.
    pub support: Vec<Vec<f64>>,
    /// α, `[layer][head]`, where it is learned.
    pub alphas: Option<Vec<Vec<f64>>>,
}

/// A published panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedDensity {
    /// Corpus.
    pub corpus: String,
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Density, `[layer][rank]`, rising within a layer (the head of a rank is not published).
    pub density: Vec<Vec<f64>>,
}
