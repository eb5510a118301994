//! Every parameter has its name and layout, and is read back as it was.

use burn::module::ModuleMapper;
use burn::prelude::*;

use super::*;
use crate::bert::{BertConfig, Pooling};
use crate::import::{ImportOptions, Weights, bert_config, import_bert};
use crate::key_map::Published;
use crate::layer::MechanismConfig;
use crate::seq2seq::{Seq2SeqConfig, Sharing};
use crate::transformer_xl::TransformerXlConfig;

/// Mechanisms of which each has parameters of its own, or none.
const MECHANISMS: [&str; 9] = [
    "softmax",
    "alpha_entmax",
    "entmax15+scale",
    "softmax+span(s=8)+gate",
    "favor(m=6)",
    "rfa_gate(m=4)",
    "linformer_slots(k=4)",
    "lsh(m=2,rounds=1)",
    "sparsemax+local(w=4)",
];

fn mechanism(words: &str) -> MechanismConfig {
    words.parse().unwrap()
}

/// All tensors of a file at once.
fn file(exported: &Exported) -> Weights {
    let mut all = exported.tensors.clone();
    all.extend(exported.mechanisms.clone());
    let n = exported.tensors.len() + exported.mechanisms.len();
    assert_eq!(all.len(), n, "no name is there twice");
    Weights::from_safetensors(&safetensors(&all).unwrap()).unwrap()
}

/// Draws every parameter anew, so that none is as another network's.
struct Draw(u64);

impl ModuleMapper for Draw {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let values: Vec<f32> = (0..old.dims().iter().product())
                .map(|_| {
                    self.0 = self
                        .0
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (self.0 >> 40) as f32 / 1e7 - 0.8
                })
                .collect();
            Tensor::from_data(TensorData::new(values, old.dims()), &old.device())
        })
    }
}

fn drawn<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Draw(seed))
}

/// Writes a BERT, reads it into another one, and writes that: the files are the same.
fn bert_comes_back<M: Module>(init: impl Fn() -> M) -> Exported {
    let exported = export(&drawn(init(), 1), KeyMap::Bert).unwrap();
    let other = drawn(init(), 2);
    assert_ne!(export(&other, KeyMap::Bert).unwrap(), exported);
    let (read, report) = import_bert(other, file(&exported), &ImportOptions::default()).unwrap();
    let n = exported.tensors.len() + exported.mechanisms.len();
    assert_eq!(report.n_loaded, n);
    assert!(report.missing.is_empty() && report.unexpected.is_empty());
    assert_eq!(export(&read, KeyMap::Bert).unwrap(), exported);
    exported
}

#[test]
fn every_bert_comes_back_to_the_bit() {
    let device = Device::flex();
    for words in MECHANISMS
        .into_iter()
        .chain(["linformer(k=4)", "nystrom(m=4,conv=3)"])
    {
        let config = BertConfig::new(11, 8, 2, 12, 2).with_max_len(16);
        // Some have no dropout of weights, and some are causal alone.
        let config = config
            .with_attention_dropout(0.0)
            .with_mechanism(mechanism(words));
        if config.validate().is_err() {
            let abilities = config.mechanism.abilities();
            assert!(!abilities.bidirectional, "{words}");
            continue;
        }
        let exported = bert_comes_back(|| config.init(&device));
        assert!(
            exported
                .tensors
                .contains_key("encoder.layer.1.output.LayerNorm.bias")
        );
        let segments = config.clone().with_pooling(Pooling::Segments);
        for config in [&config, &segments] {
            let exported = bert_comes_back(|| config.init_classifier(3, &device));
            assert_eq!(
                exported.tensors.contains_key("bert.pooler.dense.weight"),
                config.pooling == Pooling::First
            );
            let is_ours = |name: &String| name.contains(".attention.self.mechanism.");
            assert!(exported.mechanisms.keys().all(is_ours));
        }
        bert_comes_back(|| config.init_span_finder(&device));
        bert_comes_back(|| config.init_masked_lm(&device));
        let json = config::bert(&config).unwrap().to_string();
        let expected = config.with_mechanism(MechanismConfig::SOFTMAX);
        assert_eq!(bert_config(&json).unwrap(), expected);
    }
}

