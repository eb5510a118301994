//! Tests of differences against answers that are known: enumeration, formulas, sacreBLEU.

use serde::Deserialize;
use sparta_results::Metric;
use sparta_results::metric::bleu::Bleu;
use sparta_results::metric::bootstrap::Bootstrap;
use sparta_results::metric::chrf::Chrf;
use sparta_results::metric::glue::Predictions;
use sparta_results::metric::{CorpusMetric, Outcomes, Statistic};
use sparta_results::significance::{
    Compared, Comparison, Decision, Randomization, Score, System, Test, Tests, holm, mcnemar,
};

/// Values between 0 and 1 that look random, by Weyl's sequence.
fn noise(n: usize, shift: f64) -> Vec<f64> {
    (0..n)
        .map(|i| ((i as f64 + shift) * 0.618_033_988_749_894_9).fract())
        .collect()
}

fn percentage(values: &[f64]) -> Outcomes {
    Outcomes::percentage(values.iter().map(|&value| (value, 1.0))).unwrap()
}

/// The p-value of every way that the units can change places.
fn enumerated(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len();
    let real = b.iter().sum::<f64>() - a.iter().sum::<f64>();
    let is_as_large = |mask: &u32| {
        let difference = |i: usize| match mask >> i & 1 {
            0 => b[i] - a[i],
            _ => a[i] - b[i],
        };
        (0..n).map(difference).sum::<f64>().abs() >= real.abs() - 1e-9
    };
    let all = 1_u32 << n;
    (0..all).filter(is_as_large).count() as f64 / f64::from(all)
}

#[test]
fn randomisation_tends_to_the_enumeration() {
    let test = Randomization {
        n_trials: 20_000,
        seed: 1,
    };
    let mut found_p = Vec::new();
    for (n, shift, better) in [
        (6, 0.0, 0.2),
        (10, 3.0, 0.0),
        (12, 5.0, 0.35),
        (8, 9.0, 1.0),
    ] {
        let a = noise(n, shift);
        let b: Vec<f64> = noise(n, shift + 100.5).iter().map(|x| x + better).collect();
        let exact = enumerated(&a, &b);
        let found = test.p_value(&percentage(&a), &percentage(&b)).unwrap();
        // Five standard deviations of a share of 20,000 trials.
        let spread = 5.0 * (exact * (1.0 - exact) / 20_000.0).sqrt() + 1e-4;
        assert!((found - exact).abs() < spread, "{found}, not {exact}");
        found_p.push(exact);
    }
    assert!(
        found_p.iter().any(|p| *p < 0.05) && found_p.iter().any(|p| *p > 0.2),
        "{found_p:?}"
    );
}

/// Of units that are right or wrong, all ways to change places are McNemar's binomial.
#[test]
fn mcnemar_is_the_enumeration() {
    let (a, b) = (
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0],
        [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0],
    );
    let p = mcnemar(1, 5);
    assert!((p - enumerated(&a, &b)).abs() < 1e-12, "{p}");
    let tests = Tests::default();
    let [a, b] = [a, b].map(|values| percentage(&values));
    let comparison = compare(&tests, Metric::Accuracy, &a, &[("b", &b)]);
    let of = &comparison.systems[0];
    assert_eq!(
        (of.test, of.p, of.discordant),
        (Test::Mcnemar, p, Some([1, 5]))
    );
    assert_eq!(of.verdict, Decision::NoDifference);
}

/// For a mean of n values the interval of a difference is ± 1.96 standard errors.
#[test]
fn the_bootstrap_interval_is_the_analytic_one() {
    let n = 900;
    let (a, b) = (noise(n, 0.0), noise(n, 0.37));
    let b: Vec<f64> = b.iter().map(|x| 0.8 * x + 0.15).collect();
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 100.0 * (b - a)).collect();
    let mean = differences.iter().sum::<f64>() / n as f64;
    let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
    let error = (squares / (n - 1) as f64 / n as f64).sqrt();
    let bootstrap = Bootstrap {
        n_samples: 4000,
        seed: 3,
    };
    let found = bootstrap.paired(&percentage(&a), &percentage(&b)).unwrap();
    assert!((found.difference - mean).abs() < 1e-9);
    let half = 0.5 * (found.interval[1] - found.interval[0]);
    assert!(
        (half / (1.96 * error) - 1.0).abs() < 0.05,
        "{half}, not {}",
        1.96 * error
    );
    let centre = 0.5 * (found.interval[1] + found.interval[0]);
    assert!((centre - mean).abs() < 0.1 * error, "{centre}, not {mean}");
}

