//! Networks in half precision: as in f32 but for rounding, with parameters and their gradients in f32.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::DType;
use sparta_model::Precision;
use sparta_model::bert::{BertConfig, BertInput};
use sparta_model::layer::mechanism::watch;
use sparta_model::layer::{MechanismConfig, NormalizerConfig};
use sparta_model::seq2seq::{Seq2SeqConfig, Seq2SeqInput};
use sparta_model::transformer_xl::{TransformerXl, TransformerXlConfig, TransformerXlInput};

use crate::{alone, distance, some_words, values, words};

const VOCAB: usize = 30;
/// A half type, and how far a loss and the direction of gradients may be from those in f32: a roundoff 8 times as large, so that 1 less the
/// cosine is 64 times as large.
const HALVES: [(Precision, f32, f32); 2] = [
    (Precision::Bf16, 16e-3, 1.0 - 64.0 * 3e-4),
    (Precision::F16, 2e-3, 1.0 - 3e-4),
];

fn small() -> TransformerXlConfig {
    TransformerXlConfig::new(VOCAB, 2, 16, 2, 8, 32, 8, 8)
        .with_dropout(0.0)
        .with_init_std(0.3)
}

/// Every gradient of a module, one after the other.
struct All<'a> {
    gradients: &'a GradientsParams,
    values: Vec<f32>,
}

impl ModuleVisitor for All<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        assert_eq!(param.val().dtype(), DType::F32);
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            assert_eq!(gradient.dtype(), DType::F32);
            self.values.extend(values(gradient));
        }
    }
}

/// The loss, and all gradients of it.
fn step<M: Module>(model: &M, loss: impl Fn(&M) -> Tensor<1>) -> (f32, Vec<f32>) {
    let loss = loss(model);
    assert_eq!(loss.dtype(), DType::F32);
    let value = values(loss.clone().inner())[0];
    let gradients = GradientsParams::from_grads(loss.backward(), model);
    let mut all = All {
        gradients: &gradients,
        values: Vec::new(),
    };
    model.visit(&mut all);
    (value, all.values)
}

/// A step in each half type is nearly that in f32, and not the same.
fn holds_in_half_types<M: Module>(what: &str, model: &M, loss: impl Fn(&M) -> Tensor<1>) {
    let (full, expected) = step(model, &loss);
    for (precision, off, alike) in HALVES {
        let (half, found) = precision.within(|| step(model, &loss));
        assert!(
            (half - full).abs() < off * full.abs().max(1.0),
            "{what} in {precision}: loss {half} and not {full}"
        );
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            let terms = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
            terms.sum()
        };
        let cosine =
            dot(&found, &expected) / (dot(&found, &found) * dot(&expected, &expected)).sqrt();
        assert!(
            cosine > f64::from(alike),
            "{what} in {precision}: gradients at a cosine of {cosine}"
        );
        assert_ne!(
            found, expected,
            "{what} in {precision}: nothing was rounded"
        );
    }
    // What was before is back.
    assert_eq!(step(model, &loss), (full, expected));
}

fn devices() -> Vec<(&'static str, Device)> {
    let halves = |device: &Device| {
        HALVES
            .iter()
            .all(|(precision, ..)| device.supports_dtype(precision.dtype()))
    };
    let all = sparta_ops::testing::devices().into_iter();
    all.map(|of| (of.name, of.device))
        .filter(|(_, device)| halves(device))
        .collect()
}

fn next_words(model: &TransformerXl, device: &Device) -> Tensor<1> {
    let mut mems = None;
    let mut total = Tensor::zeros([1], device);
    for segment in 0..2 {
        let tokens = words(&some_words(24, VOCAB, segment), 3, device);
        let mut input = TransformerXlInput::new(tokens);
        input.mems = mems.take();
        let output = model.forward(input);
        assert_eq!(output.hidden.dtype(), DType::F32);
        assert!(output.mems.iter().all(|of| of.dtype() == DType::F32));
        mems = Some(output.mems);
        let targets = some_words(24, VOCAB, 100 + segment);
        total = total + model.nll(output.hidden, &targets).mean();
    }
    total
}

/// Every mechanism, and every part of dot-product attention, where it can be causal.
#[test]
fn transformer_xl_in_half_types() {
    alone(transformer_xl);
}

