//! Running text → tokens.

use super::class::is_alnum;
use super::escape::escape;
use super::prefixes::{Prefix, prefix};
use super::release::Release;
use crate::tokenize::Language;

/// Stands for a run of dots while the other rules work. Such characters are gone from the text by
/// then, and the rules take it for a capital letter, as they take Moses' own placeholder.
const DOTS: char = '\u{1}';

/// Variants of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenizerOptions {
    /// Cut hyphens inside words: `well-known` → `well @-@ known` (`-a`).
    pub aggressive_hyphens: bool,
    /// Write `& | < > ' " [ ]` as entities (off: `-no-escape`).
    pub escape: bool,
    /// State of the scripts.
    pub release: Release,
}

impl Default for TokenizerOptions {
    /// Moses' and fairseq's: hyphens stay, marks are escaped, the newest rules.
    fn default() -> Self {
        Self {
            aggressive_hyphens: false,
            escape: true,
            release: Release::default(),
        }
    }
}

/// `tokenizer.perl -l LANG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MosesTokenizer {
    language: Language,
    options: TokenizerOptions,
}

impl MosesTokenizer {
    /// With the default options.
    pub fn new(language: Language) -> Self {
        Self::with_options(language, TokenizerOptions::default())
    }

    /// With other options.
    pub fn with_options(language: Language, options: TokenizerOptions) -> Self {
        Self { language, options }
    }

    /// The tokens of one line (without its line end), separated by single spaces.
    ///
    /// A line of white space only is given back as it is, as the original does.
    pub fn tokenize(&self, line: &str) -> String {
        if line.chars().all(char::is_whitespace) {
            return line.to_owned();
        }
        let text = separate_marks(&tidy(line));
        let text = if self.options.aggressive_hyphens {
            cut_hyphens(&text)
        } else {
            text
        };
        let (text, runs) = hide_dots(&text);
        let text = cut_apostrophes(self.language, self.cut_commas(text));
        let text: String = text.into_iter().collect();
        let text = self.cut_last_quote(restore_dots(&self.cut_periods(&text), &runs));
        if self.options.escape {
            escape(&text)
        } else {
            text
        }
    }

    /// Cuts the period off a word, unless the word is an abbreviation or the sentence goes on.
    fn cut_periods(&self, text: &str) -> String {
        let words: Vec<&str> = text.split(char::is_whitespace).collect();
        // Perl's `split` drops empty words at the end.
        let n_words = text
            .trim_end_matches(char::is_whitespace)
            .split(char::is_whitespace)
            .count();
        let mut tokens = Vec::with_capacity(words.len() + 4);
        for (at, &word) in words
            .iter()
            .enumerate()
            .filter(|(_, word)| !word.is_empty())
        {
            let is_last = at + 1 == n_words && self.options.release >= Release::Y2019;
            match word.strip_suffix('.').filter(|stem| !stem.is_empty()) {
                Some(stem) if is_last || !self.keeps_period(stem, words.get(at + 1)) => {
                    tokens.extend([stem, "."]);
                }
                Some(_) | None => tokens.push(word),
            }
        }
        tokens.join(" ")
    }

    /// Commas stand alone, but between numbers.
    fn cut_commas(&self, text: Vec<char>) -> Vec<char> {
        let text = rewrite(&text, |window: &[char; 2]| match *window {
            [before, ','] if !before.is_numeric() => Some(vec![before, ' ', ',', ' ']),
            _ => None,
        });
        let mut text = rewrite(&text, |window: &[char; 2]| match *window {
            [',', after] if !after.is_numeric() => Some(vec![' ', ',', ' ', after]),
            _ => None,
        });
        let ends_in_number = matches!(text[..], [.., before, ','] if before.is_numeric());
        if ends_in_number && self.options.release >= Release::Y2017 {
            text.insert(text.len() - 1, ' ');
        }
        text
    }

    /// `.'` at the end of a line → ` . ' ` (with the space that the original leaves there).
    fn cut_last_quote(&self, text: String) -> String {
        match text.strip_suffix(".'") {
            Some(before) if self.options.release >= Release::Y2017 => format!("{before} . ' "),
            Some(_) | None => text,
        }
    }

