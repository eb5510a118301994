//! The programs as a user runs them: real processes, real files, a table small enough for seconds.

mod bad_input;
mod doctor;
mod glue;
mod iwslt;
mod mlm;
mod squad;
mod stop;
mod table;
mod variants;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use tempfile::TempDir;

/// `--set` edits that shrink the default recipe to one layer of 16, 20 + 6 steps.
const TINY: &[&str] = &[
    "model.d_model=16",
    "model.n_layers=1",
    "model.n_heads=2",
    "model.d_head=8",
    "model.d_ff=32",
    "model.tgt_len=16",
    "model.mem_len=16",
    "model.dropout=0.1",
    "data.vocab_size=200",
    "data.train_tokens=20000",
    "data.valid_tokens=1500",
    "data.test_tokens=1500",
    "train.steps=20",
    "train.batch_size=4",
    "train.log_every=5",
    "train.checkpoint_every=5",
    "observe.batch_size=8",
    "retrain.steps=6",
    "eval.batch_size=4",
];

/// A folder of its own for one test: run folders in it, and an empty cache.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The words of a tiny run: stage and options as typed, then the tiny recipe.
    fn words(line: &str, sets: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        words.push("--quiet".to_owned());
        for set in TINY.iter().chain(sets) {
            words.extend(["--set".to_owned(), (*set).to_owned()]);
        }
        words
    }

    /// Runs `lm` in the folder with words as typed, on the recipe as shipped.
    fn lm(&self, line: &str) -> Assert {
        self.command().args(line.split_whitespace()).assert()
    }

    /// Runs `lm` on the tiny recipe.
    fn tiny(&self, line: &str) -> Assert {
        self.tiny_with(line, &[])
    }

    /// Runs `lm` on the tiny recipe with further edits.
    fn tiny_with(&self, line: &str, sets: &[&str]) -> Assert {
        self.command().args(Self::words(line, sets)).assert()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lm"));
        command
            .current_dir(self.folder.path())
            .env("SPARTA_CACHE", self.path("cache"));
        command
    }
}

/// What a failed program said; it must have failed with `code`, in at most two lines.
fn said(assert: &Assert, code: i32) -> String {
    let output = assert.get_output();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(
        text.trim_end().lines().count() <= 2,
        "more than two lines: {text}"
    );
    text
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Column `value` of the lines of TABLE.csv by (mask, p).
fn value(csv: &str, mask: &str, p: &str) -> String {
    let line = csv
        .lines()
        .find(|l| {
            let cells: Vec<&str> = l.split(',').collect();
            cells[1] == p && cells[3] == mask
        })
        .unwrap_or_else(|| panic!("no line {mask} {p} in {csv}"));
    line.split(',').nth(5).unwrap_or_default().to_owned()
}
