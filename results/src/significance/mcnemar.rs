//! McNemar's test.

/// How often as many of the units that one system alone got right, or more, would be on one side
/// if either side were as likely: the exact two-sided test of McNemar (1947),
/// `min(1, 2 Σ_{k ≤ min(b, c)} C(b + c, k) / 2^(b + c))`.
///
/// `only_baseline` and `only_system` are b and c, the units that one system alone got right.
///
/// ```
/// let p = sparta_results::significance::mcnemar(1, 9);
/// assert!((p - 22.0 / 1024.0).abs() < 1e-12);
/// ```
pub fn mcnemar(only_baseline: u64, only_system: u64) -> f64 {
    let n = only_baseline + only_system;
    let fewer = only_baseline.min(only_system);
    // C(n, k) / 2^n as logarithms, of which the largest is kept apart.
    let mut ln_term = -(n as f64) * std::f64::consts::LN_2;
    let mut terms = vec![ln_term];
    for k in 1..=fewer {
        ln_term += ((n - k + 1) as f64 / k as f64).ln();
        terms.push(ln_term);
    }
    let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = terms.iter().map(|term| (term - most).exp()).sum();
    (2.0 * sum * most.exp()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::mcnemar;

    #[test]
    fn it_is_the_binomial_test() {
        let fixture: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/parity/significance.json")).unwrap();
        let cases: Vec<(u64, u64, f64)> =
            serde_json::from_value(fixture["mcnemar"].clone()).unwrap();
        assert!(cases.len() >= 7);
        for (b, c, expected) in cases {
            let found = mcnemar(b, c);
            assert!(
                (found / expected - 1.0).abs() < 1e-10,
                "{b} {c}: {found}, not {expected}"
            );
            assert_eq!(found, mcnemar(c, b));
        }
    }
}
