//! Linformer, slots and Nyström in the programs: where each can stand, and where it is refused before anything is
//! trained.

use crate::bench::{Bench, assert_says, said, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;

#[test]
fn a_language_model_has_slots_in_place_of_its_memory() {
    let bench = Bench::of(LM);
    let sets = [
        "model.normalizers=[\"softmax\", \"linformer_slots(k=8)\"]",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
    ];
    let said = stdout(&bench.tiny_with("--dry-run --device flex", &sets).success());
    assert_says(
        &said,
        &["a dense model alone, no masks: linformer_slots(k=8) cannot return its weights"],
    );
    bench.tiny_with("--out run --device flex", &sets).success();
    let table = bench.csv("run");
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.contains("slots"))
        .collect();
    assert_eq!(rows.len(), 1, "{table}");
    let file = |file: &str| bench.path(format!("run/seed-1/linformer_slots-k-8/{file}"));
    assert!(file("dense/model.safetensors").exists() && !file("rows").exists());
}

#[test]
fn a_run_with_slots_goes_on_to_the_same_bits() {
    let bench = Bench::of(LM);
    let sets = [
        "model.normalizers=[\"linformer_slots(k=8)\"]",
        "train.steps=400",
        "train.log_every=20",
        "train.checkpoint_every=20",
        "prune.p=[0]",
        "prune.random_masks=[0]",
    ];
    let files =
        ["dense/metrics.jsonl", "dense/model.safetensors"].map(|file| format!("seed-1/{file}"));
    let files = files.each_ref().map(String::as_str);
    bench.kill_and_resume("", &sets, "seed-1/dense", &files);
}

#[test]
fn encoders_and_translation_take_them() {
    let bench = Bench::of(GLUE);
    let list = "model.normalizers=[\"softmax\", \"linformer(k=8)\", \"nystrom(m=4,conv=5)\"]";
    bench
        .tiny_with("--out run --device flex", &[list])
        .success();
    assert_says(
        &bench.read("run/TABLE.md"),
        &["linformer(k=8)", "nystrom(m=4,conv=5)"],
    );
    let bench = Bench::of(IWSLT);
    let sets = [
        "model.normalizers=[\"softmax\", \"linformer_slots(k=8)\"]",
        "prune.softmax=[]",
        "prune.entmax15=[]",
        "prune.p=[0]",
        "prune.random_masks=[0]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    assert_says(&bench.csv("run"), &["linformer_slots(k=8)"]);
}

#[test]
fn what_they_cannot_do_is_named_before_anything_is_trained() {
    for (program, words, says) in [
        (LM, "linformer(k=8)", "linformer(k=8) cannot be causal"),
        (LM, "nystrom(m=4)", "nystrom(m=4) cannot be causal"),
        (IWSLT, "nystrom(m=4)", "nystrom(m=4) cannot be causal"),
        (
            GLUE,
            "linformer_slots(k=8)",
            "linformer_slots(k=8) cannot start from pretrained weights",
        ),
        (
            GLUE,
            "linformer(sharing=layerwise)",
            "linformer has no sharing=layerwise: each layer makes its own parameters",
        ),
        (GLUE, "nystrom(conv=4)", "`model.normalizers.conv`"),
    ] {
        let bench = Bench::of(program);
        let list = format!("model.normalizers=[\"softmax\", \"{words}\"]");
        // Of the recipe's models softmax's alone is there to be pruned.
        let pruned: &[&str] = match words {
            "nystrom(m=4)" if program.exe == IWSLT.exe => {
                &["prune.entmax15=[]", "prune.alpha_entmax=[]"]
            }
            _ => &[],
        };
        let sets = [&[list.as_str()], pruned].concat();
        for line in ["--dry-run --device flex", "--out run --device flex"] {
            let text = said(&bench.tiny_with(line, &sets), 1);
            assert_says(&text, &[says]);
        }
        assert!(!bench.path("run").exists());
    }
}
