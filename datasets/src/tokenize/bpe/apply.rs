//! Cutting words into pieces by learned merges.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{BpeCodes, END_OF_WORD, SEPARATOR};
use crate::source::read_utf8;
use crate::{Error, Result};

/// Merges ready for use, with an optional list of pieces to keep to.
#[derive(Debug, Clone)]
pub struct Bpe {
    codes: BpeCodes,
    symbols: HashMap<String, u32>,
    /// (left, right) → (rank, merged symbol).
    merges: HashMap<(u32, u32), (usize, u32)>,
    /// The pieces to keep to; no limit when `None`.
    limit: Option<Limit>,
}

/// The pieces that may be used, and how to undo merges that make others.
#[derive(Debug, Clone)]
struct Limit {
    /// Pieces with their `@@`.
    allowed: HashSet<String>,
    /// Merged symbol → what it was merged from, by the strongest merge.
    sources: HashMap<String, (String, String)>,
}

/// A stretch of the word, and its symbol if the codes know it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: usize,
    end: usize,
    symbol: Option<u32>,
}

impl Bpe {
    /// Prepares merges; of a merge listed twice the first counts.
    pub fn new(codes: BpeCodes) -> Self {
        let mut symbols = HashMap::new();
        let mut intern = |symbol: String| {
            let next = symbols.len() as u32;
            *symbols.entry(symbol).or_insert(next)
        };
        let mut merges = HashMap::with_capacity(codes.len());
        for (rank, (left, right)) in codes.merges().iter().enumerate() {
            let merged = intern(format!("{left}{right}"));
            let pair = (intern(left.clone()), intern(right.clone()));
            merges.entry(pair).or_insert((rank, merged));
        }
        Self {
            codes,
            symbols,
            merges,
            limit: None,
        }
    }

    /// Undoes merges whose piece is not among `pieces` (with their `@@`), as `--vocabulary` with
    /// `--vocabulary-threshold` does; no pieces at all means no limit.
    pub fn with_pieces(self, pieces: impl IntoIterator<Item = String>) -> Self {
        let pieces: HashSet<String> = pieces.into_iter().collect();
        let mut sources = HashMap::with_capacity(self.codes.len());
        for (left, right) in self.codes.merges() {
            sources
                .entry(format!("{left}{right}"))
                .or_insert_with(|| (left.clone(), right.clone()));
        }
        let limit = (!pieces.is_empty()).then_some(Limit {
            allowed: pieces,
            sources,
        });
        Self { limit, ..self }
    }

