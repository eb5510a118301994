//! Bad input is answered in a line or two that say what to do, and nothing is lost.

use std::fs;

use super::{ONE, bench};
use crate::bench::{assert_says, said};

#[test]
fn recipes_and_keys_are_answered_with_the_nearest() {
    let bench = bench();
    let text = said(&bench.run("--set train.label_smothing=0.1"), 1);
    assert_says(
        &text,
        &[
            "unknown key `train.label_smothing`",
            "did you mean `train.label_smoothing`?",
        ],
    );
    let text = said(&bench.run("--recipe small/lm"), 1);
    assert_says(&text, &["lm --recipe small/lm"]);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/small/lm.toml");
    fs::copy(shipped, bench.path("my lm.toml")).unwrap();
    let text = said(
        &bench.command().args(["--recipe", "my lm.toml"]).assert(),
        1,
    );
    let other = "my lm.toml is a recipe of another program: `lm --recipe 'my lm.toml'`";
    assert_says(&text, &[other]);
    let lines = ["--set", "train.steps=5\ntrain.lr=1"];
    let text = said(&bench.command().args(lines).assert(), 1);
    assert_says(&text, &["train.steps=5\\ntrain.lr=1", "line break"]);
    let text = said(&bench.run("--recipe iwslt15"), 1);
    assert_says(
        &text,
        &["no recipe `iwslt15`", "small/iwslt", "wmt/wmt16-ro-en"],
    );
    let text = said(&bench.run("--set prune.softmax=[\"decoder\"]"), 1);
    assert_says(&text, &["prune.softmax", "decoder_self"]);
    let text = said(&bench.run("--set model.n_heads=3"), 1);
    assert_says(&text, &["model.n_heads", "model.d_model"]);
    assert!(!bench.path("runs").exists());
}

/// A run that another program made is named as that, and not read as a recipe with wrong keys.
#[test]
fn a_model_of_another_program_is_told_as_that() {
    let lm = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/small/lm.toml");
    let glue = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/small/glue.toml");
    for (program, line, recipe, other) in [
        (crate::iwslt::IWSLT, "iwslt translate", lm, "lm"),
        (crate::glue::GLUE, "glue predict", lm, "lm"),
        (crate::squad::SQUAD, "squad answer", lm, "lm"),
        (crate::lm::LM, "lm score", glue, "glue"),
    ] {
        let bench = crate::bench::Bench::of(program);
        fs::create_dir(bench.path("q")).unwrap();
        fs::copy(recipe, bench.path("q/recipe.toml")).unwrap();
        let (name, subcommand) = line.split_once(' ').unwrap();
        let text = said(&bench.piped(&format!("{subcommand} --model q"), ""), 1);
        let words = format!("q is a run of `{other}`, and not of `{name}`");
        assert_says(&text, &[&words]);
        assert!(!text.contains("did you mean"), "{text}");
    }
}

#[test]
fn a_missing_corpus_says_how_to_get_it() {
    let bench = bench();
    let line = "train --quiet --recipe multi30k --out run --device flex";
    let text = said(&bench.run(line), 1);
    assert_says(&text, &["Multi30k", "--bin iwslt -- prepare --recipe"]);
    fs::create_dir(bench.path("empty")).unwrap();
    let line = "prepare --recipe iwslt14-de-en --data empty --out run14";
    let text = said(&bench.run(line), 1);
    assert_says(&text, &["IWSLT", "empty"]);
}

#[test]
fn data_that_leave_nothing_or_do_not_fit_the_model_are_named() {
    let bench = bench();
    let sets = ["data.min_target_words=500", "data.max_target_words=0"];
    let text = said(&bench.tiny_with("prepare --out none", &sets), 1);
    assert_says(&text, &["has no pair left", "data.min_target_words"]);
    let text = said(
        &bench.tiny_with("prepare --out long", &["model.max_len=8"]),
        1,
    );
    assert_says(&text, &["longest sentence", "model.max_len = 8"]);
    let line = "train --out narrow --device flex";
    let text = said(&bench.tiny_with(line, &["train.max_tokens=9"]), 1);
    assert_says(&text, &["train.max_tokens"]);
}

#[test]
fn damaged_token_stores_are_refused() {
    let bench = bench();
    bench.tiny("prepare --out run").success();
    let data = bench.path("run/data");
    let path = fs::read_dir(&data)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.to_string_lossy().contains(".en-train-"))
        .expect("the English side of train");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 40]).unwrap();
    let text = said(&bench.tiny("train --out run --device flex"), 1);
    assert_says(&text, &["truncated", "prepare"]);
    fs::write(&path, &bytes).unwrap();
    let lines = fs::read_to_string(data.join("test.en")).unwrap();
    fs::write(data.join("test.en"), format!("{lines}one more\n")).unwrap();
    let text = said(&bench.tiny("train --out run --device flex"), 1);
    assert_says(&text, &["test.en", "25 lines", "24", "prepare"]);
}

#[test]
fn masks_models_and_folders_of_something_else_are_refused() {
    let bench = bench();
    bench.tiny_with("--out run --device flex", ONE).success();
    let sets = [ONE, &["model.n_heads=4"]].concat();
    bench
        .tiny_with("--out heads --device flex", &sets)
        .success();
    let mask = "seed-1/softmax/masks/cross-ap-p80.safetensors";
    fs::copy(
        bench.path(format!("heads/{mask}")),
        bench.path(format!("run/{mask}")),
    )
    .unwrap();
    fs::remove_dir_all(bench.path("run/seed-1/softmax/rows/cross-ap-p80")).unwrap();
    let text = said(
        &bench.tiny_with("prune --out run --device flex --resume", ONE),
        1,
    );
    assert_says(&text, &["cross-ap-p80.safetensors", "4", "2"]);
    let text = said(
        &bench.tiny_with("--out run --device flex --resume", &sets),
        1,
    );
    assert_says(&text, &["another recipe", "--out"]);
    // The same, with the model moved by hand.
    let dense = "seed-1/softmax/dense/model.safetensors";
    fs::copy(
        bench.path(format!("heads/{dense}")),
        bench.path(format!("run/{dense}")),
    )
    .unwrap();
    fs::remove_file(bench.path(format!("run/{mask}"))).unwrap();
    fs::remove_file(bench.path("run/seed-1/softmax/pattern.safetensors")).unwrap();
    let text = said(
        &bench.tiny_with("observe --out run --device flex --resume", ONE),
        1,
    );
    assert_says(&text, &["belongs to another recipe"]);
}

#[test]
fn a_stage_without_what_it_reads_names_the_stage_before() {
    let bench = bench();
    let text = said(&bench.tiny_with("observe --out run --device flex", ONE), 1);
    assert_says(&text, &["goes on with a run", "iwslt train"]);
    bench.tiny_with("prepare --out run", ONE).success();
    let text = said(&bench.tiny_with("observe --out run --device flex", ONE), 1);
    assert_says(&text, &["softmax/dense", "not trained yet"]);
    bench
        .tiny_with("train --out run --device flex", ONE)
        .success();
    let text = said(&bench.tiny_with("prune --out run --device flex", ONE), 1);
    assert_says(&text, &["iwslt observe"]);
    let text = said(&bench.tiny_with("train --out run --device flex", ONE), 1);
    assert_says(&text, &["not overwritten", "--resume", "--out"]);
}

#[test]
fn a_device_that_is_not_compiled_in_names_this_program() {
    if cfg!(not(feature = "rocm")) {
        let text = said(&bench().run("--device rocm"), 1);
        assert_says(&text, &["--features rocm --bin iwslt -- --device rocm"]);
    }
}
