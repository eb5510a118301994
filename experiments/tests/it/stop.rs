//! Runs that are stopped go on to the same bits.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Bench, assert_says, read, said, value};

/// Long enough to be stopped in the middle, and the smallest table.
const LONG: &[&str] = &[
    "train.steps=400",
    "train.log_every=20",
    "train.checkpoint_every=20",
    "prune.p=[0, 60]",
    "prune.random_masks=[0, 1]",
];

fn spawn(bench: &Bench, line: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_lm"))
        .current_dir(bench.folder.path())
        .args(Bench::words(line, LONG))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("lm starts")
}

/// Waits until the run has logged beyond its first checkpoints.
fn wait_for_steps(metrics: &Path) {
    let started = Instant::now();
    while std::fs::read_to_string(metrics).map_or(0, |t| t.lines().count()) < 4 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "training does not start"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn kill_9_and_resume_give_the_metrics_of_an_unstopped_run() {
    let bench = Bench::new();
    bench.tiny_with("--out whole --device flex", LONG).success();
    let mut child = spawn(&bench, "--out killed --device flex");
    wait_for_steps(&bench.path("killed/seed-1/dense/metrics.jsonl"));
    child.kill().expect("SIGKILL");
    child.wait().expect("the end");
    assert!(
        bench
            .path("killed/seed-1/dense/checkpoint.safetensors")
            .exists()
    );
    assert!(!bench.path("killed/seed-1/dense/trained.json").exists());
    // Without --resume nothing is touched.
    let text = said(&bench.tiny_with("--out killed --device flex", LONG), 1);
    assert_says(&text, &["--resume", "--out"]);
    bench
        .tiny_with("--out killed --device flex --resume", LONG)
        .success();
    for run in ["dense", "rows/p0", "rows/ap-p60", "rows/random-p60-m1"] {
        let metrics =
            |folder: &str| read(&bench.path(&format!("{folder}/seed-1/{run}/metrics.jsonl")));
        assert_eq!(metrics("whole"), metrics("killed"), "{run}");
    }
    let csv = |folder: &str| read(&bench.path(&format!("{folder}/TABLE.csv")));
    assert_eq!(csv("whole"), csv("killed"));
    assert!(value(&csv("killed"), "ap", "60").parse::<f64>().unwrap() > 1.0);
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_a_checkpoint_and_exits_130() {
    let bench = Bench::new();
    let mut child = spawn(&bench, "train --out run --device flex");
    wait_for_steps(&bench.path("run/seed-1/dense/metrics.jsonl"));
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.expect("kill runs").success());
    assert_eq!(child.wait().expect("the end").code(), Some(130));
    assert!(
        bench
            .path("run/seed-1/dense/checkpoint.safetensors")
            .exists()
    );
    bench
        .tiny_with("train --out run --device flex --resume", LONG)
        .success();
    bench
        .tiny_with("train --out whole --device flex", LONG)
        .success();
    let metrics = |folder: &str| read(&bench.path(&format!("{folder}/seed-1/dense/metrics.jsonl")));
    assert_eq!(metrics("whole"), metrics("run"));
    assert!(bench.path("run/seed-1/dense/trained.json").exists());
    assert!(
        !bench
            .path("run/seed-1/dense/checkpoint.safetensors")
            .exists()
    );
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint() {
    let bench = Bench::new();
    // The learning rate rises until the weights overflow.
    let sets = [
        "train.steps=2000",
        "train.lr=1e38",
        "train.warmup_steps=2000",
        "train.clip=1e30",
    ];
    let text = said(&bench.tiny_with("train --out run --device flex", &sets), 1);
    assert_says(&text, &["diverged at step", "train.lr"]);
    let records = std::fs::read_dir(bench.path("run/records")).unwrap();
    let record = records
        .map(|e| read(&e.unwrap().path()))
        .next()
        .expect("a record");
    assert_says(&record, &["\"status\": \"diverged\""]);
}
