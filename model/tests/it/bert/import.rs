//! Published weights: names old and new, forms of storage, and what does not fit.

use std::path::Path;

use burn::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use sparta_model::bert::{BertConfig, BertInput, BertSpanFinder};
use sparta_model::import::{
    ImportError, ImportOptions, Weights, bert_config, import_bert, read_bert_config,
};

use super::parity::{FIXTURE, tiny};
use super::shipped_weights;
use crate::fixture::Case;
use crate::values;

/// The weights of a case under names that `rename` gives, as a safetensors file.
pub fn file(case: &str, rename: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let tensors = SafeTensors::deserialize(FIXTURE).unwrap();
    let start = format!("{case}.weights.");
    let chosen: Vec<_> = tensors
        .tensors()
        .into_iter()
        .filter_map(|(name, view)| Some((rename(name.strip_prefix(&start)?)?, view)))
        .collect();
    serialize(chosen, None).unwrap()
}

pub fn as_is(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn finder(weights: Weights, options: &ImportOptions) -> Result<BertSpanFinder, ImportError> {
    let model = tiny().init_span_finder(&Device::flex());
    import_bert(model, weights, options).map(|(model, _)| model)
}

fn scores(model: &BertSpanFinder) -> Vec<f32> {
    let tensors = SafeTensors::deserialize(FIXTURE).unwrap();
    let case = Case {
        tensors: &tensors,
        name: "spans",
    };
    let tokens = case.tokens("tokens", 0, &Device::flex());
    values(model.forward(BertInput::new(tokens)).start)
}

#[test]
fn old_names_a_missing_prefix_and_pytorch_files_give_the_same_network() {
    let strict = ImportOptions::default();
    let load =
        |bytes: &[u8]| scores(&finder(Weights::from_safetensors(bytes).unwrap(), &strict).unwrap());
    let expected = load(&file("spans", as_is));
    let old = |name: &str| {
        let name = name.strip_prefix("bert.").unwrap_or(name);
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        Some(name.replace("LayerNorm.bias", "LayerNorm.beta"))
    };
    assert_eq!(load(&file("spans", old)), expected);
    // Tests run in the package's folder.
    let path = Path::new("tests/parity/bert.bin");
    let weights = Weights::read(path).unwrap();
    assert_eq!(scores(&finder(weights, &strict).unwrap()), expected);
}

#[test]
fn every_missing_and_unexpected_name_is_listed_unless_allowed() {
    let rename = |name: &str| match name {
        "qa_outputs.weight" => Some("cls.weight".to_owned()),
        "bert.encoder.layer.1.output.dense.bias" => None,
        name => Some(name.to_owned()),
    };
    let weights = Weights::from_safetensors(&file("spans", rename)).unwrap();
    let error = finder(weights.clone(), &ImportOptions::default()).unwrap_err();
    let ImportError::Keys {
        missing,
        unexpected,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        missing,
        &["encoder.layer.1.output.dense.bias", "qa_outputs.weight"]
    );
    assert_eq!(unexpected, &["cls.weight"]);
    let text = error.to_string();
    assert!(
        text.contains("qa_outputs.weight") && text.contains("ImportOptions"),
        "{text}"
    );

    let allowed = ImportOptions::default()
        .allow_missing("qa_outputs.")
        .allow_missing("encoder.layer.1.output.dense.bias")
        .allow_unexpected("cls.");
    let model = tiny().init_span_finder(&Device::flex());
    let (_, report) = import_bert(model, weights, &allowed).unwrap();
    assert_eq!(report.missing.len(), 2);
    assert_eq!(report.unexpected, ["cls.weight"]);
    assert_eq!(report.n_loaded, 5 + 2 * 16 + 1 - 1);
}

/// The decoder of the masked language model is the table of word embeddings: files have it under both
/// names, or under one of them.
#[test]
fn tied_tensors_are_one_and_those_that_differ_are_named() {
    let load = |rename: fn(&str) -> Option<String>| {
        let weights = Weights::from_safetensors(&file("masked", rename)).unwrap();
        let model = tiny().init_masked_lm(&Device::flex());
        import_bert(model, weights, &ImportOptions::default())
            .map(|(model, report)| (values(model.bert.embeddings.words.val()), report.n_loaded))
    };
    let both = load(as_is).unwrap();
    assert_eq!(both.1, 5 + 2 * 16 + 5);
    let decoder_only = load(|name| match name {
        "bert.embeddings.word_embeddings.weight" | "cls.predictions.bias" => None,
        name => as_is(name),
    });
    assert_eq!(decoder_only.unwrap(), both);
    let without_decoder = load(|name| match name {
        "cls.predictions.decoder.weight" | "cls.predictions.decoder.bias" => None,
        name => as_is(name),
    });
    assert_eq!(without_decoder.unwrap(), both);
    let error = load(|name| match name {
        "cls.predictions.decoder.bias" => None,
        "cls.predictions.transform.LayerNorm.bias" => {
            Some("cls.predictions.decoder.bias".to_owned())
        }
        name => as_is(name),
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("cls.predictions.decoder.bias"), "{error}");
}

/// The shipped weights have no head: its parameters stay new, and are said to be missing.
#[test]
fn a_head_that_the_weights_lack_is_new() {
    let model = BertConfig::mini_lm(3).init_masked_lm(&Device::flex());
    let options = ImportOptions::default()
        .allow_missing("cls.predictions.")
        .allow_unexpected("pooler.");
    let (_, report) = import_bert(model, shipped_weights(), &options).unwrap();
    assert_eq!(report.missing.len(), 5, "{:?}", report.missing);
    assert!(
        report
            .missing
            .iter()
            .all(|name| name.starts_with("cls.predictions."))
    );
}

#[test]
fn another_size_and_a_damaged_file_are_named() {
    let weights = Weights::from_safetensors(&file("spans", as_is)).unwrap();
    let wide = BertConfig::new(40, 32, 4, 64, 2).with_max_len(16);
    let model = wide.init_span_finder(&Device::flex());
    let error = import_bert(model, weights, &ImportOptions::default()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("intermediate.dense") && text.contains("[64, 32]"),
        "{text}"
    );

    let bytes = file("spans", as_is);
    let error = Weights::from_safetensors(&bytes[..bytes.len() / 2]).unwrap_err();
    assert!(matches!(error, ImportError::Damaged { .. }), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.safetensors");
    std::fs::write(&path, "these are no weights").unwrap();
    let error = Weights::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("notes.safetensors: it is no safetensors file"),
        "{error}"
    );
    let path = folder.path().join("pytorch_model.bin");
    std::fs::write(&path, b"not a checkpoint").unwrap();
    let error = Weights::read(&path).unwrap_err().to_string();
    assert!(error.contains("pytorch_model.bin"), "{error}");
}

#[test]
fn four_bit_groups_are_read_as_documented() {
    let bytes: Vec<u8> = (0..16).map(|i| i * 17).collect();
    let half = 0x3800u16.to_le_bytes(); // 0.5
    let view = |dtype, n, bytes| TensorView::new(dtype, vec![n], bytes).unwrap();
    let tensors = |scales: &'static str| {
        [
            ("x.q4".to_owned(), view(Dtype::U8, 16, bytes.as_slice())),
            (scales.to_owned(), view(Dtype::F16, 1, half.as_slice())),
        ]
    };
    let file = serialize(tensors("x.scales"), None).unwrap();
    let weights = Weights::from_safetensors(&file).unwrap();
    assert_eq!(weights.names().collect::<Vec<_>>(), ["x"]);
    let file = serialize(tensors("y.scales"), None).unwrap();
    assert!(Weights::from_safetensors(&file).is_err());
    let packed = shipped_weights();
    assert_eq!(packed.names().count(), 5 + 3 * 16 + 2);
}

#[test]
fn a_published_configuration_is_read_and_another_model_refused() {
    let json = r#"{"model_type": "bert", "vocab_size": 30522, "hidden_size": 384,
        "num_attention_heads": 12, "intermediate_size": 1536, "num_hidden_layers": 6,
        "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "pad_token_id": 0,
        "layer_norm_eps": 1e-12, "initializer_range": 0.02}"#;
    assert_eq!(bert_config(json).unwrap(), BertConfig::mini_lm(6));
    for (from, to, key) in [
        ("\"bert\"", "\"roberta\"", "model_type"),
        ("\"gelu\"", "\"relu\"", "hidden_act"),
        (
            "\"pad_token_id\"",
            "\"is_decoder\": true, \"x\"",
            "is_decoder",
        ),
        ("\"hidden_size\": 384,", "", "hidden_size"),
    ] {
        let error = bert_config(&json.replace(from, to))
            .unwrap_err()
            .to_string();
        assert!(error.contains(key), "{error}");
    }
}

