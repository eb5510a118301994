//! Runs that are stopped go on to the same bits.

use std::process::Command;

use super::{bench, value};
use crate::bench::{assert_says, said, stdout, wait_for};

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
    let status = bench.status("run");
    assert_eq!(
        (&status["state"], &status["stage"], &status["model"]),
        (&"stopped".into(), &"train".into(), &"dense".into())
    );
    assert_eq!(
        (&status["models_done"], &status["models"]),
        (&0.into(), &1.into())
    );
    assert_eq!(status["steps"], 400);
    assert!(status["step"].as_u64().is_some_and(|step| step >= 20));
    assert!(
        status["seconds_left"]
            .as_f64()
            .is_some_and(|left| left > 0.0)
    );
    let runs = stdout(&bench.sparta("runs run").success());
    assert_says(&runs, &["stopped: dense, step "]);
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

/// Of training that ends early, everything that is said and kept names the step.
#[test]
fn training_that_ends_early_says_so() {
    let bench = bench();
    let sets = [
        "train.steps=400",
        "train.valid_every=5",
        "train.patience=2",
        "train.lr=0.1",
        "retrain.lr=0.000001",
        "prune.p=[0]",
        "prune.random_masks=[0]",
    ];
    let tried = stdout(&bench.tiny_with("--dry-run --device flex", &sets).success());
    assert_says(&tried, &["at most about"]);
    // Not quiet, as it is otherwise here.
    let words = bench.words("--out run --device flex", &sets);
    let said = bench.command().args(words).assert().success();
    let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    assert_says(
        &said,
        &["of 400 (ended early: 2 validation(s) without a better one)"],
    );
    let trained: serde_json::Value =
        serde_json::from_str(&bench.read("run/seed-1/dense/trained.json")).unwrap();
    let steps = trained["steps"].as_u64().unwrap();
    assert!(
        (15..400).contains(&steps) && steps.is_multiple_of(5),
        "{steps}"
    );
    assert_eq!(
        bench.metric("run/seed-1/dense", "valid/nll").len() as u64,
        steps / 5
    );
    let names = bench.record_names("run");
    let dense = names
        .iter()
        .position(|name| name.ends_with("-dense.run.json"));
    let record = &bench.records("run")[dense.expect("a record of the dense model")];
    assert_says(record, &[&format!("\"steps\": {steps},")]);
    // Without `train.patience` it goes on to the end.
    let all = [&sets[..2], &sets[3..]].concat();
    bench
        .tiny_with("train --out all --device flex", &all)
        .success();
    assert_says(
        &bench.read("all/seed-1/dense/trained.json"),
        &["\"steps\": 400,"],
    );
}

/// Schedulers tell by the exit status what ended a program.
#[cfg(unix)]
#[test]
fn other_signals_save_a_checkpoint_too_and_exit_with_their_number() {
    for (signal, status) in [("-TERM", 143), ("-HUP", 129)] {
        let bench = bench();
        let mut child = bench.spawn_with_hangup("train --out run --device flex", LONG, false);
        let checkpoint = bench.path("run/seed-1/dense/checkpoint.safetensors");
        wait_for(|| checkpoint.exists());
        send(signal, &child);
        assert_eq!(child.wait().expect("the end").code(), Some(status));
        assert!(checkpoint.exists());
    }
}

/// `nohup lm &` goes on when its terminal is closed.
#[cfg(unix)]
#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let bench = bench();
    let mut child = bench.spawn_with_hangup("train --out run --device flex", LONG, true);
    let dense = bench.path("run/seed-1/dense");
    wait_for(|| dense.join("checkpoint.safetensors").exists());
    send("-HUP", &child);
    assert_eq!(child.wait().expect("the end").code(), Some(0));
    assert!(dense.join("trained.json").exists());
}

#[cfg(unix)]
fn send(signal: &str, child: &std::process::Child) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

