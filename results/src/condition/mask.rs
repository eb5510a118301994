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
        /// Which of its rows a decoder uses that writes one token after the other.
        rows: MaskRows,
    },
    /// The same, ranked and hidden in whole blocks of cells.
    ApBlocks {
        /// Queries and keys of a block.
        block_size: u64,
        /// What p is a share of.
        of: Weighing,
        /// Which of its rows a decoder uses that writes one token after the other.
        rows: MaskRows,
    },
    /// As many cells, or uses, as [`MaskFamily::Ap`] hides, drawn at random.
    Random {
        /// What p is a share of.
        of: Weighing,
        /// Which of its rows a decoder uses that writes one token after the other.
        rows: MaskRows,
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

/// Which rows of its mask a decoder uses while it writes one token after the other. It is trained with the right ones in
/// either case, and so is what is scored with targets given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaskRows {
    /// Those of its positions.
    True,
    /// Those of the paper's released code: with n keys row n + 1.
    Paper,
}

impl MaskRows {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::True, Self::Paper];

    /// The word in records and recipes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Paper => "paper",
        }
    }
}

/// What tells rows of a table apart that have the name of others: how their masks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnRows {
    block_size: Option<u64>,
    of: Weighing,
    rows: MaskRows,
}

impl fmt::Display for OwnRows {
    /// `by uses`, `blocks of 16`, `blocks of 16 by uses`, `by uses, rows of the released code`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = self.block_size.map(|size| format!("blocks of {size}"));
        let by = match self.of {
            Weighing::Cells => None,
            Weighing::Uses => Some("by uses".to_owned()),
        };
        let parts: Vec<String> = blocks.into_iter().chain(by).collect();
        let rows = match self.rows {
            MaskRows::True => None,
            MaskRows::Paper => Some("rows of the released code".to_owned()),
        };
        let made = Some(parts.join(" ")).filter(|made| !made.is_empty());
        let parts: Vec<String> = made.into_iter().chain(rows).collect();
        f.pad(&parts.join(", "))
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
        rows: MaskRows::True,
    };
    /// As many cells at random.
    pub const RANDOM: Self = Self::Random {
        of: Weighing::Cells,
        rows: MaskRows::True,
    };

    /// The same in whole blocks.
    pub const fn blocks(block_size: u64) -> Self {
        Self::ApBlocks {
            block_size,
            of: Weighing::Cells,
            rows: MaskRows::True,
        }
    }

    /// The same family with a p that is a share of something else.
    pub const fn weighed(self, of: Weighing) -> Self {
        self.with(of, self.rows())
    }

    /// The same family where a decoder uses other rows while it writes.
    pub const fn decoded(self, rows: MaskRows) -> Self {
        self.with(self.weighing(), rows)
    }

    const fn with(self, of: Weighing, rows: MaskRows) -> Self {
        match self {
            Self::Ap { .. } => Self::Ap { of, rows },
            Self::ApBlocks { block_size, .. } => Self::ApBlocks {
                block_size,
                of,
                rows,
            },
            Self::Random { .. } => Self::Random { of, rows },
        }
    }

    /// What its p is a share of.
    pub const fn weighing(self) -> Weighing {
        match self {
            Self::Ap { of, .. } | Self::ApBlocks { of, .. } | Self::Random { of, .. } => of,
        }
    }

    /// Which of its rows a decoder uses while it writes.
    pub const fn rows(self) -> MaskRows {
        match self {
            Self::Ap { rows, .. } | Self::ApBlocks { rows, .. } | Self::Random { rows, .. } => rows,
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

    /// The family of [`MaskFamily::word`], a block size, and the words of [`Weighing`] and [`MaskRows`]: none is cells, and the
    /// right rows.
    pub(super) fn of(
        word: &str,
        block_size: Option<u64>,
        weighing: Option<&str>,
        rows: Option<&str>,
    ) -> Option<Self> {
        let weighing = weighing.unwrap_or(Weighing::Cells.as_str());
        let of = Weighing::ALL
            .into_iter()
            .find(|of| of.as_str() == weighing)?;
        let rows = rows.unwrap_or(MaskRows::True.as_str());
        let rows = MaskRows::ALL.into_iter().find(|of| of.as_str() == rows)?;
        let family = match (word, block_size) {
            ("ap", None) => Self::AP,
            ("ap-blocks", Some(block_size)) => Self::blocks(block_size),
            ("random", None) => Self::RANDOM,
            (_, _) => return None,
        };
        Some(family.with(of, rows))
    }

    /// The word of claims: `ap`, `blocks-64`, `random`, with `-uses` behind it where p is a share of these, and then
    /// `-paper-rows` where a decoder used those.
    pub(crate) fn claim_word(self) -> String {
        let word = match self {
            Self::Ap { .. } => "ap".to_owned(),
            Self::ApBlocks { block_size, .. } => format!("blocks-{block_size}"),
            Self::Random { .. } => "random".to_owned(),
        };
        word + self.suffix()
    }

    /// The family of a [`MaskFamily::claim_word`].
    pub(crate) fn of_claim_word(word: &str) -> Option<Self> {
        let (word, rows) = match word.strip_suffix("-paper-rows") {
            Some(word) => (word, MaskRows::Paper),
            None => (word, MaskRows::True),
        };
        let (word, of) = match word.strip_suffix("-uses") {
            Some(word) => (word, Weighing::Uses),
            None => (word, Weighing::Cells),
        };
        let family = match (word, word.strip_prefix("blocks-")) {
            ("ap", _) => Self::AP,
            ("random", _) => Self::RANDOM,
            (_, Some(size)) => Self::blocks(size.parse().ok().filter(|&size| size > 0)?),
            (_, None) => return None,
        };
        Some(family.with(of, rows))
    }

    fn suffix(self) -> &'static str {
        match (self.weighing(), self.rows()) {
            (Weighing::Cells, MaskRows::True) => "",
            (Weighing::Uses, MaskRows::True) => "-uses",
            (Weighing::Cells, MaskRows::Paper) => "-paper-rows",
            (Weighing::Uses, MaskRows::Paper) => "-uses-paper-rows",
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
                rows: self.rows(),
            },
        };
        let is_plain = self.with(Weighing::Cells, MaskRows::True) == self;
        match self {
            Self::Ap { .. } | Self::Random { .. } if is_plain => Place::Column,
            Self::Ap { .. } => rows(Self::AP, None),
            Self::Random { .. } => rows(Self::RANDOM, None),
            Self::ApBlocks { block_size, .. } => rows(Self::AP, Some(block_size)),
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
            // By the released code's rows too: they are those of the published numbers.
            Self::Ap { of, .. } => of == Weighing::Cells,
            Self::ApBlocks { .. } | Self::Random { .. } => false,
        }
    }
}

