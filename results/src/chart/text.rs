//! Text without measured fonts.

/// Width of a text in pixels, estimated for a wide sans-serif font.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    let width = |character: char| match character {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.34,
        ' ' | '\u{a0}' | 'f' | 't' | 'r' | '(' | ')' | '-' | '/' | '[' | ']' | '·' => 0.41,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '—' => 0.95,
        'A'..='Z' | '−' | '+' | '=' | '<' | '>' | '≥' | '±' | '→' => 0.74,
        // Ideographs, kana and full-width forms.
        '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{ff00}'..='\u{ffef}' => 1.0,
        _ => 0.62,
    };
    size * text.chars().map(width).sum::<f64>()
}

/// Lines of at most `width` pixels, broken at spaces that may be broken; longer words are cut.
pub(crate) fn wrap(text: &str, width: f64, size: f64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word = &fit(word, width, size);
        let longer = match line.is_empty() {
            true => word.clone(),
            false => format!("{line} {word}"),
        };
        if !line.is_empty() && text_width(&longer, size) > width {
            lines.push(std::mem::replace(&mut line, word.clone()));
        } else {
            line = longer;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The text, or its beginning with `…` where it is wider than `width` pixels.
pub(crate) fn fit(text: &str, width: f64, size: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut fitted = String::new();
    for character in text.chars() {
        fitted.push(character);
        if text_width(&fitted, size) + 0.7 * size > width {
            fitted.pop();
            break;
        }
    }
    fitted.trim_end().to_owned() + "…"
}
