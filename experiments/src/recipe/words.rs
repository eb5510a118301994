//! Words that recipes of several tasks choose from.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use sparta_results::MaskRows;

/// An optimiser by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerName {
    /// Adam (Kingma & Ba 2015).
    Adam,
}

/// Where training under a mask starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetrainStart {
    /// From the dense model; p = 0 goes on from it too.
    Dense,
    /// From new weights, as the dense model did.
    Scratch,
    /// From the pretrained weights, as the dense model did; p = 0 is then the dense model.
    Pretrained,
}

impl RetrainStart {
    /// What it is called in short.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dense => "finetune",
            Self::Scratch => "scratch",
            Self::Pretrained => "pretrained",
        }
    }

    /// What it means, for titles.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Dense => "fine-tuned on from the dense model",
            Self::Scratch => "trained from scratch",
            Self::Pretrained => "fine-tuned from the pretrained weights",
        }
    }

    /// The word in the recipe.
    fn key(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Scratch => "scratch",
            Self::Pretrained => "pretrained",
        }
    }

    /// # Errors
    /// A start that a task does not have, with those that it has.
    pub(super) fn check(self, starts: &[Self]) -> Result<()> {
        let known: Vec<String> = starts.iter().map(|s| format!("`{}`", s.key())).collect();
        ensure!(
            starts.contains(&self),
            "`retrain.start = \"{}\"` is not for this program, whose models start {}; use one of {}",
            self.key(),
            match starts.contains(&Self::Pretrained) {
                true => "from pretrained weights",
                false => "from new weights",
            },
            known.join(", ")
        );
        Ok(())
    }
}

/// What stands in the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayoutName {
    /// The p of each model: tables of attention pruning.
    #[default]
    P,
    /// The mechanisms, with what each costs beside its score.
    Mechanism,
}

impl LayoutName {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Rows of a mask that a decoder uses while it writes one token after the other; training has the right ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsName {
    /// Those of its positions.
    True,
    /// Those of the paper's released code.
    Paper,
    /// The right ones, and those of the released code beside them in rows of their own; outside the recipe hash.
    Both,
}

impl RowsName {
    /// The rows that a model is scored by, each by itself, where its mask has decoder rows.
    #[must_use]
    pub fn scored(self) -> &'static [MaskRows] {
        match self {
            Self::True => &[MaskRows::True],
            Self::Paper => &[MaskRows::Paper],
            Self::Both => &MaskRows::ALL,
        }
    }

    /// Without what is only added.
    #[must_use]
    pub(super) fn without_added(self) -> Self {
        match self {
            Self::True | Self::Both => Self::True,
            Self::Paper => Self::Paper,
        }
    }

    /// The rows of the network that the model is served with.
    #[must_use]
    pub fn served(self) -> sparta_model::seq2seq::MaskRows {
        match self.without_added() {
            Self::True | Self::Both => sparta_model::seq2seq::MaskRows::True,
            Self::Paper => sparta_model::seq2seq::MaskRows::PaperFaithful,
        }
    }
}
