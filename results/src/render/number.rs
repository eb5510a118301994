//! Numbers as tables print them.

/// What stands in a cell that has no number.
pub(super) const NOTHING: &str = "–";

/// `value ± sd (n)` where n > 1, else the value alone.
pub(super) fn mean_sd(mean: f64, sd: Option<f64>, n: usize, decimals: usize) -> String {
    match sd {
        Some(sd) => format!("{mean:.decimals$} ± {sd:.decimals$} ({n})"),
        None => format!("{mean:.decimals$}"),
    }
}

/// Relative change of `value` against `reference`, as `+1.23 %`.
pub(super) fn change(value: f64, reference: f64) -> String {
    let change = relative_change(value, reference);
    // Rounded first, so that no "-0.00" is printed.
    let rounded = (change * 100.0).round() / 100.0;
    if rounded == 0.0 {
        "0.00 %".to_string()
    } else {
        format!("{rounded:+.2} %")
    }
}

/// `100 · (value − reference) / reference`.
pub(super) fn relative_change(value: f64, reference: f64) -> f64 {
    100.0 * (value - reference) / reference
}

/// At most `decimals` places, without trailing zeros.
pub(super) fn short(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Whole number with thin groups of three, as `12,345`.
pub(super) fn grouped(value: f64) -> String {
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
        assert_eq!(change(110.0, 100.0), "+10.00 %");
        assert_eq!(change(99.99999, 100.0), "0.00 %");
        assert_eq!(change(95.0, 100.0), "-5.00 %");
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
