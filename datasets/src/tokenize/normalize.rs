//! Running English → lower-cased word tokens, for corpora that are not published tokenised.

/// Appends the tokens of one line to `out`, separated by single spaces, without a line end.
///
/// Rules: lower case; punctuation marks are tokens of their own; clitics are cut as in the Penn
/// Treebank (`it's` → `it 's`, `don't` → `do n't`); a hyphen between letters or digits is ` @-@ `
/// as in WikiText; dashes are `--`, runs of dots `...`; a number with its commas, point or
/// fraction bar is one token, digits kept; abbreviations of single letters stay whole (`u.s.`);
/// typesetting leftovers (`* _ | •`) are dropped. A line of nothing else appends nothing.
///
/// ```
/// let mut out = String::new();
/// sparta_datasets::tokenize::normalize_line("The U.S. paid $1,250.50--it wasn't well-spent.", &mut out);
/// assert_eq!(out, "the u.s. paid $ 1,250.50 -- it was n't well @-@ spent .");
/// ```
pub fn normalize_line(line: &str, out: &mut String) {
    let chars: Vec<char> = line
        .chars()
        .flat_map(char::to_lowercase)
        .map(plain)
        .collect();
    let mut writer = Writer { out, first: true };
    let mut at = 0;
    while at < chars.len() {
        at = next_token(&chars, at, &mut writer);
    }
}

/// Typographic variants → the plain mark.
fn plain(c: char) -> char {
    match c {
        '“' | '”' => '"',
        '‘' | '’' => '\'',
        '–' => '—',
        '⁄' => '/',
        other => other,
    }
}

struct Writer<'a> {
    out: &'a mut String,
    first: bool,
}

impl Writer<'_> {
    fn push(&mut self, token: impl IntoIterator<Item = char>) {
        if !self.first {
            self.out.push(' ');
        }
        self.first = false;
        self.out.extend(token);
    }
}

/// Writes the token at `at`, if one starts there, and returns where to go on.
fn next_token(chars: &[char], at: usize, writer: &mut Writer<'_>) -> usize {
    let is_word = |i: usize| chars.get(i).is_some_and(|c| c.is_alphanumeric());
    match chars[at] {
        c if c.is_whitespace() => at + 1,
        c if c.is_alphanumeric() => {
            let end = abbreviation_end(chars, at).unwrap_or_else(|| word_end(chars, at));
            write_word(&chars[at..end], writer);
            end
        }
        '*' | '_' | '|' | '•' => at + 1,
        c @ ('-' | '.' | '—') => {
            let end = at + chars[at..].iter().take_while(|&&next| next == c).count();
            match (c, end - at) {
                ('-', 1) if ends_word(chars, at) && is_word(end) => writer.push("@-@".chars()),
                ('-' | '.', 1) => writer.push([c]),
                ('.', _) => writer.push("...".chars()),
                (_, _) => writer.push("--".chars()),
            }
            end
        }
        c => {
            writer.push([c]);
            at + 1
        }
    }
}

/// Whether a word ends right before `at`; it may be an abbreviation with its dot.
fn ends_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '.')
}

/// End of `u.s.` and the like: at least two pairs of a single letter and a dot.
fn abbreviation_end(chars: &[char], start: usize) -> Option<usize> {
    let pair = |i: usize| chars[i].is_alphabetic() && chars.get(i + 1) == Some(&'.');
    let n_pairs = (start..chars.len())
        .step_by(2)
        .take_while(|&i| pair(i))
        .count();
    (n_pairs >= 2).then_some(start + 2 * n_pairs)
}

/// End of a word or number that starts at `start`: apostrophes between letters and `,` `.` `/`
/// between digits belong to it.
fn word_end(chars: &[char], start: usize) -> usize {
    let mut end = start + 1;
    while let Some(&c) = chars.get(end) {
        let before = chars[end - 1];
        let after = chars.get(end + 1).copied().unwrap_or(' ');
        let inside = match c {
            '\'' => before.is_alphanumeric() && after.is_alphanumeric(),
            ',' | '.' | '/' => before.is_ascii_digit() && after.is_ascii_digit(),
            _ => c.is_alphanumeric(),
        };
        if !inside {
            break;
        }
        end += 1;
    }
    end
}

/// Writes a word, its clitic as a token of its own.
fn write_word(word: &[char], writer: &mut Writer<'_>) {
    const CLITICS: [&str; 6] = ["'s", "'re", "'ve", "'ll", "'m", "'d"];
    let cut = if word.len() > 3 && word.ends_with(&['n', '\'', 't']) {
        Some(word.len() - 3)
    } else {
        word.iter().rposition(|&c| c == '\'').filter(|&apostrophe| {
            CLITICS
                .iter()
                .any(|clitic| word[apostrophe..].iter().copied().eq(clitic.chars()))
        })
    };
    let (stem, clitic) = word.split_at(cut.unwrap_or(word.len()));
    writer.push(stem.iter().copied());
    if !clitic.is_empty() {
        writer.push(clitic.iter().copied());
    }
}
