//! Attention pruning: which cells of the attention matrix a trained model hardly uses, and the
//! mask that hides them.
//!
//! ```text
//! weights of a trained model ─► AttentionPattern ─► GlobalMask ─► attention under the mask
//!                                (running mean)      (percentile p)    SparsityReport
//! ```
//!
//! A *cell* is a (row, column) = (query position, key position) pair of one head. Every file and
//! function here speaks of cells by attention type ([`AttentionType`]), layer, head, row and
//! column, and a mask says `true` where a cell is hidden.
//!
//! # Source
//! Rugina, Dangovski, Jing, Nakov, Soljačić, "Attention Pruning" (arXiv 2012.02030); the
//! differences between its released code and what the method says are the two [`Semantics`].
//!
//! ```
//! use sparta_ops::pruning::{
//!     AttentionPattern, AttentionType, CellRule, GlobalMask, Grid, PatternHeader, Placement,
//!     Scope, Semantics,
//! };
//!
//! # fn main() -> Result<(), sparta_ops::pruning::PruningError> {
//! // One layer, one head, two rows that each see a memory of one key and themselves.
//! let grid = Grid { n_heads: 1, n_rows: 2, n_cols: 3, rule: CellRule::Causal { memory: 1 } };
//! let header = PatternHeader::new("corpus", "model").with(AttentionType::DecoderSelf, 0, grid);
//! let mut pattern = AttentionPattern::new(header);
//! let weights = [0.1, 0.9, 0.0, 0.3, 0.2, 0.5];
//! pattern.observe(AttentionType::DecoderSelf, 0, &weights, [1, 1, 2, 3], &Placement::default())?;
//!
//! // Two of the five legal cells: 0.1 and 0.2.
//! let mask = GlobalMask::from_pattern(&pattern, 0.4, Scope::Layer, Semantics::Corrected)?;
//! assert!(mask.hidden(AttentionType::DecoderSelf, 0, 0, 0, 0)?);
//! assert!(mask.hidden(AttentionType::DecoderSelf, 0, 0, 1, 1)?);
//! assert!(!mask.hidden(AttentionType::DecoderSelf, 0, 0, 1, 2)?);
//! # Ok(())
//! # }
//! ```

mod bits;
mod block_threshold;
mod blocks;
mod cells;
mod error;
mod file;
mod global_mask;
mod global_mask_file;
mod observation;
mod overlap;
mod pattern;
mod pattern_file;
mod random;
mod random_mask;
mod report;
mod static_pattern;
mod static_random;
mod static_words;
mod tensor;
mod threshold;
mod weighing;

pub use blocks::{BlockLayout, BlockState};
pub use cells::{AttentionType, CellRule, Grid};
pub use error::PruningError;
pub use global_mask::{GlobalMask, MaskKind};
pub use observation::{Padding, PatternHeader, Placement, Valid};
pub use overlap::{HeadOverlap, MaskOverlap, Overlap};
pub use pattern::AttentionPattern;
pub use report::{BlockSparsity, HeadSparsity, Sparsity, SparsityReport};
pub use static_pattern::{Factors, IndexSets, StaticPattern};
pub use threshold::{Scope, Semantics};
pub use weighing::Weighing;
