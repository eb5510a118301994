//! How much global masks hide.

use serde::{Deserialize, Serialize};

use super::source::Source;

/// Effective and token-weighted sparsity of every head, and the share of blocks that a
/// block-sparse kernel has left, for one or several masks. File: `pattern-sparsity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sparsities {
    /// What was measured.
    pub source: Source,
    /// An entry for each mask and attention type.
    pub masks: Vec<MaskSparsity>,
}

/// One attention type under one mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskSparsity {
    /// The mask in words, such as `AP` or `blocks of 16`, with its variant where there are several.
    pub mask: String,
    /// Attention type.
    pub attention: String,
    /// Nominal share of hidden cells, 0 to 1.
    pub nominal: f64,
    /// Share of the legal cells that are hidden, `[layer][head]`.
    pub effective: Vec<Vec<f64>>,
    /// The same with each cell weighted by how often examples used it, `[layer][head]`.
    pub token_weighted: Vec<Vec<f64>>,
    /// Blocks left, an entry for each size.
    pub blocks: Vec<BlocksLeft>,
}

/// Blocks of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlocksLeft {
    /// Rows, and columns, of a block.
    pub block_size: usize,
    /// Share of the blocks with a legal cell that are not hidden as a whole, `[layer][head]`.
    pub left: Vec<Vec<f64>>,
}
