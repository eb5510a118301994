//! `iwslt translate`.

use std::fs;

use assert_cmd::assert::Assert;
use serde_json::Value;

use super::{ONE, bench};
use crate::bench::{Bench, assert_full, assert_says, refused, said, stdout};

const LINES: &str = "Öffnet den Dialog Drucken.\n\nSpeichert das Dokument.\n";

fn translate(bench: &Bench, options: &str) -> Assert {
    let line = format!("translate --device flex --quiet {options}");
    bench.piped(&line, LINES)
}

fn out(assert: Assert) -> String {
    stdout(&assert.success())
}

#[test]
fn lines_in_translations_out() {
    let bench = bench();
    bench.tiny_with("--out run --device flex", ONE).success();
    let text = out(translate(&bench, "--model run"));
    assert_eq!(text.lines().count(), 3, "{text}");
    assert_eq!(text.lines().nth(1), Some(""), "a blank line stays blank");
    // The run folder alone means its dense model.
    let dense = "--model run/seed-1/softmax/dense";
    assert_eq!(text, out(translate(&bench, dense)));
    // So does `.` in the folder of the model.
    let inside = bench
        .command()
        .current_dir(bench.path("run/seed-1/softmax/dense"))
        .args(["translate", "--device", "flex", "--quiet", "--model", "."])
        .write_stdin(LINES)
        .assert();
    assert_eq!(text, out(inside));
    let text = out(translate(&bench, "--model run --n-best 3"));
    let cells: Vec<Vec<&str>> = text.lines().map(|l| l.split('\t').collect()).collect();
    assert_eq!(cells.len(), 7, "{text}");
    assert!(cells.iter().all(|c| c.len() == 3));
    let score = |i: usize| cells[i][1].parse::<f64>().unwrap();
    assert!(score(0) >= score(1) && score(1) >= score(2) && score(0) < 0.0);
    let numbers: Vec<&str> = cells.iter().map(|c| c[0]).collect();
    assert_eq!(numbers, ["1", "1", "1", "2", "3", "3", "3"]);
}

/// What stands before a line that is refused is translated, and the line named.
#[test]
fn lines_that_cannot_be_translated_are_named() {
    let bench = bench();
    bench
        .tiny_with("train --out run --device flex", ONE)
        .success();
    let line = "translate --device flex --quiet --model run";
    let long = "Dialog ".repeat(2000);
    for (bad, words) in [
        (long.as_str(), "split it"),
        ("a\0b", "expected text, found a NUL character at offset 1"),
    ] {
        let refused = bench.piped(line, &format!("{LINES}{bad}\n{LINES}"));
        let text = said(&refused, 1);
        assert_says(
            &text,
            &["only the first 3 lines are done: ", "line 4", words],
        );
        assert_eq!(
            stdout(&refused),
            out(translate(&bench, "--model run")),
            "{bad}"
        );
    }
    let text = said(&bench.piped(line, ""), 1);
    assert_says(
        &text,
        &["standard input is empty: there is no line to translate"],
    );
}

/// A table over a sparse output layer by exact search; the same model by beam and by exact search.
#[test]
fn a_sparse_output_layer_can_be_searched_exactly() {
    let bench = bench();
    let sparse = [
        "model.output=sparsemax",
        "prune.softmax=[]",
        "train.steps=60",
        "train.lr=0.01",
        "eval.search=exact(prefixes=30)",
        "eval.length_penalty=0.0",
    ];
    let sets = [ONE, &sparse[..]].concat();
    let printed = stdout(&bench.tiny_with("--out run --device flex", &sets).success());
    let line = "Output layer of softmax (sparsemax, exact(prefixes=30) search): ";
    assert_says(
        &printed,
        &[
            line,
            "tokens of p > 0 a step",
            "cut mass",
            "empty translation p =",
        ],
    );
    let note: Value =
        serde_json::from_str(&bench.read("run/seed-1/softmax/dense/test.json")).unwrap();
    let output = &note["output"];
    let number = |name: &str| output["sparse"][name].as_f64().expect(name);
    assert!(number("support") >= 1.0 && number("support_of_references") >= 1.0);
    for share in ["support_one", "references_impossible", "exact", "likeliest"] {
        assert!((0.0..=1.0).contains(&number(share)), "{share}");
    }
    assert!(number("exact") <= number("likeliest") && number("cut") <= 1.0 + 1e-4);
    // Whatever was not proven was stopped, or ends nowhere.
    let empty = output["empty"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&empty));

    let scores = |search: &str| -> Vec<f64> {
        let line = format!("--model run --n-best 2 --beam 2 --search {search}");
        let text = out(translate(&bench, &line));
        let best = |n: &str| {
            let mut lines = text.lines().filter(|line| line.starts_with(n));
            lines
                .next()
                .unwrap()
                .split('\t')
                .nth(1)
                .unwrap()
                .parse()
                .unwrap()
        };
        vec![best("1\t"), best("3\t")]
    };
    for (beam, exact) in scores("beam").iter().zip(scores("exact(prefixes=200)")) {
        assert!(exact >= beam - 1e-4, "{exact} {beam}");
    }
    let line = "translate --device flex --model run --search exact(prefixes=1)";
    let text = String::from_utf8_lossy(&bench.piped(line, LINES).success().get_output().stderr)
        .into_owned();
    assert_says(&text, &["of 2 lines: every translation of p > 0 found for"]);
}

