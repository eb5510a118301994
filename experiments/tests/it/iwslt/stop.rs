//! Runs that are stopped go on to the same bits.

use std::fs;

use super::{ONE, bench};
use crate::bench::{assert_says, said, score, stdout};

/// Long enough to be stopped in the middle, with gradient accumulation and an average of snapshots.
const LONG: &[&str] = &[
    "train.steps=200",
    "train.grad_accum=2",
    "train.log_every=10",
    "train.checkpoint_every=10",
    "train.keep=average",
    "train.average=3",
    "train.average_every=40",
    "train.valid_every=50",
];

#[test]
fn kill_9_and_resume_give_the_metrics_of_an_unstopped_run() {
    let bench = bench();
    let sets = [ONE, LONG].concat();
    // Prepared in advance, so that training starts at once.
    bench.tiny_with("prepare --out killed", &sets).success();
    let dense = "seed-1/softmax/dense";
    let models = [
        dense,
        "seed-1/softmax/rows/p0",
        "seed-1/softmax/rows/cross-ap-p80",
    ];
    let names = ["metrics.jsonl", "model.safetensors", "test.txt"];
    let files: Vec<String> = models
        .iter()
        .flat_map(|model| names.map(|name| format!("{model}/{name}")))
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    bench.kill_and_resume("", &sets, dense, &files);
    assert!(score(&bench.csv("killed"), "cross", "80", "ap") >= 0.0);
    // Nothing but results is left beside the model.
    let mut left: Vec<String> = fs::read_dir(bench.path("killed").join(dense))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            "metrics.jsonl",
            "model.safetensors",
            "test.json",
            "test.txt",
            "timing.jsonl",
            "trained.json"
        ]
    );
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_says_so() {
    let bench = bench();
    let sets = [
        ONE,
        &[
            "train.lr=1e38",
            "train.steps=400",
            "train.warmup_steps=400",
            "train.clip=0.0",
        ],
    ]
    .concat();
    let text = said(&bench.tiny_with("train --out run --device flex", &sets), 1);
    assert_says(&text, &["softmax/dense", "diverged at step", "train.lr"]);
    let records = bench.records("run");
    assert_says(&records[0], &["\"status\": \"diverged\"", "\"bleu\""]);
    assert_eq!(bench.status("run")["state"], "failed");
    assert_says(&stdout(&bench.sparta("runs run").success()), &["failed"]);
}
