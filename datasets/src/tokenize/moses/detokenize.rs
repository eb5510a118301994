//! Tokens → running text.

use std::collections::HashMap;

use super::class::{is_alnum, is_cjk, is_currency};
use super::escape::unescape;
use crate::tokenize::Language;

/// `detokenizer.perl -l LANG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MosesDetokenizer {
    language: Language,
}

/// Where a token goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// A space before it and after it.
    Free,
    /// Close to what stands before it.
    Left,
    /// Close to what follows.
    Right,
}

impl MosesDetokenizer {
    /// The rules of a language.
    pub fn new(language: Language) -> Self {
        Self { language }
    }

    /// The running text of one tokenised line; entities are resolved.
    ///
    /// A line of white space only, and one that is a tag as a whole (`<…>`), is given back as it
    /// is, as the original does.
    pub fn detokenize(&self, line: &str) -> String {
        let is_tag = line.len() > 2 && line.starts_with('<') && line.ends_with('>');
        if is_tag || line.chars().all(char::is_whitespace) {
            return line.to_owned();
        }
        let text = format!(" {line} ").replace(" @-@ ", "-");
        let text = unescape(&text);
        // Perl's `split` drops empty words at the end.
        let words: Vec<&str> = text.trim_end_matches(' ').split(' ').collect();
        let mut quotes = HashMap::new();
        let mut out = String::with_capacity(text.len());
        let mut space = true;
        let mut at = 0;
        while at < words.len() {
            if let Some(joined) = self.czech_dash(&words, at) {
                push(&mut out, space, &joined);
                space = false;
                at += 2;
                continue;
            }
            let word = words[at];
            match self.join(&words, at, &mut quotes) {
                Join::Free => {
                    push(&mut out, space && !follows_cjk(&words, at), word);
                    space = true;
                }
                Join::Left => {
                    // French sets a space before its double marks.
                    let apart = self.language == Language::Fr
                        && matches!(word, "?" | "!" | ":" | ";" | "\\" | "%");
                    push(&mut out, apart, word);
                    space = true;
                }
                Join::Right => {
                    push(&mut out, space, word);
                    space = false;
                }
            }
            at += 1;
        }
        let words: Vec<&str> = out.split(' ').filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }

    fn join(&self, words: &[&str], at: usize, quotes: &mut HashMap<String, u32>) -> Join {
        let word = words[at];
        let before = at.checked_sub(1).map(|before| words[before]);
        let all = |is: fn(char) -> bool| !word.is_empty() && word.chars().all(is);
        if word.starts_with(is_cjk) {
            Join::Free
        } else if all(|c| is_currency(c) || "([{¿¡".contains(c)) {
            Join::Right
        } else if all(|c| ",.?!:;\\%}])".contains(c)) {
            Join::Left
        } else if self.is_contraction(words, at) {
            match self.language {
                Language::Fr => Join::Right,
                Language::Cs
                | Language::De
                | Language::En
                | Language::Ja
                | Language::Ro
                | Language::Other(_) => Join::Left,
            }
        } else if all(|c| "'\"„“`".contains(c)) {
            self.quote(word, before, quotes)
        } else {
            Join::Free
        }
    }

    /// `'s` in English, `l'` in French, the second half of `3 , 5` in Czech.
    fn is_contraction(&self, words: &[&str], at: usize) -> bool {
        let word = words[at];
        let starts_with_letter = |word: &str| word.starts_with(char::is_alphabetic);
        let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        match self.language {
            Language::En => {
                word.strip_prefix('\'').is_some_and(starts_with_letter)
                    && at > 0
                    && words[at - 1].ends_with(is_alnum)
            }
            Language::Fr => {
                word.strip_suffix('\'')
                    .is_some_and(|stem| stem.ends_with(char::is_alphabetic))
                    && words
                        .get(at + 1)
                        .is_some_and(|&next| starts_with_letter(next))
            }
            Language::Cs => {
                at > 1
                    && is_number(words[at - 2])
                    && matches!(words[at - 1], "." | ",")
                    && is_number(word)
            }
            Language::De | Language::Ja | Language::Ro | Language::Other(_) => false,
        }
    }

    /// `bude - li` → `bude-li` in Czech, with what follows still to come.
    fn czech_dash(&self, words: &[&str], at: usize) -> Option<String> {
        let &[word, dash, after, _, ..] = &words[at..] else {
            return None;
        };
        let lower = after.to_lowercase();
        let fits = self.language == Language::Cs
            && word.ends_with(char::is_alphabetic)
            && !word.starts_with(is_cjk)
            && matches!(dash, "-" | "–")
            && (lower == "li" || lower.starts_with("mail"));
        fits.then(|| format!("{word}{dash}"))
    }

    /// Quotation marks open and close in turn.
    fn quote(&self, word: &str, before: Option<&str>, quotes: &mut HashMap<String, u32>) -> Join {
        let kind = if word.chars().all(|c| "„“”".contains(c)) {
            "\""
        } else {
            word
        };
        let n_seen = quotes.entry(kind.to_owned()).or_default();
        match (self.language, word) {
            (Language::Cs, "„") => *n_seen = 0,
            (Language::Cs, "“") => *n_seen = 1,
            _ => {}
        }
        if !n_seen.is_multiple_of(2) {
            *n_seen += 1;
            return Join::Left;
        }
        let possessive = self.language == Language::En
            && word == "'"
            && before.is_some_and(|before| before.ends_with('s'));
        if possessive {
            Join::Left
        } else {
            *n_seen += 1;
            Join::Right
        }
    }
}

fn push(out: &mut String, space: bool, word: &str) {
    if space {
        out.push(' ');
    }
    out.push_str(word);
}

/// Whether the word at `at` and the one before it are Chinese, Japanese or Korean.
fn follows_cjk(words: &[&str], at: usize) -> bool {
    at > 0 && words[at].starts_with(is_cjk) && words[at - 1].ends_with(is_cjk)
}
