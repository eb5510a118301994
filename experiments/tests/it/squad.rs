//! The SQuAD table as a user makes it.

use assert_cmd::Command;
use assert_cmd::assert::Assert;

use super::Bench;
use crate::iwslt::cell;
use crate::{assert_says, read, said};

/// `--set` edits that shrink the default recipe to four steps of four short windows.
const TINY: &[&str] = &[
    "data.max_len=64",
    "data.max_question=16",
    "data.stride=32",
    "data.train_windows=24",
    "data.test_questions=8",
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "observe.batch_size=8",
    "observe.examples=16",
    "prune.p=[0, 80]",
    "cost.batches=1",
];

pub fn command(bench: &Bench) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squad"));
    command
        .current_dir(bench.folder.path())
        .env("SPARTA_CACHE", bench.path("cache"));
    command
}

/// Runs `squad` on the tiny recipe with further edits.
pub fn tiny(bench: &Bench, line: &str, sets: &[&str]) -> Assert {
    let mut command = command(bench);
    command.args(line.split_whitespace()).arg("--quiet");
    for set in TINY.iter().chain(sets) {
        command.args(["--set", set]);
    }
    command.assert()
}

#[test]
fn stages_one_by_one_make_the_same_answers_as_all_at_once() {
    let bench = Bench::new();
    let all = tiny(&bench, "--out whole --device flex", &[]).success();
    for stage in ["prepare", "train", "observe", "prune", "eval"] {
        tiny(&bench, &format!("{stage} --out parts --device flex"), &[]).success();
    }
    let csv = |run: &str| read(&bench.path(&format!("{run}/TABLE.csv")));
    let quality = |csv: &str| -> Vec<String> {
        let lines = csv
            .lines()
            .filter(|l| l.contains("exact-match") || l.contains("answer-f1"));
        lines.map(str::to_owned).collect()
    };
    let whole = csv("whole");
    assert_eq!(quality(&whole), quality(&csv("parts")));
    assert_eq!(quality(&whole).len(), 4, "{whole}");
    assert_eq!(cell(&whole, "dense", "0", "ap", 7), "1");
    let effective: f64 = cell(&whole, "masked-dense", "80", "ap", 2).parse().unwrap();
    assert!((effective - 80.0).abs() < 1.0, "{effective}");
    for metric in ["seconds", "gigabytes"] {
        let lines = whole.lines().filter(|l| l.contains(&format!(",{metric},")));
        let values: Vec<f64> = lines
            .map(|l| l.split(',').nth(5).unwrap().parse().unwrap())
            .collect();
        // Dense and masked, by the definition and by the kernels that skip blocks.
        assert!(
            values.len() == 4 && values.iter().all(|v| *v > 0.0),
            "{whole}"
        );
        for (row, p) in [("dense", "0"), ("masked-dense", "80")] {
            for row in [row, "block-sparse"] {
                let is_line = |l: &str| {
                    l.starts_with(&format!("{row},{p},")) && l.contains(&format!(",{metric},"))
                };
                assert!(whole.lines().any(is_line), "{row} {p} {metric}: {whole}");
            }
        }
    }
    let printed = String::from_utf8_lossy(&all.get_output().stdout).into_owned();
    assert_says(
        &printed,
        &[
            "exact-match|task:new-wiki-to-squad-dev|split:test|len:64|stride:32|train-windows:24|n:8",
            "block-sparse",
            "seconds|task:training-step|split:synthetic|len:64|batch:4|device:flex|n:4",
        ],
    );
    let answers = read(&bench.path("whole/seed-1/squad/dense/predictions.json"));
    let answers: serde_json::Value = serde_json::from_str(&answers).unwrap();
    assert_eq!(answers.as_object().unwrap().len(), 8);
}

/// Fused attention answers in the rows of the kernel that skips blocks, under masks of cells and of blocks; a
/// recipe that measures no cost waits for no other row.
#[test]
fn fused_attention_answers_in_the_rows_of_its_kernel() {
    let bench = Bench::new();
    let sets = [
        "cost.batches=0",
        "prune.block_sizes=[16]",
        "prune.random_masks=[0, 1]",
    ];
    let line = "--out run --device flex --attention-by fused";
    let assert = tiny(&bench, line, &sets).success();
    let printed = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(!printed.contains("missing"), "{printed}");
    assert_says(&printed, &["ap-blocks-16"]);
    let csv = read(&bench.path("run/TABLE.csv"));
    for mask in ["ap", "ap-blocks-16", "random"] {
        let effective = cell(&csv, "block-sparse", "80", mask, 2);
        let effective: f64 = effective.parse().unwrap();
        assert!((effective - 80.0).abs() < 5.0, "{mask}: {effective}");
    }
    assert_eq!(cell(&csv, "block-sparse", "0", "ap", 7), "1");
    assert!(!csv.contains("dense,"), "{csv}");
    // The same by the definition: the same losses and, of four steps, the same answers.
    let line = "--out definition --device flex --attention-by reference";
    tiny(&bench, line, &sets).success();
    let losses = |run: &str, row: &str| -> Vec<f64> {
        let path = bench.path(&format!("{run}/seed-1/squad/{row}/metrics.jsonl"));
        let lines = read(&path);
        let loss = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["train/nll"].as_f64()
        };
        lines.lines().filter_map(loss).collect()
    };
    for row in ["dense", "rows/ap-p80", "rows/blocks16-p80"] {
        let (fused, definition) = (losses("run", row), losses("definition", row));
        assert_eq!(fused.len(), 4);
        for (a, b) in fused.iter().zip(&definition) {
            assert!((a - b).abs() < 2e-3, "{row}: {fused:?} and {definition:?}");
        }
    }
    let record = bench.path("definition/records");
    let records = std::fs::read_dir(record).unwrap();
    for record in records {
        let text = read(&record.unwrap().path());
        assert!(text.contains("\"attention\": \"reference\""), "{text}");
    }
}

#[test]
fn full_recipes_are_tried_without_their_files() {
    let bench = Bench::new();
    let line = "--dry-run --device flex --recipe squad/minilm-l6 --set train.batch_size=2";
    let assert = command(&bench)
        .args(line.split_whitespace())
        .assert()
        .success();
    let text = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert_says(&text, &["random", "SYNTHETIC", "squad-v1.1", "step, squad"]);
    let text = said(&tiny(&bench, "train", &["data.corpus=squad-v1.1"]), 1);
    assert_says(&text, &["train-v1.1.json", "prepare"]);
}
