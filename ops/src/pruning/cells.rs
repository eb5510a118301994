//! Where a cell is: attention type, grid, and the rule that says which cells are legal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::PruningError;

/// Which of the Transformer's attention mechanisms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttentionType {
    /// Self-attention of an encoder.
    EncoderSelf,
    /// Self-attention of a decoder or of a language model.
    DecoderSelf,
    /// Attention of a decoder to its encoder.
    Cross,
}

impl AttentionType {
    /// All types, in the order of files and reports.
    pub const ALL: [Self; 3] = [Self::EncoderSelf, Self::DecoderSelf, Self::Cross];

    /// The name used in files and recipes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EncoderSelf => "encoder-self",
            Self::DecoderSelf => "decoder-self",
            Self::Cross => "cross",
        }
    }

    /// A number that stays the same between releases, for random streams.
    pub(super) const fn code(self) -> u64 {
        match self {
            Self::EncoderSelf => 0,
            Self::DecoderSelf => 1,
            Self::Cross => 2,
        }
    }
}

impl fmt::Display for AttentionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AttentionType {
    type Err = PruningError;

    fn from_str(word: &str) -> Result<Self, PruningError> {
        Self::ALL
            .into_iter()
            .find(|t| t.as_str() == word)
            .ok_or_else(|| PruningError::Word {
                what: "attention type",
                found: word.to_string(),
                choices: "encoder-self, decoder-self, cross",
            })
    }
}

/// The structural mask: which cells the attention may see at all, before any pruning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellRule {
    /// Every row sees every column.
    Full,
    /// Row `i` sees columns `0..=memory + i`: the first `memory` columns are carried memory, the
    /// others the current segment.
    Causal {
        /// Columns of memory in front of the current segment.
        memory: usize,
    },
}

impl CellRule {
    /// Whether the cell may be used.
    pub const fn is_legal(self, row: usize, col: usize) -> bool {
        col < self.legal_cols(row)
    }

    /// How many columns, counted from the first, the row may see: `usize::MAX` for all.
    pub(super) const fn legal_cols(self, row: usize) -> usize {
        match self {
            Self::Full => usize::MAX,
            Self::Causal { memory } => memory.saturating_add(row).saturating_add(1),
        }
    }
}

impl fmt::Display for CellRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Causal { memory } => write!(f, "causal:{memory}"),
        }
    }
}

impl FromStr for CellRule {
    type Err = PruningError;

    fn from_str(word: &str) -> Result<Self, PruningError> {
        let memory = word.strip_prefix("causal:").and_then(|n| n.parse().ok());
        match memory {
            Some(memory) => Ok(Self::Causal { memory }),
            None if word == "full" => Ok(Self::Full),
            None => Err(PruningError::Word {
                what: "cell rule",
                found: word.to_string(),
                choices: "full, causal:MEMORY",
            }),
        }
    }
}

/// The cells of one attention mechanism: `n_heads` matrices of `n_rows × n_cols`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grid {
    /// Heads.
    pub n_heads: usize,
    /// Query positions (`n_max`).
    pub n_rows: usize,
    /// Key positions (`m_max`).
    pub n_cols: usize,
    /// Which cells are legal.
    pub rule: CellRule,
}

impl Grid {
    /// Cells of one head.
    pub(super) const fn head_len(&self) -> usize {
        self.n_rows * self.n_cols
    }

    /// How many legal cells one head has.
    pub fn legal_per_head(&self) -> usize {
        (0..self.n_rows)
            .map(|row| self.rule.legal_cols(row).min(self.n_cols))
            .sum()
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_heads,
            n_rows,
            n_cols,
            rule,
        } = self;
        write!(f, "heads={n_heads} rows={n_rows} cols={n_cols} rule={rule}")
    }
}

impl FromStr for Grid {
    type Err = PruningError;

    fn from_str(text: &str) -> Result<Self, PruningError> {
        let field = |name: &str| {
            text.split(' ')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                .unwrap_or("")
        };
        let number = |name: &str| {
            field(name)
                .parse::<usize>()
                .map_err(|_| PruningError::Word {
                    what: "grid",
                    found: text.to_string(),
                    choices: "`heads=H rows=N cols=M rule=RULE`",
                })
        };
        Ok(Self {
            n_heads: number("heads")?,
            n_rows: number("rows")?,
            n_cols: number("cols")?,
            rule: field("rule").parse()?,
        })
    }
}

/// One attention mechanism: its type and its layer.
pub(super) type LayerKey = (AttentionType, usize);

/// The name of a layer in files, for instance `decoder-self.3`.
pub(super) fn layer_name(key: LayerKey) -> String {
    format!("{}.{}", key.0, key.1)
}

/// Reads back [`layer_name`].
pub(super) fn parse_layer_name(name: &str) -> Option<LayerKey> {
    let (attention_type, layer) = name.rsplit_once('.')?;
    Some((attention_type.parse().ok()?, layer.parse().ok()?))
}

/// The error for a layer that is not among `known`.
pub(super) fn unknown_layer(
    (attention_type, layer): LayerKey,
    known: impl Iterator<Item = LayerKey>,
) -> PruningError {
    let names: Vec<String> = known.map(|(t, l)| format!("{t} layer {l}")).collect();
    let known = if names.is_empty() {
        "nothing".to_string()
    } else {
        names.join(", ")
    };
    PruningError::UnknownLayer {
        attention_type,
        layer,
        known,
    }
}
