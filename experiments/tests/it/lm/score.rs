//! `lm score`: what a trained model thinks of a text.

use std::fs;

use super::{bench, value};
use crate::bench::{assert_says, said, stdout};

const SETS: &[&str] = &[
    "data.corpus=files",
    "data.files.words=spaces",
    "data.vocab_size=0",
    "eval.batch_size=1",
    "prune.p=[0, 60]",
    "prune.random_masks=[0, 0]",
];

/// A text of a small language.
fn text(lines: usize) -> String {
    let of = |i: usize| {
        format!(
            "the {} saw the {}\n",
            ["dog", "cat", "cow"][i % 3],
            ["sun", "sea"][i % 2]
        )
    };
    (0..lines).map(of).collect()
}

/// −ln p and the number of words of each line.
fn columns(printed: &str) -> Vec<(f64, usize)> {
    let of = |line: &str| {
        let mut cells = line.split('\t');
        let mut next = || cells.next().expect("a cell").to_owned();
        let (nll, words, perplexity) = (next(), next(), next());
        let (nll, words): (f64, usize) = (nll.parse().unwrap(), words.parse().unwrap());
        let perplexity: f64 = perplexity.parse().unwrap();
        assert!(
            (perplexity / (nll / words as f64).exp() - 1.0).abs() < 1e-3,
            "{line}"
        );
        (nll, words)
    };
    let lines = printed.lines().filter(|line| !line.is_empty());
    lines.map(of).collect()
}

#[test]
fn a_text_is_scored_as_the_test_set_is() {
    let bench = bench();
    let test = text(11);
    fs::create_dir(bench.path("mine")).unwrap();
    // The first token of a test set is read and no target: it is the end of a line here, that `score` starts from.
    let files = [
        ("train", text(400)),
        ("valid", text(30)),
        ("test", format!("<eos> {test}")),
    ];
    for (split, text) in files {
        fs::write(bench.path(format!("mine/{split}.txt")), text).unwrap();
    }
    let run = bench.tiny_with("--out run --device flex --data mine", SETS);
    run.success();
    for (model, p) in [
        ("run/seed-1/rows/p0", "0"),
        ("run/seed-1/rows/ap-p60", "60"),
    ] {
        let score = bench
            .piped(&format!("score --device flex --model {model}"), &test)
            .success();
        let lines = columns(&stdout(&score));
        assert_eq!(lines.len(), 11);
        assert!(lines.iter().all(|(_, words)| *words == 6), "{lines:?}");
        let nll: f64 = lines.iter().map(|(nll, _)| nll).sum();
        let expected: f64 = value(&bench.csv("run"), "ap", p).parse().unwrap();
        let found = (nll / 66.0).exp();
        assert!(
            (found / expected - 1.0).abs() < 1e-4,
            "{model}: {found} {expected}"
        );
        let told = String::from_utf8_lossy(&score.get_output().stderr).into_owned();
        assert_says(
            &told,
            &["11 lines, 66 words with the ends of lines (0 unknown): perplexity"],
        );
        assert_eq!(told.contains("under its mask"), p == "60", "{told}");
    }

    // What comes later changes nothing, and words are the parts of lines.
    let one = |options: &str, input: &str| {
        let line = format!("score --quiet --device flex --model run/seed-1/dense {options}");
        let assert = bench.piped(&line, input).success();
        assert!(assert.get_output().stderr.is_empty());
        stdout(&assert)
    };
    let first = "the dog saw the sun\n";
    let long = one("", &format!("{first}\nthe cat\n"));
    assert_eq!(long.lines().next(), one("", first).lines().next());
    // A blank line is none of the text, and its place stays.
    let without = one("", &format!("{first}the cat\n"));
    assert_eq!(long, without.replacen('\n', "\n\n", 1));
    let words = one("--words", first);
    let cells: Vec<(&str, f64)> = words
        .lines()
        .map(|line| line.split_once('\t').expect("two cells"))
        .map(|(word, nll)| (word, nll.parse().unwrap()))
        .collect();
    let typed: Vec<&str> = cells.iter().map(|(word, _)| *word).collect();
    assert_eq!(typed, ["the", "dog", "saw", "the", "sun", "<eos>"]);
    let sum: f64 = cells.iter().map(|(_, nll)| nll).sum();
    assert!((sum - columns(&long)[0].0).abs() < 1e-3, "{words} {long}");
}

