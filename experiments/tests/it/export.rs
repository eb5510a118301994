//! `sparta export` as a user runs it: names, shapes, layouts and the way back, without Python.
//!
//! What PyTorch makes of the files is for `tests/export`, by hand.

use std::collections::BTreeMap;
use std::fs;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use sparta_model::bert::{BertConfig, BertInput};
use sparta_model::export::{KeyMap, export, safetensors};
use sparta_model::import::{ImportOptions, Weights, bert_config, import_bert};
use sparta_ops::pruning::{AttentionType, GlobalMask};

use crate::bench::{Bench, assert_says, said, stdout};
use crate::glue::weights::{Head, any_bert};
use crate::glue::{GLUE, published};
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::mlm::MLM;
use crate::squad::SQUAD;

/// Sizes and values of a tensor.
type Values = (Vec<usize>, Vec<f32>);

/// The f32 tensors of a file.
fn tensors(bytes: &[u8]) -> BTreeMap<String, Values> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let floats = file
        .tensors()
        .into_iter()
        .filter(|(_, view)| view.dtype() == Dtype::F32);
    floats
        .map(|(name, view)| {
            let (words, _) = view.data().as_chunks::<4>();
            let values = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
            (name, (view.shape().to_vec(), values))
        })
        .collect()
}

/// The whole numbers of a tensor.
fn ints(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<i64>) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let (words, _) = view.data().as_chunks::<8>();
    let values = words.iter().map(|word| i64::from_le_bytes(*word)).collect();
    (view.shape().to_vec(), values)
}

fn transposed((shape, values): &Values) -> Values {
    let [rows, columns] = shape[..] else {
        panic!("{shape:?} is no matrix");
    };
    let at = |i: usize| values[i % rows * columns + i / rows];
    (vec![columns, rows], (0..values.len()).map(at).collect())
}

/// An exported folder, beside the model that it was made of.
struct Folder<'a> {
    bench: &'a Bench,
    name: String,
    said: String,
}

impl<'a> Folder<'a> {
    /// Exports a model to `name`.
    fn of(bench: &'a Bench, model: &str, name: &str) -> Self {
        let words = [
            "export", model, "--format", "hf", "--out", name, "--device", "flex",
        ];
        let done = bench.sparta_of(&words).success();
        let output = done.get_output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(stdout(&done).trim_end(), name);
        Self {
            bench,
            name: name.to_owned(),
            said,
        }
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.bench.path(&self.name).join(file)).unwrap()
    }

    fn text(&self, file: &str) -> String {
        self.bench.read(format!("{}/{file}", self.name))
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_str(&self.text(file)).unwrap()
    }

    fn tensors(&self, file: &str) -> BTreeMap<String, Values> {
        tensors(&self.bytes(file))
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.bench.path(&self.name)).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// That what the files cannot hold is said to the person, in the facts and in the README, or that there is nothing.
    fn limits(&self, words: &[&str]) {
        assert_says(&self.said, words);
        let limits = self.json("sparta.json")["not_expressed"]
            .as_array()
            .unwrap()
            .clone();
        assert_eq!(limits.is_empty(), words.is_empty(), "{limits:?}");
        assert_eq!(self.said.is_empty(), words.is_empty(), "{}", self.said);
        for limit in &limits {
            let limit = limit.as_str().unwrap();
            assert!(
                self.said.contains(limit) && self.text("README.md").contains(limit),
                "{limit}"
            );
        }
    }
}

/// The parameters of a model in its run folder.
fn trained(bench: &Bench, model: &str) -> BTreeMap<String, Values> {
    let bytes = fs::read(bench.path(model).join("model.safetensors")).unwrap();
    let names = tensors(&bytes).into_iter();
    names
        .map(|(name, values)| (name.strip_prefix("model.").unwrap().to_owned(), values))
        .collect()
}

/// Reads an exported BERT into a network.
fn imported<M: Module>(folder: &Folder<'_>, init: impl Fn(&BertConfig, &Device) -> M) -> M {
    let config = bert_config(&folder.text("config.json")).unwrap();
    let weights = Weights::from_safetensors(&folder.bytes("model.safetensors")).unwrap();
    let empty = init(&config, &Device::flex());
    let (network, report) = import_bert(empty, weights, &ImportOptions::default()).unwrap();
    // Every bit of every parameter.
    let again = export(&network, KeyMap::Bert).unwrap().tensors;
    let again = tensors(&safetensors(&again).unwrap());
    assert_eq!(again, folder.tensors("model.safetensors"));
    assert_eq!(report.n_loaded, again.len());
    network
}

