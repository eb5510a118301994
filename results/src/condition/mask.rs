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
    Ap {
        /// What p is a share of.
        of: Weighing,
    },
    /// The same, ranked and hidden in whole blocks of cells.
    ApBlocks {
        /// Queries and keys of a block.
        block_size: u64,
        /// What p is a share of.
        of: Weighing,
    },
    /// As many cells, or uses, as [`MaskFamily::Ap`] hides, drawn at random.
    Random {
        /// What p is a share of.
        of: Weighing,
    },
}

/// What the p of a mask is a share of. Scores of different weighings are never averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weighing {
    /// Legal cells, each counted once (the paper).
    Cells,
    /// Uses: a legal cell counts as often as training examples have both its query and its key.
    Uses,
}

impl Weighing {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cells, Self::Uses];

    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cells => "cells",
            Self::Uses => "uses",
        }
    }
}

/// What tells rows of a table apart that have the name of others: how their masks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnRows {
    block_size: Option<u64>,
    of: Weighing,
}

impl fmt::Display for OwnRows {
    /// `by uses`, `blocks of 16`, `blocks of 16 by uses`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = self.block_size.map(|size| format!("blocks of {size}"));
        let by = match self.of {
            Weighing::Cells => None,
            Weighing::Uses => Some("by uses".to_owned()),
        };
        let parts: Vec<String> = blocks.into_iter().chain(by).collect();
        f.pad(&parts.join(" "))
    }
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
        rows: OwnRows,
    },
}

impl MaskFamily {
    /// The paper's masks.
    pub const AP: Self = Self::Ap {
        of: Weighing::Cells,
    };
    /// As many cells at random.
    pub const RANDOM: Self = Self::Random {
        of: Weighing::Cells,
    };

    /// The same in whole blocks.
    pub const fn blocks(block_size: u64) -> Self {
        let of = Weighing::Cells;
        Self::ApBlocks { block_size, of }
    }

    /// The same family with a p that is a share of something else.
    pub const fn weighed(self, of: Weighing) -> Self {
        match self {
            Self::Ap { .. } => Self::Ap { of },
            Self::ApBlocks { block_size, .. } => Self::ApBlocks { block_size, of },
            Self::Random { .. } => Self::Random { of },
        }
    }

    /// What its p is a share of.
    pub const fn weighing(self) -> Weighing {
        match self {
            Self::Ap { of } | Self::ApBlocks { of, .. } | Self::Random { of } => of,
        }
    }

    /// The word in records, which have the block size and what p is a share of in keys of their own. (Other sizes of a family
    /// can stand in the word.)
    pub(super) fn word(self) -> String {
        match self {
            Self::Ap { .. } => "ap".to_owned(),
            Self::ApBlocks { .. } => "ap-blocks".to_owned(),
            Self::Random { .. } => "random".to_owned(),
        }
    }

    /// The family of [`MaskFamily::word`], a block size, and the word of [`Weighing`]: none is cells.
    pub(super) fn of(word: &str, block_size: Option<u64>, weighing: Option<&str>) -> Option<Self> {
        let weighing = weighing.unwrap_or(Weighing::Cells.as_str());
        let of = Weighing::ALL
            .into_iter()
            .find(|of| of.as_str() == weighing)?;
        match (word, block_size) {
            ("ap", None) => Some(Self::Ap { of }),
            ("ap-blocks", Some(block_size)) => Some(Self::ApBlocks { block_size, of }),
            ("random", None) => Some(Self::Random { of }),
            (_, _) => None,
        }
    }

    /// The word of claims: `ap`, `blocks-64`, `random`, and with `-uses` behind it where p is a share of these.
    pub(crate) fn claim_word(self) -> String {
        let word = match self {
            Self::Ap { .. } => "ap".to_owned(),
            Self::ApBlocks { block_size, .. } => format!("blocks-{block_size}"),
            Self::Random { .. } => "random".to_owned(),
        };
        word + self.suffix()
    }

    fn suffix(self) -> &'static str {
        match self.weighing() {
            Weighing::Cells => "",
            Weighing::Uses => "-uses",
        }
    }

    /// Queries and keys of the blocks that it hides whole, if it does.
    pub fn block_size(self) -> Option<u64> {
        match self {
            Self::ApBlocks { block_size, .. } => Some(block_size),
            Self::Ap { .. } | Self::Random { .. } => None,
        }
    }

    /// Where a table of p shows it.
    pub fn place(self) -> Place {
        let rows = |column, block_size| Place::Rows {
            column,
            rows: OwnRows {
                block_size,
                of: self.weighing(),
            },
        };
        match (self, self.weighing()) {
            (Self::Ap { .. } | Self::Random { .. }, Weighing::Cells) => Place::Column,
            (Self::Ap { .. }, Weighing::Uses) => rows(Self::AP, None),
            (Self::Random { .. }, Weighing::Uses) => rows(Self::RANDOM, None),
            (Self::ApBlocks { block_size, .. }, _) => rows(Self::AP, Some(block_size)),
        }
    }

    /// The column of a table of p that it stands in.
    pub(crate) fn column(self) -> Self {
        match self.place() {
            Place::Column => self,
            Place::Rows { column, .. } => column,
        }
    }

    /// Whether the published tables were made with such masks, so that their numbers stand beside.
    pub fn is_published(self) -> bool {
        match self {
            Self::Ap {
                of: Weighing::Cells,
            } => true,
            Self::Ap { of: Weighing::Uses } | Self::ApBlocks { .. } | Self::Random { .. } => false,
        }
    }
}

impl fmt::Display for MaskFamily {
    /// The word in tables: `ap`, `ap-blocks-16`, `random`, `ap-uses`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, suffix) = (self.word(), self.suffix());
        match self.block_size() {
            Some(size) => f.pad(&format!("{word}-{size}{suffix}")),
            None => f.pad(&format!("{word}{suffix}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_found_by_its_word() {
        let known = [MaskFamily::AP, MaskFamily::blocks(16), MaskFamily::RANDOM];
        for family in known {
            // A new family does not compile here: add it to the list above.
            match family {
                MaskFamily::Ap { .. } | MaskFamily::ApBlocks { .. } | MaskFamily::Random { .. } => {
                }
            }
            for of in Weighing::ALL {
                let family = family.weighed(of);
                let (word, size) = (family.word(), family.block_size());
                let found = MaskFamily::of(&word, size, Some(of.as_str()));
                assert_eq!(found, Some(family));
            }
            let (word, size) = (family.word(), family.block_size());
            assert_eq!(MaskFamily::of(&word, size, None), Some(family));
            assert_eq!(MaskFamily::of(&word, size, Some("rows")), None);
        }
    }

    #[test]
    fn masks_by_uses_have_rows_of_their_own_in_the_columns_of_the_others() {
        let place = |family: MaskFamily| match family.place() {
            Place::Column => family.to_string(),
            Place::Rows { column, rows } => format!("{column}: {rows}"),
        };
        let by_uses = |family: MaskFamily| family.weighed(Weighing::Uses);
        for (family, expected) in [
            (MaskFamily::RANDOM, "random"),
            (by_uses(MaskFamily::AP), "ap: by uses"),
            (by_uses(MaskFamily::RANDOM), "random: by uses"),
            (MaskFamily::blocks(16), "ap: blocks of 16"),
            (by_uses(MaskFamily::blocks(16)), "ap: blocks of 16 by uses"),
        ] {
            assert_eq!(place(family), expected);
        }
    }
}
