//! Cutting words into pieces by learned merges.

use std::collections::HashMap;

use super::{BpeCodes, END_OF_WORD, SEPARATOR};

/// Merges ready for use.
#[derive(Debug, Clone)]
pub struct Bpe {
    codes: BpeCodes,
    symbols: HashMap<String, u32>,
    /// (left, right) → (rank, merged symbol).
    merges: HashMap<(u32, u32), (usize, u32)>,
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
        }
    }

    /// The merges.
    pub fn codes(&self) -> &BpeCodes {
        &self.codes
    }

    /// The pieces of one word, without marks.
    pub fn segment_word(&self, word: &str) -> Vec<String> {
        let pieces = self.merged(word).into_iter();
        pieces
            .map(|piece| word[piece.start..piece.end].to_owned())
            .collect()
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
