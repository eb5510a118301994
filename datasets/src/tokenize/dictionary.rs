//! The list of symbols of one side of a translation corpus, as fairseq builds and writes it.

// Ours: `dict.txt` of fairseq numbers symbols by count, with the order of equal counts and the room of
// its four special ones as fairseq has them; the `WordLevel` of the `tokenizers` crate reads a
// vocabulary that is numbered already.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use crate::atomic::write_atomically;
use crate::source::{Sha256Hex, read_utf8};
use crate::{Error, Result};

/// What fairseq writes behind an entry that takes the place of a symbol already there, in the
/// dictionaries of CamemBERT and XLM-R.
const OVERWRITE: &str = " #fairseq:overwrite";

/// What to do about a file of other bytes.
const NEXT: &str = "give a dictionary of fairseq, such as dict.txt";

const SPECIALS: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];

/// What to keep of the symbols counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DictionaryOptions {
    /// Entries at most, special ones included; no limit when `None` (`--nwordssrc`).
    pub max_size: Option<usize>,
    /// Symbols seen less often are left out (`--thresholdsrc`).
    pub min_count: u64,
    /// Entries are filled up to a multiple of this with symbols no text has
    /// (`--padding-factor`); 1 fills nothing.
    pub multiple_of: usize,
}

impl Default for DictionaryOptions {
    /// fairseq-preprocess's defaults: all symbols, filled up to a multiple of 8.
    fn default() -> Self {
        Self {
            max_size: None,
            min_count: 0,
            multiple_of: 8,
        }
    }
}

/// Symbols and their ids: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, then by falling count, equal
/// counts by spelling.
///
/// The spelling of a special symbol in a text is an unknown word, never the special symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dictionary {
    symbols: Vec<String>,
    counts: Vec<u64>,
    ids: HashMap<String, u32>,
}

impl Dictionary {
    /// Id of `<s>`, the start of a sentence (fairseq's decoder starts from [`Self::EOS`]).
    pub const BOS: u32 = 0;
    /// Id of `<pad>`, which fills short sentences of a batch.
    pub const PAD: u32 = 1;
    /// Id of `</s>`, the end of every sentence.
    pub const EOS: u32 = 2;
    /// Id of `<unk>`, every symbol outside the dictionary.
    pub const UNK: u32 = 3;

