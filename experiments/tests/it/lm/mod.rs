//! The language-model table as a user makes it.

mod bad_input;
mod folder;
mod records;
mod score;
mod stop;
mod table;

use crate::bench::{Bench, Program};

/// One layer of 16, 20 + 6 steps.
pub const LM: Program = Program {
    exe: env!("CARGO_BIN_EXE_lm"),
    tiny: TINY,
};

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
    "train.warmup_steps=100",
    "train.batch_size=4",
    "train.log_every=5",
    "train.checkpoint_every=5",
    "observe.batch_size=8",
    "retrain.steps=6",
    "eval.batch_size=4",
];

fn bench() -> Bench {
    Bench::of(LM)
}

/// The score of a line of TABLE.csv, as text.
pub fn value(csv: &str, mask: &str, p: &str) -> String {
    let line = csv
        .lines()
        .find(|l| {
            let cells: Vec<&str> = l.split(',').collect();
            cells[1] == p && cells[3] == mask
        })
        .unwrap_or_else(|| panic!("no line {mask} {p} in {csv}"));
    line.split(',').nth(5).unwrap_or_default().to_owned()
}
