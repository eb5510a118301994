//! Greedy and beam search, against searches that try everything or recompute everything.

mod brute_force;
mod limits;
mod pages;
mod sparse;

use burn::prelude::*;
use sparta_model::decode::{DecodeConfig, Hypothesis, beam_search};
use sparta_model::layer::OutputMap;
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqConfig, Seq2SeqMasks, Sharing};

pub const PAD: i32 = 0;
pub const END: i32 = 1;
pub const VOCAB: usize = 5;
pub const D_MODEL: usize = 16;

pub fn config(output: OutputMap) -> Seq2SeqConfig {
    Seq2SeqConfig::new(12, VOCAB, D_MODEL, 2, 32, 1, 2)
        .with_sharing(Sharing::None)
        .with_max_len(32)
        .with_output(output)
}

pub fn search() -> DecodeConfig {
    DecodeConfig::new(END, END).with_never(vec![PAD])
}

/// Translations of a batch without padding or masks.
pub fn translate(
    model: &Seq2Seq,
    source: Tensor<2, Int>,
    config: &DecodeConfig,
) -> Vec<Vec<Hypothesis>> {
    beam_search(model, source, None, &Seq2SeqMasks::default(), config).expect("valid settings")
}
