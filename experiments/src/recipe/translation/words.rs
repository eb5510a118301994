//! The words that a translation recipe chooses from.

use serde::{Deserialize, Serialize};

/// Which parameters of a run are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepName {
    /// The last.
    Last,
    /// Those of the smallest validation loss.
    BestLoss,
    /// Those of the largest validation BLEU.
    BestBleu,
    /// The mean of several.
    Average,
}

impl KeepName {
    /// The word in the recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::BestLoss => "best_loss",
            Self::BestBleu => "best_bleu",
            Self::Average => "average",
        }
    }
}

/// Which attention is pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrunedName {
    /// Self-attention of the encoder.
    EncoderSelf,
    /// Self-attention of the decoder.
    DecoderSelf,
    /// Attention of the decoder to the encoder.
    Cross,
    /// Self-attention of both.
    #[serde(rename = "self")]
    SelfOnly,
}
