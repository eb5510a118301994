//! The SQuAD table as a user makes it.

mod table;

use crate::bench::{Bench, Program};

/// Four steps of four short windows.
pub const SQUAD: Program = Program {
    exe: env!("CARGO_BIN_EXE_squad"),
    tiny: TINY,
};

const TINY: &[&str] = &[
    "data.max_len=64",
    "data.max_question=16",
    "data.stride=32",
    "data.train_windows=24",
    "data.test_questions=8",
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "observe.batch_size=8",
    "observe.examples=16",
    "prune.p=[0, 80]",
    "cost.batches=1",
];

fn bench() -> Bench {
    Bench::of(SQUAD)
}
