//! Student's interval of a mean.

use serde::Serialize;

/// The mean of a quantity over seeds, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Mean over the seeds.
    pub mean: f64,
    /// Standard deviation over the seeds (n − 1); none for one seed.
    pub sd: Option<f64>,
    /// Ends of the interval: mean ± t·sd/√n with Student's t of n − 1 degrees of freedom; none for one seed.
    pub ends: Option<(f64, f64)>,
    /// Number of seeds.
    pub n: usize,
}

impl Interval {
    /// The interval of some values; none for no value.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let sd = (n > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            (squares / (n - 1) as f64).sqrt()
        });
        let ends = sd.map(|sd| {
            let half = student(n - 1) * sd / (n as f64).sqrt();
            (mean - half, mean + half)
        });
        Some(Self { mean, sd, ends, n })
    }
}

/// The 97.5 % quantile of Student's t with some degrees of freedom.
///
/// Exact for 1 and 2; from 3 on Newton's method on the distribution, whose density is known, from the normal quantile.
fn student(freedom: usize) -> f64 {
    let v = freedom as f64;
    let mut t = 1.959_963_984_540_054;
    for _ in 0..60 {
        let step = (cumulative(t, freedom) - 0.975) / density(t, v);
        // The distribution is concave here: a step from below never overshoots by more than the tail is long.
        t += -step.clamp(-2.0 * t, t / 2.0);
        if step.abs() < 1e-13 * t {
            break;
        }
    }
    t
}

/// Density of Student's t.
fn density(t: f64, v: f64) -> f64 {
    let log_norm =
        ln_gamma(f64::midpoint(v, 1.0)) - ln_gamma(v / 2.0) - 0.5 * (v * std::f64::consts::PI).ln();
    (log_norm - f64::midpoint(v, 1.0) * (t * t / v).ln_1p()).exp()
}

/// Distribution of Student's t for whole degrees of freedom (Abramowitz & Stegun 26.7.3 and 26.7.4).
fn cumulative(t: f64, freedom: usize) -> f64 {
    let theta = (t / (freedom as f64).sqrt()).atan();
    let (sin, cos) = theta.sin_cos();
    let series = |first: f64, start: usize| {
        let (mut sum, mut term, mut k) = (first, first, start);
        while k + 2 < freedom {
            term *= cos * cos * (k as f64) / (k as f64 + 1.0);
            sum += term;
            k += 2;
        }
        sum
    };
    let inside = match (freedom, freedom % 2) {
        (1, _) => 2.0 / std::f64::consts::PI * theta,
        (_, 1) => {
            let sum = series(cos, 2);
            2.0 / std::f64::consts::PI * (theta + sin * sum)
        }
        _ => sin * series(1.0, 1),
    };
    f64::midpoint(1.0, inside)
}

/// ln Γ of halves of whole numbers, by Γ(x + 1) = x·Γ(x).
fn ln_gamma(x: f64) -> f64 {
    let half = (2.0 * x).round() as u64;
    let (mut at, mut sum) = match half % 2 {
        0 => (1.0, 0.0),
        _ => (0.5, 0.5 * std::f64::consts::PI.ln()),
    };
    while at < x - 0.25 {
        sum += f64::ln(at);
        at += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of printed tables (Abramowitz & Stegun, table 26.10), to the digits there.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, expected) in [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (5, 2.571),
            (9, 2.262),
            (10, 2.228),
            (29, 2.045),
            (30, 2.042),
            (120, 1.980),
        ] {
            let found = student(freedom);
            assert!((found - expected).abs() < 6e-4, "{freedom}: {found}");
        }
    }

    #[test]
    fn an_interval_is_that_of_a_paired_test() {
        let of = Interval::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((of.mean, of.sd, of.n), (2.0, Some(1.0), 3));
        let (low, high) = of.ends.unwrap();
        // 4.3027 / √3
        assert!((low - (2.0 - 2.484_138)).abs() < 1e-5, "{low}");
        assert!((high - (2.0 + 2.484_138)).abs() < 1e-5, "{high}");
        let one = Interval::of(&[5.0]).unwrap();
        assert_eq!((one.mean, one.sd, one.ends), (5.0, None, None));
        assert_eq!(Interval::of(&[]), None);
    }
}