/// A log on a full disk, `2>&1 | head`: nobody hears what is said, and days of training go on.
#[cfg(target_os = "linux")]
#[test]
fn a_standard_error_that_is_full_stops_nothing() {
    let bench = bench();
    let heard = bench.tiny("--out heard --device flex").success();
    let unheard = bench.unheard("--out unheard --device flex").success();
    assert_eq!(bench.csv("heard"), bench.csv("unheard"));
    let (heard, unheard) = (stdout(&heard), stdout(&unheard));
    assert_eq!(heard.lines().next(), unheard.lines().next());
    // Neither is an error that cannot be said a panic.
    bench.unheard("--out unheard --device flex").code(1);
}

/// Killed after it had said that training has ended and before it removed what only training needs.
#[test]
fn what_only_training_needs_goes_with_the_next_resume() {
    let bench = bench();
    bench.tiny("--out run --device flex").success();
    let left = ["dense", "rows/p0"]
        .map(|model| bench.path(format!("run/seed-1/{model}/checkpoint.safetensors")));
    for file in &left {
        assert!(!file.exists());
        std::fs::write(file, "left behind").unwrap();
    }
    bench.tiny("--out run --device flex --resume").success();
    assert!(!left.iter().any(|file| file.exists()));
}

/// As in a container, where the user may have no home.
#[test]
fn a_corpus_that_ships_needs_no_cache_folder() {
    let bench = bench();
    let run = |sets: &[&str]| {
        let mut command = bench.command();
        for name in ["SPARTA_CACHE", "XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"] {
            command.env_remove(name);
        }
        let line = "train --out run --device flex --quiet";
        command.args(bench.words(line, sets)).assert()
    };
    let text = said(&run(&["data.corpus=wikitext2"]), 1);
    assert_says(&text, &["SPARTA_CACHE"]);
    run(&[]).success();
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

/// What can be made is made, and the end says what could not be, and why.
#[test]
fn models_that_diverge_do_not_keep_the_others_from_being_made() {
    let bench = bench();
    let sets = [
        "retrain.lr=1e38",
        "train.clip=1e30",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
    ];
    let line = "--out run --device flex --seeds 1,2";
    let refused = bench.tiny_with(line, &sets);
    assert_says(
        &stdout(&refused),
        &["dense", "seed1-ap-p60-diverged (diverged)"],
    );
    let text = said(&refused, 1);
    let both = ["ap-p60` of seed 1 diverged", "ap-p60` of seed 2 diverged"];
    assert_says(
        &text,
        &["`p0` of seed 1 diverged at step", both[0], both[1]],
    );
    assert_says(&text, &["--set retrain.lr=3.33e37 --out DIR"]);
    assert_eq!(bench.status("run")["state"], "failed");
    // Quiet to the terminal, not to who comes later.
    let log = bench.read("run/run.log");
    assert_says(&log, &["Z $ ", " --seeds 1,2 ", "Z dense: ", both[1]]);
    for seed in ["seed-1", "seed-2"] {
        assert!(
            bench
                .path(format!("run/{seed}/dense/trained.json"))
                .exists()
        );
        assert!(
            !bench
                .path(format!("run/{seed}/rows/p0/trained.json"))
                .exists()
        );
    }
    // Who only scores what is there leaves them out as well, and trains nothing.
    let text = said(
        &bench.run("eval --out run --resume --device flex --quiet"),
        1,
    );
    assert_says(&text, &both);
    assert_says(&text, &["--set retrain.lr=3.33e37"]);
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

/// A path need not be text: going on without `--recipe` read the recipe of the folder by a name that had lost its bytes.
#[cfg(unix)]
#[test]
fn a_folder_of_any_name_is_gone_on_with() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let bench = bench();
    let run = bench.path(OsStr::from_bytes(b"r\xffn"));
    let first = bench.words("train --device flex --quiet", &[]);
    let again = ["train", "--resume", "--device", "flex", "--quiet"].map(str::to_owned);
    for words in [first, again.to_vec()] {
        let mut command = bench.command();
        command.args(words).arg("--out").arg(&run);
        command.assert().success();
    }
}
