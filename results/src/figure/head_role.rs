//! What single heads do: previous and next token, merging of pieces, question marks.

use serde::{Deserialize, Serialize};

use super::sentence::SentenceWeights;
use super::source::Source;

/// A score of every head for one role, the heads that pass and examples (AST, section "Identifying
/// head specializations"). File: `positional`, `merging` or `interrogation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadRole {
    /// Which role.
    pub role: Role,
    /// What was measured.
    pub source: Source,
    /// Scores from which a head counts as having the role.
    pub threshold: f64,
    /// Scores of every head, an entry for each variant, attention type and measure.
    pub scores: Vec<RoleScores>,
    /// Published scores.
    pub published: Vec<PublishedScores>,
    /// Heads on sentences.
    pub examples: Vec<SentenceWeights>,
}

/// What a head may be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Attends to the piece at a fixed offset.
    Positional,
    /// Attends to the other pieces of its word.
    Merging,
    /// Attends from interrogative words to the question mark.
    Interrogation,
}

/// The scores of all heads of one attention type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleScores {
    /// Row normaliser.
    pub variant: String,
    /// Attention type.
    pub attention: String,
    /// Which score of the role in words: `offset -1`, `best of the cluster`, `within the cluster`.
    pub measure: String,
    /// How many tokens, clusters or questions the scores are means of; 0 leaves nothing to score.
    pub n: u64,
    /// Scores in \[0, 1\], `[layer][head]`; empty where `n` is 0.
    pub scores: Vec<Vec<f64>>,
    /// α, `[layer][head]`, where it is learned.
    pub alphas: Option<Vec<Vec<f64>>>,
}

/// What was published of one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedScores {
    /// Corpus.
    pub corpus: String,
    /// Row normaliser.
    pub variant: String,
    /// Which score.
    pub measure: String,
    /// In the paper's words, with its numbers: `3 heads, median 93.5 %`.
    pub found: String,
}
