//! One token at a time gives what the whole sentence gives.

use burn::prelude::*;
use burn::tensor::TensorData;
use rstest::rstest;
use sparta_model::LayerMask;
use sparta_model::layer::MechanismConfig;
use sparta_model::seq2seq::{MaskRows, Seq2Seq, Seq2SeqInput, Seq2SeqMasks};

use super::{ALL, HEADS, TARGET_VOCAB, config, padding, source};
use crate::{distance, mask, some_words, values, words};

const SOURCE_LEN: usize = 6;
const TARGET_LEN: usize = 5;

fn tokens(ids: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(ids.to_vec(), [ids.len()]), device)
}

/// Masks large enough for either kind of rows, different in every layer, head, row and column.
fn masks(rows: MaskRows, device: &Device) -> Seq2SeqMasks {
    let layers = |n_rows, n_columns, salt: usize| {
        let layer = |layer: usize| {
            mask([HEADS, n_rows, n_columns], device, move |h, i, j| {
                (7 * i + 3 * j + 5 * h + 11 * layer + salt).is_multiple_of(4)
            })
        };
        Some((0..2).map(layer).collect())
    };
    Seq2SeqMasks {
        encoder_self: layers(SOURCE_LEN, SOURCE_LEN, 1),
        decoder_self: layers(TARGET_LEN + 2, TARGET_LEN, 2),
        cross: layers(SOURCE_LEN + 2, SOURCE_LEN, 3),
        rows,
    }
}

fn two_sources(device: &Device) -> (Tensor<2, Int>, Tensor<2, Bool>) {
    let hidden = |i| i == 0 || i == 1 || i == 11; // two on the left, one on the right
    let cells: Vec<bool> = (0..2 * SOURCE_LEN).map(hidden).collect();
    (source(SOURCE_LEN, 2, 1, device), padding(&cells, 2, device))
}

/// Scores of each step, `[step][row]`, of the targets of a batch read token by token.
fn step_by_step(
    model: &Seq2Seq,
    target: &[Vec<i32>],
    masks: &Seq2SeqMasks,
    device: &Device,
) -> Vec<Vec<f32>> {
    let (source, padding) = two_sources(device);
    let mut state = model.start(model.encode(source, Some(padding), masks, false));
    (0..TARGET_LEN)
        .map(|i| {
            let read: Vec<i32> = target.iter().map(|row| row[i]).collect();
            assert_eq!(state.length(), i);
            let step = model.decode_step(state.clone(), tokens(&read, device), masks, false);
            state = step.state;
            values(step.logits)
        })
        .collect()
}

/// The same from one pass over the whole targets.
fn at_once(
    model: &Seq2Seq,
    target: &[Vec<i32>],
    masks: Seq2SeqMasks,
    device: &Device,
) -> Vec<Vec<f32>> {
    let (source, padding) = two_sources(device);
    let target = words(&target.concat(), 2, device);
    let input = Seq2SeqInput::new(source, target).source_padding(padding);
    let logits = values(model.logits(model.forward(input.masks(masks)).hidden));
    (0..TARGET_LEN)
        .map(|i| {
            let row = |b: usize| (b * TARGET_LEN + i) * TARGET_VOCAB;
            let rows = (0..2).flat_map(|b| logits[row(b)..row(b) + TARGET_VOCAB].to_vec());
            rows.collect()
        })
        .collect()
}

fn two_targets() -> [Vec<i32>; 2] {
    [2, 3].map(|seed| some_words(TARGET_LEN, TARGET_VOCAB, seed))
}

#[rstest]
fn a_token_at_a_time_equals_the_whole_sentence(
    #[values(false, true)] pre_norm: bool,
    #[values(false, true)] masked: bool,
) {
    let device = Device::flex();
    let target = two_targets();
    let linear =
        ["favor(m=32)", "favor_relu(m=32)", "rfa(m=32)"].map(|words| words.parse().unwrap());
    let linear = linear.into_iter().filter(|_| !masked);
    for mechanism in ALL.map(MechanismConfig::from).into_iter().chain(linear) {
        let model = config()
            .with_pre_norm(pre_norm)
            .with_mechanism(mechanism)
            .init(&device);
        let masks = match masked {
            true => masks(MaskRows::True, &device),
            false => Seq2SeqMasks::default(),
        };
        let steps = step_by_step(&model, &target, &masks, &device);
        let whole = at_once(&model, &target, masks, &device);
        for (i, (step, whole)) in steps.iter().zip(&whole).enumerate() {
            let difference = distance(step, whole);
            assert!(difference < 2e-5, "{mechanism}, token {i}: {difference}");
        }
    }
}

