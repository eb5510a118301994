//! What a user may get wrong, and what the program says.

use std::fs;

use super::bench;
use crate::bench::{assert_says, refused, said};

#[test]
fn weights_that_are_not_at_hand_or_of_another_network_are_named() {
    let bench = bench();
    let text = said(
        &bench.run("train --recipe glue/minilm-l6 --tasks rte --quiet"),
        1,
    );
    assert_says(&text, &["minilm-l6", "--weights DIR"]);
    let dir = bench.path("weights");
    fs::create_dir(&dir).unwrap();
    let text = said(&bench.tiny("train --weights weights"), 1);
    assert_says(&text, &["config.json"]);
    let config = r#"{"model_type": "bert", "vocab_size": 30522, "hidden_size": 384,
        "num_attention_heads": 12, "intermediate_size": 1536, "num_hidden_layers": 6,
        "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}"#;
    fs::write(dir.join("config.json"), config).unwrap();
    let text = said(&bench.tiny("train --weights weights"), 1);
    assert_says(
        &text,
        &["num_hidden_layers = 6", "minilm-l3", "model.network=bert"],
    );
    fs::write(
        dir.join("config.json"),
        config
            .replace("r\": 6", "r\": 3")
            .replace("layers\": 6", "layers\": 3"),
    )
    .unwrap();
    let text = said(&bench.tiny("train --weights weights"), 1);
    assert_says(&text, &["model.safetensors", "pytorch_model.bin"]);
}

#[test]
fn tasks_and_files_that_are_missing_are_named() {
    let bench = bench();
    let text = refused(&bench.tiny("--tasks rta"));
    assert_says(&text, &["rta", "rte"]);
    let text = said(&bench.tiny("--tasks rte"), 1);
    assert_says(&text, &["RTE", "--from DIR"]);
    let text = said(&bench.run("predict --model nowhere"), 1);
    assert_says(&text, &["no folder nowhere"]);
    let text = said(&bench.run("--recipe small/lm"), 1);
    assert_says(&text, &["lm --recipe small/lm"]);
}
