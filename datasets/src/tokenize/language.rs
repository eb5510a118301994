//! Languages, by their codes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, Result};

/// What a text is written in; recipes have its code, `"de"`.
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
    /// One that no corpus of the tables is written in.
    Other(OtherLanguage),
}

/// A language of ISO 639-1 that nothing here has rules for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OtherLanguage(&'static str);

/// ISO 639-1 but for [`Language::ALL`].
const OTHERS: &str = "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cu cv cy da dv dz ee el \
    eo es et eu fa ff fi fj fo fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu jv ka kg ki kj kk kl \
    km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om \
    or os pa pi pl ps pt qu rm rn ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt \
    tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

impl Language {
    /// Every language that Moses' rules are held to here.
    pub const ALL: [Self; 6] = [Self::Cs, Self::De, Self::En, Self::Fr, Self::Ja, Self::Ro];

    /// Those that Moses has rules of their own for: it reads Japanese as languages that it does not know.
    const WITH_RULES: [Self; 5] = [Self::Cs, Self::De, Self::En, Self::Fr, Self::Ro];

    /// The two letters of ISO 639-1: `de`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cs => "cs",
            Self::De => "de",
            Self::En => "en",
            Self::Fr => "fr",
            Self::Ja => "ja",
            Self::Ro => "ro",
            Self::Other(OtherLanguage(code)) => code,
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
        let other = || {
            let mut others = OTHERS.split_ascii_whitespace();
            others
                .find(|other| *other == code)
                .map(|other| Self::Other(OtherLanguage(other)))
        };
        (Self::ALL.into_iter())
            .find(|language| language.code() == code)
            .or_else(other)
            .ok_or_else(|| Error::UnknownLanguage {
                code: code.to_owned(),
                known: Self::WITH_RULES.map(Self::code).join(", "),
            })
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        code.parse().map_err(de::Error::custom)
    }
}
