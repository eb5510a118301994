//! The table of masked language models as a user makes it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::assert::Assert;
use safetensors::SafeTensors;

use super::Bench;
use crate::glue::weights::{Head, any_bert};
use crate::{assert_says, read, said};

/// `--set` edits that shrink the default recipe to four steps of four short windows.
const TINY: &[&str] = &[
    "data.max_len=24",
    "data.train_windows=40",
    "data.valid_windows=8",
    "data.test_windows=12",
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "train.warmup_steps=1",
    "observe.batch_size=8",
    "observe.windows=16",
    "prune.p=[0, 80]",
    "prune.random_masks=[0, 1]",
    "prune.block_sizes=[16]",
    "retrain.steps=2",
    "retrain.warmup_steps=1",
    "eval.batch_size=8",
];

/// A network of one layer of 8 from the folder `weights`.
const ANY_BERT: &[&str] = &["model.network=\"bert\""];

/// The words of a tiny run: stage and options as typed, then the tiny recipe.
fn words(line: &str, sets: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    for set in TINY.iter().chain(sets) {
        words.extend(["--set".to_owned(), (*set).to_owned()]);
    }
    words
}

/// Runs `mlm` on the tiny recipe with further edits.
fn tiny(bench: &Bench, line: &str, sets: &[&str]) -> Assert {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_mlm"));
    command
        .current_dir(bench.folder.path())
        .env("SPARTA_CACHE", bench.path("cache"))
        .args(words(line, sets))
        .assert()
}

/// Lines of a TABLE.csv by score: row, p and mask of each.
fn lines<'a>(csv: &'a str, metric: &str) -> Vec<[&'a str; 3]> {
    let cells = |line: &'a str| -> Vec<&'a str> { line.split(',').collect() };
    let all = csv.lines().map(cells).filter(|cells| cells[4] == metric);
    all.map(|cells| [cells[0], cells[1], cells[3]]).collect()
}

/// The score of a line.
fn score(csv: &str, metric: &str, p: &str, mask: &str) -> f64 {
    let of = |line: &&str| {
        let cells: Vec<&str> = line.split(',').collect();
        [cells[1], cells[3], cells[4]] == [p, mask, metric]
    };
    let line = csv.lines().find(of);
    let value = line.and_then(|line| line.split(',').nth(5));
    value
        .unwrap_or_else(|| panic!("no line {metric} {p} {mask} in {csv}"))
        .parse()
        .expect("a number")
}

#[test]
fn stages_one_by_one_make_the_same_table_as_all_at_once() {
    let bench = Bench::new();
    let all = tiny(&bench, "--quiet --out whole --device flex", &[]).success();
    for stage in ["prepare", "train", "observe", "prune", "eval"] {
        let device = if stage == "prepare" {
            ""
        } else {
            "--device flex"
        };
        tiny(
            &bench,
            &format!("{stage} --quiet --out parts {device}"),
            &[],
        )
        .success();
    }
    let csv = |run: &str| read(&bench.path(&format!("{run}/TABLE.csv")));
    let whole = csv("whole");
    assert_eq!(whole, csv("parts"));
    for metric in ["pseudo-perplexity", "accuracy"] {
        let expected = [
            ["minilm-l3", "0", "ap"],
            ["minilm-l3", "80", "ap"],
            ["minilm-l3", "80", "random"],
            ["minilm-l3", "80", "ap-blocks-16"],
            ["minilm-l3", "", "unigram"],
            ["minilm-l3", "", "none"],
        ];
        let mut found = lines(&whole, metric);
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{whole}");
    }
    // The most frequent word piece alone is right more often than by chance, and never surely.
    let accuracy = score(&whole, "accuracy", "", "unigram");
    assert!(accuracy > 1.0 && accuracy < 20.0, "{accuracy}");
    let printed = String::from_utf8_lossy(&all.get_output().stdout).into_owned();
    assert_says(
        &printed,
        &["pseudo-perplexity|task:sotu|split:test|unit:wordpiece|vocab:30522|len:24|passes:7|n:"],
    );
    assert!(!printed.contains("missing"), "{printed}");
}

