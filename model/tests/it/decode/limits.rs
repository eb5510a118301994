//! Lengths, penalties, forbidden tokens and dead ends, on a model whose next-token scores are always the
//! same.

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::TensorData;
use rstest::rstest;
use sparta_model::ModelError;
use sparta_model::decode::{DecodeConfig, SearchMethod, Stop, beam_search};
use sparta_model::layer::OutputMap;
use sparta_model::seq2seq::{MaskRows, Seq2Seq, Seq2SeqMasks};

use super::{D_MODEL, END, PAD, VOCAB, config, search, translate};
use crate::{mask, words};

/// The last normalisation gives the first unit vector whatever comes in, and the first column of the
/// output map holds the scores.
pub fn constant(output: OutputMap, scores: [f32; VOCAB], device: &Device) -> Seq2Seq {
    let mut model = config(output).init(device);
    let norm = &mut model.decoder[1].feed_forward.norm;
    norm.gamma = Param::from_tensor(Tensor::zeros([D_MODEL], device));
    let unit: Vec<f32> = (0..D_MODEL)
        .map(|i| if i == 0 { 1.0 } else { 0.0 })
        .collect();
    norm.beta = Param::from_tensor(Tensor::from_floats(unit.as_slice(), device));
    let column = Tensor::<1>::from_floats(scores, device).reshape([VOCAB, 1]);
    let others = Tensor::zeros([VOCAB, D_MODEL - 1], device);
    model.output_weight = Some(Param::from_tensor(Tensor::cat(vec![column, others], 1)));
    model
}

fn exact(max_prefixes: usize) -> DecodeConfig {
    search().with_method(SearchMethod::Exact { max_prefixes })
}

fn log(p: [f32; VOCAB]) -> [f32; VOCAB] {
    p.map(f32::ln)
}

#[test]
fn each_sentence_ends_at_its_own_longest_length() {
    let device = Device::flex();
    let model = constant(
        OutputMap::Softmax,
        log([0.01, 0.1, 0.7, 0.1, 0.09]),
        &device,
    );
    let source = words(&[3, 4, 5, 0, 6, 7, 8, 9], 2, &device);
    let padding = [false, false, false, true, false, false, false, false];
    let padding = Tensor::from_data(TensorData::new(padding.to_vec(), [2, 4]), &device);
    let config = DecodeConfig::greedy(END, END)
        .with_max_len_a(1.5)
        .with_max_len_b(1);
    let none = Seq2SeqMasks::default();
    let found = beam_search(&model, source, Some(padding), &none, &config).unwrap();
    for (found, length) in found.iter().zip([5, 7]) {
        assert_eq!(found[0].tokens, vec![2; length]);
        assert!(
            found[0].finished,
            "the end is written where nothing else is allowed"
        );
        let score = (length as f64 * 0.7f64.ln() + 0.1f64.ln()) / (length + 1) as f64;
        assert!((found[0].score - score).abs() < 1e-5);
    }
}

#[test]
fn the_model_ends_where_its_positions_end() {
    let device = Device::flex();
    let model = constant(
        OutputMap::Softmax,
        log([0.01, 0.1, 0.7, 0.1, 0.09]),
        &device,
    );
    let config = DecodeConfig::greedy(END, END);
    let found = translate(&model, words(&[3, 4], 1, &device), &config);
    assert_eq!(model.max_len(), 32);
    assert_eq!(found[0][0].tokens.len(), 31);
}

#[test]
fn a_translation_has_its_fewest_tokens() {
    let device = Device::flex();
    let model = constant(
        OutputMap::Softmax,
        log([0.01, 0.9, 0.06, 0.02, 0.01]),
        &device,
    );
    for min_len in [0, 1, 3] {
        let config = DecodeConfig::greedy(END, END).with_min_len(min_len);
        let found = translate(&model, words(&[3, 4], 1, &device), &config);
        assert_eq!(found[0][0].tokens, vec![2; min_len]);
    }
}

#[test]
fn a_forbidden_token_is_never_written() {
    let device = Device::flex();
    let model = constant(
        OutputMap::Softmax,
        log([0.5, 0.02, 0.38, 0.06, 0.04]),
        &device,
    );
    let greedy = DecodeConfig::greedy(END, END).with_max_len_b(4);
    let tokens = |never| {
        let found = translate(
            &model,
            words(&[3], 1, &device),
            &greedy.clone().with_never(never),
        );
        found[0][0].tokens.clone()
    };
    assert_eq!(tokens(vec![]), [PAD; 4]);
    assert_eq!(tokens(vec![PAD]), [2; 4]);
    assert_eq!(tokens(vec![PAD, 2, 3]), [4; 4]);
}

/// With p = ½ for token and end, n tokens score (n + 1)·ln ½ / (n + 1)^penalty: best for few tokens below
/// a penalty of 1 and for many above it.
#[rstest]
#[case(0.0, [1, 2, 3])]
#[case(0.9, [1, 2, 3])]
#[case(1.1, [6, 5, 4])]
#[case(2.0, [6, 5, 4])]
fn the_length_penalty_ranks_lengths(#[case] length_penalty: f64, #[case] best: [usize; 3]) {
    let device = Device::flex();
    let scores = [-50.0, 0.0, 0.0, -50.0, -50.0];
    let model = constant(OutputMap::Softmax, scores, &device);
    let config = search()
        .with_never(vec![PAD, 3, 4])
        .with_beam_size(6)
        .with_n_best(3)
        .with_max_len_b(6)
        .with_length_penalty(length_penalty);
    let found = &translate(&model, words(&[3], 1, &device), &config)[0];
    let lengths: Vec<usize> = found.iter().map(|h| h.tokens.len()).collect();
    assert_eq!(lengths, best);
    for hypothesis in found {
        let n = (hypothesis.tokens.len() + 1) as f64;
        let score = n * 0.5f64.ln() / n.powf(length_penalty);
        assert!((hypothesis.score - score).abs() < 1e-5);
    }
}

