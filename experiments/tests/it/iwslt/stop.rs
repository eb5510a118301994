//! Runs that are stopped go on to the same bits.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Bench, ONE, bleu, tiny, words};
use crate::{assert_says, read, said};

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
    let bench = Bench::new();
    let sets = [ONE, LONG].concat();
    // Prepared in advance, so that training starts at once.
    tiny(&bench, "prepare --out killed", &sets).success();
    tiny(&bench, "--out whole --device flex", &sets).success();
    let mut child = Command::new(env!("CARGO_BIN_EXE_iwslt"))
        .current_dir(bench.folder.path())
        .args(words("--out killed --device flex", &sets))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("iwslt starts");
    let metrics = bench.path("killed/seed-1/softmax/dense/metrics.jsonl");
    let started = Instant::now();
    while std::fs::read_to_string(&metrics).map_or(0, |t| t.lines().count()) < 4 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "training does not start"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("the end");
    let dense = bench.path("killed/seed-1/softmax/dense");
    assert!(dense.join("checkpoint.safetensors").exists());
    assert!(!dense.join("trained.json").exists());
    let text = said(&tiny(&bench, "--out killed --device flex", &sets), 1);
    assert_says(&text, &["--resume", "--out"]);
    tiny(&bench, "--out killed --device flex --resume", &sets).success();
    for run in ["dense", "rows/p0", "rows/cross-ap-p80"] {
        let file = |folder: &str, name: &str| {
            std::fs::read(bench.path(&format!("{folder}/seed-1/softmax/{run}/{name}"))).unwrap()
        };
        for name in ["metrics.jsonl", "model.safetensors", "test.txt"] {
            assert!(file("whole", name) == file("killed", name), "{run}/{name}");
        }
    }
    let csv = |folder: &str| read(&bench.path(&format!("{folder}/TABLE.csv")));
    assert_eq!(csv("whole"), csv("killed"));
    assert!(bleu(&csv("killed"), "cross", "80", "ap") >= 0.0);
    // Nothing but results is left beside the model.
    let mut left: Vec<String> = std::fs::read_dir(&dense)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        // A kill in the middle of writing leaves the half of a temporary file.
        .filter(|name| !name.starts_with(".writing-"))
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            "metrics.jsonl",
            "model.safetensors",
            "test.json",
            "test.txt",
            "trained.json"
        ]
    );
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_says_so() {
    let bench = Bench::new();
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
    let text = said(&tiny(&bench, "train --out run --device flex", &sets), 1);
    assert_says(&text, &["softmax/dense", "diverged at step", "train.lr"]);
    let records = std::fs::read_dir(bench.path("run/records")).unwrap();
    let record = records
        .map(|e| read(&e.unwrap().path()))
        .next()
        .expect("a record");
    assert_says(&record, &["\"status\": \"diverged\"", "\"bleu\""]);
}
