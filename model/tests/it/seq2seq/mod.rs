//! The encoder–decoder: causality, padding, masks, incremental decoding, loss, and that it learns.

mod config;
mod incremental;
mod learning;
mod masks;
mod parity;

use burn::prelude::*;
use burn::tensor::TensorData;
use rstest::rstest;
use sparta_model::layer::NormalizerConfig;
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqConfig, Seq2SeqInput, Sharing};

use crate::{distance, some_words, values, words};

pub const SOURCE_VOCAB: usize = 20;
pub const TARGET_VOCAB: usize = 15;
pub const D_MODEL: usize = 16;
pub const HEADS: usize = 2;

pub const ALL: [NormalizerConfig; 5] = [
    NormalizerConfig::Softmax,
    NormalizerConfig::Sparsemax,
    NormalizerConfig::Entmax15,
    NormalizerConfig::Entmax { alpha: 1.25 },
    NormalizerConfig::AlphaEntmax { alpha_min: None },
];

pub fn config() -> Seq2SeqConfig {
    Seq2SeqConfig::new(SOURCE_VOCAB, TARGET_VOCAB, D_MODEL, HEADS, 32, 2, 2)
        .with_dropout(0.0)
        .with_max_len(32)
}

pub fn source(n: usize, batch: usize, seed: u64, device: &Device) -> Tensor<2, Int> {
    words(&some_words(n * batch, SOURCE_VOCAB, seed), batch, device)
}

pub fn target(n: usize, batch: usize, seed: u64, device: &Device) -> Tensor<2, Int> {
    words(&some_words(n * batch, TARGET_VOCAB, seed), batch, device)
}

pub fn padding(cells: &[bool], batch: usize, device: &Device) -> Tensor<2, Bool> {
    let data = TensorData::new(cells.to_vec(), [batch, cells.len() / batch]);
    Tensor::from_data(data, device)
}

fn hidden(model: &Seq2Seq, input: Seq2SeqInput) -> Vec<f32> {
    values(model.forward(input).hidden)
}

#[test]
fn a_later_token_does_not_change_an_earlier_output() {
    let device = Device::flex();
    for normalizer in ALL {
        let model = config().with_normalizer(normalizer).init(&device);
        let words_before = some_words(9, TARGET_VOCAB, 1);
        let mut words_after = words_before.clone();
        words_after[6] = (words_after[6] + 1) % TARGET_VOCAB as i32;
        let run = |target: &[i32]| {
            let input = Seq2SeqInput::new(source(7, 1, 2, &device), words(target, 1, &device));
            hidden(&model, input)
        };
        let (a, b) = (run(&words_before), run(&words_after));
        assert_eq!(a[..6 * D_MODEL], b[..6 * D_MODEL], "{normalizer:?}");
        assert!(distance(&a[6 * D_MODEL..], &b[6 * D_MODEL..]) > 1e-3);
    }
}

#[test]
fn every_output_depends_on_every_source_token() {
    let device = Device::flex();
    let model = config().init(&device);
    let words_before = some_words(5, SOURCE_VOCAB, 3);
    let run = |source: &[i32]| {
        let input = Seq2SeqInput::new(words(source, 1, &device), target(4, 1, 4, &device));
        hidden(&model, input)
    };
    let before = run(&words_before);
    for place in 0..5 {
        let mut other = words_before.clone();
        other[place] = (other[place] + 1) % SOURCE_VOCAB as i32;
        let after = run(&other);
        for (a, b) in before.chunks(D_MODEL).zip(after.chunks(D_MODEL)) {
            assert!(distance(a, b) > 1e-4, "token {place}");
        }
    }
}

