//! The translation tables as a user makes them.

mod bad_input;
mod dry_run;
mod stop;
mod table;
mod translate;

use crate::bench::{Bench, Program};

/// One layer a side of 16, 20 + 6 steps.
pub const IWSLT: Program = Program {
    exe: env!("CARGO_BIN_EXE_iwslt"),
    tiny: TINY,
};

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

fn bench() -> Bench {
    Bench::of(IWSLT)
}
