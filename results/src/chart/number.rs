//! Numbers in pictures.

/// At most `decimals` places, without trailing zeros, with a true minus sign.
pub(crate) fn short(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text.as_str(),
    };
    match text {
        "-0" => "0".to_owned(),
        text => text.replace('-', "−"),
    }
}

/// About `digits` significant digits: `0.0123`, `12.3`, `12,345`, `1.2e-7`.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let power = value.abs().log10().floor();
    if !(-4.0..9.0).contains(&power) {
        return format!("{value:.*e}", digits.saturating_sub(1)).replace('-', "−");
    }
    let decimals = (digits as f64 - 1.0 - power).clamp(0.0, 9.0) as usize;
    let text = short(value, decimals);
    grouped(&text)
}

/// A share as percent, in one word.
pub(crate) fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$}\u{a0}%", 100.0 * share)
}

/// Commas between groups of three digits before the point.
fn grouped(text: &str) -> String {
    let (whole, rest) = match text.find('.') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let n_digits = whole.chars().filter(char::is_ascii_digit).count();
    let mut left = n_digits;
    let mut grouped = String::new();
    for character in whole.chars() {
        if character.is_ascii_digit() {
            if left < n_digits && left.is_multiple_of(3) {
                grouped.push(',');
            }
            left -= 1;
        }
        grouped.push(character);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let found = [
            short(-0.001, 2),
            short(-1.5, 2),
            significant(0.012345, 3),
            significant(1234567.0, 3),
            significant(-12345.0, 3),
            significant(2e-7, 2),
            percent(0.1234, 1),
        ];
        let right = [
            "0",
            "−1.5",
            "0.0123",
            "1,234,567",
            "−12,345",
            "2.0e−7",
            "12.3\u{a0}%",
        ];
        assert_eq!(found, right.map(str::to_owned));
    }
}
