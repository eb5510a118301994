//! Runs that are stopped go on to the same bits.

use std::process::Command;

use super::{bench, value};
use crate::bench::{assert_says, said, wait_for};

/// Long enough to be stopped in the middle, and the smallest table.
const LONG: &[&str] = &[
    "train.steps=400",
    "train.log_every=20",
    "train.checkpoint_every=20",
    "prune.p=[0, 60]",
    "prune.random_masks=[0, 1]",
];

#[test]
fn kill_9_and_resume_give_the_metrics_of_an_unstopped_run() {
    let bench = bench();
    let files = ["dense", "rows/p0", "rows/ap-p60", "rows/random-p60-m1"]
        .map(|run| format!("seed-1/{run}/metrics.jsonl"));
    bench.kill_and_resume(
        "",
        LONG,
        "seed-1/dense",
        &files.each_ref().map(String::as_str),
    );
    let perplexity: f64 = value(&bench.csv("killed"), "ap", "60").parse().unwrap();
    assert!(perplexity > 1.0);
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_a_checkpoint_and_exits_130() {
    let bench = bench();
    let mut child = bench.spawn("train --out run --device flex", LONG);
    let checkpoint = bench.path("run/seed-1/dense/checkpoint.safetensors");
    wait_for(|| checkpoint.exists());
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.expect("kill runs").success());
    assert_eq!(child.wait().expect("the end").code(), Some(130));
    assert!(checkpoint.exists());
    bench
        .tiny_with("train --out run --device flex --resume", LONG)
        .success();
    bench
        .tiny_with("train --out whole --device flex", LONG)
        .success();
    let metrics = |folder: &str| bench.read(format!("{folder}/seed-1/dense/metrics.jsonl"));
    assert_eq!(metrics("whole"), metrics("run"));
    assert!(bench.path("run/seed-1/dense/trained.json").exists());
    assert!(!checkpoint.exists());
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint() {
    let bench = bench();
    // The learning rate rises until the weights overflow.
    let sets = [
        "train.steps=2000",
        "train.lr=1e38",
        "train.warmup_steps=2000",
        "train.clip=1e30",
    ];
    let text = said(&bench.tiny_with("train --out run --device flex", &sets), 1);
    assert_says(&text, &["diverged at step", "train.lr"]);
    let records = bench.records("run");
    assert_says(&records[0], &["\"status\": \"diverged\""]);
}

/// The second process says who is there and touches nothing; a lock goes with its process, however that ends.
#[test]
fn a_folder_in_use_is_refused_until_its_process_ends() {
    let bench = bench();
    let sets = [&["train.steps=200000"], &LONG[1..]].concat();
    let mut child = bench.spawn("--out run --device flex", &sets);
    let checkpoint = bench.path("run/seed-1/dense/checkpoint.safetensors");
    wait_for(|| checkpoint.exists());
    let holder = format!("in use by `lm` (pid {} on host ", child.id());
    let lock = bench.read("run/.lock");
    for stage in [
        "",
        "prepare",
        "train",
        "train --resume",
        "observe",
        "eval",
        "--resume",
    ] {
        let device = if stage == "prepare" {
            ""
        } else {
            "--device flex"
        };
        let line = format!("{stage} --out run {device}");
        let text = said(&bench.tiny_with(&line, &sets), 1);
        assert_says(
            &text,
            &["run folder run is", &holder, "wait", "stop", "--out"],
        );
        assert_eq!(lock, bench.read("run/.lock"), "{stage}");
    }
    assert!(
        child.try_wait().expect("a process").is_none(),
        "still training"
    );
    child.kill().expect("SIGKILL");
    child.wait().expect("the end");
    // Far from its end; the lock is taken at once.
    let mut child = bench.spawn("--out run --device flex --resume", &sets);
    let second = format!("`lm` (pid {} on host ", child.id());
    wait_for(|| bench.read("run/.lock").starts_with(&second));
    let metrics = bench.path("run/seed-1/dense/metrics.jsonl");
    let length = || std::fs::metadata(&metrics).map_or(0, |of| of.len());
    let before = length();
    wait_for(|| length() > before);
    child.kill().expect("SIGKILL");
    child.wait().expect("the end");
}
