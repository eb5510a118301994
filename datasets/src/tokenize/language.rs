//! The languages of the translation tables.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A language that some corpus is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// Czech.
    Cs,
    /// German.
    De,
    /// English.
    En,
    /// French.
    Fr,
    /// Japanese.
    Ja,
    /// Romanian.
    Ro,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 6] = [Self::Cs, Self::De, Self::En, Self::Fr, Self::Ja, Self::Ro];

    /// The two letters of ISO 639-1: `de`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cs => "cs",
            Self::De => "de",
            Self::En => "en",
            Self::Fr => "fr",
            Self::Ja => "ja",
            Self::Ro => "ro",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(code: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.code() == code)
            .ok_or_else(|| Error::UnknownLanguage {
                code: code.to_owned(),
                known: Self::ALL.map(Self::code).join(", "),
            })
    }
}
