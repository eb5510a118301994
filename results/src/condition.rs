//! What stands in a row of a table: a network dense, a network under a mask, or no network at all.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The condition that a run was trained and scored under.
///
/// In records it is the keys `mask`, `mask_seed` and `mask_block_size`: the word of
/// [`Condition::as_str`], the seed of a random mask, and the size of a mask's blocks.
///
/// ```
/// use sparta_results::{Baseline, Condition, MaskFamily};
/// let blocks = Condition::masked(MaskFamily::ApBlocks { block_size: 16 }, None);
/// assert_eq!(blocks.to_string(), "ap-blocks-16");
/// assert_eq!(Condition::from(Baseline::Trigram).to_string(), "trigram");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "StoredCondition", into = "StoredCondition")]
pub enum Condition {
    /// Nothing hidden. With `p_nominal` 0 it is the p = 0 row of a table; without it, the dense
    /// checkpoint before the further steps of all rows.
    Dense,
    /// Attention cells hidden, the same for every sequence.
    Masked(Mask),
    /// No network, and so no attention and no p.
    Baseline(Baseline),
}

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

/// A score that needs no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Baseline {
    /// A unigram model.
    Unigram,
    /// A Kneser–Ney bigram model.
    Bigram,
    /// A Kneser–Ney trigram model.
    Trigram,
    /// The source sentence as its own translation.
    CopySource,
    /// Every word replaced by its most frequent translation.
    WordTranslation,
    /// The most frequent class for every example.
    Majority,
    /// A threshold on the fraction of a question's words that the sentence has.
    WordOverlap,
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
    /// The word in records.
    fn as_str(self) -> &'static str {
        match self {
            Self::Ap => "ap",
            Self::ApBlocks { .. } => "ap-blocks",
            Self::Random => "random",
        }
    }

    /// The family of a record's words.
    fn of(word: &str, block_size: Option<u64>) -> Option<Self> {
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
            Some(size) => f.pad(&format!("{}-{size}", self.as_str())),
            None => f.pad(self.as_str()),
        }
    }
}

impl Baseline {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 7] = [
        Self::Unigram,
        Self::Bigram,
        Self::Trigram,
        Self::CopySource,
        Self::WordTranslation,
        Self::Majority,
        Self::WordOverlap,
    ];

    /// The word in records and in names of files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unigram => "unigram",
            Self::Bigram => "bigram",
            Self::Trigram => "trigram",
            Self::CopySource => "copy-source",
            Self::WordTranslation => "word-translation",
            Self::Majority => "majority",
            Self::WordOverlap => "word-overlap",
        }
    }

    /// What it is, in a table's words.
    pub fn description(self) -> &'static str {
        match self {
            Self::Unigram => "unigram, add one",
            Self::Bigram => "bigram, Kneser–Ney",
            Self::Trigram => "trigram, Kneser–Ney",
            Self::CopySource => "the source, copied",
            Self::WordTranslation => "most frequent translation of each word",
            Self::Majority => "the most frequent class",
            Self::WordOverlap => "word overlap, threshold of train",
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Condition {
    /// Under a mask of `family`, drawn with `seed` if it is random.
    pub fn masked(family: MaskFamily, seed: Option<u64>) -> Self {
        Self::Masked(Mask { family, seed })
    }

    /// The family of its mask.
    pub fn family(self) -> Option<MaskFamily> {
        match self {
            Self::Masked(mask) => Some(mask.family),
            Self::Dense | Self::Baseline(_) => None,
        }
    }

    /// The seed of its random mask.
    pub fn mask_seed(self) -> Option<u64> {
        match self {
            Self::Masked(mask) => mask.seed,
            Self::Dense | Self::Baseline(_) => None,
        }
    }

    /// The same for any draw of a random mask.
    pub fn without_seed(self) -> Self {
        match self {
            Self::Masked(mask) => Self::masked(mask.family, None),
            Self::Dense | Self::Baseline(_) => self,
        }
    }

    /// The word of the key `mask` in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dense => "none",
            Self::Masked(mask) => mask.family.as_str(),
            Self::Baseline(baseline) => baseline.as_str(),
        }
    }

    /// What it is, in a table's words.
    pub(crate) fn description(self) -> String {
        match self {
            Self::Dense => "dense checkpoint, before the further steps".to_owned(),
            Self::Masked(mask) => mask.family.to_string(),
            Self::Baseline(baseline) => baseline.description().to_owned(),
        }
    }
}

impl From<Baseline> for Condition {
    fn from(baseline: Baseline) -> Self {
        Self::Baseline(baseline)
    }
}

impl From<Mask> for Condition {
    fn from(mask: Mask) -> Self {
        Self::Masked(mask)
    }
}

impl fmt::Display for Condition {
    /// The word in tables: that of records, with the size of blocks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense | Self::Baseline(_) => f.pad(self.as_str()),
            Self::Masked(mask) => mask.family.fmt(f),
        }
    }
}

/// The keys of a condition in a record.
#[derive(Serialize, Deserialize)]
struct StoredCondition {
    mask: String,
    mask_seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask_block_size: Option<u64>,
}

impl From<Condition> for StoredCondition {
    fn from(condition: Condition) -> Self {
        Self {
            mask: condition.as_str().to_owned(),
            mask_seed: condition.mask_seed(),
            mask_block_size: condition.family().and_then(MaskFamily::block_size),
        }
    }
}

impl TryFrom<StoredCondition> for Condition {
    type Error = String;

    fn try_from(stored: StoredCondition) -> Result<Self, String> {
        let StoredCondition {
            mask,
            mask_seed: seed,
            mask_block_size: size,
        } = stored;
        let baselines = Baseline::ALL;
        let baseline = baselines.into_iter().find(|known| known.as_str() == mask);
        match (MaskFamily::of(&mask, size), baseline, seed.or(size)) {
            (Some(family), _, _) => Ok(Self::masked(family, seed)),
            (None, Some(baseline), None) => Ok(Self::Baseline(baseline)),
            (None, None, None) if mask == "none" => Ok(Self::Dense),
            (None, _, _) => Err(format!(
                "mask is `{mask}` with mask_block_size {size:?} and mask_seed {seed:?}; it is `ap`, \
                 `random`, `ap-blocks` with a block size, or without seed and size `none`, `{}`",
                baselines.map(Baseline::as_str).join("`, `")
            )),
        }
    }
}
