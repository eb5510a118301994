//! Mean attention patterns and the masks made from them.

use serde::{Deserialize, Serialize};

use super::grid::Grid;
use super::source::Source;

/// The mean attention of every head of one attention type over the training set, beside each the
/// global mask made from it (AP, figures of attention patterns). File: `pattern-TYPE`, or
/// `pattern-TYPE-VARIANT` where `named_by_variant`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patterns {
    /// What was measured.
    pub source: Source,
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Whether the file names the variant, because a run has several.
    pub named_by_variant: bool,
    /// The mask in words, such as `p = 60 %`; none where there is no mask.
    pub mask: Option<String>,
    /// Every head of every layer.
    pub heads: Vec<HeadPattern>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadPattern {
    /// Layer, from 0.
    pub layer: usize,
    /// Head, from 0.
    pub head: usize,
    /// Mean attention weight; exact zeros have a colour of their own.
    pub mean: Grid,
    /// Share of the cells that the mask hides, 0 or 1 where the grid is not made smaller.
    pub hidden: Option<Grid>,
    /// Effective sparsity: share of the legal cells that the mask hides.
    pub effective: Option<f64>,
}
