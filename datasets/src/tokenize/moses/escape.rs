//! The marks that Moses' own formats use, written as entities.

const ESCAPES: [(char, &str); 8] = [
    ('&', "&amp;"),
    ('|', "&#124;"),
    ('<', "&lt;"),
    ('>', "&gt;"),
    ('\'', "&apos;"),
    ('"', "&quot;"),
    ('[', "&#91;"),
    (']', "&#93;"),
];

/// Spellings of older versions.
const LEGACY: [(char, &str); 3] = [('|', "&bar;"), ('[', "&bra;"), (']', "&ket;")];

/// `&` → `&amp;`, and so on.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match ESCAPES.iter().find(|&&(mark, _)| mark == c) {
            Some((_, entity)) => out.push_str(entity),
            None => out.push(c),
        }
    }
    out
}

/// The way back; `&amp;` last, so that what was written as an entity stays one.
pub(super) fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let marks = LEGACY.iter().chain(&ESCAPES[1..]).chain(&ESCAPES[..1]);
    marks.fold(text.to_owned(), |text, (mark, entity)| {
        text.replace(entity, &mark.to_string())
    })
}