    /// [`Bpe::with_pieces`] from a file of `piece count` lines, keeping counts of `threshold` or
    /// more.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadVocabulary`] for a line of another form.
    pub fn with_pieces_of(self, path: &Path, threshold: u64) -> Result<Self> {
        let text = read_utf8(path, || "give a file of `piece count` lines".to_owned())?;
        let mut pieces = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let entry = line.trim_matches(['\r', ' ']).split_once(' ');
            let entry = entry.and_then(|(piece, n)| Some((piece, n.parse::<u64>().ok()?)));
            let (piece, count) = entry.ok_or_else(|| Error::BadVocabulary {
                path: path.to_owned(),
                problem: format!("line {number}: expected `piece count`, found `{line}`"),
            })?;
            if count >= threshold {
                pieces.push(piece.to_owned());
            }
        }
        Ok(self.with_pieces(pieces))
    }

    /// The merges.
    pub fn codes(&self) -> &BpeCodes {
        &self.codes
    }

    /// The pieces of one word, without marks.
    pub fn segment_word(&self, word: &str) -> Vec<String> {
        let pieces: Vec<String> = self
            .merged(word)
            .into_iter()
            .map(|piece| word[piece.start..piece.end].to_owned())
            .collect();
        match &self.limit {
            // A word of one character is never looked up.
            Some(limit) if word.chars().nth(1).is_some() => limit.keep_to(pieces),
            Some(_) | None => pieces,
        }
    }

    fn merged(&self, word: &str) -> Vec<Piece> {
        let symbol = |start: usize, end: usize| {
            if end == word.len() {
                let last = format!("{}{END_OF_WORD}", &word[start..]);
                self.symbols.get(&last).copied()
            } else {
                self.symbols.get(&word[start..end]).copied()
            }
        };
        let starts = word.char_indices().map(|(start, c)| {
            let end = start + c.len_utf8();
            let symbol = symbol(start, end);
            Piece { start, end, symbol }
        });
        let mut pieces: Vec<Piece> = starts.collect();
        let merge_of = |pair: &[Piece]| {
            let pair = (pair[0].symbol?, pair[1].symbol?);
            self.merges.get(&pair).map(|&(rank, to)| (rank, pair, to))
        };
        while let Some((_, pair, to)) = pieces.windows(2).filter_map(merge_of).min() {
            let mut next = Vec::with_capacity(pieces.len());
            let mut i = 0;
            while i < pieces.len() {
                let here = pieces[i];
                match pieces.get(i + 1) {
                    Some(right) if (here.symbol, right.symbol) == (Some(pair.0), Some(pair.1)) => {
                        next.push(Piece {
                            start: here.start,
                            end: right.end,
                            symbol: Some(to),
                        });
                        i += 2;
                    }
                    Some(_) | None => {
                        next.push(here);
                        i += 1;
                    }
                }
            }
            pieces = next;
        }
        pieces
    }

    /// One line, each piece but the last of a word marked with `@@`; spaces around the line stay.
    pub fn segment_line(&self, line: &str) -> String {
        self.segment_cached(line, &mut HashMap::new())
    }

    /// All lines of a text, cutting each word once.
    pub fn segment_text(&self, text: &str) -> String {
        let mut cache = HashMap::new();
        let mut out = String::with_capacity(text.len() * 5 / 4);
        for line in text.split_inclusive('\n') {
            let body = line.strip_suffix('\n').unwrap_or(line);
            out.push_str(&self.segment_cached(body, &mut cache));
            out.push_str(&line[body.len()..]);
        }
        out
    }

    pub(crate) fn segment_cached<'a>(
        &self,
        line: &'a str,
        cache: &mut HashMap<&'a str, String>,
    ) -> String {
        let blank = ['\r', ' '];
        let body = line.trim_start_matches(blank);
        let mut out = line[..line.len() - body.len()].to_owned();
        let words = body.trim_end_matches(blank);
        let start = out.len();
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            if out.len() > start {
                out.push(' ');
            }
            let marked = cache
                .entry(word)
                .or_insert_with(|| self.segment_word(word).join(&format!("{SEPARATOR} ")));
            out.push_str(marked);
        }
        out.push_str(&body[words.len()..]);
        out
    }
}

impl Limit {
    /// Splits pieces that are not allowed back into what they were merged from.
    fn keep_to(&self, pieces: Vec<String>) -> Vec<String> {
        let last = pieces.len().saturating_sub(1);
        let mut kept = Vec::with_capacity(pieces.len());
        for (at, piece) in pieces.into_iter().enumerate() {
            self.split(piece, at == last, &mut kept);
        }
        kept
    }

    /// What a piece was merged from, until all are allowed or merged from nothing.
    fn split(&self, piece: String, is_last: bool, kept: &mut Vec<String>) {
        // Not by calling itself: a word of a million characters has pieces as deep.
        let mut left_to_do = vec![(piece, is_last)];
        while let Some((piece, is_last)) = left_to_do.pop() {
            match self.source(&piece, is_last) {
                Some((left, right)) => {
                    left_to_do.push((right.to_owned(), is_last));
                    left_to_do.push((left.to_owned(), false));
                }
                None => kept.push(piece),
            }
        }
    }

    /// What a piece that is not allowed was merged from. Both are shorter than the piece, whatever the codes
    /// say: a merge whose right part does not end the word made none that does.
    fn source(&self, piece: &str, is_last: bool) -> Option<(&str, &str)> {
        let (marked, symbol) = if is_last {
            (piece.to_owned(), format!("{piece}{END_OF_WORD}"))
        } else {
            (format!("{piece}{SEPARATOR}"), piece.to_owned())
        };
        if self.allowed.contains(&marked) {
            return None;
        }
        let (left, right) = self.sources.get(&symbol)?;
        match is_last {
            true => {
                let right = right.strip_suffix(END_OF_WORD)?;
                (!right.is_empty()).then_some((left, right))
            }
            false => Some((left, right)),
        }
    }
}
