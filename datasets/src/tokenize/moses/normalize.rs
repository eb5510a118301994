//! Typographic punctuation → plain.

use super::release::Release;
use crate::tokenize::Language;

const NBSP: char = '\u{a0}';

/// `normalize-punctuation.perl LANG`: quotes, dashes, spaces and number separators made uniform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PunctuationNormalizer {
    language: Language,
    release: Release,
}

impl PunctuationNormalizer {
    /// The newest rules of a language.
    pub fn new(language: Language) -> Self {
        Self::with_release(language, Release::default())
    }

    /// The rules of a language in one state of the script.
    pub fn with_release(language: Language, release: Release) -> Self {
        Self { language, release }
    }

    /// One line (without its line end) with plain punctuation.
    pub fn normalize(&self, line: &str) -> String {
        let text = line.replace('\r', "").replace('(', " (").replace(')', ") ");
        let text = cut_space_before(&single_spaces(&text), ')', ".!:?;,");
        let text = text.replace("( ", "(").replace(" )", ")");
        let text = digit_space(&text, ' ', '%', "");
        let text = text.replace(" :", ":").replace(" ;", ";");
        let text = text.replace('`', "'").replace("''", " \" ");
        let text = text.replace(['„', '“', '”'], "\"").replace('–', "-");
        let text = single_spaces(&text.replace('—', " - ")).replace('´', "'");
        let text = letters_around(&letters_around(&text, '‘'), '’');
        let single = match self.release {
            Release::Y2015 | Release::Y2017 => "\"",
            Release::Y2019 => "'",
        };
        let text = text.replace(['‘', '‚'], single).replace('’', "\"");
        let text = text.replace("''", "\"");
        let text = french_quotes(&text.replace('…', "..."));
        let text = self.quotes_and_periods(&pseudo_spaces(&text));
        digit_space_digit(&text, self.decimal_mark())
    }

    /// English sets `,` and `.` inside of quotes, others outside.
    fn quotes_and_periods(&self, text: &str) -> String {
        match self.language {
            Language::En => move_marks_in(text),
            Language::Cs => text.to_owned(),
            Language::De | Language::Fr | Language::Ja | Language::Ro | Language::Other(_) => {
                move_dots_out(&text.replace(",\"", "\","))
            }
        }
    }

    /// What a no-break space between digits becomes.
    fn decimal_mark(&self) -> char {
        match self.language {
            Language::Cs | Language::De | Language::Fr => ',',
            Language::En | Language::Ja | Language::Ro | Language::Other(_) => '.',
        }
    }
}

fn single_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out
}

/// `) .` → `).`
fn cut_space_before(text: &str, before: char, marks: &str) -> String {
    marks.chars().fold(text.to_owned(), |text, mark| {
        text.replace(&format!("{before} {mark}"), &format!("{before}{mark}"))
    })
}

/// A digit, `space` and `mark` → the digit, `with` and the mark.
fn digit_space(text: &str, space: char, mark: char, with: &str) -> String {
    ('0'..='9').fold(text.to_owned(), |text, digit| {
        text.replace(
            &format!("{digit}{space}{mark}"),
            &format!("{digit}{with}{mark}"),
        )
    })
}

/// A no-break space between two digits → `mark`; a digit belongs to one such pair.
fn digit_space_digit(text: &str, mark: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        match chars[at..] {
            [a, NBSP, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() => {
                out.extend([a, mark, b]);
                at += 3;
            }
            _ => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

/// A single quote between two ASCII letters → an apostrophe; a letter belongs to one such pair.
fn letters_around(text: &str, quote: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        match chars[at..] {
            [a, q, b, ..] if q == quote && a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                out.extend([a, '\'', b]);
                at += 3;
            }
            _ => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

fn french_quotes(text: &str) -> String {
    text.replace("\u{a0}«\u{a0}", " \"")
        .replace("«\u{a0}", "\"")
        .replace('«', "\"")
        .replace("\u{a0}»\u{a0}", "\" ")
        .replace("\u{a0}»", "\"")
        .replace('»', "\"")
}

/// No-break spaces before marks and units.
fn pseudo_spaces(text: &str) -> String {
    let text = text
        .replace("\u{a0}%", "%")
        .replace("nº\u{a0}", "nº ")
        .replace("\u{a0}:", ":")
        .replace("\u{a0}ºC", " ºC")
        .replace("\u{a0}cm", " cm")
        .replace("\u{a0}?", "?")
        .replace("\u{a0}!", "!")
        .replace("\u{a0};", ";")
        .replace(",\u{a0}", ", ");
    single_spaces(&text)
}

/// `".,` → `.,"`
fn move_marks_in(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('"') {
        let after = &rest[at + 1..];
        let marks = after.len() - after.trim_start_matches([',', '.']).len();
        out.extend([&rest[..at], &after[..marks], "\""]);
        rest = &after[marks..];
    }
    out.push_str(rest);
    out
}

/// `."` → `".`, unless a tag follows.
fn move_dots_out(text: &str) -> String {
    // The rule was written for lines with their line end.
    let chars: Vec<char> = text.chars().chain(['\n']).collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let dots = chars[at..].iter().take_while(|&&c| c == '.').count();
        let quote = at + dots;
        let consumed = if dots > 0 && chars.get(quote) == Some(&'"') {
            after_quote(&chars[quote + 1..])
        } else {
            None
        };
        match consumed {
            Some(n) => {
                out.push('"');
                out.extend(&chars[at..quote]);
                out.extend(&chars[quote + 1..quote + 1 + n]);
                at = quote + 1 + n;
            }
            None => {
                let n = dots.max(1);
                out.extend(&chars[at..at + n]);
                at += n;
            }
        }
    }
    out.pop();
    out
}

/// Characters that `\s*[^<]` takes: spaces and one character that is no `<`, which may be one of
/// the spaces.
fn after_quote(rest: &[char]) -> Option<usize> {
    let is_space = |c: char| matches!(c, '\t'..='\r' | ' ');
    let n_spaces = rest.iter().take_while(|&&c| is_space(c)).count();
    match rest.get(n_spaces) {
        Some(&c) if c != '<' => Some(n_spaces + 1),
        Some(_) | None => (n_spaces > 0).then_some(n_spaces),
    }
}