/// Before a model is read.
#[test]
fn more_hypotheses_than_there_can_be_are_refused() {
    let bench = bench();
    for (option, n) in [
        ("--beam", "100000"),
        ("--beam", "0"),
        ("--n-best", "1000000000"),
        ("--n-best", "0"),
    ] {
        let text = said(&translate(&bench, &format!("--model run {option} {n}")), 1);
        assert_says(
            &text,
            &[&format!("`{option}` must be from 1 to 10000; found {n}")],
        );
    }
}

#[test]
fn exact_search_over_softmax_is_refused() {
    let bench = bench();
    let line = "train --out run --device flex";
    bench.tiny_with(line, ONE).success();
    let text = said(&translate(&bench, "--model run --search exact"), 1);
    assert_says(
        &text,
        &["exact search needs an output map", "softmax", "beam search"],
    );
    let sets = [ONE, &["eval.search=exact"]].concat();
    let text = said(
        &bench.tiny_with("train --out other --device flex", &sets),
        1,
    );
    assert_says(&text, &["eval.search = \"exact\"", "model.output"]);
}

/// Pages selected exactly give the same translations, and what was read is said; so does a row with an output layer of
/// its own.
#[test]
fn keys_are_read_by_pages_where_attention_is_entmax() {
    let bench = bench();
    let sets = [
        ONE,
        &[
            "model.normalizers=[\"softmax\", \"entmax15 output=sparsemax\"]",
            "prune.softmax=[]",
            "prune.p=[0]",
            "prune.random_masks=[0]",
        ],
    ];
    bench
        .tiny_with("train --out run --device flex", &sets.concat())
        .success();
    let sparse = "--model run/seed-1/entmax15_output-sparsemax/dense --n-best 2";
    let all = out(translate(&bench, sparse));
    let by_pages = |pages: &str| {
        let line = format!("translate --device flex {sparse} --pages {pages}");
        bench.piped(&line, LINES).success()
    };
    let exact = by_pages("exact");
    let text = String::from_utf8_lossy(&exact.get_output().stderr).into_owned();
    assert_says(
        &text,
        &[
            "keys by pages (decoder-self and cross, exact): ",
            "keys read",
            "rows of weights",
            "of 2 lines: every translation of p > 0 found for",
        ],
    );
    let by_pages_too = stdout(&exact);
    assert_eq!(all.lines().count(), by_pages_too.lines().count());
    for (a, b) in all.lines().zip(by_pages_too.lines()) {
        let [a, b] = [a, b].map(|line| line.split('\t').collect::<Vec<_>>());
        assert_eq!((a[0], a[2]), (b[0], b[2]));
        let score = |cells: &[&str]| cells[1].parse::<f64>().unwrap();
        assert!((score(&a) - score(&b)).abs() < 1e-3, "{a:?} {b:?}");
    }
    let text =
        String::from_utf8_lossy(&by_pages("top_k=16+corrected").get_output().stderr).into_owned();
    assert_says(&text, &["top_k=16+corrected", "dropped mass"]);

    let of_softmax = "--model run/seed-1/softmax/dense --pages exact";
    let text = said(&translate(&bench, of_softmax), 1);
    assert_says(&text, &["--pages exact", "is softmax", "entmax15"]);
    let text = said(
        &translate(&bench, &format!("{sparse} --search exact --pages exact")),
        1,
    );
    assert_says(&text, &["--search beam"]);
    let text = refused(&translate(&bench, &format!("{sparse} --pages all")));
    assert_says(&text, &["`all` is no selection of pages", "top_k=64"]);
}

