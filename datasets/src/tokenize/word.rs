//! Word-level vocabulary: the frequency-ordered list that language models on WikiText use.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use crate::atomic::write_atomically;
use crate::source::{Sha256Hex, read_utf8};
use crate::{Error, Result};

/// Id of `<unk>`, the word for all words outside the vocabulary.
pub const UNK: u32 = 0;
/// Id of `<eos>`, which ends every line.
pub const EOS: u32 = 1;

/// What to do about a file of other bytes.
const NEXT: &str = "delete it and run `prepare` again";
const UNK_WORD: &str = "<unk>";
const EOS_WORD: &str = "<eos>";
const FILE_HEADER: &str = "# sparta word vocabulary 1, sha256 ";

/// Number of tokens of a text: its words, and one `<eos>` per line.
pub fn count_tokens(text: &str) -> u64 {
    text.lines()
        .map(|line| line.split_ascii_whitespace().count() as u64 + 1)
        .sum()
}

/// Words and their ids: `<unk>` = 0, `<eos>` = 1, then by falling count, equal counts by spelling.
///
/// The order makes low ids frequent, as an adaptive softmax with cutoffs needs it (Grave et al.
/// 2017; Dai et al. 2019).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    words: Vec<String>,
    counts: Vec<u64>,
    ids: HashMap<String, u32>,
}

