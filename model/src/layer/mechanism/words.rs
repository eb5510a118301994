//! Mechanisms in words, as recipes have them: `softmax+local(w=16)`, `favor(m=64)`.

use std::str::FromStr;

use super::{
    DotProductConfig, FavorConfig, LinformerConfig, LshConfig, MechanismConfig, NystromConfig,
    RfaConfig,
};
use crate::error::ModelError;

/// Every word with all of its arguments, as they are written.
const FORMS: [&str; 17] = [
    "softmax",
    "sparsemax",
    "entmax15",
    "entmax(1.3)",
    "alpha_entmax(alpha_min=1.05)",
    "fusedmax(0.1)",
    "oscarmax(0.01)",
    "asentmax(delta=1,offset=-5)",
    "asentmax_nape(delta=1,offset=-5)",
    "favor(m=64,redraw=1000)",
    "favor_relu(m=64,redraw=1000)",
    "rfa(m=64,tau=1,floor=0.1)",
    "rfa_gate(m=64,tau=1,floor=0.1)",
    "linformer(k=64,sharing=headwise)",
    "linformer_slots(k=64)",
    "nystrom(m=32,conv=33,iterations=6)",
    "lsh(m=32,rounds=4,scale=true,duplicates=true,same_bucket=true,wrap=true,redraw=0)",
];

/// The same of each part after a row normaliser.
const PART_FORMS: [&str; 8] = [
    "fixed(l=16,c=2,verts=4,form=heads,first=visible)",
    "strided(l=16,form=merged,first=visible)",
    "local(w=16,first=visible)",
    "random(keep=0.25,seed=1,first=visible)",
    "span(s=128,r=32,start=full,lambda=0.000002)",
    "gate(lambda=0.005,beta=0.67,start=3)",
    "scale(delta=1,offset=-5)",
    "nape(slopes=exp)",
];

impl MechanismConfig {
    /// The words that are known, one for each kind of mechanism, with examples of their arguments.
    pub const WORDS: [&'static str; 15] = [
        "softmax",
        "sparsemax",
        "entmax15",
        "entmax(1.3)",
        "alpha_entmax",
        "fusedmax(0.1)",
        "oscarmax(0.01)",
        "favor(m=64)",
        "favor_relu(m=64)",
        "rfa(m=64)",
        "rfa_gate(m=64)",
        "linformer(k=64)",
        "linformer_slots(k=64)",
        "nystrom(m=32)",
        "lsh(m=32)",
    ];
}

impl FromStr for MechanismConfig {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        if let Some(settings) = DotProductConfig::of(text) {
            return Ok(Self::DotProduct(settings));
        }
        let (word, argument) = split_argument(text).ok_or_else(|| unreadable(text))?;
        if let Some(settings) = LinformerConfig::of(word, argument)? {
            return Ok(Self::Linformer(settings));
        }
        (FavorConfig::of(word, argument).map(Self::Favor))
            .or_else(|| RfaConfig::of(word, argument).map(Self::Rfa))
            .or_else(|| NystromConfig::of(word, argument).map(Self::Nystrom))
            .or_else(|| LshConfig::of(word, argument).map(Self::Lsh))
            .ok_or_else(|| unreadable(text))
    }
}

/// Why a text is no mechanism: a word that nobody knows, or arguments that its words do not have.
fn unreadable(text: &str) -> ModelError {
    fn base(form: &str) -> &str {
        form.split('(').next().unwrap_or(form).trim()
    }
    let form_of = |forms: &[&'static str], piece: &str| -> Option<&'static str> {
        forms.iter().find(|form| base(form) == base(piece)).copied()
    };
    let mut pieces = text.split('+');
    let first = pieces.next().and_then(|piece| form_of(&FORMS, piece));
    let parts: Option<Vec<&str>> = pieces.map(|piece| form_of(&PART_FORMS, piece)).collect();
    let found = text.to_owned();
    match (first, parts) {
        (Some(first), Some(parts)) => ModelError::MechanismArguments {
            found,
            forms: [&[first], &parts[..]].concat().join(" and "),
        },
        _ => ModelError::UnknownMechanism {
            found,
            known: format!(
                "{}; after a row normaliser also {}",
                MechanismConfig::WORDS.join(", "),
                DotProductConfig::PARTS.join(", ")
            ),
        },
    }
}

impl TryFrom<String> for MechanismConfig {
    type Error = ModelError;

    fn try_from(text: String) -> Result<Self, ModelError> {
        text.parse()
    }
}

impl From<MechanismConfig> for String {
    fn from(config: MechanismConfig) -> Self {
        config.to_string()
    }
}

/// `word` or `word(argument)`, taken apart.
pub(in super::super) fn split_argument(text: &str) -> Option<(&str, Option<&str>)> {
    let text = text.trim();
    match text.split_once('(') {
        None => Some((text, None)),
        Some((word, rest)) => Some((word.trim(), Some(rest.strip_suffix(')')?.trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_a_mechanism_and_every_word_has_one() {
        for form in FORMS {
            form.parse::<MechanismConfig>()
                .unwrap_or_else(|error| panic!("{form}: {error}"));
        }
        for form in PART_FORMS {
            let text = format!("softmax+{form}");
            text.parse::<MechanismConfig>()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let has = |forms: &[&str], word: &str| {
            let base = |form: &str| form.split('(').next().map(str::to_owned);
            forms.iter().any(|form| base(form) == base(word))
        };
        assert!(MechanismConfig::WORDS.iter().all(|word| has(&FORMS, word)));
        let parts = DotProductConfig::PARTS;
        let parts = parts.iter().map(|part| part.trim_start_matches('+'));
        assert!(parts.into_iter().all(|part| has(&PART_FORMS, part)));
    }

    #[test]
    fn arguments_that_a_word_does_not_have_are_answered_with_those_it_has() {
        for (text, said) in [
            ("favor(n=4)", "written as favor(m=64,redraw=1000)"),
            ("favor(m=4,m=5)", "favor(m=64,redraw=1000)"),
            ("favor(m=16", "favor(m=64,redraw=1000)"),
            ("lsh(m=a)", "lsh(m=32,rounds=4,"),
            ("fusedmax", "written as fusedmax(0.1)"),
            ("softmax(2)", "written as softmax"),
            (
                "softmax+local(v=3)",
                "written as softmax and local(w=16,first=visible)",
            ),
            ("softmax+gate+gate", "softmax and gate(lambda=0.005,"),
            ("entmax15+scale(ofset=2)", "scale(delta=1,offset=-5)"),
            ("softmx", "no attention mechanism; known are softmax,"),
            (
                "softmax+gates",
                "no attention mechanism; known are softmax,",
            ),
            ("favor+gate", "favor(m=64,redraw=1000) and gate("),
        ] {
            let error = text.parse::<MechanismConfig>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{text}` ")) && error.contains(said),
                "{error}"
            );
        }
    }
}