#[test]
fn linear_maps_are_transposed_and_the_rest_is_as_it_is() {
    let device = Device::flex();
    let config = BertConfig::new(11, 8, 2, 12, 1).with_mechanism(mechanism("alpha_entmax"));
    let model = drawn(config.init_classifier(3, &device), 3);
    let exported = export(&model, KeyMap::Bert).unwrap();
    let expand = &model.bert.encoder[0].feed_forward.expand.weight;
    let name = "bert.encoder.layer.0.intermediate.dense.weight";
    assert_eq!(exported.tensors[name].shape().to_vec(), [12, 8]);
    assert_eq!(exported.tensors[name], expand.val().transpose().into_data());
    let words = model.bert.embeddings.words.val().into_data();
    let name = "bert.embeddings.word_embeddings.weight";
    assert_eq!(exported.tensors[name], words);
    let name = "bert.encoder.layer.0.attention.self.mechanism.normalizer.raw_alpha";
    assert_eq!(exported.mechanisms[name].shape().to_vec(), [2]);
}

/// Reads tensors into a network by a map, as [`import_bert`] does with BERT's.
fn read_back<M: Module>(module: M, names: KeyMap, exported: &Exported) -> M {
    struct Setter<'a>(KeyMap, Vec<String>, &'a Exported);
    impl ModuleMapper for Setter<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.1.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.1.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Published {
                name,
                transposed,
                of_mechanism,
            } = self.0.published(&self.1.join(".")).unwrap();
            let part = match of_mechanism {
                true => &self.2.mechanisms,
                false => &self.2.tensors,
            };
            let data = part[&name].clone();
            param.map(|old| {
                let values = Tensor::from_data(data, &old.device());
                let values = if transposed {
                    values.transpose()
                } else {
                    values
                };
                assert_eq!(values.dims(), old.dims(), "{name}");
                values
            })
        }
    }
    module.map(&mut Setter(names, Vec::new(), exported))
}

#[test]
fn every_encoder_decoder_comes_back_to_the_bit() {
    let device = Device::flex();
    for sharing in [Sharing::None, Sharing::DecoderInputOutput, Sharing::All] {
        for (pre_norm, words) in [
            (false, "alpha_entmax"),
            (true, "entmax15+scale"),
            (true, "decoder=rfa(m=4) cross=rfa(m=4)"),
        ] {
            let config = Seq2SeqConfig::new(9, 9, 8, 2, 12, 2, 3)
                .with_sharing(sharing)
                .with_pre_norm(pre_norm)
                .with_mechanisms(words.parse().unwrap());
            let model = drawn(config.init(&device), 1);
            let exported = export(&model, KeyMap::Seq2Seq).unwrap();
            let n: usize = (exported
                .tensors
                .values()
                .chain(exported.mechanisms.values()))
            .map(|data| data.shape().iter().product::<usize>())
            .sum();
            assert_eq!(n, config.n_params());
            let has = |name: &str| exported.tensors.contains_key(name);
            assert_eq!(has("encoder.embed_tokens.weight"), sharing != Sharing::All);
            assert_eq!(
                has("decoder.output_projection.weight"),
                sharing == Sharing::None
            );
            assert_eq!(has("decoder.layer_norm.weight"), pre_norm);
            assert!(has("decoder.layers.2.encoder_attn_layer_norm.bias"));
            let other = read_back(drawn(config.init(&device), 2), KeyMap::Seq2Seq, &exported);
            assert_eq!(export(&other, KeyMap::Seq2Seq).unwrap(), exported);
        }
    }
}

#[test]
fn every_transformer_xl_comes_back_to_the_bit() {
    let device = Device::flex();
    for words in MECHANISMS {
        for tied in [true, false] {
            let config = TransformerXlConfig::new(30, 2, 8, 2, 4, 12, 4, 4)
                .with_cutoffs(vec![10, 20])
                .with_div_val(2)
                .with_tie_weights(tied)
                .with_tie_projections(tied)
                .with_mechanism(mechanism(words));
            if config.validate().is_err() {
                assert!(words.contains("local"), "{words}");
                continue;
            }
            let exported = export(&drawn(config.init(&device), 1), KeyMap::TransformerXl).unwrap();
            let n: usize = (exported
                .tensors
                .values()
                .chain(exported.mechanisms.values()))
            .map(|data| data.shape().iter().product::<usize>())
            .sum();
            assert_eq!(n, config.n_params(), "{words}");
            assert_eq!(
                exported
                    .tensors
                    .contains_key("layers.1.dec_attn.r_net.weight"),
                config.mechanism.has_distances()
            );
            let other = read_back(
                drawn(config.init(&device), 2),
                KeyMap::TransformerXl,
                &exported,
            );
            assert_eq!(export(&other, KeyMap::TransformerXl).unwrap(), exported);
        }
    }
}

#[test]
fn a_network_of_another_kind_is_an_error() {
    let model = BertConfig::new(11, 8, 2, 12, 1).init(&Device::flex());
    let error = export(&model, KeyMap::Seq2Seq).unwrap_err();
    assert_eq!(
        error,
        ExportError::Unnamed {
            path: "embeddings.words".to_owned()
        }
    );
}
