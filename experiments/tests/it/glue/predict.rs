//! `glue predict`.

use std::fs;

use assert_cmd::assert::Assert;

use super::bench;
use crate::bench::{Bench, assert_full, assert_says, read, said, stdout};

const PAIRS: &str = "Who wrote it?\tIt was written by a poet.\nWhen?\tIn 1790, they say.\n";

fn predict(bench: &Bench, model: &str, lines: &str) -> Assert {
    let line = format!("predict --device flex --quiet --model {model}");
    bench.piped(&line, lines)
}

fn out(assert: Assert) -> String {
    stdout(&assert.success())
}

#[test]
fn lines_in_labels_and_probabilities_out() {
    let bench = bench();
    bench.tiny("--out run --device flex").success();
    let text = out(predict(&bench, "run", PAIRS));
    let cells: Vec<Vec<&str>> = text.lines().map(|l| l.split('\t').collect()).collect();
    assert_eq!(cells.len(), 2, "{text}");
    for cells in &cells {
        let p: Vec<f64> = cells[1..].iter().map(|p| p.parse().unwrap()).collect();
        assert!(p.len() == 2 && (p[0] + p[1] - 1.0).abs() < 1e-3, "{text}");
        let expected = ["no_answer", "answer"][usize::from(p[1] > p[0])];
        assert_eq!(cells[0], expected);
    }
    let model = "run/seed-1/question-sentence";
    assert_eq!(text, out(predict(&bench, &format!("{model}/dense"), PAIRS)));
    let masked = out(predict(&bench, &format!("{model}/rows/ap-p80"), PAIRS));
    assert_ne!(text, masked);
    // What is predicted for a line is what was scored in the table.
    let lines = bench.read(format!("{model}/dense/predictions.tsv"));
    assert_says(&lines, &["part\tindex\texpected\tpredicted", "test\t11\t"]);
}

#[test]
fn lines_that_do_not_fit_are_named() {
    let bench = bench();
    bench.tiny("train --out run --device flex").success();
    let refused = predict(&bench, "run", "Who?\tHe.\nalone\n");
    let text = said(&refused, 1);
    assert_says(
        &text,
        &["only the first 1 lines are done: line 2", "TEXT<tab>TEXT"],
    );
    assert_eq!(stdout(&refused).lines().count(), 1);
    let text = said(&predict(&bench, "run", "Who?\tHe.\0\n"), 1);
    assert_says(&text, &["line 1: expected text, found a NUL character"]);
    let text = said(&predict(&bench, "run", ""), 1);
    assert_says(
        &text,
        &["standard input is empty: there is no text to label"],
    );
    let text = said(&predict(&bench, "run", "a\tb\tc\n"), 1);
    assert_says(&text, &["line 1", "more than one tab"]);
    let text = said(&predict(&bench, "run/data", PAIRS), 1);
    assert_says(&text, &["run/data", "is no model"]);
}

/// A label of a part of a text is told as that, once.
#[test]
fn texts_that_are_cut_are_counted() {
    let bench = bench();
    bench.tiny("train --out run --device flex").success();
    let long = "word ".repeat(60);
    let lines = format!("{PAIRS}When?\t{long}\n{long}\tIn 1790.\n");
    let told = |lines: &str| {
        let assert = bench.piped("predict --device flex --model run", lines);
        let assert = assert.success();
        String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
    };
    assert_says(
        &told(&lines),
        &["2 lines were cut to the 24 tokens that the model reads (`data.max_len`)"],
    );
    assert!(!told(PAIRS).contains("cut"));
    let quiet = predict(&bench, "run", &lines).success();
    assert!(quiet.get_output().stderr.is_empty());
}

#[test]
fn a_model_and_tokenizer_that_do_not_fit_are_refused() {
    let bench = bench();
    bench.tiny("train --out run --device flex").success();
    let path = bench.path("run/data/tokenizer.json");
    let altered = read(&path).replace("\"lowercase\":true", "\"lowercase\":false");
    let altered = altered.replace("\"lowercase\": true", "\"lowercase\": false");
    assert_ne!(altered, read(&path));
    fs::write(&path, altered).unwrap();
    let text = said(&predict(&bench, "run", PAIRS), 1);
    assert_says(&text, &["does not fit the tokenizer", "--out"]);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no /dev/full")]
fn predictions_that_cannot_be_written_are_an_error() {
    let bench = bench();
    bench.tiny("train --out run --device flex").success();
    let line = "predict --device flex --quiet --model run";
    assert_full(&bench.full(line, &[], PAIRS));
}