#[test]
fn attention_is_dumped_and_a_masked_model_attends_less() {
    let bench = bench();
    let sets = [
        ONE,
        &["prune.p=[0, 40, 80]", "prune.random_masks=[0, 0, 0]"],
    ]
    .concat();
    bench.tiny_with("--out run --device flex", &sets).success();
    let weights = |model: &str, file: &str| -> Vec<Value> {
        out(translate(
            &bench,
            &format!("--model {model} --attention {file}"),
        ));
        let text = bench.read(file);
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    };
    let zeros = |dumped: &Value| {
        let cross = dumped["cross"][0].as_array().unwrap().iter();
        let cells = cross.flat_map(|head| head.as_array().unwrap());
        let cells = cells.flat_map(|row| row.as_array().unwrap());
        cells.filter(|w| w.as_f64() == Some(0.0)).count()
    };
    let dense = weights("run", "dense.jsonl");
    let masked = weights("run/seed-1/softmax/rows/cross-ap-p80", "masked.jsonl");
    assert_eq!(dense.len(), 3);
    let again = translate(&bench, "--model run --attention dense.jsonl");
    let words = ["dense.jsonl is there already", "another `--attention FILE`"];
    assert_says(&said(&again, 1), &words);
    let first = &dense[0];
    let n = |key: &str| first[key].as_array().unwrap().len();
    let cross = &first["cross"][0][0];
    assert_eq!(cross.as_array().unwrap().len(), n("target"));
    assert_eq!(cross[0].as_array().unwrap().len(), n("source"));
    let sum: f64 = cross[0]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_f64)
        .sum();
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    assert_eq!(zeros(first), 0);
    assert!(zeros(&masked[0]) > 0);
    // Under a mask that is not its own it would say something else, and does not.
    bench
        .tiny_with("--out other --device flex --seeds 2", &sets)
        .success();
    for (from, reason) in [
        ("other/seed-2/softmax/masks/cross-ap-p80", "another model"),
        (
            "run/seed-1/softmax/masks/cross-ap-p40",
            "another row, which hides 40 % of the cells of cross",
        ),
    ] {
        let [from, to] = [from, "run/seed-1/softmax/masks/cross-ap-p80"]
            .map(|path| bench.path(format!("{path}.safetensors")));
        fs::copy(from, to).unwrap();
        let line = "--model run/seed-1/softmax/rows/cross-ap-p80";
        let text = said(&translate(&bench, line), 1);
        assert_says(&text, &["cross-ap-p80.safetensors", reason, "put back"]);
    }
}

#[test]
fn a_model_and_tokenizer_that_do_not_fit_are_refused() {
    let bench = bench();
    bench
        .tiny_with("train --out run --device flex", ONE)
        .success();
    let sets = [ONE, &["data.bpe_merges=150"]].concat();
    bench.tiny_with("prepare --out other", &sets).success();
    for file in ["codes.bpe", "dict.de.txt", "dict.en.txt"] {
        let path = |run: &str| bench.path(format!("{run}/data/{file}"));
        fs::copy(path("other"), path("run")).unwrap();
    }
    let text = said(&translate(&bench, "--model run"), 1);
    assert_says(&text, &["does not fit the tokenizers", "--out"]);
}

#[test]
fn folders_without_a_model_are_named() {
    let bench = bench();
    let text = said(&translate(&bench, "--model nowhere"), 1);
    assert_says(&text, &["no folder nowhere", "RUN/seed-1/NAME/dense"]);
    bench.tiny_with("prepare --out run", ONE).success();
    let text = said(&translate(&bench, "--model run"), 1);
    assert_says(&text, &["run", "seed-"]);
    let text = said(&translate(&bench, "--model run/data"), 1);
    assert_says(&text, &["run/data", "is no model"]);
    bench
        .tiny_with("train --out run --device flex", ONE)
        .success();
    let text = said(&translate(&bench, "--model run/seed-1/softmax/rows/p0"), 1);
    assert_says(&text, &["p0"]);
}

/// Nothing that was translated is lost without a word.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no /dev/full")]
fn translations_that_cannot_be_written_are_an_error() {
    let bench = bench();
    bench
        .tiny_with("train --out run --device flex", ONE)
        .success();
    let line = "translate --device flex --quiet --model run";
    assert_full(&bench.full(line, &[], LINES));
}
