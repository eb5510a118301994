//! State of the Union addresses, for language models.

use crate::source::{Origin, Origins};
use crate::tokenize::normalize_line;
use crate::{Corpus, Error, Result, Split};

const FILE: &str = "state_of_the_union.txt.xz";
static COMPRESSED: &[u8] = include_bytes!("../../data/state_of_the_union.txt.xz");

/// One annual message, normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Heading of the source without its marks: `1790-Washington-1`.
    pub name: String,
    /// Year of the message.
    pub year: u32,
    /// Where the message belongs; see [`split_of_year`].
    pub split: Split,
    /// Normalised text, one paragraph per line, each line ended by `\n`.
    pub text: String,
}

/// The split of all messages of a year: test when year mod 40 = 12, valid when 32, else train.
///
/// Whole years, because the written and the spoken message of one year repeat each other.
pub const fn split_of_year(year: u32) -> Split {
    match year % 40 {
        12 => Split::Test,
        32 => Split::Valid,
        _ => Split::Train,
    }
}

/// All 249 addresses in the order of the source (by year, then by president).
///
/// # Errors
/// [`Error::DamagedBuiltin`] when the compiled-in file does not decode, which a sound build
/// never shows.
pub fn addresses() -> Result<Vec<Address>> {
    let damaged = |cause: String| Error::DamagedBuiltin { name: FILE, cause };
    let text = super::decode(FILE, COMPRESSED, 13 << 20)?;

    let mut addresses: Vec<Address> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(name) = heading(line) {
            let year = name.split('-').next().and_then(|year| year.parse().ok());
            let year = year.ok_or_else(|| damaged(format!("heading `{line}` has no year")))?;
            let split = split_of_year(year);
            addresses.push(Address {
                name: name.to_owned(),
                year,
                split,
                text: String::new(),
            });
        } else if let Some(address) = addresses.last_mut() {
            let before = address.text.len();
            // Two quotes of the source went through a lost encoding: `momentÕs`.
            normalize_line(&line.replace(['Ô', 'Õ'], "'"), &mut address.text);
            if address.text.len() > before {
                address.text.push('\n');
            }
        } else {
            return Err(damaged(format!("text before the first heading: `{line}`")));
        }
    }
    Ok(addresses)
}

/// The State of the Union corpus, named `sotu`: normalised, split by whole address.
///
/// Addresses follow each other in the order of the years; headings are not part of the text.
///
/// # Errors
/// As [`addresses`].
pub fn state_of_the_union() -> Result<Corpus> {
    let mut corpus = Corpus {
        name: "sotu".to_owned(),
        train: String::with_capacity(13 << 20),
        valid: String::new(),
        test: String::new(),
    };
    for address in addresses()? {
        let text = match address.split {
            Split::Train => &mut corpus.train,
            Split::Valid => &mut corpus.valid,
            Split::Test => &mut corpus.test,
        };
        text.push_str(&address.text);
    }
    Ok(corpus)
}

/// The shipped file.
pub(crate) fn state_of_the_union_origins() -> Origins {
    Origins(vec![Origin::shipped(FILE, COMPRESSED)])
}

/// The name in a heading `= YEAR-Name-N =`, or `None` for a line of text.
fn heading(line: &str) -> Option<&str> {
    line.strip_prefix("= ")?.strip_suffix(" =")
}
