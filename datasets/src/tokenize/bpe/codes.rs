//! The list of merges, as subword-nmt writes it.

use std::io::Write as _;
use std::path::Path;

use crate::atomic::write_atomically;
use crate::source::read_utf8;
use crate::{Error, Result};

const VERSION_LINE: &str = "#version: 0.2";

/// What to do about a file of other bytes.
const NEXT: &str = "give a codes file of subword-nmt";

/// Merges in the order in which they were learned: the earlier, the stronger.
///
/// The last symbol of a word carries `</w>`; symbols hold no space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpeCodes {
    merges: Vec<(String, String)>,
}

impl BpeCodes {
    pub(super) fn from_merges(merges: Vec<(String, String)>) -> Self {
        Self { merges }
    }

    /// Reads a codes file of subword-nmt, version 0.2: a version line, then `left right` lines.
    ///
    /// # Errors
    /// [`Error::BadBpeCodes`], which names `origin` (the file, for a person) and the line.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let bad = |problem: String| Error::BadBpeCodes {
            origin: origin.to_owned(),
            problem,
        };
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        let version = first.trim_end();
        // subword-nmt drops zeros at the end of a version: 0.2.0 is 0.2.
        if version.trim_end_matches(".0") != VERSION_LINE {
            return Err(bad(format!(
                "expected a first line `{VERSION_LINE}`, found `{version}`"
            )));
        }
        let body = rest.trim_end_matches('\n');
        let merges = body.split('\n').zip(2..).filter(|_| !body.is_empty());
        let merges = merges.map(|(line, number)| {
            let pair = line.trim_matches(['\r', '\n', ' ']).split_once(' ');
            pair.filter(|(left, right)| !left.is_empty() && !right.contains(' '))
                .map(|(left, right)| (left.to_owned(), right.to_owned()))
                .ok_or_else(|| {
                    bad(format!(
                        "line {number}: expected two symbols, found `{line}`"
                    ))
                })
        });
        Ok(Self {
            merges: merges.collect::<Result<_>>()?,
        })
    }

    /// Reads a codes file.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::BadBpeCodes`].
    pub fn load(path: &Path) -> Result<Self> {
        let text = read_utf8(path, || NEXT.to_owned())?;
        Self::parse(&text, &path.display().to_string())
    }

    /// The text of the codes file, byte for byte as subword-nmt writes it.
    pub fn to_text(&self) -> String {
        let mut text = format!("{VERSION_LINE}\n");
        for (left, right) in &self.merges {
            text.extend([left, " ", right, "\n"]);
        }
        text
    }

    /// Writes the codes file; it appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomically(path, |file| {
            file.write_all(self.to_text().as_bytes())
                .map_err(Error::io("write", path))
        })
    }

    /// The merges, strongest first.
    pub fn merges(&self) -> &[(String, String)] {
        &self.merges
    }

    /// Number of merges; fewer than were asked for when the text had no more pairs to offer.
    pub fn len(&self) -> usize {
        self.merges.len()
    }

    /// Whether there is no merge: every word falls into characters.
    pub fn is_empty(&self) -> bool {
        self.merges.is_empty()
    }
}