/// prajjwal1/bert-tiny and others of its time have no `model_type`; sizes may be any.
#[test]
fn a_configuration_without_a_model_type_is_read_as_berts_and_says_so() {
    let json = r#"{"hidden_size": 8, "hidden_act": "gelu", "initializer_range": 0.02,
        "vocab_size": 12, "hidden_dropout_prob": 0.1, "num_attention_heads": 2,
        "type_vocab_size": 2, "max_position_embeddings": 10, "num_hidden_layers": 2,
        "intermediate_size": 16, "attention_probs_dropout_prob": 0.1}"#;
    let published = read_bert_config(json).unwrap();
    let expected = BertConfig::new(12, 8, 2, 16, 2).with_max_len(10);
    assert_eq!(published.config, expected);
    let assumed = published.assumed.expect("it says so");
    assert!(assumed.contains("model_type") && assumed.contains("BERT"));
    let named = json.replacen('{', r#"{"model_type": "bert", "#, 1);
    let published = read_bert_config(&named).unwrap();
    assert_eq!((published.config, published.assumed), (expected, None));
    let heads = json.replace("\"num_attention_heads\": 2", "\"num_attention_heads\": 3");
    let error = bert_config(&heads).unwrap_err().to_string();
    assert!(error.contains("n_heads"), "{error}");
}
