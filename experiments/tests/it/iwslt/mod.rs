//! The translation tables as a user makes them.

mod bad_input;
mod dry_run;
mod stop;
mod table;
mod translate;

use assert_cmd::Command;
use assert_cmd::assert::Assert;

use super::Bench;

/// `--set` edits that shrink the default recipe to one layer a side of 16, 20 + 6 steps.
const TINY: &[&str] = &[
    "data.bpe_merges=200",
    "data.train_pairs=300",
    "data.valid_pairs=20",
    "data.test_pairs=24",
    "model.d_model=16",
    "model.n_heads=2",
    "model.d_ff=32",
    "model.n_encoder_layers=1",
    "model.n_decoder_layers=1",
    "train.steps=20",
    "train.max_tokens=300",
    "train.log_every=5",
    "train.checkpoint_every=5",
    "retrain.steps=6",
    "retrain.warmup_steps=2",
    "eval.beam_size=2",
    "eval.max_len_a=1.0",
    "eval.max_len_b=5",
];

/// One dense model, and masks on the attention to the source.
const ONE: &[&str] = &[
    "model.normalizers=[\"softmax\"]",
    "prune.softmax=[\"cross\"]",
    "prune.entmax15=[]",
    "prune.p=[0, 80]",
    "prune.random_masks=[0, 0]",
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
    let mut command = Command::new(env!("CARGO_BIN_EXE_iwslt"));
    command
        .current_dir(bench.folder.path())
        .env("SPARTA_CACHE", bench.path("cache"));
    command
}

/// Runs `iwslt` with words as typed, on the recipe as shipped.
fn iwslt(bench: &Bench, line: &str) -> Assert {
    command(bench).args(line.split_whitespace()).assert()
}

/// Runs `iwslt` on the tiny recipe with further edits.
pub fn tiny(bench: &Bench, line: &str, sets: &[&str]) -> Assert {
    command(bench).args(words(line, sets)).assert()
}

/// A column of the line of TABLE.csv by (row, p, mask); at p = 0 every dense run counts as `ap`.
pub fn cell(csv: &str, row: &str, p: &str, mask: &str, column: usize) -> String {
    let line = csv
        .lines()
        .map(|l| l.split(',').collect::<Vec<_>>())
        .find(|cells| cells[0] == row && cells[1] == p && cells[3] == mask)
        .unwrap_or_else(|| panic!("no line {row} {p} {mask} in {csv}"));
    line[column].to_owned()
}

/// The score of a line of TABLE.csv.
fn bleu(csv: &str, row: &str, p: &str, mask: &str) -> f64 {
    cell(csv, row, p, mask, 5).parse().expect("a number")
}
