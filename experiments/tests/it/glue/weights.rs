//! Pretrained weights from a folder.

use std::fs;

use safetensors::tensor::{Dtype, TensorView};

use super::bench;
use crate::bench::{Bench, assert_says, said, stdout};

/// Which head is among published weights.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Head {
    None,
    MaskedLm,
    WithoutBias,
}

/// The folder of a BERT with one layer of 8, published before there was a `model_type`; the bias of its head
/// for word pieces.
pub(crate) fn any_bert(bench: &Bench, head: Head) -> Vec<f32> {
    let dir = bench.path("weights");
    fs::create_dir_all(&dir).unwrap();
    let mut words: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .map(str::to_owned)
        .to_vec();
    words.extend(('a'..='z').flat_map(|c| [c.to_string(), format!("##{c}")]));
    fs::write(dir.join("vocab.txt"), words.join("\n") + "\n").unwrap();
    fs::write(
        dir.join("tokenizer_config.json"),
        "{\"do_lower_case\": true}",
    )
    .unwrap();
    let config = format!(
        r#"{{"hidden_size": 8, "hidden_act": "gelu", "vocab_size": {}, "num_attention_heads": 2,
            "type_vocab_size": 2, "max_position_embeddings": 32, "num_hidden_layers": 1,
            "intermediate_size": 16, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}}"#,
        words.len()
    );
    fs::write(dir.join("config.json"), config).unwrap();
    let (d, d_ff) = (8, 16);
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        (
            "embeddings.word_embeddings.weight".into(),
            vec![words.len(), d],
        ),
        ("embeddings.position_embeddings.weight".into(), vec![32, d]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, d]),
    ];
    let mut map = |name: &str, outputs: usize, inputs: usize| {
        let name = match name {
            "embeddings.LayerNorm" => name.to_owned(),
            name if name.starts_with("cls.") => name.to_owned(),
            name => format!("encoder.layer.0.{name}"),
        };
        shapes.push((format!("{name}.bias"), vec![outputs]));
        shapes.push(match inputs {
            0 => (format!("{name}.weight"), vec![outputs]),
            inputs => (format!("{name}.weight"), vec![outputs, inputs]),
        });
    };
    let bias = "cls.predictions.bias";
    if head != Head::None {
        map("cls.predictions.transform.dense", d, d);
        map("cls.predictions.transform.LayerNorm", d, 0);
    }
    map("embeddings.LayerNorm", d, 0);
    for name in ["self.query", "self.key", "self.value", "output.dense"] {
        map(&format!("attention.{name}"), d, d);
    }
    map("attention.output.LayerNorm", d, 0);
    map("intermediate.dense", d_ff, d);
    map("output.dense", d, d_ff);
    map("output.LayerNorm", d, 0);
    if head == Head::MaskedLm {
        shapes.push((bias.to_owned(), vec![words.len()]));
    }
    let value = |name: &str, i: usize| (i as f32 * 0.7 + name.len() as f32).sin() * 0.5;
    let values: Vec<(String, Vec<usize>, Vec<u8>)> = (shapes.into_iter())
        .map(|(name, shape)| {
            let n: usize = shape.iter().product();
            let bytes = (0..n).flat_map(|i| value(&name, i).to_le_bytes()).collect();
            let name = match name.starts_with("cls.") {
                true => name,
                false => format!("bert.{name}"),
            };
            (name, shape, bytes)
        })
        .collect();
    let views = (values.iter()).map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name.clone(), view)
    });
    let file = safetensors::serialize(views, None).unwrap();
    fs::write(dir.join("model.safetensors"), file).unwrap();
    (0..words.len()).map(|i| value(bias, i)).collect()
}

#[test]
fn a_bert_of_any_sizes_is_fine_tuned_and_used_again() {
    let bench = bench();
    any_bert(&bench, Head::None);
    let sets = ["model.network=\"bert\""];
    let line = "--out run --device flex --weights weights";
    bench.tiny_with(line, &sets).success();
    assert_says(&bench.read("run/data/encoder.json"), &["read as BERT"]);
    // The run folder has the sizes: the weights are not needed any more.
    fs::remove_dir_all(bench.path("weights")).unwrap();
    let line = "predict --device flex --quiet --model run";
    let out = stdout(&bench.piped(line, "who\tme\n").success());
    assert_says(&out, &["answer"]);
}

#[test]
fn a_dry_run_needs_the_sizes_too() {
    let bench = bench();
    let line = "--dry-run --device flex --set model.network=bert";
    let text = said(&bench.run(line), 1);
    assert_says(&text, &["--weights DIR", "config.json"]);
    any_bert(&bench, Head::None);
    let small = "--set data.max_len=16 --set train.batch_size=2";
    let done = bench
        .run(&format!("{line} --weights weights {small}"))
        .success();
    let out = stdout(&done);
    assert_says(&out, &["read as BERT", "step, question-sentence"]);
}