fn transformer_xl() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let quick = ["softmax", "alpha_entmax", "favor(m=16)"];
        let all = [
            "sparsemax",
            "entmax15",
            "entmax(1.3)",
            "fusedmax(0.1)",
            "entmax15+scale",
            "asentmax_nape",
            "softmax+span(s=6)+gate",
            "entmax15+span(s=6)",
            "softmax+local(w=4)",
            "rfa_gate(m=16)",
            "lsh(m=16)",
            "linformer_slots(k=4)",
        ];
        let all = all.iter().filter(|_| name == "flex");
        for mechanism in quick.iter().chain(all) {
            device.seed(3);
            let mechanism: MechanismConfig = mechanism.parse().unwrap();
            let model = small().with_mechanism(mechanism).init(&device);
            let what = format!("{mechanism} on {name}");
            // Hashed buckets and drawn gates are other ones after rounding, or at each call.
            if mechanism.to_string().contains("gate") || mechanism.shares_keys() {
                let loss = values(Precision::Bf16.within(|| next_words(&model, &device)));
                assert!(loss[0].is_finite(), "{what}");
                continue;
            }
            holds_in_half_types(&what, &model, |model| next_words(model, &device));
        }
        let adaptive = small()
            .with_cutoffs(vec![10, 20])
            .with_div_val(2)
            .with_pre_norm(true)
            .init(&device);
        let what = format!("adaptive softmax on {name}");
        holds_in_half_types(&what, &adaptive, |model| next_words(model, &device));
    }
}

#[test]
fn encoder_and_decoder_in_half_types() {
    alone(encoder_and_decoder);
}

fn encoder_and_decoder() {
    for (name, device) in devices() {
        let device = device.autodiff();
        device.seed(5);
        for pre_norm in [false, true] {
            let model = Seq2SeqConfig::new(VOCAB, VOCAB, 16, 2, 32, 2, 2)
                .with_dropout(0.0)
                .with_pre_norm(pre_norm)
                .with_normalizer(NormalizerConfig::Entmax15)
                .init(&device);
            let loss = |model: &sparta_model::seq2seq::Seq2Seq| {
                let [source, target] =
                    [1, 2].map(|seed| words(&some_words(21, VOCAB, seed), 3, &device));
                let output = model.forward(Seq2SeqInput::new(source, target.clone()));
                model.loss(output.hidden, target, 0.1).smoothed.mean()
            };
            holds_in_half_types(&format!("seq2seq on {name}"), &model, loss);
        }
    }
}

#[test]
fn bert_in_half_types() {
    alone(bert);
}

fn bert() {
    for (name, device) in devices() {
        let device = device.autodiff();
        device.seed(7);
        let config = BertConfig::new(VOCAB, 16, 2, 32, 2)
            .with_max_len(12)
            .with_dropout(0.0)
            .with_attention_dropout(0.0);
        let tokens = || BertInput::new(words(&some_words(21, VOCAB, 1), 3, &device));
        let targets = some_words(21, VOCAB, 2);
        let model = config.init_masked_lm(&device);
        let loss =
            |model: &sparta_model::bert::BertMaskedLm| model.masked(tokens(), &targets).loss();
        holds_in_half_types(&format!("masked words on {name}"), &model, loss);
        let model = config.init_classifier(3, &device);
        let loss = |model: &sparta_model::bert::BertClassifier| {
            let labels = Tensor::from_data([0, 1, 2], &device);
            model.label_loss(model.forward(tokens()), labels)
        };
        holds_in_half_types(&format!("labels on {name}"), &model, loss);
    }
}

/// The mean attention is of them.
#[test]
fn weights_that_are_asked_for_or_watched_are_in_f32() {
    let device = Device::flex();
    let model = small()
        .with_normalizer(NormalizerConfig::Entmax15)
        .init(&device);
    let tokens = || words(&some_words(24, VOCAB, 9), 3, &device);
    let ask = || {
        let input = TransformerXlInput::new(tokens()).return_weights();
        model.forward(input).weights.unwrap()
    };
    let (full, half) = (ask(), Precision::Bf16.within(ask));
    for (full, half) in full.into_iter().zip(half) {
        assert_eq!(half.dtype(), DType::F32);
        // Rows add up to 1 in f32's digits, not in those of bf16.
        let sums = values(half.clone().sum_dim(3));
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{sums:?}");
        assert!(distance(&values(full), &values(half)) < 5e-2);
    }
    let look = || watch(|| model.forward(TransformerXlInput::new(tokens()))).1;
    let (full, half) = (look().of_all(), Precision::Bf16.within(look).of_all());
    for (full, half) in full.iter().zip(&half) {
        let [full, half] = [full, half].map(|of| of.mean().unwrap());
        assert!((full - half).abs() < 0.05 * full.abs(), "{full} {half}");
    }
}