impl Vocabulary {
    /// Builds from a sequence of words; at most `max_size` entries (`<unk>` and `<eos>` included),
    /// words seen fewer than `min_count` times left out.
    ///
    /// A literal `<unk>` or `<eos>` in the sequence counts for the special word. Words left out
    /// add their count to `<unk>`.
    ///
    /// # Errors
    /// [`Error::VocabularyTooSmall`] for a `max_size` below 3.
    pub fn build<'a>(
        words: impl IntoIterator<Item = &'a str>,
        max_size: Option<usize>,
        min_count: u64,
    ) -> Result<Self> {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for word in words {
            *counts.entry(word).or_default() += 1;
        }
        Self::from_counts(counts, max_size, min_count)
    }

    /// Builds from a text as [`Vocabulary::build`], counting an `<eos>` for each line.
    ///
    /// # Errors
    /// [`Error::VocabularyTooSmall`] for a `max_size` below 3.
    pub fn from_text(text: &str, max_size: Option<usize>, min_count: u64) -> Result<Self> {
        let words = text
            .lines()
            .flat_map(|line| line.split_ascii_whitespace().chain([EOS_WORD]));
        Self::build(words, max_size, min_count)
    }

    fn from_counts(
        mut counts: HashMap<&str, u64>,
        max_size: Option<usize>,
        min_count: u64,
    ) -> Result<Self> {
        let max_size = max_size.unwrap_or(usize::MAX);
        if max_size < 3 {
            return Err(Error::VocabularyTooSmall { max_size });
        }
        let unk = counts.remove(UNK_WORD).unwrap_or(0);
        let eos = counts.remove(EOS_WORD).unwrap_or(0);
        let mut ordered: Vec<(&str, u64)> = counts.into_iter().collect();
        ordered.sort_unstable_by_key(|&(word, count)| (Reverse(count), word));
        let n_frequent = ordered.partition_point(|&(_, count)| count >= min_count);
        let rest = ordered.split_off(n_frequent.min(max_size - 2));
        let unk = unk + rest.iter().map(|&(_, count)| count).sum::<u64>();
        Ok(Self::from_entries(
            [(UNK_WORD, unk), (EOS_WORD, eos)]
                .into_iter()
                .chain(ordered),
        ))
    }

    fn from_entries<'a>(entries: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let (words, counts): (Vec<String>, Vec<u64>) = entries
            .into_iter()
            .map(|(word, count)| (word.to_owned(), count))
            .unzip();
        let ids = words.iter().cloned().zip(0..).collect();
        Self { words, counts, ids }
    }

    /// Number of entries, `<unk>` and `<eos>` included.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word but the two special ones.
    pub fn is_empty(&self) -> bool {
        self.words.len() <= 2
    }

    /// The id of a word; [`UNK`] for one outside the vocabulary.
    pub fn id(&self, word: &str) -> u32 {
        self.ids.get(word).copied().unwrap_or(UNK)
    }

    /// The word of an id.
    pub fn word(&self, id: u32) -> Option<&str> {
        self.words.get(id as usize).map(String::as_str)
    }

    /// How often the word of an id stood in the text the vocabulary was built from.
    pub fn count(&self, id: u32) -> Option<u64> {
        self.counts.get(id as usize).copied()
    }

    /// Ids of the words of one line, followed by [`EOS`].
    pub fn encode_line(&self, line: &str) -> Vec<u32> {
        line.split_ascii_whitespace()
            .map(|word| self.id(word))
            .chain([EOS])
            .collect()
    }

    /// Ids of a whole text, [`EOS`] after every line; as long as [`count_tokens`] says.
    pub fn encode_text(&self, text: &str) -> Vec<u32> {
        self.ids_of(text).collect()
    }

    /// The ids of [`Vocabulary::encode_text`] one after the other, for texts too large to hold
    /// twice.
    pub fn ids_of<'a>(&'a self, text: &'a str) -> impl Iterator<Item = u32> + 'a {
        text.lines().flat_map(move |line| {
            line.split_ascii_whitespace()
                .map(|word| self.id(word))
                .chain([EOS])
        })
    }

    /// Ids → words separated by spaces; `<eos>` ends a line.
    ///
    /// # Errors
    /// [`Error::UnknownId`] for an id outside the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let mut text = String::new();
        for &id in ids {
            let word = self.word(id).ok_or(Error::UnknownId {
                id,
                len: self.len(),
            })?;
            if id == EOS {
                text.push('\n');
            } else {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push(' ');
                }
                text.push_str(word);
            }
        }
        Ok(text)
    }

    /// sha256 over the words in order, in hexadecimal: two vocabularies with the same hash give
    /// the same ids.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256Hex::new();
        hasher.update(b"sparta word 1\n");
        for word in &self.words {
            hasher.update(word.as_bytes());
            hasher.update(b"\n");
        }
        hasher.finish()
    }

    /// Writes `word TAB count` lines under a header with the hash; the file appears whole or not
    /// at all.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut text = format!("{FILE_HEADER}{}\n", self.hash());
        for (word, count) in self.words.iter().zip(&self.counts) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{word}\t{count}");
        }
        write_atomically(path, |file| {
            file.write_all(text.as_bytes())
                .map_err(Error::io("write", path))
        })
    }

    /// Reads what [`Vocabulary::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::BadVocabulary`] when the file is not such a file or was altered.
    pub fn load(path: &Path) -> Result<Self> {
        let bad = |problem: String| Error::BadVocabulary {
            path: path.to_owned(),
            problem,
        };
        let text = read_utf8(path, || NEXT.to_owned())?;
        let (header, body) = text.split_once('\n').unwrap_or((&text, ""));
        let hash = header.strip_prefix(FILE_HEADER).ok_or_else(|| {
            bad(format!(
                "expected a first line `{FILE_HEADER}…`, found `{header}`"
            ))
        })?;
        let mut entries = Vec::new();
        for (line, number) in body.lines().zip(2..) {
            let entry = line
                .split_once('\t')
                .and_then(|(word, n)| Some((word, n.parse().ok()?)));
            entries.push(entry.ok_or_else(|| {
                bad(format!(
                    "line {number}: expected `word TAB count`, found `{line}`"
                ))
            })?);
        }
        let first: Vec<&str> = entries.iter().take(2).map(|&(word, _)| word).collect();
        if first != [UNK_WORD, EOS_WORD] {
            return Err(bad(format!(
                "its first words are `{}`, not `{UNK_WORD} {EOS_WORD}`",
                first.join(" ")
            )));
        }
        let vocabulary = Self::from_entries(entries);
        let found = vocabulary.hash();
        if found != hash {
            return Err(bad(format!(
                "its words have sha256 {found}, its header says {hash}"
            )));
        }
        Ok(vocabulary)
    }
}
