//! Scores of classes, numbers and answers against scikit-learn, SciPy and SQuAD's rules, whose
//! answers `tests/parity/classification.py` wrote into `tests/parity/classification.json`.

use proptest::prelude::*;
use serde::Deserialize;
use sparta_results::metric::classes::{accuracy, f1, matthews};
use sparta_results::metric::correlation::{mean_squared_error, pearson, spearman};
use sparta_results::metric::glue::{GlueColumn, Predictions, score};
use sparta_results::metric::squad::{exact_match, normalize, squad, word_f1};
use sparta_results::{Metric, ResultsError, paper};

#[derive(Deserialize)]
struct Fixture {
    versions: String,
    classes: Vec<Classes>,
    numbers: Vec<Numbers>,
    answers: Vec<Answers>,
    squad: Squad,
}

#[derive(Deserialize)]
struct Classes {
    predicted: Vec<usize>,
    expected: Vec<usize>,
    accuracy: f64,
    f1: f64,
    matthews: f64,
}

#[derive(Deserialize)]
struct Numbers {
    predicted: Vec<Number>,
    expected: Vec<f64>,
    pearson: Option<f64>,
    spearman: Option<f64>,
    mean_squared_error: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Other(String),
}

#[derive(Deserialize)]
struct Answers {
    predicted: String,
    expected: Vec<String>,
    normalized: String,
    exact: bool,
    f1: f64,
}

#[derive(Deserialize)]
struct Squad {
    exact_match: f64,
    f1: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../parity/classification.json")).unwrap()
}

/// 1e-12 relative; sums that cancel to nothing are exact to 1e-15 of their terms.
#[track_caller]
fn assert_close(ours: f64, theirs: f64, what: &str) {
    let off = (ours - theirs).abs();
    assert!(
        off <= 1e-12 * theirs.abs() + 1e-15,
        "{what}: {ours} is not {theirs}"
    );
}

#[test]
fn classes_are_scored_as_by_scikit_learn() {
    let fixture = fixture();
    for (at, case) in fixture.classes.iter().enumerate() {
        let (p, e) = (case.predicted.as_slice(), case.expected.as_slice());
        assert_close(
            accuracy(p, e).unwrap(),
            case.accuracy,
            &format!("accuracy {at}"),
        );
        assert_close(f1(p, e).unwrap(), case.f1, &format!("f1 {at}"));
        assert_close(
            matthews(p, e).unwrap(),
            case.matthews,
            &format!("matthews {at}"),
        );
    }
    println!(
        "{} cases equal ({})",
        fixture.classes.len(),
        fixture.versions
    );
}

#[test]
fn numbers_are_scored_as_by_scipy() {
    let fixture = fixture();
    let mut n_undefined = 0;
    for (at, case) in fixture.numbers.iter().enumerate() {
        let number = |number: &Number| match number {
            Number::Finite(value) => *value,
            Number::Other(text) => text.parse().unwrap(),
        };
        let p: Vec<f64> = case.predicted.iter().map(number).collect();
        let e = case.expected.as_slice();
        for (name, ours, theirs) in [
            ("pearson", pearson(&p, e).unwrap(), case.pearson),
            ("spearman", spearman(&p, e).unwrap(), case.spearman),
        ] {
            assert_eq!(
                ours.is_some(),
                theirs.is_some(),
                "{name} {at}: {ours:?} {theirs:?}"
            );
            n_undefined += usize::from(ours.is_none());
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                assert_close(ours, theirs, &format!("{name} {at}"));
            }
        }
        if let Some(theirs) = case.mean_squared_error {
            assert_close(
                mean_squared_error(&p, e).unwrap(),
                theirs,
                &format!("mse {at}"),
            );
        }
    }
    assert!(n_undefined > 20, "{n_undefined}");
    println!(
        "{} cases equal, {n_undefined} correlations undefined",
        fixture.numbers.len()
    );
}

#[test]
fn answers_are_scored_by_squads_rules() {
    let fixture = fixture();
    for case in &fixture.answers {
        let predicted = case.predicted.as_str();
        assert_eq!(normalize(predicted), case.normalized, "{predicted:?}");
        let exact = case
            .expected
            .iter()
            .any(|expected| exact_match(predicted, expected));
        assert_eq!(exact, case.exact, "{predicted:?}");
        let best = case
            .expected
            .iter()
            .map(|expected| word_f1(predicted, expected));
        assert_close(best.fold(0.0, f64::max), case.f1, predicted);
    }
    let questions = || {
        let each = fixture.answers.iter();
        each.map(|case| {
            (
                Some(case.predicted.as_str()),
                case.expected.iter().map(String::as_str),
            )
        })
    };
    let all = squad(questions()).unwrap();
    assert_eq!(all.n, fixture.answers.len());
    assert_close(all.exact_match, fixture.squad.exact_match, "exact match");
    assert_close(all.f1, fixture.squad.f1, "F1");
    let unanswered = questions().map(|(_, expected)| (None, expected));
    let half = squad(questions().chain(unanswered)).unwrap();
    assert_close(
        half.f1,
        all.f1 / 2.0,
        "questions without a prediction count as wrong",
    );
}

