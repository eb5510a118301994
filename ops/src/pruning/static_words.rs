//! The words of static patterns: `fixed(l=16,c=2)`.

use std::fmt;
use std::str::FromStr;

use super::static_pattern::{Factors, IndexSets, StaticPattern};

/// What can be written.
pub(super) const EXAMPLES: &str = "fixed(l=16,c=2), fixed(l=16,c=2,verts=4,form=heads), \
     strided(l=16,form=merged), local(w=16), random(keep=0.25,seed=1), each also with first=visible";

impl Factors {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::Heads => "heads",
        }
    }
}

pub(super) fn write(pattern: &StaticPattern, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let form = |factors: Factors, default: Factors| match factors == default {
        true => String::new(),
        false => format!(",form={}", factors.as_str()),
    };
    let first = match pattern.first_visible {
        true => ",first=visible",
        false => "",
    };
    match pattern.sets {
        IndexSets::Fixed {
            l,
            c,
            verts,
            factors,
        } => {
            let verts = match verts {
                1 => String::new(),
                verts => format!(",verts={verts}"),
            };
            let form = form(factors, Factors::Merged);
            write!(f, "fixed(l={l},c={c}{verts}{form}{first})")
        }
        IndexSets::Strided { l, factors } => {
            write!(f, "strided(l={l}{}{first})", form(factors, Factors::Heads))
        }
        IndexSets::Local { w } => write!(f, "local(w={w}{first})"),
        IndexSets::Random {
            keep_millionths,
            seed,
        } => {
            let keep = f64::from(keep_millionths) / 1e6;
            write!(f, "random(keep={keep},seed={seed}{first})")
        }
    }
}

/// The pattern of some words, if they are any.
pub(super) fn read(text: &str) -> Option<StaticPattern> {
    let (word, rest) = text.trim().split_once('(')?;
    let mut given = Vec::new();
    for pair in rest.strip_suffix(')')?.split(',') {
        let (name, value) = pair.split_once('=')?;
        given.push((name.trim(), value.trim()));
    }
    let mut given = Given(given);
    let sets = match word.trim() {
        "fixed" => IndexSets::Fixed {
            l: given.number("l", None)?,
            c: given.number("c", None)?,
            verts: given.number("verts", Some(1))?,
            factors: given.factors(Factors::Merged)?,
        },
        "strided" => IndexSets::Strided {
            l: given.number("l", None)?,
            factors: given.factors(Factors::Heads)?,
        },
        "local" => IndexSets::Local {
            w: given.number("w", None)?,
        },
        "random" => {
            let keep: f64 = given.number("keep", None)?;
            // As words write it, nothing is lost.
            let millionths = (keep * 1e6).round();
            if !(0.0..=f64::from(u32::MAX)).contains(&millionths) {
                return None;
            }
            IndexSets::Random {
                keep_millionths: millionths as u32,
                seed: given.number("seed", Some(1))?,
            }
        }
        _ => return None,
    };
    let first_visible = match given.take("first") {
        None => false,
        Some("visible") => true,
        Some(_) => return None,
    };
    given.0.is_empty().then_some(StaticPattern {
        sets,
        first_visible,
    })
}

/// Names with values, of which each is taken once.
struct Given<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Given<'a> {
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let place = self.0.iter().position(|(found, _)| *found == name)?;
        Some(self.0.remove(place).1)
    }

    fn number<T: FromStr>(&mut self, name: &str, default: Option<T>) -> Option<T> {
        match self.take(name) {
            Some(value) => value.parse().ok(),
            None => default,
        }
    }

    fn factors(&mut self, default: Factors) -> Option<Factors> {
        match self.take("form") {
            None => Some(default),
            Some(word) => [Factors::Merged, Factors::Heads]
                .into_iter()
                .find(|factors| factors.as_str() == word),
        }
    }
}