/// The perplexity of a sample is exp(Σ loss / Σ tokens), and its interval that of the delta method.
#[test]
fn the_interval_of_a_perplexity_is_that_of_the_delta_method() {
    let n = 800;
    let tokens: Vec<u64> = (0..n as u64).map(|i| 40 + i % 25).collect();
    let losses = |level: f64, shift: f64| {
        let noise = noise(n, shift);
        let rows = noise.iter().zip(&tokens);
        Outcomes::losses(rows.map(|(x, &t)| (t as f64 * (level + x), t))).unwrap()
    };
    let (a, b) = (losses(3.0, 0.0), losses(3.03, 40.2));
    let found = Bootstrap {
        n_samples: 4000,
        seed: 3,
    }
    .paired(&a, &b)
    .unwrap();
    let (score_a, score_b) = (a.score(), b.score());
    let all: f64 = tokens.iter().map(|&t| t as f64).sum();
    let (noise_a, noise_b) = (noise(n, 0.0), noise(n, 40.2));
    // d PPL = PPL · d nll, and the nll of a segment off its mean weighs as its tokens.
    let influence = |i: usize| {
        let t = tokens[i] as f64;
        let (a, b) = (
            3.0 + noise_a[i] - score_a.ln(),
            3.03 + noise_b[i] - score_b.ln(),
        );
        t / all * (score_b * b - score_a * a)
    };
    let error = (0..n).map(|i| influence(i).powi(2)).sum::<f64>().sqrt();
    let half = 0.5 * (found.interval[1] - found.interval[0]);
    assert!(
        (half / (1.96 * error) - 1.0).abs() < 0.06,
        "{half}, not {}",
        1.96 * error
    );
}

#[derive(Deserialize)]
struct Fixture {
    randomization: Vec<f64>,
}

#[derive(Deserialize)]
struct Pairs {
    paired: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    settings: (String, serde_json::Value),
    baseline: Vec<String>,
    system: Vec<String>,
    references: Vec<Vec<String>>,
}

/// With the same coins the same p, up to trials that tie with the real difference; the same outputs
/// have p = 1 here and the smallest p there.
#[test]
fn randomisation_is_that_of_sacrebleu() {
    fn p<M: CorpusMetric + Into<Statistic> + Copy>(metric: M, pair: &Pair) -> f64 {
        let outcomes = |of| Outcomes::translations(metric, of, &pair.references).unwrap();
        let (baseline, system) = (outcomes(&pair.baseline), outcomes(&pair.system));
        Randomization::default()
            .p_value(&baseline, &system)
            .unwrap()
    }
    let fixture: Fixture =
        serde_json::from_str(include_str!("../parity/significance.json")).unwrap();
    let pairs: Pairs = serde_json::from_str(include_str!("../parity/sacrebleu.json")).unwrap();
    assert_eq!(pairs.paired.len(), fixture.randomization.len());
    let mut n_compared = 0;
    for (pair, expected) in pairs.paired.iter().zip(fixture.randomization) {
        let (name, arguments) = (pair.settings.0.as_str(), &pair.settings.1);
        let is_plain = arguments.as_object().is_some_and(serde_json::Map::is_empty);
        let found = match (name, is_plain) {
            ("bleu", true) => p(Bleu::default(), pair),
            ("chrf", true) => p(Chrf::default(), pair),
            ("chrf", false) => p(Chrf::plus_plus(), pair),
            _ => continue,
        };
        match pair.baseline == pair.system {
            true => assert_eq!(found, 1.0),
            false => assert!((found - expected).abs() < 5e-4, "{found}, not {expected}"),
        }
        n_compared += 1;
    }
    assert!(n_compared >= 9, "{n_compared}");
}