/// With p = 0.85 to go on and 0.1 to end, more tokens score better. A full beam stops at the first two that
/// ended; the longest length is reached if open hypotheses must be beaten.
#[rstest]
#[case(Stop::Full, 2)]
#[case(Stop::Beaten, 6)]
fn stopping_is_with_a_full_beam_or_with_the_best(#[case] stop: Stop, #[case] length: usize) {
    let device = Device::flex();
    let scores = log([0.0, 0.1, 0.85, 0.03, 0.02]);
    let model = constant(OutputMap::Softmax, scores, &device);
    let config = search().with_beam_size(2).with_max_len_b(6).with_stop(stop);
    let found = &translate(&model, words(&[3], 1, &device), &config)[0];
    assert_eq!(found[0].tokens, vec![2; length]);
}

/// A hypothesis that nothing open can beat any more ends the search: with p = 0.9 for the end no other
/// length is looked at, so that only the hypotheses of one token have ended.
#[test]
fn a_beaten_beam_stops() {
    let device = Device::flex();
    let scores = log([0.0, 0.9, 0.05, 0.03, 0.02]);
    let model = constant(OutputMap::Softmax, scores, &device);
    let config = search()
        .with_beam_size(3)
        .with_stop(Stop::Beaten)
        .with_length_penalty(0.0);
    let found = |n_best| {
        let config = config.clone().with_n_best(n_best);
        translate(&model, words(&[3], 1, &device), &config)[0].len()
    };
    assert_eq!((found(1), found(3)), (1, 3));
}

/// Sparsemax of (0, −2, 0, …) gives the end nothing: what was written comes back, marked as not ended.
#[test]
fn a_model_that_cannot_end_gives_what_it_wrote() {
    let device = Device::flex();
    let model = constant(OutputMap::Sparsemax, [-9.0, -2.0, 0.1, 0.0, -9.0], &device);
    let config = search().with_beam_size(3).with_n_best(3).with_max_len_b(2);
    let found = &translate(&model, words(&[3], 1, &device), &config)[0];
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].tokens, [2, 2]);
    assert!((found[0].score - 0.55f64.ln()).abs() < 1e-6);
    assert!(found.iter().all(|h| !h.finished && h.tokens.len() == 2));
}

/// Sparsemax of (0, −2, …) leaves one token and no other: four of five places of the beam stay empty.
#[test]
fn a_beam_need_not_be_full() {
    let device = Device::flex();
    let model = constant(OutputMap::Sparsemax, [-9.0, -0.9, 0.0, -9.0, -9.0], &device);
    let config = search().with_n_best(5).with_max_len_b(3);
    let found = &translate(&model, words(&[3], 1, &device), &config)[0];
    let tokens: Vec<usize> = found.iter().map(|h| h.tokens.len()).collect();
    assert_eq!(
        tokens.len(),
        3,
        "a token and the end: one translation of each length"
    );
    let (go_on, end) = (0.95f64.ln(), 0.05f64.ln());
    for hypothesis in found {
        let n = hypothesis.tokens.len() as f64;
        assert!((hypothesis.score - (n * go_on + end) / (n + 1.0)).abs() < 1e-5);
    }
}

#[test]
fn scores_that_are_not_numbers_give_an_empty_translation() {
    let device = Device::flex();
    let model = constant(OutputMap::Softmax, [f32::NAN; VOCAB], &device);
    let found = &translate(&model, words(&[3], 1, &device), &search())[0];
    assert_eq!(found.len(), 1);
    assert!(found[0].tokens.is_empty() && !found[0].finished);
}

#[rstest]
#[case(search().with_beam_size(0), "beam_size")]
#[case(search().with_n_best(6), "n_best")]
#[case(search().with_length_penalty(f64::NAN), "length_penalty")]
#[case(search().with_max_len_a(-1.0), "max_len_a")]
#[case(search().with_never(vec![END]), "never")]
#[case(exact(100), "length_penalty")]
#[case(exact(100).with_length_penalty(0.0).with_n_best(0), "n_best")]
#[case(exact(0).with_length_penalty(0.0), "method.max_prefixes")]
#[case(exact(100).with_length_penalty(0.0).with_cache(false), "cache")]
fn a_setting_out_of_range_is_named(#[case] config: DecodeConfig, #[case] field: &str) {
    let error = config.validate().unwrap_err().to_string();
    assert!(error.contains(&format!("`{field}`")), "{error}");
}

#[test]
fn masks_must_reach_the_longest_length() {
    let device = Device::flex();
    let model = config(OutputMap::Softmax).init(&device);
    let source = words(&[3, 4, 5], 1, &device);
    let layers = |n_rows| vec![mask([2, n_rows, 3], &device, |_, _, _| false); 2];
    let mut masks = Seq2SeqMasks {
        cross: Some(layers(5)),
        ..Seq2SeqMasks::default()
    };
    let search_to = |max_len, masks: &Seq2SeqMasks, cache| {
        let config = search().with_max_len_b(max_len).with_cache(cache);
        beam_search(&model, source.clone(), None, masks, &config)
    };
    assert!(search_to(4, &masks, true).is_ok());
    let error = search_to(5, &masks, true).unwrap_err();
    assert!(
        matches!(error, ModelError::AttentionMaskShape { .. }),
        "{error}"
    );
    masks.rows = MaskRows::PaperFaithful;
    assert!(search_to(4, &masks, true).is_ok());
    let error = search_to(4, &masks, false).unwrap_err();
    assert!(error.to_string().contains("`cache`"), "{error}");
}