/// A short sentence beside a long one gives what it gives alone, whichever side is padded.
#[rstest]
#[case::post_norm(false)]
#[case::pre_norm(true)]
fn padding_on_either_side_changes_nothing(#[case] pre_norm: bool) {
    let device = Device::flex();
    let (short, long) = (
        some_words(4, SOURCE_VOCAB, 5),
        some_words(7, SOURCE_VOCAB, 6),
    );
    let (brief, wordy) = (
        some_words(3, TARGET_VOCAB, 7),
        some_words(5, TARGET_VOCAB, 8),
    );
    let pad = |words: &[i32], n: usize, left: bool| -> (Vec<i32>, Vec<bool>) {
        let padding = vec![1; n - words.len()];
        let hidden = |i: usize| match left {
            true => i < n - words.len(),
            false => i >= words.len(),
        };
        let tokens = match left {
            true => [padding, words.to_vec()].concat(),
            false => [words.to_vec(), padding].concat(),
        };
        (tokens, (0..n).map(hidden).collect())
    };
    for normalizer in ALL {
        let model = config()
            .with_pre_norm(pre_norm)
            .with_normalizer(normalizer)
            .init(&device);
        let alone = Seq2SeqInput::new(words(&short, 1, &device), words(&brief, 1, &device));
        let alone = hidden(&model, alone);
        for (left_source, left_target) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let (source, source_padding) = pad(&short, 7, left_source);
            let (target, target_padding) = pad(&brief, 5, left_target);
            let input = Seq2SeqInput::new(
                words(&[source, long.clone()].concat(), 2, &device),
                words(&[target, wordy.clone()].concat(), 2, &device),
            )
            .source_padding(padding(
                &[source_padding, vec![false; 7]].concat(),
                2,
                &device,
            ))
            .target_padding(padding(
                &[target_padding, vec![false; 5]].concat(),
                2,
                &device,
            ));
            let both = hidden(&model, input);
            let start = if left_target { 2 } else { 0 } * D_MODEL;
            let found = &both[start..start + 3 * D_MODEL];
            assert!(
                distance(&alone, found) < 2e-5,
                "{normalizer:?}, left {left_source} {left_target}: {}",
                distance(&alone, found)
            );
        }
    }
}

#[test]
fn padding_on_the_right_of_the_target_needs_no_mention() {
    let device = Device::flex();
    let model = config().init(&device);
    let (from, to) = (source(6, 1, 9, &device), some_words(6, TARGET_VOCAB, 10));
    let long = hidden(
        &model,
        Seq2SeqInput::new(from.clone(), words(&to, 1, &device)),
    );
    let short = hidden(&model, Seq2SeqInput::new(from, words(&to[..4], 1, &device)));
    assert!(distance(&long[..4 * D_MODEL], &short) < 2e-5);
}

#[rstest]
#[case(Sharing::None, 1)]
#[case(Sharing::DecoderInputOutput, 0)]
#[case(Sharing::All, 0)]
fn shared_word_vectors_are_one_table(#[case] sharing: Sharing, #[case] n_output_tables: usize) {
    let device = Device::flex();
    let config = Seq2SeqConfig::new(15, 15, D_MODEL, HEADS, 32, 1, 1).with_sharing(sharing);
    let model = config.init(&device);
    assert_eq!(model.source_embedding.is_none(), sharing == Sharing::All);
    assert_eq!(usize::from(model.output_weight.is_some()), n_output_tables);
    let output = model.forward(Seq2SeqInput::new(
        target(4, 2, 1, &device),
        target(3, 2, 2, &device),
    ));
    // The scores are the products of the hidden vectors with the rows of the output map.
    let table = match &model.output_weight {
        Some(table) => values(table.val()),
        None => values(model.target_embedding.val()),
    };
    let hidden = values(output.hidden.clone());
    let logits = values(model.logits(output.hidden));
    for (row, scores) in hidden.chunks(D_MODEL).zip(logits.chunks(15)) {
        for (weights, score) in table.chunks(D_MODEL).zip(scores) {
            let product: f32 = row.iter().zip(weights).map(|(a, b)| a * b).sum();
            assert!((product - score).abs() < 1e-4);
        }
    }
}

#[test]
#[should_panic(expected = "a sequence of 33 tokens was given, but the model's max_len is 32")]
fn too_long_a_sentence_is_named() {
    let device = Device::flex();
    let input = Seq2SeqInput::new(source(33, 1, 1, &device), target(3, 1, 1, &device));
    config().init(&device).forward(input);
}
