//! The tables of labelled texts as a user makes them.

mod bad_input;
mod predict;
mod stop;
mod table;
pub(crate) mod weights;

use assert_cmd::Command;
use assert_cmd::assert::Assert;

use super::Bench;

/// `--set` edits that shrink the default recipe to four steps of four short examples.
const TINY: &[&str] = &[
    "data.max_len=24",
    "data.train_examples=40",
    "data.valid_examples=8",
    "data.test_examples=12",
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "observe.batch_size=8",
    "observe.examples=16",
    "prune.p=[0, 80]",
    "prune.random_masks=[0, 0]",
    "eval.batch_size=8",
];

/// The words of a tiny run: stage and options as typed, then the tiny recipe.
fn words(line: &str, sets: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    words.push("--quiet".to_owned());
    for set in TINY.iter().chain(sets) {
        words.extend(["--set".to_owned(), (*set).to_owned()]);
    }
    words
}

pub fn command(bench: &Bench) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glue"));
    command
        .current_dir(bench.folder.path())
        .env("SPARTA_CACHE", bench.path("cache"));
    command
}

/// Runs `glue` with words as typed, on the recipe as shipped.
fn glue(bench: &Bench, line: &str) -> Assert {
    command(bench).args(line.split_whitespace()).assert()
}

/// Runs `glue` on the tiny recipe with further edits.
pub fn tiny(bench: &Bench, line: &str, sets: &[&str]) -> Assert {
    command(bench).args(words(line, sets)).assert()
}

/// Published folders with a few lines: RTE, STS-B and MNLI.
fn published(bench: &Bench) {
    let write = |name: &str, header: &str, line: &dyn Fn(usize) -> String| {
        let path = bench.path(&format!("GLUE/{name}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let lines: Vec<String> = (0..12).map(line).collect();
        std::fs::write(path, format!("{header}\n{}\n", lines.join("\n"))).unwrap();
    };
    let yes = |i: usize| ["entailment", "not_entailment"][i % 2];
    for part in ["train", "dev"] {
        write(
            &format!("RTE/{part}.tsv"),
            "index\tsentence1\tsentence2\tlabel",
            &|i| format!("{i}\tA man has {i} dogs.\tHe has dogs.\t{}", yes(i)),
        );
        write(
            &format!("STS-B/{part}.tsv"),
            "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
            &|i| {
                let score = i as f32 % 6.0 / 1.2;
                format!("{i}\tg\tf\t2012\t{i}\ts\ts\tA cat number {i}.\tA dog.\t{score:.2}")
            },
        );
    }
}
