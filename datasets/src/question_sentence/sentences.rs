//! Cutting a paragraph into sentences by fixed rules.

/// Words that a period does not end a sentence after, in lower case and without the period.
const ABBREVIATIONS: [&str; 50] = [
    "a.d", "a.m", "al", "apr", "approx", "aug", "b.c", "bros", "ca", "capt", "cf", "co", "col",
    "corp", "d.c", "dec", "dept", "dr", "e.g", "est", "etc", "feb", "fig", "ft", "gen", "hon",
    "i.e", "inc", "jan", "jr", "lt", "ltd", "maj", "mr", "mrs", "ms", "mt", "no", "nov", "oct",
    "ph.d", "p.m", "prof", "rev", "sept", "sgt", "st", "u.k", "u.s", "vs",
];

/// Bytes `start..end` of each sentence, without the white space between them.
///
/// A sentence ends after a run of `.`, `!`, `?` and the closing quotes and brackets that follow it,
/// when white space comes next and then an upper-case letter, a digit, an opening quote or an
/// opening bracket. A single period does not end it after an abbreviation (`Dr.`, `U.S.`, `etc.`)
/// or after a single letter (`J. Smith`).
///
/// ```
/// use sparta_datasets::question_sentence::sentences;
/// let text = "Dr. Hall came in 1066. (Why?) \"Nobody knows.\" He left.";
/// let found: Vec<&str> = sentences(text).into_iter().map(|(from, to)| &text[from..to]).collect();
/// assert_eq!(found, ["Dr. Hall came in 1066.", "(Why?)", "\"Nobody knows.\"", "He left."]);
/// ```
pub fn sentences(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = text.len() - text.trim_start().len();
    let mut at = start;
    while let Some(mark) = text[at..].find(['.', '!', '?']).map(|mark| at + mark) {
        let rest = &text[mark..];
        let after_marks = rest.trim_start_matches(['.', '!', '?']);
        let n_marks = rest.len() - after_marks.len();
        let after = after_marks.trim_start_matches(['"', '\'', '”', '’', ')', ']']);
        let end = text.len() - after.len();
        at = end;
        let next = after.trim_start();
        let is_spaced = next.len() < after.len();
        let begins = next.chars().next().is_some_and(|c| {
            c.is_uppercase() || c.is_numeric() || ['"', '\'', '“', '‘', '(', '['].contains(&c)
        });
        let is_period = rest.starts_with('.') && n_marks == 1;
        if is_spaced && begins && !(is_period && is_abbreviated(&text[start..mark])) {
            found.push((start, end));
            start = text.len() - next.len();
            at = start;
        }
    }
    let end = text.trim_end().len();
    if start < end {
        found.push((start, end));
    }
    found
}

/// Whether the text before a period ends in an abbreviation or a single letter.
fn is_abbreviated(before: &str) -> bool {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or(before);
    let word = word
        .trim_start_matches(['"', '\'', '“', '‘', '(', '['])
        .to_lowercase();
    let mut chars = word.chars();
    let is_letter = matches!((chars.next(), chars.next()), (Some(c), None) if c.is_alphabetic());
    is_letter || ABBREVIATIONS.contains(&word.as_str())
}
