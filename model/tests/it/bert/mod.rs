//! BERT: its masks, padding and patterns, the import of published weights, and PyTorch's numbers.

pub mod import;
pub mod parity;

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::TensorData;
use sparta_model::ModelError;
use sparta_model::bert::{Bert, BertConfig, BertInput, Pooling};
use sparta_model::layer::NormalizerConfig;
use sparta_model::masks_of;
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, CellRule, GlobalMask, Grid, Padding, PatternHeader, Placement,
    Scope, Semantics, Valid,
};

use crate::{distance, mask, some_words, values, words};

const SEQ: usize = 7;

fn config() -> BertConfig {
    BertConfig::new(20, 16, 2, 24, 2).with_max_len(12)
}

fn padding(lengths: &[usize], device: &Device) -> Tensor<2, Bool> {
    let cells: Vec<bool> = lengths
        .iter()
        .flat_map(|&length| (0..SEQ).map(move |i| i >= length))
        .collect();
    Tensor::from_data(TensorData::new(cells, [lengths.len(), SEQ]), device)
}

fn tokens(batch: usize, device: &Device) -> Tensor<2, Int> {
    words(&some_words(batch * SEQ, 20, 3), batch, device)
}

#[test]
fn the_number_of_parameters_is_known_before_they_are_made() {
    let device = Device::flex();
    for config in [
        config(),
        config().with_normalizer(NormalizerConfig::alpha_entmax()),
        config().with_pooling(Pooling::Segments),
    ] {
        assert_eq!(config.init(&device).num_params(), config.n_params());
        let classifier = config.init_classifier(3, &device);
        assert_eq!(classifier.num_params(), config.n_classifier_params(3));
        let finder = config.init_span_finder(&device);
        assert_eq!(finder.num_params(), config.n_span_finder_params());
        let masked_lm = config.init_masked_lm(&device);
        assert_eq!(masked_lm.num_params(), config.n_masked_lm_params());
    }
    // `BertForMaskedLM` of bert-base-uncased.
    assert_eq!(BertConfig::base_uncased().n_masked_lm_params(), 109_514_298);
    // As published: 109,482,240 and 108,310,272 with the pooler.
    let pooler = 768 * 768 + 768;
    assert_eq!(BertConfig::base_uncased().n_params() + pooler, 109_482_240);
    assert_eq!(BertConfig::base_cased().n_params() + pooler, 108_310_272);
}

#[test]
fn settings_that_cannot_be_built_are_named() {
    let heads = BertConfig::new(20, 16, 3, 24, 2).validate().unwrap_err();
    assert!(heads.to_string().contains("n_heads"), "{heads}");
    let none = BertConfig::new(20, 16, 2, 24, 0).validate().unwrap_err();
    assert!(none.to_string().contains("n_layers"), "{none}");
}

#[test]
fn padding_moves_no_token() {
    let device = Device::flex();
    for normalizer in [NormalizerConfig::Softmax, NormalizerConfig::Entmax15] {
        let model = config().with_normalizer(normalizer).init(&device);
        let all = tokens(2, &device);
        let padded = BertInput::new(all.clone()).padding(padding(&[4, SEQ], &device));
        let padded = model.forward(padded).hidden;
        let alone = model.forward(BertInput::new(all.slice([0..1, 0..4])));
        let first = padded.slice([0..1, 0..4, 0..16]);
        assert!(distance(&values(first), &values(alone.hidden)) < 1e-5);
    }
}

