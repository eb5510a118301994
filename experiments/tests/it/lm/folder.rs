//! Run folders: what is kept with a run, and what is refused to be one.

use std::fs;

use super::{bench, value};
use crate::bench::{Bench, assert_says, said, stdout, wait_for};

/// Long enough to be stopped in the middle.
const LONG: &[&str] = &[
    "train.steps=300",
    "train.checkpoint_every=20",
    "retrain.steps=300",
    "prune.p=[0, 60]",
    "prune.random_masks=[0, 0]",
];

/// The recipe of a run.
fn recipe(bench: &Bench, run: &str) -> toml::Table {
    let text = bench.read(format!("{run}/recipe.toml"));
    text.parse().expect("a recipe")
}

fn numbers(value: &toml::Value) -> Vec<i64> {
    let list = value.as_array().expect("a list");
    list.iter()
        .map(|of| of.as_integer().expect("a number"))
        .collect()
}

/// Kills a run as soon as a model of it has a checkpoint.
fn kill_at(bench: &Bench, line: &str, sets: &[&str], model: &str) {
    let mut child = bench.spawn(line, sets);
    let folder = bench.path(model);
    wait_for(|| folder.join("checkpoint.safetensors").exists());
    child.kill().expect("SIGKILL");
    child.wait().expect("the end");
    assert!(!folder.join("trained.json").exists());
}

/// Whoever comes after an interruption knows the rows that were asked for: the list of runs, the table, and `--resume` alone.
#[test]
fn rows_that_were_added_are_made_by_whoever_goes_on() {
    let bench = bench();
    bench.tiny_with("--out run --device flex", LONG).success();
    let more = [LONG, &["prune.block_sizes=[16, 32]"]].concat();
    let line = "--out run --device flex --resume";
    kill_at(&bench, line, &more, "run/seed-1/rows/blocks16-p60");
    let runs = || stdout(&bench.sparta("runs run").success());
    assert_says(&runs(), &["3/5", "killed"]);
    let kept = bench.read("run/recipe.toml");
    assert_eq!(
        numbers(&recipe(&bench, "run")["prune"]["block_sizes"]),
        [16, 32]
    );
    // A table alone changes nothing of the run, and says what it lacks.
    let told = stdout(&bench.run("report --out run").success());
    assert_says(&told, &["--resume", "--set prune.block_sizes=[16,32]"]);
    assert_eq!(kept, bench.read("run/recipe.toml"));
    bench.run(&format!("{line} --quiet")).success();
    assert_eq!(kept, bench.read("run/recipe.toml"));
    let csv = bench.csv("run");
    for mask in ["ap-blocks-16", "ap-blocks-32"] {
        let ppl: f64 = value(&csv, mask, "60").parse().unwrap();
        assert!(ppl.is_finite(), "{mask}");
    }
    assert_says(&runs(), &["5/5", "complete"]);
}

/// A call for one seed does not forget the others, and a seed that was added is one of the run's.
#[test]
fn seeds_that_were_added_are_made_by_whoever_goes_on() {
    let bench = bench();
    let sets = [&LONG[..3], &["prune.p=[0]", "prune.random_masks=[0]"]].concat();
    bench.tiny_with("--out run --device flex", &sets).success();
    let line = "--out run --device flex --resume";
    kill_at(
        &bench,
        &format!("{line} --seeds 1,2"),
        &sets,
        "run/seed-2/dense",
    );
    let seeds = || numbers(&recipe(&bench, "run")["seeds"]);
    assert_eq!(seeds(), [1, 2]);
    bench.run(&format!("{line} --quiet --seeds 1")).success();
    assert!(!bench.path("run/seed-2/dense/trained.json").exists());
    assert_eq!(seeds(), [1, 2]);
    // A recipe that is named again has the seeds of the run too.
    let named = format!("{line} --recipe small/lm");
    bench.tiny_with(&named, &sets).success();
    assert!(bench.path("run/seed-2/dense/trained.json").exists());
    let runs = stdout(&bench.sparta("runs run").success());
    assert_says(&runs, &["1,2", "4/4", "complete"]);
}

/// As `lm prune --help` has it.
#[test]
fn rows_that_one_stage_adds_are_those_of_the_next() {
    let bench = bench();
    let sets = ["prune.p=[0, 60]", "prune.random_masks=[0, 0]"];
    bench.tiny_with("--out run --device flex", &sets).success();
    let stage = |line: &str| {
        let mut command = bench.command();
        let words = line.split_whitespace();
        command
            .args(words)
            .args(["--out", "run"])
            .assert()
            .success()
    };
    let added = "--device flex --quiet --resume --set prune.block_sizes=";
    stage(&format!("prune {added}[16]"));
    assert!(
        bench
            .path("run/seed-1/rows/blocks16-p60/trained.json")
            .exists()
    );
    stage("eval --device flex --quiet --resume");
    let ppl = value(&bench.csv("run"), "ap-blocks-16", "60");
    stage("report");
    assert_eq!(ppl, value(&bench.csv("run"), "ap-blocks-16", "60"));
    // Others of the same kind join those that are there, and a report of some of them changes nothing.
    stage(&format!("prune {added}[32]"));
    let kept = bench.read("run/recipe.toml");
    assert_eq!(
        numbers(&recipe(&bench, "run")["prune"]["block_sizes"]),
        [16, 32]
    );
    stage("report --set prune.block_sizes=[16] --seeds 1");
    assert_eq!(kept, bench.read("run/recipe.toml"));
    // What is refused is not kept.
    let text = said(
        &bench.run("--out run --resume --set prune.block_sizes=[8]"),
        1,
    );
    assert_says(&text, &["prune.block_sizes"]);
    assert_eq!(kept, bench.read("run/recipe.toml"));
}

