//! A recipe at every point of a grid.

use std::fs;

use crate::bench::{Bench, assert_says, said, stdout, wait_for};
use crate::lm::LM;

/// The words of a sweep over two rates and two seeds of the smallest table.
fn words(bench: &Bench, line: &str) -> Vec<String> {
    let smallest = ["prune.p=[0]", "prune.random_masks=[0]"];
    bench.words(line, &smallest)
}

fn sweep(bench: &Bench, line: &str) -> assert_cmd::assert::Assert {
    let words = words(bench, line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    bench.sparta_of(&words)
}

const NEW: &str = "sweep small/lm --out sweep --grid train.lr=1e-3,4e-3 --seeds 1,2 --device flex";

#[test]
fn every_point_and_seed_is_the_run_that_the_program_makes() {
    let bench = Bench::of(LM);
    let text = stdout(&sweep(&bench, NEW).success());
    assert_says(&text, &["train.lr", "validation loss", "1e-3", "2/2", "±"]);
    assert_says(&text, &["least validation loss", "SWEEP.csv", "index.html"]);
    let csv = bench.read("sweep/SWEEP.csv");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let one = "--out one --device flex --seeds 2";
    let edits = ["prune.p=[0]", "prune.random_masks=[0]", "train.lr=4e-3"];
    bench.tiny_with(one, &edits).success();
    for file in ["TABLE.csv", "seed-2/dense/metrics.jsonl"] {
        let swept = bench.read(format!("sweep/train.lr=4e-3/seed-2/{file}"));
        assert_eq!(swept, bench.read(format!("one/{file}")), "{file}");
    }
    // A sweep that is complete is one of which nothing is made again, and a second one needs another folder.
    let before = modified(&bench);
    bench.sparta("sweep --resume --out sweep").success();
    assert_eq!(before, modified(&bench));
    assert_says(&said(&sweep(&bench, NEW), 1), &["--resume", "--out DIR"]);
    let two = bench.sparta("sweep --resume --out sweep --seeds 3");
    assert_says(&said(&two, 1), &["leave them out"]);
}

fn modified(bench: &Bench) -> std::time::SystemTime {
    let record = fs::metadata(bench.path("sweep/train.lr=1e-3/seed-1/seed-1/dense/trained.json"));
    record.unwrap().modified().unwrap()
}

/// Tasks go on from where they are, in any order; a run that fails is named after the others are made.
#[test]
fn tasks_are_made_one_by_one_and_a_failed_one_leaves_the_others() {
    let bench = Bench::of(LM);
    let dry = stdout(&sweep(&bench, &format!("{NEW} --dry-run")).success());
    assert_says(
        &dry,
        &["4 runs of `lm`", "train.lr=4e-3, seed 2", "--dry-run"],
    );
    // What is said can be typed, before anything is there.
    let (_, command) = dry
        .split_once("what one of them costs: ")
        .expect("a command");
    let tried = assert_cmd::Command::new("sh")
        .current_dir(bench.path(""))
        .args(["-c", command.lines().next().unwrap_or_default()])
        .assert();
    let tried = stdout(&tried.success());
    assert_says(&tried, &["parameters", "sweep/train.lr=1e-3/seed-1"]);
    assert!(bench.is_empty());
    // A file stands where the folder of the first point would be made.
    fs::create_dir(bench.path("sweep")).unwrap();
    sweep(&bench, NEW).success();
    let wrong = bench.path("sweep/train.lr=1e-3");
    fs::remove_dir_all(&wrong).unwrap();
    fs::remove_dir_all(bench.path("sweep/train.lr=4e-3")).unwrap();
    fs::write(&wrong, "").unwrap();
    bench
        .sparta("sweep --out sweep --task 3 --device flex")
        .success();
    assert!(bench.path("sweep/train.lr=4e-3/seed-2/TABLE.csv").exists());
    assert!(!bench.path("sweep/train.lr=4e-3/seed-1").exists());
    let text = said_last(&bench.sparta("sweep --resume --out sweep --device flex"));
    assert_says(
        &text,
        &["2 of 4 runs failed", "train.lr=1e-3, seed 1", "--resume"],
    );
    assert!(bench.path("sweep/train.lr=4e-3/seed-1/TABLE.csv").exists());
    let csv = bench.read("sweep/SWEEP.csv");
    assert_says(&csv, &["1e-3,0/2", "4e-3,2/2"]);
    fs::remove_file(&wrong).unwrap();
    bench
        .sparta("sweep --resume --out sweep --device flex")
        .success();
    let last = said(&bench.sparta("sweep --out sweep --task 4"), 1);
    assert_says(&last, &["no task 4", "0 to 3"]);
}

/// A text of one's own: lines of few words, no two alike.
fn own_text() -> String {
    const NAMES: [&str; 4] = ["the dog", "a cat", "the horse", "she"];
    const ACTS: [&str; 4] = ["walks", "sleeps", "eats", "waits"];
    let line = |i: usize| {
        let (name, other) = (NAMES[i % 4], NAMES[i / 16 % 4]);
        format!(
            "{name} {}, {other} {}.\n",
            ACTS[i / 4 % 4],
            ACTS[i / 64 % 4]
        )
    };
    (0..256).map(line).collect()
}

/// Where runs compute and what they read is in the plan: the commands that are said work as they are typed.
#[test]
fn a_sweep_goes_on_where_it_began() {
    let bench = Bench::of(LM);
    fs::write(bench.path("mine.txt"), own_text()).unwrap();
    let place = "--device flex --attention-by reference --data mine.txt";
    let new = format!("sweep small/lm --out sweep --grid train.lr=1e-3,4e-3 --seeds 1 {place}");
    let own = [
        "prune.p=[0]",
        "prune.random_masks=[0]",
        "data.corpus=files",
        "data.files.valid_fraction=0.1",
        "data.files.test_fraction=0.1",
    ];
    let words = bench.words(&new, &own);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    bench.sparta_of(&words).success();
    let wrong = bench.path("sweep/train.lr=4e-3");
    fs::remove_dir_all(&wrong).unwrap();
    fs::write(&wrong, "").unwrap();

    // An option that is given again counts, is said, and stands in the command to go on with.
    let other = bench.sparta("sweep --resume --out sweep --attention-by auto");
    let text = String::from_utf8_lossy(&other.get_output().stderr).into_owned();
    let replaced = "`--attention-by auto`, in place of `--attention-by reference` of its plan";
    assert_says(&text, &[replaced]);
    let again = typed(&said_last(&other));
    assert_eq!(
        again,
        "sparta sweep --resume --out sweep --attention-by auto"
    );
    let same = bench.sparta("sweep --resume --out sweep --device flex");
    let text = String::from_utf8_lossy(&same.get_output().stderr).into_owned();
    assert!(!text.contains("in place of"), "{text}");
    let again = typed(&said_last(&same));
    assert_eq!(again, "sparta sweep --resume --out sweep");

    // The run that had not begun reads the same text in the same place.
    fs::remove_file(&wrong).unwrap();
    bench
        .sparta(again.strip_prefix("sparta ").unwrap())
        .success();
    let run = "sweep/train.lr=4e-3/seed-1";
    assert!(bench.path(run).join("TABLE.csv").exists());
    let record: serde_json::Value = serde_json::from_str(&bench.records(run)[0]).unwrap();
    let command = record["command"].as_str().expect("a command");
    assert_says(
        command,
        &["--device flex --attention-by reference --data /"],
    );

    // A plan of an earlier version has no place.
    let mut plan: toml::Table = bench.read("sweep/sweep.toml").parse().unwrap();
    plan.remove("place").expect("a place");
    fs::write(bench.path("sweep/sweep.toml"), plan.to_string()).unwrap();
    let dry = "sweep --resume --out sweep --data mine.txt --dry-run";
    let dry = bench.sparta(dry).success();
    let text = String::from_utf8_lossy(&dry.get_output().stderr).into_owned();
    assert_says(&text, &["mine.txt`, the plan of the sweep has no `--data`"]);
    assert_says(&stdout(&dry), &["--data /"]);
}

/// The command that a message ends with.
fn typed(text: &str) -> String {
    let command = text.trim_end().strip_suffix('`').expect("a command");
    let (_, command) = command.rsplit_once('`').expect("a command");
    command.to_owned()
}

/// The last line that a failed program said.
fn said_last(assert: &assert_cmd::assert::Assert) -> String {
    let output = assert.get_output();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().last().unwrap_or_default().to_owned()
}

/// A signal to the sweep reaches the run, which stops at a checkpoint and goes on from it.
#[cfg(unix)]
#[test]
fn a_sweep_that_is_stopped_goes_on_to_the_same_bits() {
    let bench = Bench::of(LM);
    let line = "sweep small/lm --out OUT --seeds 1 --device flex --quiet";
    let long = [
        "prune.p=[0]",
        "prune.random_masks=[0]",
        "train.steps=400",
        "train.checkpoint_every=20",
    ];
    let of = |out: &str| bench.words(&line.replace("OUT", out), &long);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_sparta"))
        .current_dir(bench.path(""))
        .args(of("stopped"))
        .spawn()
        .unwrap();
    let run = bench.path("stopped/recipe/seed-1");
    wait_for(|| run.join("seed-1/dense/checkpoint.safetensors").exists());
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(run.join("seed-1/dense/checkpoint.safetensors").exists());
    bench
        .sparta("sweep --resume --out stopped --device flex")
        .success();
    let words = of("whole");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    bench.sparta_of(&words).success();
    for file in ["TABLE.csv", "seed-1/dense/metrics.jsonl"] {
        let read = |out: &str| bench.read(format!("{out}/recipe/seed-1/{file}"));
        assert_eq!(read("stopped"), read("whole"), "{file}");
    }
}

#[test]
fn a_sweep_that_cannot_be_says_what_to_type() {
    let bench = Bench::of(LM);
    for (line, words) in [
        ("sweep", vec!["name a recipe", "--grid"]),
        ("sweep smal/lm", vec!["did you mean `small/lm`?"]),
        (
            "sweep small/lm --grid train.lrr=1,2",
            vec!["train.lrr", "train.lr"],
        ),
        ("sweep small/lm --grid train.lr=-1", vec!["at train.lr=-1"]),
        ("sweep --resume --out none", vec!["holds no sweep"]),
        ("sweep small/lm --sbatch=--time=1", vec!["--engine slurm"]),
        ("sweep --task 1 --out none", vec!["holds no sweep"]),
    ] {
        assert_says(&said(&bench.sparta(line), 1), &words);
    }
    assert!(bench.is_empty());
    let script = "sweep small/lm --seeds 1,2 --out s --engine slurm --sbatch=--time=9 --dry-run";
    let script = stdout(&bench.sparta(script).success());
    assert_says(
        &script,
        &["#SBATCH --array=0-1", "#SBATCH --time=9", "--task"],
    );
    assert!(bench.is_empty());
}
