//! Cleaning a text and cutting it into words, with the place of every character in the original.
//!
//! The Unicode tables are those of the published tokenizers, so that equality holds for characters
//! that later Unicode versions class differently.

use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::UnicodeNormalization;

use super::Cleaning;

/// A character of the cleaned text, and the bytes of the original that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Char {
    pub char: char,
    pub start: usize,
    pub end: usize,
}

impl Char {
    const fn with(self, char: char) -> Self {
        Self { char, ..self }
    }
}

/// The text as words are looked up in it; places are counted from `offset`.
pub(super) fn clean(text: &str, offset: usize, cleaning: Cleaning) -> Vec<Char> {
    let place = |(at, char): (usize, char)| Char {
        char,
        start: offset + at,
        end: offset + at + char.len_utf8(),
    };
    let mut chars: Vec<Char> = text.char_indices().map(place).collect();
    if cleaning.clean_text {
        chars.retain(|c| !is_dropped(c.char));
        for c in &mut chars {
            if c.char.is_whitespace() {
                c.char = ' ';
            }
        }
    }
    if cleaning.chinese_chars {
        let spaced = |c: Char| {
            let n = if is_ideograph(c.char) { 3 } else { 1 };
            [c.with(' '), c, c.with(' ')]
                .into_iter()
                .skip(usize::from(n == 1))
                .take(n)
        };
        chars = chars.into_iter().flat_map(spaced).collect();
    }
    if cleaning.strip_accents {
        chars = decomposed(&chars);
        chars.retain(|c| !c.char.is_mark_nonspacing());
    }
    if cleaning.lowercase {
        let lower = |c: Char| c.char.to_lowercase().map(move |lower| c.with(lower));
        chars = chars.into_iter().flat_map(lower).collect();
    }
    chars
}

/// Calls `each` with every word: cut at white space, every punctuation mark a word of its own.
pub(super) fn words(chars: &[Char], mut each: impl FnMut(&[Char])) {
    for run in chars.split(|c| c.char.is_whitespace()) {
        let mut from = 0;
        for (at, c) in run.iter().enumerate() {
            if is_punctuation(c.char) {
                each(&run[from..at]);
                each(&run[at..=at]);
                from = at + 1;
            }
        }
        each(&run[from..]);
    }
}

/// Canonical decomposition (NFD); what a character becomes keeps its place.
fn decomposed(chars: &[Char]) -> Vec<Char> {
    let text: String = chars.iter().map(|c| c.char).collect();
    let mut places = chars.iter();
    let mut place = None;
    let mut decomposed = Vec::with_capacity(chars.len());
    for (char, change) in text.nfd() {
        // 0: the next character of the text; 1: one more that the last one gives; a negative
        // number would take further characters in.
        for _ in change..=0 {
            place = places.next().or(place);
        }
        decomposed.extend(place.map(|place| place.with(char)));
    }
    decomposed
}

/// Control characters (categories C*), U+0000 and the replacement character.
fn is_dropped(c: char) -> bool {
    let is_space = matches!(c, '\t' | '\n' | '\r');
    !is_space && (c == '\0' || c == '\u{fffd}' || c.is_other())
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || c.is_punctuation()
}

/// The blocks of unified and compatibility ideographs that BERT puts spaces around.
fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2b73f}' | '\u{2b740}'..='\u{2b81f}'
        | '\u{2b920}'..='\u{2ceaf}' | '\u{2f800}'..='\u{2fa1f}')
}
