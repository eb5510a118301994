//! The tokenisers that BLEU is defined with. They are part of the score and no good for anything
//! else.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::error::ResultsError;
use crate::metric::corpus::words;

/// What cuts text into the words that BLEU counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BleuTokenizer {
    /// White space only, for text that is tokenised already.
    #[serde(rename = "none")]
    None,
    /// mteval-v13a's, for Western languages; the default of sacreBLEU and WMT.
    #[serde(rename = "13a")]
    V13a,
    /// mteval-v14's, which knows the punctuation and symbols of all scripts.
    #[serde(rename = "intl")]
    Intl,
    /// Every character a word, for Chinese and Japanese without a segmenter.
    #[serde(rename = "char")]
    Char,
}

impl BleuTokenizer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::V13a, Self::Intl, Self::Char];

    /// Name in signatures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::V13a => "13a",
            Self::Intl => "intl",
            Self::Char => "char",
        }
    }

    /// `text` with blanks between its words.
    ///
    /// ```
    /// use sparta_results::metric::bleu::BleuTokenizer;
    /// assert_eq!(BleuTokenizer::V13a.tokenize("It's 3.14, ok?"), "It's 3.14 , ok ?");
    /// assert_eq!(BleuTokenizer::Intl.tokenize("It's 3.14, ok?"), "It ' s 3.14 , ok ?");
    /// ```
    pub fn tokenize(self, text: &str) -> String {
        match self {
            Self::None => text.to_string(),
            Self::V13a => v13a(text),
            Self::Intl => words(&apply(&INTL, text.to_string())).join(" "),
            Self::Char => {
                let characters: Vec<String> = text.chars().map(String::from).collect();
                characters.join(" ")
            }
        }
    }
}

impl fmt::Display for BleuTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for BleuTokenizer {
    type Err = ResultsError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|of| of.as_str() == name);
        found.ok_or_else(|| ResultsError::MetricSetting {
            what: "tokenizer",
            found: name.to_string(),
            expected: "none, 13a, intl or char",
        })
    }
}

/// Replacements that are made one after the other, each over the whole text.
type Rules = LazyLock<Vec<(Regex, &'static str)>>;

fn rules<const N: usize>(rules: [(&str, &'static str); N]) -> Vec<(Regex, &'static str)> {
    let compile = |(pattern, by)| {
        let regex = Regex::new(pattern).expect("the patterns below are checked by the tests");
        (regex, by)
    };
    rules.into_iter().map(compile).collect()
}

static V13A: Rules = LazyLock::new(|| {
    rules([
        // ASCII punctuation but ' , - .
        (r"([ -&(-+/:-@\[-`{-~])", " ${1} "),
        // Period and comma, unless between digits
        (r"([^0-9])([.,])", "${1} ${2} "),
        (r"([.,])([^0-9])", " ${1} ${2}"),
        // A dash after a digit
        (r"([0-9])(-)", "${1} ${2} "),
    ])
});

static INTL: Rules = LazyLock::new(|| {
    rules([
        // Punctuation, unless between digits
        (r"(\P{N})(\p{P})", "${1} ${2} "),
        (r"(\p{P})(\P{N})", " ${1} ${2}"),
        // Symbols
        (r"(\p{S})", " ${1} "),
    ])
});

fn apply(rules: &Rules, text: String) -> String {
    rules.iter().fold(text, |text, (regex, by)| {
        regex.replace_all(&text, *by).into_owned()
    })
}

fn v13a(text: &str) -> String {
    let mut text = text
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace('\n', " ");
    if text.contains('&') {
        // In this order: what `&amp;lt;` hides comes out as `<`.
        for (entity, character) in [
            ("&quot;", "\""),
            ("&amp;", "&"),
            ("&lt;", "<"),
            ("&gt;", ">"),
        ] {
            text = text.replace(entity, character);
        }
    }
    words(&apply(&V13A, format!(" {text} "))).join(" ")
}