#[test]
fn kill_9_and_resume_give_the_table_of_an_unstopped_run() {
    let bench = Bench::new();
    any_bert(&bench, Head::None);
    let long = [
        ANY_BERT,
        &[
            "train.steps=400",
            "train.checkpoint_every=10",
            "model.dropout=0.1",
        ],
    ]
    .concat();
    let line = |out: &str| format!("--quiet --out {out} --device flex --weights weights");
    tiny(&bench, &line("whole"), &long).success();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlm"))
        .current_dir(bench.folder.path())
        .args(words(&line("killed"), &long))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let checkpoint = bench.path("killed/seed-1/dense/checkpoint.safetensors");
    let patience = Instant::now();
    while !checkpoint.exists() {
        assert!(
            patience.elapsed() < Duration::from_secs(120),
            "no checkpoint"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let text = said(&tiny(&bench, &line("killed"), &long), 1);
    assert_says(&text, &["--resume", "--out"]);
    tiny(&bench, &format!("{} --resume", line("killed")), &long).success();
    for file in ["seed-1/dense/metrics.jsonl", "TABLE.csv"] {
        let of = |run: &str| read(&bench.path(&format!("{run}/{file}")));
        assert_eq!(of("whole"), of("killed"), "{file}");
    }
}

#[test]
fn normalizers_share_a_table_and_each_has_its_masks() {
    let bench = Bench::new();
    any_bert(&bench, Head::None);
    let sets = [ANY_BERT, &["model.normalizers=[\"softmax\", \"entmax15\"]"]].concat();
    let line = "--quiet --out run --device flex --weights weights";
    tiny(&bench, line, &sets).success();
    let csv = read(&bench.path("run/TABLE.csv"));
    for mask in ["ap", "random", "ap-blocks-16"] {
        for row in ["\"bert, softmax\"", "\"bert, entmax15\""] {
            let is_line = |l: &&str| {
                l.starts_with(row)
                    && l.contains(",80,")
                    && l.contains(&format!(",{mask},pseudo-perplexity,"))
            };
            assert_eq!(
                csv.lines().filter(is_line).count(),
                1,
                "{row} {mask}: {csv}"
            );
        }
    }
}

/// A parameter of a model after training.
fn parameter(bench: &Bench, run: &str, name: &str) -> Vec<f32> {
    let path = bench.path(&format!("{run}/seed-1/dense/model.safetensors"));
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let view = tensors.tensor(name).unwrap();
    let (floats, _) = view.data().as_chunks::<4>();
    floats.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[test]
fn the_head_comes_from_the_weights_where_they_have_one() {
    let bench = Bench::new();
    let still = ["train.lr=1e-12", "train.weight_decay=0"];
    let sets = [ANY_BERT, &still].concat();
    let train = |out: &str| {
        let line = format!("train --out {out} --device flex --weights weights");
        let assert = tiny(&bench, &line, &sets);
        String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
    };
    any_bert(&bench, Head::None);
    assert_says(&train("new"), &["with a new head for word pieces"]);
    let bias = parameter(&bench, "new", "head.bias");
    assert!(bias.iter().all(|b| b.abs() < 1e-6), "{bias:?}");
    let published = any_bert(&bench, Head::MaskedLm);
    assert_says(&train("published"), &["with their head for word pieces"]);
    let bias = parameter(&bench, "published", "head.bias");
    let differs = bias
        .iter()
        .zip(&published)
        .any(|(a, b)| (a - b).abs() > 1e-6);
    assert!(!differs && bias.len() == published.len(), "{bias:?}");
    any_bert(&bench, Head::WithoutBias);
    assert_says(&train("damaged"), &["error:", "cls.predictions.bias"]);
}

#[test]
fn full_recipes_are_tried_without_their_files() {
    let bench = Bench::new();
    let line = "--dry-run --device flex --recipe mlm/bert-base";
    let small = ["model.network=\"minilm-l6\""];
    let assert = tiny(&bench, line, &small).success();
    let text = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert_says(
        &text,
        &["random", "SYNTHETIC", "wikitext103", "step, softmax"],
    );
    let corpus = ["data.corpus=\"wikitext2\""];
    let text = said(&tiny(&bench, "train --quiet --device flex", &corpus), 1);
    assert_says(&text, &["WikiText-2", "mlm -- prepare"]);
    let long = ["data.max_len=600"];
    let text = said(&tiny(&bench, "train --quiet --device flex", &long), 1);
    assert_says(&text, &["data.max_len = 600", "512 positions"]);
}
