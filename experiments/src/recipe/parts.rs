//! What the recipes of several tasks have in common: words, sections and checks.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::train::ScheduleName;

/// A row normaliser by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormalizerName {
    /// Dense softmax.
    Softmax,
    /// Euclidean projection onto the simplex.
    Sparsemax,
    /// 1.5-entmax.
    Entmax15,
    /// α-entmax with one learned α a head.
    AlphaEntmax,
}

impl NormalizerName {
    /// Every normaliser.
    pub const ALL: [Self; 4] = [
        Self::Softmax,
        Self::Sparsemax,
        Self::Entmax15,
        Self::AlphaEntmax,
    ];

    /// The word in the recipe, and in folders.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sparsemax => "sparsemax",
            Self::Entmax15 => "entmax15",
            Self::AlphaEntmax => "alpha_entmax",
        }
    }
}

/// An optimiser by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerName {
    /// Adam (Kingma & Ba 2015).
    Adam,
}

/// Over which cells one threshold is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeName {
    /// All heads of a layer together (the paper).
    Layer,
    /// Each head by itself.
    Head,
    /// The whole model.
    Model,
}

impl ScopeName {
    /// The word in the recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Head => "head",
            Self::Model => "model",
        }
    }
}

/// Which cells the percentile is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SemanticsName {
    /// Legal cells only.
    Corrected,
    /// All cells, structural zeros included, as released.
    Paper,
}

impl SemanticsName {
    /// The word in the recipe, for tables and signatures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Corrected => "corrected",
            Self::Paper => "paper",
        }
    }
}

/// Training again under a mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrainRecipe {
    /// Where it starts.
    pub mode: RetrainMode,
    /// Updates.
    pub steps: u64,
    /// Peak learning rate.
    pub lr: f64,
    /// How it falls.
    pub schedule: ScheduleName,
    /// Updates of linear rise.
    pub warmup_steps: u64,
}

/// Where training under a mask starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetrainMode {
    /// From the dense model.
    Finetune,
    /// From new weights.
    Scratch,
}

impl RetrainMode {
    /// The word in the recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finetune => "finetune",
            Self::Scratch => "scratch",
        }
    }
}

/// Each of some counts must be at least 1.
pub(super) fn at_least_one(counts: &[(&str, usize)]) -> Result<()> {
    for (key, value) in counts {
        ensure!(*value > 0, "`{key}` must be at least 1");
    }
    Ok(())
}

/// Each of some shares must be in 0..1.
pub(super) fn in_unit_interval(shares: &[(&str, f64)]) -> Result<()> {
    for (key, value) in shares {
        ensure!(
            (0.0..1.0).contains(value),
            "`{key}` must be in 0..1; found {value}"
        );
    }
    Ok(())
}

/// Each of some numbers must be positive and finite.
pub(super) fn positive(numbers: &[(&str, f64)]) -> Result<()> {
    for (key, value) in numbers {
        ensure!(
            *value > 0.0 && value.is_finite(),
            "`{key}` must be positive; found {value}"
        );
    }
    Ok(())
}

/// The seeds and the name of the table.
pub(super) fn seeds_and_table(seeds: &[u64], table: &str) -> Result<()> {
    ensure!(!seeds.is_empty(), "`seeds` must name at least one seed");
    ensure!(
        !table.is_empty()
            && table
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)),
        "`table` names a folder: letters, digits, `-` and `_` only; found `{table}`"
    );
    Ok(())
}

/// The nominal shares `prune.p`.
pub(super) fn nominal_shares(p: &[u32]) -> Result<()> {
    ensure!(
        p.first() == Some(&0) && p.windows(2).all(|w| w[0] < w[1]),
        "`prune.p` must start with 0 (the dense control) and rise; found {p:?}"
    );
    ensure!(
        p.iter().all(|&p| p < 100),
        "`prune.p` are per cent below 100; found {p:?}"
    );
    Ok(())
}

/// Edges of blocks, which fused attention must know and `corrected` thresholds rank.
pub(super) fn block_sizes(sizes: &[usize], semantics: SemanticsName) -> Result<()> {
    for (i, size) in sizes.iter().enumerate() {
        ensure!(
            [16, 32, 64, 128].contains(size) && !sizes[..i].contains(size),
            "`prune.block_sizes` are some of 16, 32, 64 and 128, each once; found {sizes:?}"
        );
    }
    ensure!(
        sizes.is_empty() || semantics == SemanticsName::Corrected,
        "`prune.block_sizes` needs `prune.semantics = \"corrected\"`: the released code knows no blocks; \
         leave them out with `prune.block_sizes = []`"
    );
    Ok(())
}

/// Random masks, one number for each nominal share.
pub(super) fn random_masks(random_masks: &[u32], p: &[u32]) -> Result<()> {
    ensure!(
        random_masks.len() == p.len(),
        "`prune.random_masks` needs one number for each of the {} `prune.p`; found {}",
        p.len(),
        random_masks.len()
    );
    ensure!(
        random_masks[0] == 0,
        "`prune.random_masks` starts with 0: at p = 0 nothing is hidden and no mask is drawn"
    );
    Ok(())
}