impl fmt::Display for MaskFamily {
    /// The word in tables: `ap`, `ap-blocks-16`, `random`, `ap-uses`, `ap-paper-rows`.
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
            for (of, rows) in [
                (Weighing::Cells, MaskRows::Paper),
                (Weighing::Uses, MaskRows::True),
                (Weighing::Uses, MaskRows::Paper),
            ] {
                let family = family.weighed(of).decoded(rows);
                let (word, size) = (family.word(), family.block_size());
                let found = MaskFamily::of(&word, size, Some(of.as_str()), Some(rows.as_str()));
                assert_eq!(found, Some(family));
                let of_claims = MaskFamily::of_claim_word(&family.claim_word());
                assert_eq!(of_claims, Some(family));
            }
            assert_eq!(
                MaskFamily::of_claim_word(&family.claim_word()),
                Some(family)
            );
            let (word, size) = (family.word(), family.block_size());
            assert_eq!(MaskFamily::of(&word, size, None, None), Some(family));
            assert_eq!(MaskFamily::of(&word, size, Some("rows"), None), None);
            assert_eq!(MaskFamily::of(&word, size, None, Some("uses")), None);
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
            (
                MaskFamily::AP.decoded(MaskRows::Paper),
                "ap: rows of the released code",
            ),
            (
                by_uses(MaskFamily::RANDOM).decoded(MaskRows::Paper),
                "random: by uses, rows of the released code",
            ),
        ] {
            assert_eq!(place(family), expected);
        }
    }
}
