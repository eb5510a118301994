//! Scores where some questions have no answer, against SQuAD's rules for version 2.0, whose answers
//! `tests/parity/squad_v2.py` wrote into `tests/parity/squad_v2.json`.

use serde::Deserialize;
use serde_json::{Map, Value};
use sparta_results::metric::squad_v2::{AnsweredQuestion, squad_v2};

#[derive(Deserialize)]
struct Set {
    questions: Vec<Asked>,
    scores: Map<String, Value>,
}

#[derive(Deserialize)]
struct Asked {
    predicted: String,
    expected: Vec<String>,
    null_odds: f64,
}

#[test]
fn the_scores_are_those_of_the_script() {
    let sets: Vec<Set> =
        serde_json::from_str(include_str!("../parity/squad_v2.json")).expect("the fixture");
    assert_eq!(sets.len(), 24);
    for (index, Set { questions, scores }) in sets.iter().enumerate() {
        let judged: Vec<AnsweredQuestion<'_>> = (questions.iter())
            .map(|of| AnsweredQuestion {
                predicted: &of.predicted,
                expected: of.expected.iter().map(String::as_str).collect(),
                null_odds: of.null_odds,
            })
            .collect();
        let found = serde_json::to_value(squad_v2(&judged).unwrap()).unwrap();
        let found = found.as_object().unwrap();
        assert!(found.keys().eq(scores.keys()), "{found:?} and {scores:?}");
        for (name, expected) in scores {
            let [found, expected] = [&found[name], expected].map(|of| of.as_f64().unwrap());
            assert!(
                (found - expected).abs() <= 1e-12 * expected.abs(),
                "set {index}, {name}: {found} and {expected}"
            );
        }
    }
}
