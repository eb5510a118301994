//! Numbers as tables print them.

use crate::metric::Difference;

/// What stands in a cell that has no number.
pub(crate) const NOTHING: &str = "–";

/// `value ± sd (n)` where n > 1, else the value alone.
pub(crate) fn mean_sd(mean: f64, sd: Option<f64>, n: usize, decimals: usize) -> String {
    match sd {
        Some(sd) => format!("{mean:.decimals$} ± {sd:.decimals$} ({n})"),
        None => format!("{mean:.decimals$}"),
    }
}

/// Change of `value` against `reference`: `+1.23 %`, or `+1.23` in points.
pub(crate) fn change(how: Difference, value: f64, reference: f64) -> String {
    // Rounded first, so that no "-0.00" is printed.
    let rounded = (difference(how, value, reference) * 100.0).round() / 100.0;
    let number = if rounded == 0.0 {
        "0.00".to_string()
    } else {
        format!("{rounded:+.2}")
    };
    match how {
        Difference::Relative => number + " %",
        Difference::Points => number,
    }
}

/// `100 · (value − reference) / reference`, or `value − reference` in points.
pub(crate) fn difference(how: Difference, value: f64, reference: f64) -> f64 {
    match how {
        Difference::Relative => 100.0 * (value - reference) / reference,
        Difference::Points => value - reference,
    }
}

/// With its sign, as `+1.23` or `-0.50`; what rounds to 0 has none.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    let text = format!("{value:+.decimals$}");
    match text.trim_start_matches(['+', '-']).parse() {
        Ok(0.0) => text.trim_start_matches(['+', '-']).to_owned(),
        Ok::<f64, _>(_) | Err(_) => text,
    }
}

/// At most `decimals` places, without trailing zeros.
pub(crate) fn short(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Whole number with thin groups of three, as `12,345`.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        assert_eq!(mean_sd(25.1, Some(0.25), 3, 3), "25.100 ± 0.250 (3)");
        assert_eq!(mean_sd(25.1, None, 1, 2), "25.10");
        let relative = |value| change(Difference::Relative, value, 50.0);
        assert_eq!(relative(55.0), "+10.00 %");
        assert_eq!(relative(49.99999), "0.00 %");
        assert_eq!(relative(47.5), "-5.00 %");
        let points = |value| change(Difference::Points, value, 50.0);
        assert_eq!(
            [points(49.999), points(47.5), points(51.0)],
            ["0.00", "-2.50", "+1.00"]
        );
        assert_eq!(
            [
                short(20.0, 6),
                short(46.81, 2),
                short(0.1 + 0.2, 6),
                short(100.0, 0)
            ],
            ["20", "46.81", "0.3", "100"]
        );
        assert_eq!(
            [grouped(999.0), grouped(4123.4), grouped(1_234_567.0)],
            ["999", "4,123", "1,234,567"]
        );
    }
}
