//! A recipe at every point of a grid.

use std::fs;

use crate::bench::{Bench, assert_says, said, stdout, wait_for};
use crate::glue::{GLUE, published};
use crate::lm::LM;

/// The words of a sweep over two rates and two seeds of the smallest table.
fn words(bench: &Bench, line: &str) -> Vec<String> {
    let smallest = ["prune.p=[0]", "prune.random_masks=[0]"];
    bench.words(line, &smallest)
}

fn sweep(bench: &Bench, line: &str) -> assert_cmd::assert::Assert {
    typed_words(bench, &words(bench, line))
}

fn typed_words(bench: &Bench, words: &[String]) -> assert_cmd::assert::Assert {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    bench.sparta_of(&words)
}

/// The cells of SWEEP.csv, line by line; the first has the heads.
fn cells(bench: &Bench) -> Vec<Vec<String>> {
    let csv = bench.read("sweep/SWEEP.csv");
    let line = |line: &str| line.split(',').map(str::to_owned).collect();
    csv.lines().map(line).collect()
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
    assert_says(&csv, &["1e-3,softmax,0/2", "4e-3,softmax,2/2"]);
    fs::remove_file(&wrong).unwrap();
    bench
        .sparta("sweep --resume --out sweep --device flex")
        .success();
    let last = said(&bench.sparta("sweep --out sweep --task 4"), 1);
    assert_says(&last, &["no task 4", "0 to 3"]);
}

/// Numbers of different signatures share no column, and losses of different ones choose nothing.
#[test]
fn each_signature_has_columns_of_its_own() {
    let bench = Bench::of(LM);
    let grid = "--grid data.vocab_size=150,200 --grid train.lr=1e-3,4e-3";
    let line = format!("sweep small/lm --out sweep {grid} --seeds 1 --device flex");
    let mut words = words(&bench, &line);
    let set = words.iter().position(|word| word == "data.vocab_size=200");
    let set = set.expect("the smallest table sets it");
    words.drain(set - 1..=set);
    let text = stdout(&typed_words(&bench, &words).success());
    let lines = cells(&bench);
    assert_eq!(lines.len(), 5, "{lines:?}");
    let heads = &lines[0];
    assert_eq!(heads.len(), 8, "{heads:?}");
    for (head, name, size) in [
        (&heads[4], "validation loss [PPL|", 150),
        (&heads[5], "perplexity [PPL|", 150),
        (&heads[6], "validation loss #2 [PPL|", 200),
        (&heads[7], "perplexity #2 [PPL|", 200),
    ] {
        assert!(head.starts_with(name), "{heads:?}");
        assert_says(head, &[&format!("|vocab:{size}|")]);
    }
    for line in &lines[1..] {
        let is_number = |cell: &String| cell.parse::<f64>().is_ok();
        let (first, second) = (&line[4..6], &line[6..8]);
        let (there, not) = match line[0].as_str() {
            "150" => (first, second),
            _ => (second, first),
        };
        assert!(there.iter().all(is_number), "{line:?}");
        assert_eq!(not, ["–", "–"]);
    }
    let md = bench.read("sweep/SWEEP.md");
    for text in [text, md] {
        assert_says(
            &text,
            &[
                "perplexity #2; signature `PPL|",
                "not): validation loss: data.vocab_size=150 train.lr=",
                "; validation loss #2: data.vocab_size=200 train.lr=",
                "No choice is made between points of different signatures",
            ],
        );
    }
}

#[test]
fn each_dense_model_of_a_point_has_a_line() {
    let bench = Bench::of(LM);
    let sets = [
        "prune.p=[0]",
        "prune.random_masks=[0]",
        "model.normalizers=[\"softmax\", \"entmax15\"]",
    ];
    let line = NEW.replace("--seeds 1,2", "--seeds 1");
    let made = typed_words(&bench, &bench.words(&line, &sets)).success();
    assert_says(
        &stdout(&made),
        &["softmax: train.lr=", "; entmax15: train.lr="],
    );
    let lines = cells(&bench);
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(lines[0][1], "dense model");
    let names = ["softmax", "entmax15"];
    for (lr, name) in ["1e-3", "4e-3"]
        .into_iter()
        .flat_map(|lr| names.map(|name| (lr, name)))
    {
        let run = format!("sweep/train.lr={lr}/seed-1");
        let score = dense_record(&bench, &run, &format!("-{name}"))["value"].as_f64();
        let score = format!("{:.2}", score.expect("a score"));
        let line = lines.iter().find(|line| line[..2] == [lr, name]);
        let line = line.expect("a line of the model");
        assert_eq!((line[2].as_str(), line.last()), ("1/1", Some(&score)));
    }
}