#[test]
fn columns_are_the_papers() {
    let columns: Vec<GlueColumn> = (GlueColumn::ALL.into_iter())
        .filter(|column| column.is_averaged())
        .collect();
    assert_eq!(columns.len(), 9);
    for p in [0.0, 20.0, 40.0, 50.0, 60.0, 80.0, 90.0] {
        let value = |column: &GlueColumn| paper::value(paper::GLUE, column.name(), p).unwrap();
        let published = paper::value(paper::GLUE, paper::GLUE_AVERAGE, p).unwrap();
        let ours = columns.iter().map(value).sum::<f64>() / 9.0;
        assert!(
            (ours - published).abs() < 0.011,
            "p = {p}: {ours} {published}"
        );
    }
    assert_eq!(paper::value(paper::GLUE, "WNLI", 0.0), None);
    for column in GlueColumn::ALL {
        assert_eq!(GlueColumn::of_name(column.name()), Some(column));
    }
    assert_eq!(
        GlueColumn::of_task("mnli", "dev-mismatched"),
        Some(GlueColumn::MnliMm)
    );
    assert_eq!(
        GlueColumn::of_task("mnli", "dev-matched"),
        Some(GlueColumn::MnliM)
    );
    assert_eq!(GlueColumn::of_task("question-sentence", "test"), None);
    let metrics = GlueColumn::ALL.map(|column| (column.name(), column.metric().as_str()));
    assert!(metrics.contains(&("QQP", "f1")) && metrics.contains(&("RTE", "accuracy")));
    assert!(
        metrics.contains(&("CoLA", "matthews")) && metrics.contains(&("STS-B", "pearson-spearman"))
    );
}

#[test]
fn scores_are_times_hundred_and_of_their_kind() {
    let classes = Predictions::Classes(&[1, 0, 1, 1], &[1, 0, 0, 1]);
    assert_eq!(score(Metric::Accuracy, classes).unwrap(), 75.0);
    assert_eq!(score(Metric::F1, classes).unwrap(), 80.0);
    let numbers = Predictions::Numbers(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0]);
    let both = [Metric::Pearson, Metric::Spearman].map(|metric| score(metric, numbers).unwrap());
    assert_eq!(
        score(Metric::PearsonSpearman, numbers).unwrap(),
        (both[0] + both[1]) / 2.0
    );
    let constant = Predictions::Numbers(&[2.0, 2.0], &[1.0, 2.0]);
    assert_eq!(score(Metric::PearsonSpearman, constant).unwrap(), 0.0);
    for (metric, of) in [
        (Metric::Pearson, classes),
        (Metric::F1, numbers),
        (Metric::Bleu, classes),
    ] {
        let error = score(metric, of).unwrap_err();
        assert!(
            matches!(error, ResultsError::MetricSetting { .. }),
            "{error}"
        );
    }
    for (p, e) in [(&[1][..], &[][..]), (&[], &[])] {
        let error = accuracy(p, e).unwrap_err().to_string();
        assert!(error.contains("at least one example"), "{error}");
    }
    assert_eq!(pearson(&[1.0], &[2.0]).unwrap(), None);
}

proptest! {
    #[test]
    fn correlations_do_not_see_scale_or_order(
        pairs in prop::collection::vec((-5.0..5.0_f64, 0.0..5.0_f64), 3..40), scale in 0.1..9.0_f64,
    ) {
        let (p, e): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let scaled: Vec<f64> = p.iter().map(|p| p * scale + 1.0).collect();
        let backwards = |values: &[f64]| values.iter().rev().copied().collect::<Vec<f64>>();
        for correlation in [pearson, spearman] {
            let Some(ours) = correlation(&p, &e).unwrap() else { continue };
            prop_assert!((-1.0..=1.0).contains(&ours));
            prop_assert!((correlation(&scaled, &e).unwrap().unwrap() - ours).abs() < 1e-6);
            prop_assert!((correlation(&backwards(&p), &backwards(&e)).unwrap().unwrap() - ours).abs() < 1e-9);
            prop_assert!((correlation(&e, &p).unwrap().unwrap() - ours).abs() < 1e-12);
        }
    }
}
