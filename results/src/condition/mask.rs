//! Masks of attention, as far as tables tell them apart.

use std::fmt;

/// A global mask, as far as a table tells masks apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mask {
    /// How its cells were chosen.
    pub family: MaskFamily,
    /// Seed of a random mask.
    pub seed: Option<u64>,
}

/// How a mask's cells were chosen. Scores of different families are never averaged.
///
/// A new family is a variant here; the compiler names what else it must say of itself, all of it in
/// this file, and tables then hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaskFamily {
    /// The cells of smallest average attention (AP, arXiv 2012.02030, section 3).
    Ap,
    /// The same, ranked and hidden in whole blocks of cells.
    ApBlocks {
        /// Queries and keys of a block.
        block_size: u64,
    },
    /// As many cells as [`MaskFamily::Ap`] hides, drawn at random.
    Random,
}

/// Where a table of p shows a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a column of its own, beside the other masks of a row and p.
    Column,
    /// In rows of its own, in the column of another family.
    Rows {
        /// That family.
        column: MaskFamily,
        /// What tells these rows apart, printed after the row's name.
        name: String,
    },
}

impl MaskFamily {
    /// The word in records, which have the block size in a key of its own. (Other sizes of a family
    /// can stand in the word.)
    pub(super) fn word(self) -> String {
        match self {
            Self::Ap => "ap".to_owned(),
            Self::ApBlocks { .. } => "ap-blocks".to_owned(),
            Self::Random => "random".to_owned(),
        }
    }

    /// The family of [`MaskFamily::word`] and a block size.
    pub(super) fn of(word: &str, block_size: Option<u64>) -> Option<Self> {
        match (word, block_size) {
            ("ap", None) => Some(Self::Ap),
            ("ap-blocks", Some(block_size)) => Some(Self::ApBlocks { block_size }),
            ("random", None) => Some(Self::Random),
            (_, _) => None,
        }
    }

    /// Queries and keys of the blocks that it hides whole, if it does.
    pub fn block_size(self) -> Option<u64> {
        match self {
            Self::ApBlocks { block_size } => Some(block_size),
            Self::Ap | Self::Random => None,
        }
    }

    /// Where a table of p shows it.
    pub fn place(self) -> Place {
        match self {
            Self::Ap | Self::Random => Place::Column,
            Self::ApBlocks { block_size } => Place::Rows {
                column: Self::Ap,
                name: format!("blocks of {block_size}"),
            },
        }
    }

    /// Whether the published tables were made with such masks, so that their numbers stand beside.
    pub fn is_published(self) -> bool {
        match self {
            Self::Ap => true,
            Self::ApBlocks { .. } | Self::Random => false,
        }
    }
}

impl fmt::Display for MaskFamily {
    /// The word in tables: `ap`, `ap-blocks-16`, `random`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.block_size() {
            Some(size) => f.pad(&format!("{}-{size}", self.word())),
            None => f.pad(&self.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_found_by_its_word() {
        let known = [
            MaskFamily::Ap,
            MaskFamily::ApBlocks { block_size: 16 },
            MaskFamily::Random,
        ];
        for family in known {
            // A new family does not compile here: add it to the list above.
            match family {
                MaskFamily::Ap | MaskFamily::ApBlocks { .. } | MaskFamily::Random => {}
            }
            assert_eq!(
                MaskFamily::of(&family.word(), family.block_size()),
                Some(family)
            );
        }
    }
}
