//! Linear attention in the programs: dense models beside those that are pruned, a state in place of the memory, features
//! that are drawn anew, and what it cannot do.

use crate::bench::{Bench, assert_says, said, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;

const NAMES: [(&str, &str); 3] = [
    ("favor(m=8,redraw=7)", "favor-m-8-redraw-7"),
    ("rfa(m=8)", "rfa-m-8"),
    ("rfa_gate(m=8)", "rfa_gate-m-8"),
];

#[test]
fn mechanisms_without_weights_stand_in_the_table_with_their_dense_models() {
    let bench = Bench::of(LM);
    let names: Vec<&str> = ["softmax"]
        .into_iter()
        .chain(NAMES.map(|(n, _)| n))
        .collect();
    let list = format!("model.normalizers={names:?}");
    let sets = [&list, "prune.p=[0, 60]", "prune.random_masks=[0, 0]"];
    let said = stdout(&bench.tiny_with("--dry-run --device flex", &sets).success());
    for (name, _) in NAMES {
        assert_says(
            &said,
            &[&format!(
                "a dense model alone, no masks: {name} cannot return its weights"
            )],
        );
    }
    assert!(bench.is_empty());
    bench.tiny_with("--out run --device flex", &sets).success();
    let table = bench.csv("run");
    let of = |name: &str| table.lines().filter(|line| line.contains(name)).count();
    assert_eq!(of("softmax"), 2, "{table}");
    for (name, folder) in NAMES {
        assert_eq!(of(name), 1, "{name}: {table}");
        assert!(table.contains(&format!("{name}\",0,")), "{name}: {table}");
        let file = |file: &str| bench.path(format!("run/seed-1/{folder}/{file}"));
        assert!(file("dense/model.safetensors").exists());
        assert!(!file("pattern.safetensors").exists() && !file("rows").exists());
    }
    let again = stdout(&bench.run("report --out run").success());
    assert!(!again.contains("missing"), "{again}");
}

#[test]
fn a_run_whose_features_are_drawn_anew_goes_on_to_the_same_bits() {
    let bench = Bench::of(LM);
    let sets = [
        "model.normalizers=[\"favor(m=8,redraw=30)\"]",
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
fn masks_that_nothing_can_have_are_refused_before_anything_is_written() {
    for program in [LM, GLUE] {
        let bench = Bench::of(program);
        let sets = ["model.normalizers=[\"favor(m=8)\"]"];
        for line in ["--dry-run --device flex", "--out run --device flex"] {
            let text = said(&bench.tiny_with(line, &sets), 1);
            assert_says(
                &text,
                &[
                    "prune.p",
                    "favor(m=8) cannot return its weights",
                    "prune.p = [0]",
                ],
            );
            assert!(bench.is_empty());
        }
    }
}

#[test]
fn an_ability_that_is_lacking_is_named_before_anything_is_trained() {
    // The second of two is found before the first is trained.
    let bench = Bench::of(LM);
    let sets = [
        "model.normalizers=[\"softmax\", \"rfa(m=8)\"]",
        "model.dropatt=0.1",
    ];
    for line in ["--dry-run --device flex", "--out run --device flex"] {
        let text = said(&bench.tiny_with(line, &sets), 1);
        assert_says(
            &text,
            &[
                "rfa(m=8) cannot drop attention weights",
                "model.normalizers",
            ],
        );
    }
    assert!(!bench.path("run").exists());
    let bench = Bench::of(GLUE);
    let sets = ["model.normalizers=[\"softmax\", \"rfa_gate(m=8)\"]"];
    let text = said(&bench.tiny_with("--dry-run --device flex", &sets), 1);
    assert_says(&text, &["rfa_gate(m=8) cannot let queries see later keys"]);
}

#[test]
fn encoders_and_translation_take_it() {
    let bench = Bench::of(GLUE);
    let list = "model.normalizers=[\"softmax\", \"favor(m=16)\"]";
    bench
        .tiny_with("--out run --device flex", &[list])
        .success();
    assert_says(&bench.read("run/TABLE.md"), &["favor(m=16)"]);
    let bench = Bench::of(IWSLT);
    let sets = [
        "model.normalizers=[\"softmax\", \"favor(m=16)\"]",
        "prune.softmax=[]",
        "prune.entmax15=[]",
        "prune.p=[0]",
        "prune.random_masks=[0]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    assert_says(&bench.csv("run"), &["favor(m=16)"]);
}