    /// Counts the symbols of lines, which are separated by white space.
    ///
    /// # Errors
    /// [`Error::DictionaryTooSmall`] for a limit that leaves no room for a symbol.
    pub fn build<'a>(
        lines: impl IntoIterator<Item = &'a str>,
        options: &DictionaryOptions,
    ) -> Result<Self> {
        let max_size = options.max_size.unwrap_or(usize::MAX);
        if max_size <= SPECIALS.len() {
            return Err(Error::DictionaryTooSmall { max_size });
        }
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for symbol in lines.into_iter().flat_map(str::split_whitespace) {
            *counts.entry(symbol).or_default() += 1;
        }
        for special in SPECIALS {
            counts.remove(special);
        }
        let mut ordered: Vec<(&str, u64)> = counts.into_iter().collect();
        ordered.sort_unstable_by_key(|&(symbol, count)| (Reverse(count), symbol));
        ordered.truncate(max_size - SPECIALS.len());
        ordered.retain(|&(_, count)| count >= options.min_count);
        let mut entries: Vec<(String, u64)> = ordered
            .into_iter()
            .map(|(symbol, count)| (symbol.to_owned(), count))
            .collect();
        let len = entries.len() + SPECIALS.len();
        let filled = len.next_multiple_of(options.multiple_of.max(1));
        entries.extend((0..filled - len).map(|i| (format!("madeupword{i:04}"), 0)));
        Ok(Self::from_entries(entries))
    }

    fn from_entries(entries: Vec<(String, u64)>) -> Self {
        let specials = SPECIALS.map(|special| (special.to_owned(), 0));
        let (symbols, counts): (Vec<String>, Vec<u64>) =
            specials.into_iter().chain(entries).unzip();
        let ids = symbols.iter().cloned().zip(0..).collect();
        Self {
            symbols,
            counts,
            ids,
        }
    }

    /// Number of entries, special and filled-up ones included: the width of an embedding.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether there is no symbol but the special ones.
    pub fn is_empty(&self) -> bool {
        self.symbols.len() <= SPECIALS.len()
    }

    /// The id of a symbol; [`Self::UNK`] for one outside, and for the spelling of a special one.
    pub fn id(&self, symbol: &str) -> u32 {
        let id = self.ids.get(symbol).copied();
        id.filter(|&id| id > Self::UNK).unwrap_or(Self::UNK)
    }

    /// The symbol of an id.
    pub fn symbol(&self, id: u32) -> Option<&str> {
        self.symbols.get(id as usize).map(String::as_str)
    }

    /// How often the symbol of an id stood in the text.
    pub fn count(&self, id: u32) -> Option<u64> {
        self.counts.get(id as usize).copied()
    }

    /// All symbols in the order of their ids.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// Ids of a line's symbols, followed by [`Self::EOS`].
    pub fn encode_line(&self, line: &str) -> Vec<u32> {
        line.split_whitespace()
            .map(|symbol| self.id(symbol))
            .chain([Self::EOS])
            .collect()
    }

    /// Symbols of ids separated by spaces; `<s>`, `<pad>` and `</s>` are left out.
    ///
    /// # Errors
    /// [`Error::UnknownId`] for an id outside the dictionary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let mut line = String::new();
        for &id in ids {
            let symbol = self.symbol(id).ok_or(Error::UnknownId {
                id,
                len: self.len(),
            })?;
            if id < Self::UNK {
                continue;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(symbol);
        }
        Ok(line)
    }

    /// sha256 over the symbols in order, in hexadecimal.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256Hex::new();
        self.hash_into(&mut hasher);
        hasher.finish()
    }

    pub(crate) fn hash_into(&self, hasher: &mut Sha256Hex) {
        hasher.update(b"sparta dictionary 1\n");
        for symbol in &self.symbols {
            hasher.update(symbol.as_bytes());
            hasher.update(b"\n");
        }
    }

    /// Writes fairseq's `dict.txt`: `symbol count` lines without the special ones.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut text = String::new();
        let mut written: HashSet<&str> = SPECIALS.into();
        let entries = self.symbols.iter().zip(&self.counts);
        for (symbol, count) in entries.skip(SPECIALS.len()) {
            let mark = if written.insert(symbol) {
                ""
            } else {
                OVERWRITE
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{symbol} {count}{mark}");
        }
        write_atomically(path, |file| {
            file.write_all(text.as_bytes())
                .map_err(Error::io("write", path))
        })
    }

    /// Reads what [`Dictionary::save`] or fairseq wrote.
    ///
    /// As in fairseq, an entry marked `#fairseq:overwrite` is one more, and the one that its symbol is
    /// looked up as from then on; the ids of `<s>`, `<pad>`, `</s>` and `<unk>` stay 0 to 3.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadVocabulary`] for a line of another form or a symbol listed
    /// twice.
    pub fn load(path: &Path) -> Result<Self> {
        let text = read_utf8(path, || NEXT.to_owned())?;
        let bad = |problem: String| Error::BadVocabulary {
            path: path.to_owned(),
            problem,
        };
        let mut entries = Vec::new();
        let mut seen = HashMap::new();
        for (line, number) in text.lines().zip(1_usize..) {
            let entry = line.strip_suffix(OVERWRITE);
            let overwrites = entry.is_some();
            let entry = entry.unwrap_or(line).rsplit_once(' ');
            let entry = entry.and_then(|(symbol, n)| Some((symbol, n.parse().ok()?)));
            let (symbol, count) = entry.ok_or_else(|| {
                bad(format!(
                    "line {number}: expected `symbol count`, found `{line}`"
                ))
            })?;
            if SPECIALS.contains(&symbol) && !overwrites {
                return Err(bad(format!(
                    "line {number}: `{symbol}` has its place already"
                )));
            }
            let before = seen.insert(symbol, number);
            if let Some(before) = before.filter(|_| !overwrites) {
                return Err(bad(format!(
                    "`{symbol}` stands in lines {before} and {number}"
                )));
            }
            entries.push((symbol.to_owned(), count));
        }
        Ok(Self::from_entries(entries))
    }
}
