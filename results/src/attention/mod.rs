//! What attention does: every number of the figures of "Adaptively Sparse Transformers" (AST, arXiv
//! 1909.00015), each defined once.
//!
//! ```text
//! weights of a layer, sequence by sequence ─► Weights (padding cut) ─► Diversity, Density, Positional,
//! Merging, Interrogation (sums over a corpus, memory of one layer) ─► values by head ─► claims
//! α of a head, step by step ─► Trajectory;  α of all heads ─► Histogram ─► Modes
//! ```
//!
//! | figure | definition | of a corpus |
//! |---|---|---|
//! | diversity | [`jensen_shannon`] | [`Diversity`] |
//! | density, union density, support size | [`support_size`], [`union_size`] | [`Density`] |
//! | density histogram | [`Histogram`] with [`DENSITY_BINS`] | [`Density::histogram`] |
//! | learned α | [`Histogram`] with [`ALPHA_BINS`], [`Modes`] | [`Trajectory`] of each head |
//! | positional heads | [`positional_confidence`] | [`Positional`] |
//! | BPE-merging heads | [`merging_score`], [`within_cluster`] | [`Merging`] |
//! | interrogation heads | [`interrogation_score`] | [`Interrogation`] |
//!
//! Every mean over a corpus is a *micro-average*: over all queries, cells, tokens or clusters that count,
//! whichever sentence they are of. Where nothing counts there is no mean: `None`. Padding never counts: it
//! is cut when [`Weights`] are made. Layers and heads are counted from 0.

mod alpha;
mod claims;
mod density;
mod diversity;
mod histogram;
mod roles;
mod weights;

pub use alpha::{ALPHA_BINS, Modes, REAL_DROP, Trajectory};
pub use claims::{Findings, ModelFindings, PublishedClaim, SeedClaims, claims, claims_table};
pub use density::{DENSITY_BINS, Density, support_size, union_size};
pub use diversity::{Diversity, jensen_shannon};
pub use histogram::{Bins, Histogram};
pub use roles::{
    ENGLISH_INTERROGATIVES, GERMAN_INTERROGATIVES, HeadScore, INTERROGATION_BAR, Interrogation,
    MERGING_BAR, Merging, POSITIONAL_BAR, Positional, Question, best_head, interrogation_score,
    join_hyphenated, median_score, merging_score, passing_heads, positional_confidence,
    ranked_heads, within_cluster,
};
pub use weights::{Legal, Weights};
