//! The SQuAD table as a user makes it.

use super::{TINY, bench};
use crate::bench::{assert_full, assert_says, cell, said, stdout};

#[test]
fn stages_one_by_one_make_the_same_answers_as_all_at_once() {
    let bench = bench();
    let printed = bench.whole_and_in_parts();
    let quality = |csv: &str| -> Vec<String> {
        let lines = csv
            .lines()
            .filter(|l| l.contains("exact-match") || l.contains("answer-f1"));
        lines.map(str::to_owned).collect()
    };
    let whole = bench.csv("whole");
    assert_eq!(quality(&whole), quality(&bench.csv("parts")));
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
    assert_says(
        &printed,
        &[
            "exact-match|task:new-wiki-to-squad-dev|split:test|len:64|stride:32|train-windows:24|n:8",
            "block-sparse",
            "seconds|task:training-step|split:synthetic|len:64|batch:4|device:flex|n:4",
        ],
    );
    let answers = bench.read("whole/seed-1/squad/dense/predictions.json");
    let answers: serde_json::Value = serde_json::from_str(&answers).unwrap();
    assert_eq!(answers.as_object().unwrap().len(), 8);
    bench.report_again();
}

/// Fused attention answers in the rows of the kernel that skips blocks, under masks of cells and of blocks; a
/// recipe that measures no cost waits for no other row.
#[test]
fn fused_attention_answers_in_the_rows_of_its_kernel() {
    let bench = bench();
    let sets = [
        "cost.batches=0",
        "prune.block_sizes=[16]",
        "prune.random_masks=[0, 1]",
    ];
    let line = "--out run --device flex --attention-by fused";
    let printed = stdout(&bench.tiny_with(line, &sets).success());
    assert!(!printed.contains("missing"), "{printed}");
    assert_says(&printed, &["ap-blocks-16"]);
    let csv = bench.csv("run");
    for mask in ["ap", "ap-blocks-16", "random"] {
        let effective = cell(&csv, "block-sparse", "80", mask, 2);
        let effective: f64 = effective.parse().unwrap();
        assert!((effective - 80.0).abs() < 5.0, "{mask}: {effective}");
    }
    assert_eq!(cell(&csv, "block-sparse", "0", "ap", 7), "1");
    assert!(!csv.contains("dense,"), "{csv}");
    // The same by the definition: the same losses and, of four steps, the same answers.
    let line = "--out definition --device flex --attention-by reference";
    bench.tiny_with(line, &sets).success();
    for row in ["dense", "rows/ap-p80", "rows/blocks16-p80"] {
        let losses = |run: &str| bench.losses(format!("{run}/seed-1/squad/{row}"));
        let (fused, definition) = (losses("run"), losses("definition"));
        assert_eq!(fused.len(), 4);
        for (a, b) in fused.iter().zip(&definition) {
            assert!((a - b).abs() < 2e-3, "{row}: {fused:?} and {definition:?}");
        }
    }
    for record in bench.records("definition") {
        assert_says(&record, &["\"attention\": \"reference"]);
    }
}

/// What is answered to a part of a question is told as that, and questions that are none are an error.
#[test]
fn questions_that_are_cut_are_counted() {
    let bench = bench();
    bench.tiny("train --out run --device flex").success();
    let asked = |words: usize| {
        let question = format!("What {}is old?", "very ".repeat(words));
        let questions = serde_json::json!([{"id": "7", "question": question}]);
        let paragraph = serde_json::json!({"context": "The tower is old.", "qas": questions});
        serde_json::json!({"data": [{"paragraphs": [paragraph]}]}).to_string()
    };
    let line = "answer --device flex --model run";
    let long = bench.piped(line, &asked(40)).success();
    let told = String::from_utf8_lossy(&long.get_output().stderr).into_owned();
    assert_says(
        &told,
        &[
            "1 questions were cut to the 16 tokens that the model reads of one (`data.max_question`)",
        ],
    );
    let short = bench.piped(line, &asked(1)).success();
    let told = String::from_utf8_lossy(&short.get_output().stderr).into_owned();
    assert!(!told.contains("cut"), "{told}");
    let text = said(&bench.piped(&format!("{line} --quiet"), ""), 1);
    assert_says(
        &text,
        &["standard input is empty: there is no question to answer"],
    );
}

#[test]
fn full_recipes_are_tried_without_their_files() {
    let bench = bench();
    let line = "--dry-run --device flex --recipe squad/minilm-l6 --set train.batch_size=2";
    let text = stdout(&bench.run(line).success());
    assert_says(&text, &["random", "SYNTHETIC", "squad-v1.1", "step, squad"]);
    let text = said(&bench.tiny_with("train", &["data.corpus=squad-v1.1"]), 1);
    assert_says(&text, &["train-v1.1.json", "prepare"]);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no /dev/full")]
fn a_measurement_that_cannot_be_written_is_an_error() {
    let bench = bench();
    assert_full(&bench.full("measure --device flex --quiet", TINY, ""));
}

/// A file of another kind is no damaged mask, and nobody is told to delete it.
#[test]
fn a_file_that_never_was_a_mask_is_told_as_that() {
    let bench = bench();
    std::fs::write(bench.path("ok.txt"), "ok\n").expect("a file");
    let text = said(&bench.tiny("measure --device flex --mask ok.txt"), 1);
    assert_says(
        &text,
        &["ok.txt", "global-mask", "it is no safetensors file"],
    );
    assert!(!text.contains("delete"), "{text}");
}

/// The measurement is a process of its own, whose command line must hold the names of all files.
#[cfg(target_os = "linux")]
#[test]
fn time_and_memory_are_measured_in_a_folder_whose_name_is_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let bench = bench();
    let run = bench.path(OsStr::from_bytes(b"r\xffn"));
    let words = bench.words("--device flex --quiet", &[]);
    let table = bench.command().args(words).arg("--out").arg(&run).assert();
    assert_says(&stdout(&table.success()), &["block-sparse"]);
    let csv = std::fs::read_to_string(run.join("TABLE.csv")).expect("a table");
    assert_says(&csv, &[",seconds,", ",gigabytes,"]);
}
