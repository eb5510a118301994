//! Ω-regularised argmax.

use serde::{Deserialize, Serialize};

/// Ω-regularised argmax, from softmax (α = 1) over α-entmax to argmax: the probability of the first
/// of two classes with scores (t, 0), and of the first of three with scores (t₁, t₂, 0). File: `omega`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Omega {
    /// Two classes, a curve for each mapping.
    pub two: Vec<OmegaCurve>,
    /// Three classes, a surface for each mapping.
    pub three: Vec<OmegaSurface>,
}

/// Two classes under one mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OmegaCurve {
    /// As shown, such as `softmax (α = 1)`.
    pub name: String,
    /// α; none for argmax, its limit.
    pub alpha: Option<f64>,
    /// Scores t of the first class, rising; the second class has 0.
    pub t: Vec<f64>,
    /// Probability of the first class at each t.
    pub p: Vec<f64>,
}

/// Three classes under one mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OmegaSurface {
    /// As shown.
    pub name: String,
    /// α; none for argmax, its limit.
    pub alpha: Option<f64>,
    /// The scores t₁, and the scores t₂, at which it was evaluated: rising, evenly spaced.
    pub t: Vec<f64>,
    /// Probability of the first class, `[t₂][t₁]`.
    pub p: Vec<Vec<f32>>,
    /// Number of classes with a probability above 0, `[t₂][t₁]`.
    pub support: Vec<Vec<u8>>,
}