#[test]
fn a_mask_hides_its_cells_of_its_layer_and_head_for_every_length() {
    let device = Device::flex();
    let model = config().init(&device);
    let hides = |layer: usize, h: usize, i: usize, j: usize| (layer + h + i + j).is_multiple_of(3);
    let masks: Vec<_> = (0..2)
        .map(|layer| mask([2, 9, 9], &device, |h, i, j| hides(layer, h, i, j)))
        .collect();
    let input = BertInput::new(tokens(1, &device));
    let output = model.forward(input.masks(Some(masks)).return_weights());
    for (layer, weights) in output.weights.into_iter().enumerate() {
        assert_eq!(weights.dims(), [1, 2, SEQ, SEQ]);
        for (cell, weight) in values(weights).into_iter().enumerate() {
            let (h, i, j) = (cell / (SEQ * SEQ), cell / SEQ % SEQ, cell % SEQ);
            assert_eq!(weight == 0.0, hides(layer, h, i, j), "{layer} {h} {i} {j}");
        }
    }
}

#[test]
fn masks_that_do_not_fit_are_named() {
    let device = Device::flex();
    let model = config().init(&device);
    let open = |shape| mask(shape, &device, |_, _, _| false);
    let error = model.check_masks(&[open([2, 9, 9])], SEQ).unwrap_err();
    assert!(matches!(error, ModelError::AttentionMaskCount { .. }));
    let masks = [open([2, 9, 9]), open([2, 9, 5])];
    let error = model.check_masks(&masks, SEQ).unwrap_err();
    assert!(error.to_string().contains("layer 1"), "{error}");
}

/// The attention of sequences of lengths 4 and 7, with padding left out or averaged in.
fn observed(model: &Bert, padding_rule: Padding, device: &Device) -> AttentionPattern {
    let grid = Grid {
        n_heads: 2,
        n_rows: SEQ,
        n_cols: SEQ,
        rule: CellRule::Full,
    };
    let kind = AttentionType::EncoderSelf;
    let header = PatternHeader {
        corpus: "words".to_owned(),
        model: "bert".to_owned(),
        padding: padding_rule,
        grids: (0..2).map(|layer| ((kind, layer), grid)).collect(),
        ..PatternHeader::default()
    };
    let mut pattern = AttentionPattern::new(header);
    let lengths = [4, SEQ];
    let input = BertInput::new(tokens(2, device)).padding(padding(&lengths, device));
    let valid = lengths.map(|length| Valid::first(length, length)).to_vec();
    let placement = Placement::at(0, 0).with_valid(valid);
    let output = model.forward(input.return_weights());
    for (layer, weights) in output.weights.into_iter().enumerate() {
        pattern
            .observe_tensor(kind, layer, weights, &placement)
            .unwrap();
    }
    pattern
}

#[test]
fn a_pattern_leaves_padding_out_or_averages_it_in() {
    let device = Device::flex();
    let model = config().init(&device);
    let kind = AttentionType::EncoderSelf;
    let left_out = observed(&model, Padding::LeftOut, &device);
    assert_eq!(left_out.count(kind, 0, 3, 3).unwrap(), 2);
    assert_eq!(left_out.count(kind, 0, 5, 2).unwrap(), 1);
    let averaged = observed(&model, Padding::AveragedIn, &device);
    assert_eq!(averaged.count(kind, 0, 5, 2).unwrap(), 2);
    let column = |pattern: &AttentionPattern| pattern.mean(kind, 0, 0, 3, 5).unwrap().unwrap();
    // Position 5 is padding in one of two sequences, where its weight is 0.
    assert!((column(&averaged) * 2.0 - column(&left_out)).abs() < 1e-9);

    let cut = GlobalMask::from_pattern(&left_out, 0.5, Scope::Layer, Semantics::Corrected).unwrap();
    let masks = masks_of(&cut, kind, SEQ, SEQ, &device).unwrap().unwrap();
    assert_eq!(masks.len(), 2);
    let none = masks_of(&cut, AttentionType::Cross, SEQ, SEQ, &device).unwrap();
    assert!(none.is_none());
    let input = BertInput::new(tokens(1, &device)).masks(Some(masks));
    let hidden = values(model.forward(input).hidden);
    assert!(hidden.iter().all(|x| x.is_finite()));
}

