//! How translations are looked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// How translations are looked for, in the words of recipes: `beam`, `exact`, `exact(prefixes=5000)`.
///
/// ```
/// use sparta_model::decode::SearchMethod;
/// let method: SearchMethod = "exact(prefixes=500)".parse().unwrap();
/// assert_eq!(method, SearchMethod::Exact { max_prefixes: 500 });
/// assert_eq!(method.to_string(), "exact(prefixes=500)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SearchMethod {
    /// The best `beam_size` hypotheses of each length.
    #[default]
    Beam,
    /// Depth-first over everything of probability above 0, for the most probable translation.
    Exact {
        /// Prefixes that are read of a sentence at most.
        max_prefixes: usize,
    },
}

impl SearchMethod {
    /// Prefixes of a sentence that exact search reads at most where nothing is said.
    pub const MAX_PREFIXES: usize = 10_000;

    /// Whether this is beam search.
    pub fn is_beam(&self) -> bool {
        match self {
            Self::Beam => true,
            Self::Exact { .. } => false,
        }
    }
}

impl fmt::Display for SearchMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Beam => f.write_str("beam"),
            Self::Exact {
                max_prefixes: Self::MAX_PREFIXES,
            } => f.write_str("exact"),
            Self::Exact { max_prefixes } => write!(f, "exact(prefixes={max_prefixes})"),
        }
    }
}

impl FromStr for SearchMethod {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let unknown = || ModelError::UnknownSearch {
            found: text.to_owned(),
        };
        let max_prefixes = match text.trim() {
            "beam" => return Ok(Self::Beam),
            "exact" => Self::MAX_PREFIXES,
            other => {
                let argument = other
                    .strip_prefix("exact(")
                    .and_then(|a| a.strip_suffix(')'));
                let (name, value) = argument
                    .and_then(|a| a.split_once('='))
                    .ok_or_else(unknown)?;
                let value = value.trim().parse().ok();
                let value = value.filter(|n| *n > 0 && name.trim() == "prefixes");
                value.ok_or_else(unknown)?
            }
        };
        Ok(Self::Exact { max_prefixes })
    }
}

impl TryFrom<String> for SearchMethod {
    type Error = ModelError;

    fn try_from(text: String) -> Result<Self, ModelError> {
        text.parse()
    }
}

impl From<SearchMethod> for String {
    fn from(method: SearchMethod) -> Self {
        method.to_string()
    }
}
