//! Runs that are stopped go on to the same bits.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Bench, tiny, words};
use crate::{assert_says, read, said};

const LONG: &[&str] = &[
    "train.steps=60",
    "train.checkpoint_every=10",
    "prune.p=[0]",
    "prune.random_masks=[0]",
];

#[test]
fn kill_9_and_resume_give_the_metrics_of_an_unstopped_run() {
    let bench = Bench::new();
    tiny(&bench, "--out whole --device flex", LONG).success();
    let mut child = Command::new(env!("CARGO_BIN_EXE_glue"))
        .current_dir(bench.folder.path())
        .args(words("--out killed --device flex", LONG))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let checkpoint = bench.path("killed/seed-1/question-sentence/dense/checkpoint.safetensors");
    let patience = Instant::now();
    while !checkpoint.exists() {
        assert!(
            patience.elapsed() < Duration::from_secs(120),
            "no checkpoint"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let text = said(&tiny(&bench, "--out killed --device flex", LONG), 1);
    assert_says(&text, &["--resume", "--out"]);
    tiny(&bench, "--out killed --device flex --resume", LONG).success();
    let metrics = |run: &str| {
        read(&bench.path(&format!(
            "{run}/seed-1/question-sentence/dense/metrics.jsonl"
        )))
    };
    assert_eq!(metrics("whole"), metrics("killed"));
    let table = |run: &str| read(&bench.path(&format!("{run}/TABLE.csv")));
    assert_eq!(table("whole"), table("killed"));
}