#[test]
fn a_classifier_may_look_at_the_means_of_both_segments() {
    let device = Device::flex();
    let model = config()
        .with_pooling(Pooling::Segments)
        .init_classifier(3, &device);
    let (types, lengths) = ([0i64, 0, 0, 1, 1], [5usize, 4]);
    let token_types = Tensor::<1, Int>::from_ints(types, &device);
    let input = BertInput::new(tokens(2, &device).slice([0..2, 0..5]))
        .token_types(token_types.reshape([1, 5]).repeat_dim(0, 2))
        .padding(padding(&lengths, &device).slice([0..2, 0..5]));
    let hidden = model.bert.forward(input.clone()).hidden;
    let d = hidden.dims()[2];
    let hidden: Vec<f32> = hidden.into_data().iter().collect();
    let weight: Vec<f32> = model.classifier.weight.val().into_data().iter().collect();
    let bias = model.classifier.bias.as_ref().unwrap().val();
    let bias: Vec<f32> = bias.into_data().iter().collect();
    let found: Vec<f32> = model.forward(input).into_data().iter().collect();
    for (row, length) in lengths.into_iter().enumerate() {
        let mean = |segment: i64, k: usize| -> f32 {
            let at: Vec<usize> = (0..length).filter(|&t| types[t] == segment).collect();
            let sum: f32 = at.iter().map(|t| hidden[(row * 5 + t) * d + k]).sum();
            sum / at.len() as f32
        };
        let features: Vec<f32> = (0..4 * d)
            .map(|i| {
                let (u, v) = (mean(0, i % d), mean(1, i % d));
                [u, v, (u - v).abs(), u * v][i / d]
            })
            .collect();
        for label in 0..3 {
            let products = features.iter().enumerate();
            let sum: f32 = products.map(|(i, f)| f * weight[i * 3 + label]).sum();
            let expected = sum + bias[label];
            assert!((found[row * 3 + label] - expected).abs() < 1e-5);
        }
    }
    // Without a second segment its mean is 0.
    let one = model.forward(BertInput::new(tokens(2, &device)));
    assert!(one.into_data().iter::<f32>().all(f32::is_finite));
}

/// Scores at the masked positions are those of all positions, and no other counts in the loss.
#[test]
fn only_masked_positions_are_scored() {
    let device = Device::flex().autodiff();
    let config = config().with_dropout(0.0).with_attention_dropout(0.0);
    let model = config.init_masked_lm(&device);
    let input = || BertInput::new(tokens(2, &device));
    let mut targets = vec![-1; 2 * SEQ];
    (targets[1], targets[SEQ + 3]) = (4, 9);
    let scores = model.masked(input(), &targets);
    assert_eq!((scores.n_masked(), scores.logits.dims()), (2, [2, 20]));
    let all = model.forward(input()).reshape([2 * SEQ, 20]);
    let index = Tensor::<1, Int>::from_ints([1, SEQ as i32 + 3], &device);
    let chosen = all.select(0, index);
    assert!(distance(&values(chosen), &values(scores.logits.clone())) < 1e-5);
    let nll = values(scores.nll());
    let mean = (nll[0] + nll[1]) / 2.0;
    assert!((values(scores.loss())[0] - mean).abs() < 1e-6);

    let none = model.masked(input(), &[-1; 2 * SEQ]);
    assert_eq!((none.n_masked(), values(none.loss())), (0, vec![0.0]));
    let gradients = none.loss().backward();
    let words = model.bert.embeddings.words.val().grad(&gradients);
    assert!(words.is_none_or(|words| values(words).iter().all(|g| *g == 0.0)));
}

/// The weights that ship with the programs, 4-bit matrices among them.
fn shipped_weights() -> sparta_model::import::Weights {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../experiments/data/minilm-l3/model.safetensors"
    );
    sparta_model::import::Weights::read(std::path::Path::new(path)).expect("the shipped weights")
}
