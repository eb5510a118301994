//! The loss, gradients, and that a small task is learned.

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use rstest::rstest;
use sparta_model::decode::{DecodeConfig, Stop, beam_search};
use sparta_model::layer::{NormalizerConfig, OutputMap};
use sparta_model::seq2seq::{Seq2SeqConfig, Seq2SeqInput, Seq2SeqMasks, Sharing};

use super::{TARGET_VOCAB, config, source, target};
use crate::{alone, distance, some_words, values, words};

/// fairseq's `label_smoothed_nll_loss`, from log-probabilities, one token after the other.
#[test]
fn label_smoothing_is_that_of_fairseq() {
    let device = Device::flex();
    let model = config().init(&device);
    let output = model.forward(Seq2SeqInput::new(
        source(6, 2, 1, &device),
        target(4, 2, 2, &device),
    ));
    let targets = [3, -1, 5, 0, 14, 7, 7, -1];
    let log_p = log_softmax(model.logits(output.hidden.clone()), 2);
    let log_p = values(log_p);
    for smoothing in [0.0, 0.1, 0.4] {
        let loss = model.loss(
            output.hidden.clone(),
            words(&targets, 2, &device),
            smoothing,
        );
        assert_eq!(loss.smoothed.dims(), [2, 4]);
        let (smoothed, plain) = (values(loss.smoothed), values(loss.plain));
        let each = smoothing / (TARGET_VOCAB - 1) as f64;
        for (i, row) in log_p.chunks(TARGET_VOCAB).enumerate() {
            let Ok(target) = usize::try_from(targets[i]) else {
                assert_eq!((smoothed[i], plain[i]), (0.0, 0.0));
                continue;
            };
            let nll = -f64::from(row[target]);
            let all: f64 = row.iter().map(|log_p| -f64::from(*log_p)).sum();
            let expected = (1.0 - smoothing - each) * nll + each * all;
            assert!((f64::from(smoothed[i]) - expected).abs() < 1e-4);
            assert!((f64::from(plain[i]) - nll).abs() < 1e-4);
        }
    }
}

/// The gradient of smoothing reaches hidden vectors and output weights as that of the formula does.
#[test]
fn label_smoothing_has_the_gradient_of_its_formula() {
    let device = Device::flex().autodiff();
    let model = config().init(&device);
    let hidden = Tensor::<3>::random([2, 4, 16], burn::tensor::Distribution::Default, &device)
        .require_grad();
    let targets = [3, -1, 5, 0, 14, 7, 7, -1];
    let epsilon = 0.2;
    let each = epsilon / (TARGET_VOCAB - 1) as f64;
    let fused = model.loss(hidden.clone(), words(&targets, 2, &device), epsilon);
    let fused = fused.smoothed.sum().backward();

    let log_p = log_softmax(model.logits(hidden.clone()), 2).reshape([8, TARGET_VOCAB]);
    let mut plain = Tensor::<1>::zeros([1], &device);
    for (i, target) in targets.into_iter().enumerate() {
        if let Ok(target) = usize::try_from(target) {
            let row = log_p.clone().slice([i..i + 1, 0..TARGET_VOCAB]);
            let nll = row.clone().slice([0..1, target..target + 1]).neg().sum();
            plain = plain + nll.mul_scalar(1.0 - epsilon - each) - row.sum().mul_scalar(each);
        }
    }
    let plain = plain.backward();
    let (a, b) = (hidden.grad(&fused).unwrap(), hidden.grad(&plain).unwrap());
    assert!(distance(&values(a), &values(b)) < 1e-5);
    let table = model.target_embedding.val();
    let (a, b) = (table.grad(&fused).unwrap(), table.grad(&plain).unwrap());
    assert!(distance(&values(a), &values(b)) < 1e-5);
}

#[rstest]
#[case(Seq2SeqConfig::new(20, 15, 16, 2, 32, 2, 2).with_sharing(Sharing::None).with_pre_norm(true))]
#[case(Seq2SeqConfig::new(15, 15, 16, 2, 32, 2, 2).with_sharing(Sharing::All))]
#[case(Seq2SeqConfig::new(20, 15, 16, 2, 32, 2, 2).with_output(OutputMap::Entmax15))]
fn every_parameter_gets_a_gradient(#[case] config: Seq2SeqConfig) {
    let device = Device::flex().autodiff();
    let config = config.with_normalizer(NormalizerConfig::alpha_entmax());
    let model = config.init(&device);
    let from = words(&some_words(12, 15, 3), 2, &device);
    let output = model.forward(Seq2SeqInput::new(from, target(4, 2, 4, &device)));
    let loss = model.loss(output.hidden, target(4, 2, 5, &device), 0.1);
    let gradients = GradientsParams::from_grads(loss.smoothed.mean().backward(), &model);
    assert_eq!(gradients.len(), burn::module::list_param_ids(&model).len());
}