/// That a network makes of the sample what the model made of it, but for rounding: matrices lie the other way round in
/// memory after an import.
fn check_output<const D: usize>(folder: &Folder<'_>, name: &str, found: Tensor<D>) {
    let (shape, expected) = &folder.tensors("sample.safetensors")[name];
    assert_eq!(found.dims().to_vec(), *shape, "{name}");
    let found = found.into_data().try_to_vec::<f32>().unwrap();
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let apart = apart.fold(0.0, f32::max);
    assert!(apart < 1e-5, "{name}: {apart}");
}

/// The sample of a folder as the network reads it.
fn input(folder: &Folder<'_>) -> BertInput {
    let sample = folder.bytes("sample.safetensors");
    let device = Device::flex();
    let of = |name| {
        let (shape, values) = ints(&sample, name);
        let values: Vec<i32> = values.iter().map(|&value| value as i32).collect();
        Tensor::<2, Int>::from_data(TensorData::new(values, shape), &device)
    };
    BertInput::new(of("input_ids"))
        .token_types(of("token_type_ids"))
        .padding(of("attention_mask").equal_elem(0))
}

const FIRST: &str = "head.pooling=\"first\"";

#[test]
fn a_classifier_comes_back_to_the_bit() {
    let bench = Bench::of(GLUE);
    published(&bench);
    let line = "--tasks rte,stsb --data GLUE --out run --device flex";
    bench
        .tiny_with(line, &[FIRST, "prune.p=[0]", "prune.random_masks=[0]"])
        .success();
    let folder = Folder::of(&bench, "run/seed-1/rte/dense", "rte");
    folder.limits(&[]);
    let names = [
        "README.md",
        "config.json",
        "model.safetensors",
        "sample.safetensors",
        "sparta.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(folder.files(), names);

    // Names and layouts are those of transformers.
    let (found, expected) = (
        folder.tensors("model.safetensors"),
        trained(&bench, "run/seed-1/rte/dense"),
    );
    assert_eq!(found.len(), expected.len());
    for (name, ours) in [
        (
            "bert.encoder.layer.2.intermediate.dense.weight",
            "bert.encoder.2.feed_forward.expand.weight",
        ),
        (
            "bert.encoder.layer.0.attention.self.query.weight",
            "bert.encoder.0.self_attention.attention.query.weight",
        ),
        ("bert.pooler.dense.weight", "bert.pooler.weight"),
        ("classifier.weight", "classifier.weight"),
    ] {
        assert_eq!(found[name], transposed(&expected[ours]), "{name}");
    }
    for (name, ours) in [
        (
            "bert.embeddings.word_embeddings.weight",
            "bert.embeddings.words",
        ),
        (
            "bert.embeddings.LayerNorm.weight",
            "bert.embeddings.norm.gamma",
        ),
        (
            "bert.encoder.layer.1.output.LayerNorm.bias",
            "bert.encoder.1.feed_forward.norm.beta",
        ),
        ("classifier.bias", "classifier.bias"),
    ] {
        assert_eq!(found[name], expected[ours], "{name}");
    }

    // The configuration is transformers', and says the labels.
    let config = folder.json("config.json");
    assert_eq!(config["architectures"][0], "BertForSequenceClassification");
    assert_eq!(
        (&config["model_type"], &config["hidden_act"]),
        (&"bert".into(), &"gelu".into())
    );
    assert_eq!(config["id2label"]["0"], "entailment");
    assert_eq!(config["label2id"]["not_entailment"], 1);
    assert_eq!(
        (&config["hidden_size"], &config["pad_token_id"]),
        (&384.into(), &0.into())
    );
    assert_eq!(folder.json("tokenizer_config.json")["mask_token"], "[MASK]");
    assert_eq!(
        folder.bytes("tokenizer.json"),
        fs::read(bench.path("run/data/tokenizer.json")).unwrap()
    );

    // Read back by import, it is the same network.
    let network = imported(&folder, |config, device| config.init_classifier(2, device));
    check_output(&folder, "logits", network.forward(input(&folder)));

    // A program goes on from it, and so does a score.
    let sets = [
        FIRST,
        "model.network=\"bert\"",
        "train.lr=1e-12",
        "train.weight_decay=0",
        "prune.p=[0]",
        "prune.random_masks=[0]",
    ];
    bench
        .tiny_with(
            "train --tasks rte --data GLUE --out again --device flex --weights rte",
            &sets,
        )
        .success();
    let again = trained(&bench, "again/seed-1/rte/dense");
    let near = |name: &str| {
        again[name]
            .1
            .iter()
            .zip(&expected[name].1)
            .all(|(a, b)| (a - b).abs() < 1e-6)
    };
    assert!(near("classifier.weight") && near("bert.encoder.2.feed_forward.reduce.weight"));

    let folder = Folder::of(&bench, "run/seed-1/stsb/dense", "stsb");
    let config = folder.json("config.json");
    assert_eq!(
        (&config["problem_type"], &config["id2label"]),
        (&"regression".into(), &serde_json::json!({"0": "score"}))
    );
    let network = imported(&folder, |config, device| config.init_classifier(1, device));
    check_output(&folder, "logits", network.forward(input(&folder)));
}

#[test]
fn what_transformers_does_not_have_is_beside_and_said() {
    let bench = Bench::of(GLUE);
    let sets = ["model.normalizers=[\"alpha_entmax\"]"];
    bench.tiny_with("--out run --device flex", &sets).success();
    let model = "run/seed-1/question-sentence/rows/ap-p80";
    let folder = Folder::of(&bench, model, "out");
    folder.limits(&[
        "`alpha_entmax`",
        "transformers computes softmax",
        "global mask",
        "masks-encoder-self.npy",
        "segments",
        "sparta.safetensors",
    ]);
    let expected = trained(&bench, model);
    let (found, beside) = (
        folder.tensors("model.safetensors"),
        folder.tensors("sparta.safetensors"),
    );
    assert_eq!(found.len() + beside.len(), expected.len());
    assert_eq!(folder.json("config.json")["architectures"][0], "BertModel");
    assert!(found.contains_key("encoder.layer.0.attention.self.query.weight"));
    assert_eq!(
        beside["classifier.weight"],
        transposed(&expected["classifier.weight"])
    );
    assert_eq!(
        beside["encoder.layer.2.attention.self.mechanism.normalizer.raw_alpha"],
        expected["bert.encoder.2.self_attention.attention.mechanism.DotProduct.normalizer.raw_alpha"]
    );
    let facts = folder.json("sparta.json");
    assert_eq!(facts["attention"]["encoder-self"]["alpha"], "learned");
    assert_eq!(
        (&facts["pooling"], &facts["program"]),
        (&"segments".into(), &"glue".into())
    );
    assert_eq!(facts["mask"]["files"][0], "masks-encoder-self.npy");

    // The mask is the file's, cell by cell.
    let path = bench.path("run/seed-1/question-sentence/masks/ap-p80.safetensors");
    let mask = GlobalMask::load(path).unwrap();
    check_mask(&folder, &mask, AttentionType::EncoderSelf, [3, 12, 24, 24]);
    let again = Folder::of(&bench, "run", "dense");
    assert!(!again.said.contains("mask"), "{}", again.said);
}

fn check_mask(folder: &Folder<'_>, mask: &GlobalMask, kind: AttentionType, shape: [usize; 4]) {
    let bytes = folder.bytes(&format!("masks-{kind}.npy"));
    let [layers, heads, rows, columns] = shape;
    let header = format!("'shape': ({layers}, {heads}, {rows}, {columns},)");
    assert!(
        String::from_utf8_lossy(&bytes[..128]).contains(&header),
        "{header}"
    );
    let cells = &bytes[128..];
    assert_eq!(cells.len(), layers * heads * rows * columns);
    let hidden: Vec<u8> = (0..layers)
        .flat_map(|layer| mask.cells(kind, layer, rows, columns).unwrap())
        .map(u8::from)
        .collect();
    assert_eq!(cells, hidden);
    assert!(cells.contains(&0) && cells.contains(&1));
}

#[test]
fn answers_and_masked_words_come_back_to_the_bit() {
    let bench = Bench::of(SQUAD);
    bench.tiny("train --out run --device flex").success();
    let folder = Folder::of(&bench, "run", "out");
    folder.limits(&[]);
    assert_eq!(
        folder.json("config.json")["architectures"][0],
        "BertForQuestionAnswering"
    );
    let network = imported(&folder, |config, device| config.init_span_finder(device));
    let scores = network.forward(input(&folder));
    check_output(&folder, "start_logits", scores.start);
    check_output(&folder, "end_logits", scores.end);

    let bench = Bench::of(MLM);
    any_bert(&bench, Head::None);
    let sets = [
        "model.network=\"bert\"",
        "model.normalizers=[\"sparsemax\"]",
    ];
    bench
        .tiny_with("train --out run --device flex --weights weights", &sets)
        .success();
    let folder = Folder::of(&bench, "run", "out");
    folder.limits(&["`sparsemax`"]);
    let found = folder.tensors("model.safetensors");
    // Transformers ties the decoder to the word embeddings, and reads its offsets here.
    assert!(
        found.contains_key("cls.predictions.bias")
            && !found.contains_key("cls.predictions.decoder.weight")
    );
    let sparsemax = |config: &BertConfig, device: &Device| {
        let config = config.clone().with_mechanism("sparsemax".parse().unwrap());
        config.init_masked_lm(device)
    };
    let network = imported(&folder, sparsemax);
    check_output(&folder, "logits", network.forward(input(&folder)));
}

#[test]
fn a_translation_model_has_fairseqs_names() {
    let bench = Bench::of(IWSLT);
    let sets = [
        "model.normalizers=[\"alpha_entmax\"]",
        "model.share=\"decoder\"",
        "data.joined_dictionary=false",
        "prune.softmax=[]",
        "prune.entmax15=[]",
        "prune.alpha_entmax=[\"cross\"]",
        "prune.p=[0, 80]",
        "prune.random_masks=[0, 0]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let model = "run/seed-1/alpha_entmax/rows/cross-ap-p80";
    let folder = Folder::of(&bench, model, "out");
    folder.limits(&[]);
    let (found, expected) = (folder.tensors("model.safetensors"), trained(&bench, model));
    assert_eq!(found.len(), expected.len());
    for (name, ours) in [
        (
            "encoder.layers.0.self_attn.q_proj.weight",
            "encoder.0.self_attention.attention.query.weight",
        ),
        (
            "decoder.layers.0.encoder_attn.out_proj.weight",
            "decoder.0.cross_attention.attention.output.weight",
        ),
        (
            "decoder.layers.0.fc1.weight",
            "decoder.0.feed_forward.expand.weight",
        ),
    ] {
        assert_eq!(found[name], transposed(&expected[ours]), "{name}");
    }
    for (name, ours) in [
        ("encoder.embed_tokens.weight", "source_embedding"),
        ("decoder.embed_tokens.weight", "target_embedding"),
        ("decoder.layer_norm.bias", "decoder_norm.beta"),
        (
            "decoder.layers.0.encoder_attn.mechanism.normalizer.raw_alpha",
            "decoder.0.cross_attention.attention.mechanism.DotProduct.normalizer.raw_alpha",
        ),
    ] {
        assert_eq!(found[name], expected[ours], "{name}");
    }
    let config = folder.json("config.json");
    assert_eq!(
        (&config["model_type"], &config["sharing"]),
        (&"sparta-seq2seq".into(), &"decoder".into())
    );
    assert_eq!(config["attention"]["cross"]["alpha"], "learned");
    assert_eq!(
        (&config["first_position"], &config["output_alpha"]),
        (&2.into(), &1.0.into())
    );
    let facts = folder.json("sparta.json");
    assert_eq!(
        (&facts["source_language"], &facts["target_language"]),
        (&"de".into(), &"en".into())
    );
    for name in ["codes.bpe", "dict.de.txt", "dict.en.txt"] {
        assert_eq!(
            folder.bytes(name),
            fs::read(bench.path("run/data").join(name)).unwrap(),
            "{name}"
        );
    }
    let mask =
        GlobalMask::load(bench.path("run/seed-1/alpha_entmax/masks/cross-ap-p80.safetensors"))
            .unwrap();
    let grid = mask.grid(AttentionType::Cross, 0).unwrap();
    check_mask(
        &folder,
        &mask,
        AttentionType::Cross,
        [1, 2, grid.n_rows, grid.n_cols],
    );
    assert!(
        !folder
            .files()
            .contains(&"masks-encoder-self.npy".to_owned())
    );
}

#[test]
fn a_language_model_has_the_names_of_the_released_code() {
    let bench = Bench::of(LM);
    let sets = [
        "model.normalizers=[\"alpha_entmax(alpha_min=1.1)\"]",
        "model.cutoffs=[50, 120]",
        "model.div_val=2",
        "prune.p=[0, 80]",
        "prune.random_masks=[0, 0]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let model = "run/seed-1/rows/ap-p80";
    let folder = Folder::of(&bench, model, "out");
    folder.limits(&[]);
    let (found, expected) = (folder.tensors("model.safetensors"), trained(&bench, model));
    assert_eq!(found.len(), expected.len());
    for (name, ours) in [
        ("layers.0.dec_attn.q_net.weight", "layers.0.attention.query"),
        (
            "layers.0.dec_attn.r_net.weight",
            "layers.0.attention.position",
        ),
        (
            "layers.0.pos_ff.CoreNet.3.weight",
            "layers.0.feed_forward.reduce.weight",
        ),
    ] {
        assert_eq!(found[name], transposed(&expected[ours]), "{name}");
    }
    for (name, ours) in [
        ("word_emb.emb_layers.2.weight", "embedding.tables.2"),
        ("word_emb.emb_projs.1", "embedding.projections.1"),
        ("crit.out_layers.0.bias", "softmax.biases.0"),
        ("crit.cluster_weight", "softmax.cluster_weight"),
        ("r_w_bias", "content_bias"),
        ("r_r_bias", "position_bias"),
        (
            "layers.0.dec_attn.layer_norm.weight",
            "layers.0.attention.norm.gamma",
        ),
        (
            "layers.0.dec_attn.mechanism.normalizer.raw_alpha",
            "layers.0.attention.mechanism.DotProduct.normalizer.raw_alpha",
        ),
    ] {
        assert_eq!(found[name], expected[ours], "{name}");
    }
    let config = folder.json("config.json");
    assert_eq!(
        (&config["tgt_len"], &config["mem_len"], &config["clamp_len"]),
        (&16.into(), &16.into(), &Value::Null)
    );
    assert_eq!(config["attention"]["decoder-self"]["alpha_min"], 1.1);
    assert_eq!(
        folder.bytes("vocab.txt"),
        fs::read(bench.path("run/data/vocab.txt")).unwrap()
    );
    let sample = folder.tensors("sample.safetensors");
    assert_eq!(sample["nll"].0, [2, 36]);
    assert!(
        sample["nll"]
            .1
            .iter()
            .all(|nll| nll.is_finite() && *nll > 0.0)
    );
    let mask = GlobalMask::load(bench.path("run/seed-1/masks/ap-p80.safetensors")).unwrap();
    check_mask(&folder, &mask, AttentionType::DecoderSelf, [1, 2, 16, 32]);

    // A mechanism that no loader computes is written, and said.
    let sets = [
        "model.normalizers=[\"favor(m=8)\"]",
        "prune.p=[0]",
        "prune.random_masks=[0]",
    ];
    bench
        .tiny_with("train --out favor --device flex", &sets)
        .success();
    let folder = Folder::of(&bench, "favor", "features");
    folder.limits(&["`favor(m=8)`", "α-entmax of scaled products alone"]);
    let projection = "layers.0.dec_attn.mechanism.projection";
    assert_eq!(folder.tensors("model.safetensors")[projection].0, [8, 8]);
}

#[test]
fn what_is_in_the_way_or_not_there_is_refused_and_nothing_is_left() {
    let bench = Bench::of(LM);
    bench
        .tiny_with(
            "train --out run --device flex",
            &["model.normalizers=[\"softmax\"]"],
        )
        .success();
    let refused =
        |model: &str, out: &str| said(&bench.sparta_of(&["export", model, "--out", out]), 1);
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/mine.txt"), "mine").unwrap();
    assert_says(
        &refused("run", "full"),
        &["full exists and is not empty", "--out DIR"],
    );
    assert_eq!(bench.read("full/mine.txt"), "mine");
    assert_says(
        &refused("run", "full/mine.txt"),
        &["is a file", "--out DIR"],
    );
    assert_says(&refused("run", ".."), &["no name of its own"]);
    assert_says(&refused("nothing", "out"), &["no folder nothing"]);
    assert_says(&refused("full", "out"), &["no run folder"]);
    assert_says(&refused("run/seed-1", "out"), &["no model of the run"]);
    fs::remove_file(bench.path("run/seed-1/dense/trained.json")).unwrap();
    assert_says(&refused("run", "out"), &["not trained yet"]);
    assert!(!bench.path("out").exists());
    let half = fs::read_dir(bench.path("")).unwrap().flatten();
    let half: Vec<_> = half
        .filter(|e| e.file_name().to_string_lossy().contains("half"))
        .collect();
    assert!(half.is_empty(), "{half:?}");
    let asked = bench.sparta_of(&["export", "run", "--format", "onnx", "--out", "x"]);
    let asked = asked.code(2).get_output().stderr.clone();
    assert_says(
        &String::from_utf8_lossy(&asked),
        &["onnx", "possible values: hf"],
    );
}
