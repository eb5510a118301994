//! The rows of the translation tables: which models are trained again under which masks.

use sparta_ops::pruning::AttentionType;

use crate::protocol::Row;
use crate::protocol::masks::MaskedRow;
use crate::recipe::NormalizerName;
use crate::recipe::translation::{PrunedName, TranslationRecipe};

impl PrunedName {
    /// The attention types that are pruned.
    #[must_use]
    pub fn types(self) -> Vec<AttentionType> {
        match self {
            Self::EncoderSelf => vec![AttentionType::EncoderSelf],
            Self::DecoderSelf => vec![AttentionType::DecoderSelf],
            Self::Cross => vec![AttentionType::Cross],
            Self::SelfOnly => vec![AttentionType::EncoderSelf, AttentionType::DecoderSelf],
        }
    }

    /// Name in files.
    fn name(self) -> &'static str {
        match self {
            Self::EncoderSelf => "encoder-self",
            Self::DecoderSelf => "decoder-self",
            Self::Cross => "cross",
            Self::SelfOnly => "self",
        }
    }

    /// Name in the published tables, and in ours.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::EncoderSelf => "enc-self",
            Self::DecoderSelf => "dec-self",
            Self::Cross => "cross",
            Self::SelfOnly => "self-attention",
        }
    }
}

/// Name of a normaliser in the published tables, and in ours.
pub(super) fn normalizer_label(name: NormalizerName) -> &'static str {
    match name {
        NormalizerName::Softmax => "softmax",
        NormalizerName::Sparsemax => "sparsemax",
        NormalizerName::Entmax15 => "1.5-entmax",
        NormalizerName::AlphaEntmax => "alpha-entmax",
    }
}

/// One model trained again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PairRow {
    /// What is pruned; at p = 0, where nothing is, the first of what others prune.
    pub(super) pruned: PrunedName,
    /// How much, and by which mask.
    pub(super) row: Row,
}

impl PairRow {
    /// All rows of the model with a normaliser: p = 0 once, then each type's masks.
    pub(super) fn all(recipe: &TranslationRecipe, normalizer: NormalizerName) -> Vec<Self> {
        let prune = &recipe.prune;
        let types = prune.of(normalizer);
        let masked = Row::all(&prune.masks);
        let dense = types.first().map(|&pruned| Self {
            pruned,
            row: Row::Dense,
        });
        let rows = types.iter().flat_map(|&pruned| {
            let masked = masked.iter().filter(|row| **row != Row::Dense);
            masked.map(move |&row| Self { pruned, row })
        });
        dense.into_iter().chain(rows).collect()
    }

    /// Name in files and messages: `p0`, `encoder-self-ap-p40`.
    pub(super) fn name(&self) -> String {
        match self.row {
            Row::Dense => self.row.name(),
            Row::Ap { .. } | Row::Blocks { .. } | Row::Random { .. } => {
                format!("{}-{}", self.pruned.name(), self.row.name())
            }
        }
    }

    /// For the masks; none at p = 0.
    pub(super) fn masked(&self) -> Option<MaskedRow> {
        (self.row != Row::Dense).then(|| MaskedRow {
            name: self.name(),
            row: self.row,
            types: self.pruned.types(),
        })
    }

    /// The lines of the table that the model stands in: at p = 0 it is the control of every type.
    pub(super) fn lines(&self, recipe: &TranslationRecipe, of: NormalizerName) -> Vec<PrunedName> {
        match self.row {
            Row::Dense => recipe.prune.of(of).to_vec(),
            Row::Ap { .. } | Row::Blocks { .. } | Row::Random { .. } => vec![self.pruned],
        }
    }
}

/// Name of a line of the table: what is pruned, and of which model if not of the first.
pub(super) fn line_label(
    recipe: &TranslationRecipe,
    normalizer: NormalizerName,
    pruned: PrunedName,
) -> String {
    match recipe.model.normalizers.first() == Some(&normalizer) {
        true => pruned.label().to_owned(),
        false => format!("{} ({})", pruned.label(), normalizer_label(normalizer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    #[test]
    fn the_small_table_fine_tunes_twelve_models() {
        let recipe = TranslationRecipe::load("small/iwslt", &[]).unwrap();
        let names = |normalizer| -> Vec<String> {
            let rows = PairRow::all(&recipe, normalizer);
            rows.iter().map(PairRow::name).collect()
        };
        assert_eq!(
            names(NormalizerName::Softmax),
            [
                "p0",
                "encoder-self-ap-p40",
                "encoder-self-ap-p80",
                "decoder-self-ap-p40",
                "decoder-self-ap-p80",
                "cross-ap-p40",
                "cross-ap-p80",
                "self-ap-p40",
                "self-ap-p80",
            ]
        );
        assert_eq!(
            names(NormalizerName::Entmax15),
            ["p0", "self-ap-p40", "self-ap-p80"]
        );
        assert!(names(NormalizerName::AlphaEntmax).is_empty());
    }
}