    fn keeps_period(&self, stem: &str, next: Option<&&str>) -> bool {
        let first = next.and_then(|next| next.chars().next());
        if stem.contains('.') && stem.chars().any(is_letter) {
            return true;
        }
        if first.is_some_and(char::is_lowercase) {
            return true;
        }
        match prefix(self.language, self.options.release, stem) {
            Some(Prefix::Always) => true,
            Some(Prefix::BeforeNumber) => first.is_some_and(|c| c.is_ascii_digit()),
            None => false,
        }
    }
}

/// Single spaces, none at the ends, no control characters.
fn tidy(line: &str) -> Vec<char> {
    let words = line.split(char::is_whitespace);
    let words = words.map(|word| word.chars().filter(|&c| c >= '\u{20}').collect::<String>());
    let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().collect()
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() || c == DOTS
}

/// Spaces around everything that is no letter, digit, space or one of `. ' , -` and the backtick.
fn separate_marks(text: &[char]) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len() + 16);
    for &c in text {
        if is_alnum(c) || c.is_whitespace() || ".'`,-".contains(c) {
            out.push(c);
        } else {
            out.extend([' ', c, ' ']);
        }
    }
    out
}

fn cut_hyphens(text: &[char]) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len() + 16);
    for (at, &c) in text.iter().enumerate() {
        let inside = c == '-'
            && at > 0
            && is_alnum(text[at - 1])
            && text.get(at + 1).is_some_and(|&next| is_alnum(next));
        if inside {
            out.extend(" @-@ ".chars());
        } else {
            out.push(c);
        }
    }
    out
}

/// Two or more dots → a token of their own, hidden; the lengths of the runs in order.
fn hide_dots(text: &[char]) -> (Vec<char>, Vec<usize>) {
    let mut out = Vec::with_capacity(text.len() + 8);
    let mut runs = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let run = text[at..].iter().take_while(|&&c| c == '.').count();
        if run < 2 {
            out.push(text[at]);
            at += 1;
            continue;
        }
        out.extend([' ', DOTS]);
        runs.push(run);
        at += run;
        if at < text.len() {
            out.push(' ');
        }
    }
    (out, runs)
}

fn restore_dots(text: &str, runs: &[usize]) -> String {
    let mut runs = runs.iter();
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c == DOTS {
            let run = runs.next().copied().unwrap_or(0);
            out.extend(std::iter::repeat_n('.', run));
        } else {
            out.push(c);
        }
    }
    out
}

/// Apostrophes go right in English (`it 's`), left in French (`l' eau`), and stand alone
/// elsewhere.
fn cut_apostrophes(language: Language, text: Vec<char>) -> Vec<char> {
    match language {
        Language::En => {
            let text = around(text, |a, b| !is_letter(a) && !is_letter(b), " ' ");
            let text = around(
                text,
                |a, b| !is_letter(a) && !a.is_numeric() && is_letter(b),
                " ' ",
            );
            let text = around(text, |a, b| is_letter(a) && !is_letter(b), " ' ");
            let text = around(text, |a, b| is_letter(a) && is_letter(b), " '");
            // `1990's`
            around(text, |a, b| a.is_numeric() && b == 's', " '")
        }
        Language::Fr => {
            let text = around(text, |a, b| !is_letter(a) && !is_letter(b), " ' ");
            let text = around(text, |a, b| !is_letter(a) && is_letter(b), " ' ");
            let text = around(text, |a, b| is_letter(a) && !is_letter(b), " ' ");
            around(text, |a, b| is_letter(a) && is_letter(b), "' ")
        }
        Language::Cs | Language::De | Language::Ja | Language::Ro | Language::Other(_) => {
            rewrite(&text, |window: &[char; 1]| match *window {
                ['\''] => Some(vec![' ', '\'', ' ']),
                _ => None,
            })
        }
    }
}

/// Writes `with` for each apostrophe whose neighbours satisfy `between`.
fn around(text: Vec<char>, between: impl Fn(char, char) -> bool, with: &str) -> Vec<char> {
    rewrite(&text, |window: &[char; 3]| match *window {
        [before, '\'', after] if between(before, after) => {
            let middle = with.chars();
            Some([before].into_iter().chain(middle).chain([after]).collect())
        }
        _ => None,
    })
}

/// Replaces windows of `N` characters from the left, without overlap: what one replacement took
/// is no neighbour of the next.
fn rewrite<const N: usize>(
    text: &[char],
    rule: impl Fn(&[char; N]) -> Option<Vec<char>>,
) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut at = 0;
    while at < text.len() {
        match text[at..].first_chunk().and_then(&rule) {
            Some(new) => {
                out.extend(new);
                at += N;
            }
            None => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}
