//! Learned α by attention type.

use serde::{Deserialize, Serialize};

use super::source::{Histogram, Source};

/// Histogram of the α that heads have learned, one panel for each attention type (AST, figure
/// "Distribution of learned α values per attention block": 15 bins on \[1, 2\]). File: `alpha`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlphaHistogram {
    /// What was measured.
    pub source: Source,
    /// Ours, an entry for each attention type.
    pub types: Vec<TypeAlphas>,
    /// Published ones, of any of these attention types.
    pub published: Vec<PublishedAlphas>,
}

/// The learned α of one attention type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeAlphas {
    /// Attention type, such as `encoder-self`.
    pub attention: String,
    /// α, `[layer][head]`.
    pub alphas: Vec<Vec<f64>>,
    /// The same in bins on \[1, 2\].
    pub histogram: Histogram,
}

/// A published histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedAlphas {
    /// Corpus, such as `IWSLT17 de-en`.
    pub corpus: String,
    /// Attention type.
    pub attention: String,
    /// Shares by bin.
    pub histogram: Histogram,
}
