//! Toy tables as they were when somebody last looked: no change of a number goes unseen.
//!
//! What is compared: the last losses of every model, and what every line of the table says. Not the bits: on
//! one processor the same recipe and seed give the same bits, but matrix products (the crate `gemm`) and the
//! exponentials of libm choose their instructions, and `gemm` its block sizes, by the processor, so that sums
//! are rounded in another order on another one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::{Bench, Program};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::mlm::MLM;
use crate::squad::SQUAD;

/// Relative difference of a number between processors.
const TOLERANCE: f64 = 1e-5;

#[test]
fn the_language_model_table_is_as_it_was() {
    let masks = [
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 1]",
        "prune.block_sizes=[16]",
    ];
    compare("lm", LM, &masks);
}

#[test]
fn the_translation_table_is_as_it_was() {
    compare("iwslt", IWSLT, &["prune.random_masks=[0, 0, 1]"]);
}

#[test]
fn the_table_of_labelled_texts_is_as_it_was() {
    compare("glue", GLUE, &["prune.block_sizes=[16]"]);
}

#[test]
fn the_table_of_answers_is_as_it_was() {
    // Times are never the same.
    compare("squad", SQUAD, &["cost.batches=0"]);
}

#[test]
fn the_masked_language_model_table_is_as_it_was() {
    compare("mlm", MLM, &[]);
}

/// Makes the toy table of a program and compares it with the file of its name.
fn compare(name: &str, program: Program, sets: &[&str]) {
    let bench = Bench::of(program);
    bench.tiny_with("--out run --device flex", sets).success();
    let found = numbers(&bench);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/golden/{name}.txt"));
    if std::env::var_os("SPARTA_GOLDEN").is_some_and(|value| value == "write") {
        let lines = found
            .iter()
            .map(|(what, value)| format!("{what} = {value:.6e}\n"));
        fs::write(&path, lines.collect::<String>()).expect("the golden file");
        return;
    }
    let expected = read(&path);
    let mut differences = Vec::new();
    for (what, value) in &expected {
        match found.get(what) {
            None => differences.push(format!("{what}: {value} is missing")),
            Some(now) if (now - value).abs() <= TOLERANCE * value.abs() => {}
            Some(now) => differences.push(format!("{what}: {value} was, {now} is")),
        }
    }
    let added = found.keys().filter(|what| !expected.contains_key(*what));
    differences.extend(added.map(|what| format!("{what} is new")));
    assert!(
        differences.is_empty(),
        "the toy table of `{name}` is not the one of {}:\n  {}\n\
         If it should not be another, find out why it is. If it should, write the file again by \
         `SPARTA_GOLDEN=write cargo test --release -p sparta-experiments golden`, and say in CHANGELOG.md why \
         published numbers move.",
        path.display(),
        differences.join("\n  ")
    );
}

/// The numbers of a run by what they are.
fn numbers(bench: &Bench) -> BTreeMap<String, f64> {
    let mut numbers = BTreeMap::new();
    let run = bench.path("run");
    for model in models(&run) {
        let name = model
            .strip_prefix(&run)
            .expect("below the run")
            .display()
            .to_string();
        for metric in ["train/nll", "valid/nll"] {
            if let Some(&last) = bench.metric(&model, metric).last() {
                numbers.insert(format!("{name} {metric}"), last);
            }
        }
    }
    for table in tables(&run) {
        for line in bench.read(&table).lines().skip(1) {
            numbers.extend(scores(line));
        }
    }
    numbers
}

/// The csv tables of a run; each score may have one of its own.
fn tables(run: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run).expect("a folder").flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect()
}

/// What a line of a table says: the score, and how much was hidden.
fn scores(line: &str) -> Vec<(String, f64)> {
    // Only the name may hold a comma, and is then in quotes.
    let (row, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\",").expect("the end of a name"),
        None => line.split_once(',').expect("a line of cells"),
    };
    let cells: Vec<&str> = rest.split(',').collect();
    let [p, hidden, mask, metric, value, ..] = cells[..] else {
        panic!("{line}");
    };
    let number = |(column, number): (&str, &str)| {
        let what = format!("{row} p={p} {mask} {column}");
        (!number.is_empty()).then(|| (what, number.parse().expect("a number")))
    };
    [(metric, value), ("hidden", hidden)]
        .into_iter()
        .filter_map(number)
        .collect()
}

/// The folders below one that a model was trained in.
fn models(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => models(&path),
            false if path.ends_with("metrics.jsonl") => vec![folder.to_owned()],
            false => Vec::new(),
        })
        .collect()
}

fn read(path: &Path) -> BTreeMap<String, f64> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let line = |line: &str| {
        let (what, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{line}"));
        (what.to_owned(), value.parse().expect("a number"))
    };
    text.lines().map(line).collect()
}
