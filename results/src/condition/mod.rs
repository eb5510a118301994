//! What stands in a row of a table: a network dense, a network under a mask, or no network at all.

mod baseline;
mod mask;

pub use baseline::Baseline;
pub use mask::{Mask, MaskFamily, MaskRows, OwnRows, Place, Weighing};

use std::fmt;

use serde::{Deserialize, Serialize};

/// The word of [`Condition::Dense`].
const DENSE: &str = "none";

/// The condition that a run was trained and scored under.
///
/// In records it is the keys `mask`, `mask_seed`, `mask_block_size`, `mask_weigh` and `mask_rows`: the word of
/// the family or baseline, or `none`; the seed of a random mask, the size of a mask's blocks, and `uses` where
/// its p is a share of these; `paper` where a decoder used the released code's rows of it.
///
/// ```
/// use sparta_results::{Baseline, Condition, MaskFamily};
/// let blocks = Condition::masked(MaskFamily::blocks(16), None);
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

    /// The same where a decoder uses other rows of its mask while it writes; what has no mask is as it is.
    pub fn decoded(self, rows: MaskRows) -> Self {
        match self {
            Self::Masked(mask) => Self::masked(mask.family.decoded(rows), mask.seed),
            Self::Dense | Self::Baseline(_) => self,
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
    fn word(self) -> String {
        match self {
            Self::Dense => DENSE.to_owned(),
            Self::Masked(mask) => mask.family.word(),
            Self::Baseline(baseline) => baseline.as_str().to_owned(),
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
            Self::Dense => f.pad(DENSE),
            Self::Baseline(baseline) => baseline.fmt(f),
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask_weigh: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask_rows: Option<String>,
}

impl From<Condition> for StoredCondition {
    fn from(condition: Condition) -> Self {
        Self {
            mask: condition.word(),
            mask_seed: condition.mask_seed(),
            mask_block_size: condition.family().and_then(MaskFamily::block_size),
            mask_weigh: match condition.family().map(MaskFamily::weighing) {
                Some(of @ Weighing::Uses) => Some(of.as_str().to_owned()),
                Some(Weighing::Cells) | None => None,
            },
            mask_rows: match condition.family().map(MaskFamily::rows) {
                Some(rows @ MaskRows::Paper) => Some(rows.as_str().to_owned()),
                Some(MaskRows::True) | None => None,
            },
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
            mask_weigh: weigh,
            mask_rows: rows,
        } = stored;
        let baselines = Baseline::ALL;
        let baseline = baselines.into_iter().find(|known| known.as_str() == mask);
        let family = MaskFamily::of(&mask, size, weigh.as_deref(), rows.as_deref());
        let has_more = seed.is_some() || size.is_some() || weigh.is_some() || rows.is_some();
        match (family, baseline, has_more) {
            (Some(family), _, _) => Ok(Self::masked(family, seed)),
            (None, Some(baseline), false) => Ok(Self::Baseline(baseline)),
            (None, None, false) if mask == DENSE => Ok(Self::Dense),
            (None, _, _) => Err(format!(
                "mask is `{mask}` with mask_block_size {size:?}, mask_seed {seed:?}, mask_weigh {weigh:?} and mask_rows \
                 {rows:?}; it is `ap`, `random`, `ap-blocks` with a block size, each with mask_weigh `uses` and mask_rows \
                 `paper` or without, or without all of these `{DENSE}`, `{}`",
                baselines.map(Baseline::as_str).join("`, `")
            )),
        }
    }
}