#[test]
fn each_task_of_a_point_has_a_line() {
    let bench = Bench::of(GLUE);
    published(&bench);
    let sets = [
        "prune.p=[0]",
        "prune.random_masks=[0]",
        "tasks=[\"rte\", \"stsb\"]",
    ];
    let line = "sweep small/glue --out sweep --seeds 1 --device flex --data GLUE";
    let made = typed_words(&bench, &bench.words(line, &sets)).success();
    assert_says(&stdout(&made), &["rte: the recipe; stsb: the recipe."]);
    let lines = cells(&bench);
    let of = |line: usize| lines[line][..2].join(",");
    assert_eq!(
        (lines.len(), of(1), of(2)),
        (3, "rte,1/1".into(), "stsb,1/1".into())
    );
    let heads = &lines[0];
    assert!(
        heads[3].starts_with("accuracy [accuracy|task:rte|"),
        "{heads:?}"
    );
    assert!(
        heads[5].starts_with("pearson-spearman [pearson-spearman|task:stsb|"),
        "{heads:?}"
    );
    assert_eq!(lines[1][4..], ["–", "–"]);
    assert_eq!(lines[2][2..4], ["–", "–"]);
}

/// The file of a run's record of its dense model with this name.
fn dense_record_path(bench: &Bench, run: &str, name: &str) -> std::path::PathBuf {
    let end = format!("{name}-dense.run.json");
    let mut records = bench.record_names(run).into_iter();
    let record = records.find(|record| record.ends_with(&end));
    let record = record.expect("a record");
    bench.path(run).join("records").join(record)
}

fn dense_record(bench: &Bench, run: &str, name: &str) -> serde_json::Value {
    let text = bench.read(dense_record_path(bench, run, name));
    serde_json::from_str(&text).expect("a record")
}

/// What cannot be read or is of another recipe is named and left out; the table has the others.
#[test]
fn a_table_of_points_goes_past_what_cannot_be_counted() {
    let bench = Bench::of(LM);
    sweep(&bench, NEW).success();
    let [run, other] = ["sweep/train.lr=1e-3/seed-1", "sweep/train.lr=4e-3/seed-1"];
    let line = |lr: &str| {
        let csv = bench.read("sweep/SWEEP.csv");
        let line = csv.lines().find(|line| line.starts_with(lr));
        line.expect("a line of the point").to_owned()
    };

    // A record that is cut.
    let path = dense_record_path(&bench, run, "-seed1");
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    for file in ["sweep/SWEEP.md", "sweep/SWEEP.csv"] {
        fs::remove_file(bench.path(file)).unwrap();
    }
    let is_named = [name.as_str(), "is not a run record"];
    let report = bench.sparta("report sweep");
    assert_says(&said(&report, 1), &[name.as_str(), "(1 left out)"]);
    assert_says(&bench.read("sweep/SWEEP.md"), &is_named);
    assert!(
        line("1e-3").starts_with("1e-3,softmax,2/2,"),
        "{}",
        line("1e-3")
    );
    assert_says(&line("1e-3"), &["(1 of 2)"]);
    assert!(!line("4e-3").contains(" of 2"), "{}", line("4e-3"));
    let runs = bench.sparta("runs sweep");
    assert_says(&said(&runs, 1), &[name.as_str(), "(1 left out)"]);
    assert_says(&stdout(&runs), &[run, other]);
    // The run that holds it does not keep the others from being gone on with.
    let resumed = bench.sparta("sweep --resume --out sweep --device flex");
    let last = said_last(&resumed);
    assert_says(&last, &["1 of 4 runs failed", "train.lr=1e-3, seed 1"]);
    fs::write(&path, whole).unwrap();

    // A record of another recipe.
    let foreign = dense_record_path(&bench, other, "-seed1");
    let copied = path.with_file_name(foreign.file_name().unwrap());
    fs::copy(foreign, &copied).unwrap();
    let report = bench.sparta("report sweep");
    assert_says(&said(&report, 1), &["of another recipe", "(1 left out)"]);
    let is_named = [&format!("{run} is left out: "), "of another recipe"];
    assert_says(&bench.read("sweep/SWEEP.md"), &is_named);
    assert!(
        line("1e-3").starts_with("1e-3,softmax,1/2,"),
        "{}",
        line("1e-3")
    );
    assert!(
        line("4e-3").starts_with("4e-3,softmax,2/2,"),
        "{}",
        line("4e-3")
    );

    // A run of another recipe.
    fs::remove_dir_all(bench.path(run)).unwrap();
    let edits = ["prune.p=[0]", "prune.random_masks=[0]", "train.lr=2e-3"];
    let words = format!("--out {run} --device flex --seeds 1");
    bench.tiny_with(&words, &edits).success();
    bench.sparta("report sweep").success();
    let is_named = [
        &format!("{run} is left out: "),
        "another recipe than its point's",
    ];
    assert_says(&bench.read("sweep/SWEEP.md"), &is_named);
    assert!(
        line("1e-3").starts_with("1e-3,softmax,1/2,"),
        "{}",
        line("1e-3")
    );
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