/// Queries that are keys, without a key map: a sentence of one chunk is written as it is read.
#[rstest]
fn shared_keys_are_kept_too(#[values(false, true)] masked: bool) {
    let device = Device::flex();
    let lsh = "lsh(m=32)".parse().unwrap();
    let settings = config().with_encoder_self(lsh).with_decoder_self(lsh);
    let model = settings.init(&device);
    assert_eq!(settings.n_params(), model.num_params());
    assert!(model.decoder[0].self_attention.attention.key.is_none());
    let masks = || match masked {
        true => masks(MaskRows::True, &device),
        false => Seq2SeqMasks::default(),
    };
    let target = two_targets();
    let steps = step_by_step(&model, &target, &masks(), &device);
    let whole = at_once(&model, &target, masks(), &device);
    for (i, (step, whole)) in steps.iter().zip(&whole).enumerate() {
        let difference = distance(step, whole);
        assert!(difference < 2e-5, "token {i}: {difference}");
    }
}

/// The released code's rows are true rows of another mask: row i + 2 of self-attention and the one row
/// source_len + 1 of cross-attention.
#[test]
fn paper_faithful_rows_are_those_of_the_released_code() {
    let device = Device::flex();
    let model = config().init(&device);
    let target = two_targets();
    let faithful = masks(MaskRows::PaperFaithful, &device);
    let moved = |layers: Option<Vec<LayerMask>>, rows: [usize; TARGET_LEN]| {
        let rows = tokens(&rows.map(|row| row as i32), &device);
        let moved = |mask: LayerMask| mask.cells().select(1, rows.clone()).into();
        layers.map(|layers| layers.into_iter().map(moved).collect())
    };
    let same = Seq2SeqMasks {
        encoder_self: faithful.encoder_self.clone(),
        decoder_self: moved(faithful.decoder_self.clone(), [2, 3, 4, 5, 6]),
        cross: moved(faithful.cross.clone(), [SOURCE_LEN + 1; TARGET_LEN]),
        rows: MaskRows::True,
    };
    let true_rows = masks(MaskRows::True, &device);
    let steps = step_by_step(&model, &target, &faithful, &device);
    let expected = at_once(&model, &target, same, &device);
    let other = step_by_step(&model, &target, &true_rows, &device);
    for i in 0..TARGET_LEN {
        assert!(distance(&steps[i], &expected[i]) < 2e-5, "token {i}");
        assert!(distance(&steps[i], &other[i]) > 1e-3, "token {i}");
    }
    // Training knows no other rows than the true ones.
    let a = at_once(&model, &target, faithful, &device);
    let b = at_once(&model, &target, true_rows, &device);
    assert_eq!(a, b);
}

/// Hypotheses can be reordered, repeated and dropped: what follows is that of the hypotheses chosen.
#[test]
fn the_state_follows_the_hypotheses_chosen() {
    let device = Device::flex();
    let model = config().init(&device);
    let none = Seq2SeqMasks::default();
    let (source, padding) = two_sources(&device);
    let start = model.start(model.encode(source, Some(padding), &none, false));
    let step = |state, read: &[i32]| model.decode_step(state, tokens(read, &device), &none, true);

    let one = step(start, &[2, 2]);
    let three = one.state.select(&[0, 0, 0, 1, 1, 1], &[0, 1]);
    let three = step(three, &[3, 4, 5, 6, 7, 8]);
    assert_eq!(three.cross[0].dims(), [2, HEADS, 3, SOURCE_LEN]);
    // Sentence 1 goes on alone with its third and first hypothesis.
    let two = three.state.select(&[5, 3], &[1]);
    assert_eq!((two.n_rows(), two.length()), (2, 2));
    let two = values(step(two, &[9, 10]).logits);

    let long = [vec![2, 8, 9, 0, 0], vec![2, 6, 10, 0, 0]];
    for (found, target) in two.chunks(TARGET_VOCAB).zip(long) {
        let expected = &at_once(&model, &[target.clone(), target], none.clone(), &device)[2];
        assert!(distance(found, &expected[TARGET_VOCAB..]) < 2e-5);
    }
}

#[test]
#[should_panic(expected = "are not, sentence by sentence, those of sentences [1, 0]")]
fn a_hypothesis_of_another_sentence_is_refused() {
    let device = Device::flex();
    let model = config().init(&device);
    let (source, padding) = two_sources(&device);
    let none = Seq2SeqMasks::default();
    let state = model.start(model.encode(source, Some(padding), &none, false));
    state.select(&[0, 1], &[1, 0]);
}