/// A slip of the fingers in a name is no new run of another recipe.
#[test]
fn there_must_be_a_run_to_go_on_with() {
    let bench = bench();
    bench.tiny("prepare --out runs/mine").success();
    for line in ["--out runs/mien --resume", "eval --out runs/mien --resume"] {
        let text = said(&bench.run(line), 1);
        assert_says(
            &text,
            &[
                "runs/mien holds none",
                "beside it are the runs runs/mine",
                "--out DIR",
                "leave out `--resume`",
            ],
        );
    }
    // Neither do stages that read what an earlier one made begin one.
    for stage in ["observe", "prune", "eval"] {
        let text = said(&bench.run(&format!("{stage} --out runs/mien")), 1);
        assert_says(
            &text,
            &[
                &format!("`{stage}` goes on with a run, and runs/mien holds none"),
                "beside it are the runs runs/mine",
                "begin one with `lm train`",
            ],
        );
    }
    assert!(!bench.path("runs/mien").exists());
    let text = said(&bench.run("--resume --set train.lr=0.5"), 1);
    assert_says(&text, &["runs/lm-small-", "holds none", "runs/mine"]);
    let text = said(&bench.run("--resume --out alone"), 1);
    assert_says(&text, &["alone holds none", "no run is beside it"]);
    // A job that a scheduler starts again is the same command every time, with its recipe.
    let job = "train --recipe small/lm --out runs/job --device flex --resume";
    for _ in 0..2 {
        bench.tiny(job).success();
    }
    assert!(bench.path("runs/job/seed-1/dense/trained.json").exists());
}

#[test]
fn a_file_is_no_folder() {
    let bench = bench();
    bench.tiny("prepare --out runs/mine").success();
    fs::create_dir(bench.path("d")).unwrap();
    fs::write(bench.path("d/ok.txt"), "ok").unwrap();
    let of_sparta = |line: &str| bench.sparta(&format!("{line} --out d/ok.txt"));
    for refused in [
        bench.run("--out d/ok.txt"),
        bench.run("--dry-run --out d/ok.txt"),
        bench.run("prepare --out d/ok.txt"),
        bench.run("train --resume --out d/ok.txt"),
        bench.run("report --out d/ok.txt"),
        of_sparta("sweep small/lm"),
        of_sparta("report runs"),
        of_sparta("analyze runs/mine"),
        of_sparta("completions bash"),
    ] {
        let text = said(&refused, 1);
        assert_says(
            &text,
            &["`--out d/ok.txt` is a file", "folder", "--out DIR"],
        );
    }
    let text = said(&bench.run("--out d/ok.txt/run"), 1);
    assert_says(&text, &["is in d/ok.txt, which is a file", "--out DIR"]);
    assert_eq!(bench.read("d/ok.txt"), "ok");
}

/// Nothing went wrong, and nothing can be timed yet.
#[test]
fn a_run_that_is_prepared_is_said_to_be() {
    let bench = bench();
    bench.tiny("prepare --out run").success();
    let runs = stdout(&bench.sparta("runs run").success());
    assert_says(&runs, &["prepared"]);
    assert!(!runs.contains("stopped") && !runs.contains('?'), "{runs}");
    let runs = stdout(&bench.sparta("runs run --json").success());
    let runs: serde_json::Value = serde_json::from_str(&runs).expect("JSON");
    assert_eq!(runs[0]["state"], "prepared");
    bench.tiny("train --out run --device flex").success();
    assert_says(&stdout(&bench.sparta("runs run").success()), &["stopped"]);
}

/// What computes, not what the machine has.
#[test]
fn a_record_says_how_many_threads_computed() {
    let bench = bench();
    let smallest = ["prune.p=[0]", "prune.random_masks=[0]"];
    for threads in ["1", "2"] {
        let line = format!("--out {threads} --device flex --quiet");
        let mut command = bench.command();
        command
            .env("RAYON_NUM_THREADS", threads)
            .args(bench.words(&line, &smallest));
        command.assert().success();
        let records = bench.records(threads);
        assert!(!records.is_empty());
        for record in records {
            let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
            assert_eq!(record["versions"]["threads"], threads, "{record}");
        }
    }
}