#[test]
fn dropout_acts_in_training_only() {
    let device = Device::flex().autodiff();
    let shares: [fn(Seq2SeqConfig) -> Seq2SeqConfig; 3] = [
        |config| config.with_dropout(0.3),
        |config| config.with_attention_dropout(0.3),
        |config| config.with_activation_dropout(0.3),
    ];
    for with_share in shares {
        let model = with_share(config()).init(&device);
        let run = || {
            let input = Seq2SeqInput::new(source(6, 2, 1, &device), target(4, 2, 2, &device));
            values(model.forward(input).hidden)
        };
        assert!(distance(&run(), &run()) > 0.0);
        let (valid, device) = (model.valid(), device.clone().inner());
        let run = || {
            let input = Seq2SeqInput::new(source(6, 2, 1, &device), target(4, 2, 2, &device));
            values(valid.forward(input).hidden)
        };
        assert_eq!(run(), run());
    }
}

/// Writing a sentence backwards, on sentences of 3 to 6 words that are padded on the left: after
/// training, beam search writes every one of them.
#[rstest]
#[case::softmax(NormalizerConfig::Softmax, OutputMap::Softmax)]
#[case::sparse(NormalizerConfig::alpha_entmax(), OutputMap::Entmax15)]
fn a_few_sentences_are_learned_and_written(
    #[case] normalizer: NormalizerConfig,
    #[case] output: OutputMap,
) {
    const PAD: i32 = 1;
    const END: i32 = 2;
    alone(|| {
        let device = Device::flex().autodiff();
        device.seed(5);
        let mut model = Seq2SeqConfig::new(20, 20, 32, 2, 64, 1, 1)
            .with_dropout(0.0)
            .with_sharing(Sharing::All)
            .with_normalizer(normalizer)
            .with_output(output)
            .init(&device);
        let sentences: Vec<Vec<i32>> = (0..8)
            .map(|i| {
                some_words(3 + i % 4, 16, i as u64 + 1)
                    .iter()
                    .map(|w| w + 4)
                    .collect()
            })
            .collect();
        let (mut source, mut padding, mut read, mut targets) = (vec![], vec![], vec![], vec![]);
        for words in &sentences {
            let gap = 6 - words.len();
            source.extend(vec![PAD; gap].iter().chain(words));
            source.push(END);
            padding.extend((0..7).map(|i| i < gap));
            let backwards: Vec<i32> = words.iter().rev().copied().collect();
            read.extend([END].iter().chain(&backwards).chain(&vec![PAD; gap]));
            targets.extend(backwards.iter().chain(&[END]).chain(&vec![-1; gap]));
        }
        let input = |device: &Device| {
            Seq2SeqInput::new(words(&source, 8, device), words(&read, 8, device))
                .source_padding(super::padding(&padding, 8, device))
        };
        let mut adam = AdamConfig::new().init();
        let mut losses = Vec::new();
        for _ in 0..150 {
            let output = model.forward(input(&device));
            let loss = model.loss(output.hidden, words(&targets, 8, &device), 0.0);
            let loss = loss.smoothed.mean();
            losses.push(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = adam.step(5e-3, model, gradients);
        }
        assert!(losses[0] > 1.0 && losses[149] < 0.02, "{losses:?}");

        let (model, device) = (model.valid(), device.clone().inner());
        let search = DecodeConfig::new(END, END)
            .with_max_len_b(20)
            .with_never(vec![PAD])
            .with_stop(Stop::Beaten);
        let input = input(&device);
        let masks = Seq2SeqMasks::default();
        let found = beam_search(&model, input.source, input.source_padding, &masks, &search);
        for (words, found) in sentences.iter().zip(found.unwrap()) {
            let backwards: Vec<i32> = words.iter().rev().copied().collect();
            assert_eq!(found[0].tokens, backwards);
            assert!(found[0].finished);
        }
    });
}