fn compare(
    tests: &Tests,
    metric: Metric,
    baseline: &Outcomes,
    systems: &[(&'static str, &Outcomes)],
) -> Comparison {
    let score = Score {
        metric,
        signature: "score|n:1".into(),
        units: "examples".into(),
    };
    let system = |&(name, outcomes)| System { name, outcomes };
    let systems: Vec<System<'_>> = systems.iter().map(system).collect();
    let baseline = System {
        name: "dense",
        outcomes: baseline,
    };
    tests.compare(&score, baseline, &systems).unwrap()
}

#[test]
fn systems_that_are_the_same_do_not_differ() {
    let (p, e) = ([1, 0, 1, 1, 0, 0, 1, 0], [1, 0, 0, 1, 1, 0, 1, 0]);
    for metric in [Metric::Accuracy, Metric::F1, Metric::Matthews] {
        let outcomes = Outcomes::predictions(metric, Predictions::Classes(&p, &e)).unwrap();
        let comparison = compare(
            &Tests::default(),
            metric,
            &outcomes,
            &[("again", &outcomes)],
        );
        let Compared {
            verdict,
            p,
            p_bootstrap,
            difference,
            interval,
            ..
        } = comparison.systems[0];
        assert_eq!((verdict, p, p_bootstrap), (Decision::Same, 1.0, 1.0));
        assert_eq!((difference, interval), (0.0, [0.0, 0.0]));
        assert!(
            comparison
                .to_text()
                .contains("the same outcome for every one of the examples")
        );
    }
}

#[test]
fn several_comparisons_are_adjusted_together() {
    assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
    assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
    assert!(holm(&[]).is_empty());
    let n = 400;
    let dense: Vec<f64> = noise(n, 0.0)
        .iter()
        .map(|x| f64::from(u8::from(*x < 0.7)))
        .collect();
    let flipped = |every: usize, to: f64| {
        let values = dense.iter().enumerate();
        let value = |(i, v): (usize, &f64)| if i % every == 0 { to } else { *v };
        percentage(&values.map(value).collect::<Vec<_>>())
    };
    let (worse, alike) = (flipped(8, 0.0), flipped(90, 1.0));
    let systems = [("p 80", &worse), ("p 20", &alike)];
    let comparison = compare(
        &Tests::default(),
        Metric::Accuracy,
        &percentage(&dense),
        &systems,
    );
    let verdicts: Vec<Decision> = comparison.systems.iter().map(|of| of.verdict).collect();
    assert_eq!(verdicts, [Decision::Worse, Decision::NoDifference]);
    assert_eq!(comparison.systems[0].p_holm, 2.0 * comparison.systems[0].p);
    let text = comparison.to_text();
    for part in [
        "p 80 is worse than dense",
        "p 20 against dense: no difference can be told",
        "covers 0",
        "for 2 comparisons together",
        "adjusted for 2 comparisons",
        "Seed 12345",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert_eq!(
        text,
        compare(
            &Tests::default(),
            Metric::Accuracy,
            &percentage(&dense),
            &systems
        )
        .to_text()
    );
}

/// Less is better.
#[test]
fn a_lower_perplexity_is_better() {
    let losses = |level: f64| {
        Outcomes::losses(
            noise(200, level)
                .iter()
                .map(|x| (64.0 * (level + 0.1 * x), 64)),
        )
        .unwrap()
    };
    let (dense, lower) = (losses(4.0), losses(3.9));
    let comparison = compare(
        &Tests::default(),
        Metric::Perplexity,
        &dense,
        &[("lower", &lower)],
    );
    let of = &comparison.systems[0];
    assert_eq!(
        (of.verdict, of.test),
        (Decision::Better, Test::BlockBootstrap)
    );
    assert!(of.difference < 0.0 && of.interval[1] < 0.0);
}