/// Words are those of the files that the model was trained on.
#[test]
fn a_text_as_people_write_it_is_read_as_the_corpus_was() {
    let bench = bench();
    let line = |i: usize| format!("The {}, the sun {i}.\n", ["dog", "cat", "cow"][i % 3]);
    fs::write(
        bench.path("mine.txt"),
        (0..400).map(line).collect::<String>(),
    )
    .unwrap();
    let sets = [
        SETS,
        &["data.files.words=moses", "data.files.lowercase=true"],
    ]
    .concat();
    bench
        .tiny_with("train --out run --device flex --data mine.txt", &sets)
        .success();
    let score = bench.piped(
        "score --device flex --model run --words",
        "The dog, the SUN.\n\n",
    );
    let score = score.success();
    let printed = stdout(&score);
    let words: Vec<&str> = printed
        .lines()
        .filter_map(|line| Some(line.split_once('\t')?.0))
        .collect();
    assert_eq!(words, ["the", "dog", ",", "the", "sun", ".", "<eos>"]);
    let told = String::from_utf8_lossy(&score.get_output().stderr).into_owned();
    assert_says(
        &told,
        &[
            "1 lines, 7 words with the ends of lines (0 unknown), and 1 blank ones that are none of the text",
        ],
    );
}

/// Paragraphs are those of the files that the model was trained on: the same text scores what the test set does.
#[test]
fn hard_wrapped_text_is_read_by_paragraphs() {
    let bench = bench();
    let wrapped = |lines: usize| {
        let text = text(lines).replace(" saw ", " saw\n");
        text.replace("sun\n", "sun\n\n").replace("sea\n", "sea\n\n")
    };
    let test = wrapped(11);
    fs::create_dir(bench.path("mine")).unwrap();
    let files = [
        ("train", wrapped(400)),
        ("valid", wrapped(30)),
        ("test", format!("<eos> {test}")),
    ];
    for (split, text) in files {
        fs::write(bench.path(format!("mine/{split}.txt")), text).unwrap();
    }
    let sets = [SETS, &["data.files.paragraphs=blank_lines"]].concat();
    let run = bench.tiny_with("--out run --device flex --data mine", &sets);
    run.success();
    let expected: f64 = value(&bench.csv("run"), "ap", "0").parse().unwrap();
    // With and without a blank line at the end, and with several.
    for input in [
        test.clone(),
        test.trim_end().to_owned(),
        test.replace("\n\n", "\n \n\n"),
    ] {
        let line = "score --device flex --model run/seed-1/rows/p0";
        let score = bench.piped(line, &input).success();
        let lines = columns(&stdout(&score));
        assert_eq!(lines.len(), 11);
        assert!(lines.iter().all(|(_, words)| *words == 6), "{lines:?}");
        let nll: f64 = lines.iter().map(|(nll, _)| nll).sum();
        let found = (nll / 66.0).exp();
        assert!((found / expected - 1.0).abs() < 1e-4, "{found} {expected}");
        let told = String::from_utf8_lossy(&score.get_output().stderr).into_owned();
        let words = "11 paragraphs, 66 words with the ends of paragraphs (0 unknown): perplexity";
        assert_says(&told, &[words]);
    }
}

#[test]
fn what_cannot_be_scored_is_said() {
    let bench = bench();
    bench.tiny("train --out run --device flex").success();
    let line = "score --device flex --model run";
    let told = bench.piped(line, "the zzyzx\n").success();
    let told = String::from_utf8_lossy(&told.get_output().stderr).into_owned();
    assert_says(&told, &["1 lines, 3 words", "(1 unknown)"]);
    assert_says(
        &said(&bench.piped(&format!("{line} --quiet"), ""), 1),
        &["standard input is empty: there is no text to score"],
    );
    assert_says(
        &said(&bench.piped(&format!("{line} --quiet"), "\n \n"), 1),
        &["standard input has no text to score: its lines are blank"],
    );
    let nul = bench.piped(&format!("{line} --quiet"), "the people\nof\0\n");
    assert_says(
        &said(&nul, 1),
        &[
            "only the first 1 lines are done",
            "line 2: expected text, found a NUL character at offset 2",
        ],
    );
    assert_eq!(columns(&stdout(&nul)).len(), 1);
    let refused = bench.piped(&format!("{line} --seeds 1"), "the\n");
    assert_eq!(refused.get_output().status.code(), Some(2));
    let missing = said(
        &bench.piped("score --quiet --device flex --model nowhere", "a\n"),
        1,
    );
    assert_says(&missing, &["nowhere"]);
}
