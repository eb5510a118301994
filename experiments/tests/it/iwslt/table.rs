//! The tables as they should be.

use std::fs;

use super::{ONE, bench};
use crate::bench::{assert_says, cell, read, score, stdout};

#[test]
fn stages_one_by_one_make_the_same_table_as_all_at_once() {
    let bench = bench();
    let printed = bench.whole_and_in_parts();
    let csv = bench.csv("whole");
    assert_eq!(csv, bench.csv("parts"));
    let header = "row,p_nominal,p_effective,mask,metric,value,paper,n_runs,n_seeds,signature";
    assert_eq!(csv.lines().next(), Some(header));
    // The AST table, the AP tables, and the self-only rows on 1.5-entmax.
    for (row, paper) in [
        ("softmax", "29.79"),
        ("1.5-entmax", "29.83"),
        ("alpha-entmax", "29.9"),
    ] {
        assert!(score(&csv, row, "0", "ap") >= 0.0);
        assert_eq!(cell(&csv, row, "0", "ap", 6), paper);
    }
    let dense = score(&csv, "cross", "0", "ap");
    for row in ["enc-self", "dec-self", "cross", "self-attention"] {
        // One control for all types.
        assert_eq!(score(&csv, row, "0", "ap"), dense);
        assert_eq!(cell(&csv, row, "0", "ap", 6), "34.94");
        for p in ["40", "80"] {
            assert!(score(&csv, row, p, "ap") >= 0.0);
            let effective: f64 = cell(&csv, row, p, "ap", 2).parse().unwrap();
            assert!(
                (effective - p.parse::<f64>().unwrap()).abs() < 2.0,
                "{effective}"
            );
        }
    }
    assert_eq!(cell(&csv, "cross", "80", "ap", 6), "6.39");
    assert!(score(&csv, "self-attention (1.5-entmax)", "80", "ap") >= 0.0);
    for mask in ["copy-source", "word-translation"] {
        assert!(csv.contains(&format!(",{mask},bleu,")), "{csv}");
    }
    assert_says(
        &printed,
        &[
            "BLEU|corpus:libreoffice-help-3to12|split:test|n:24|",
            "case:lc",
            "tok:none",
            "IWSLT14 de-en",
            "reference ",
            "TABLE.svg",
            "SAMPLES.md",
            "Decoding with 2 hypotheses",
        ],
    );
    let samples = bench.read("whole/SAMPLES.md");
    assert_says(&samples, &["source", "alpha-entmax", "cross, p = 80"]);
    bench.report_again();
}

/// What the released code would have written stands beside what the masks say, from one training: with targets given, as in
/// training and validation, there is no difference.
#[test]
fn rows_of_the_released_code_join_a_table() {
    let bench = bench();
    let sets = [
        ONE,
        &[r#"prune.softmax=["encoder_self", "decoder_self", "cross"]"#],
    ]
    .concat();
    bench.tiny_with("--out run --device flex", &sets).success();
    let before = bench.csv("run");
    let model = |run: &str, row: &str| bench.path(format!("{run}/seed-1/softmax/rows/{row}"));
    let right = read(&model("run", "cross-ap-p80").join("test.txt"));
    let with = |rows: &'static str| [&sets[..], &[rows]].concat();
    // A model whose parameters are gone is trained again for the scores that it lacks, which is said.
    fs::remove_file(model("run", "cross-ap-p80").join("model.safetensors")).unwrap();
    let told = bench.told("--out run --device flex --resume", &with("prune.rows=both"));
    let again = "cross-ap-p80 of seed 1 has 1 of 2 records and no parameters: it is trained again";
    assert_says(&told, &[again]);
    let after = bench.csv("run");
    for line in before.lines() {
        assert!(after.contains(line), "{line} in {after}");
    }
    for (row, has_rows) in [("cross", true), ("dec-self", true), ("enc-self", false)] {
        let line = format!("{row},80,");
        let mut of_code = after.lines().filter(|of| of.contains("ap-paper-rows"));
        assert_eq!(of_code.any(|of| of.starts_with(&line)), has_rows, "{after}");
    }
    assert_eq!(cell(&after, "cross", "80", "ap-paper-rows", 6), "6.39");
    assert_says(
        &bench.read("run/TABLE.md"),
        &[
            "cross, rows of the released code",
            "dec-self, rows of the released code",
        ],
    );
    // A table of the released code's rows alone writes the same, from the same model.
    bench
        .tiny_with("--out paper --device flex", &with("prune.rows=paper"))
        .success();
    for row in ["cross-ap-p80", "decoder-self-ap-p80"] {
        let beside = read(&model("run", row).join("test-paper-rows.txt"));
        assert_eq!(beside, read(&model("paper", row).join("test.txt")), "{row}");
        // Losses of training and validation, to the bit.
        let losses = |run: &str| fs::read(model(run, row).join("metrics.jsonl")).unwrap();
        assert_eq!(losses("run"), losses("paper"), "{row}");
    }
    assert_eq!(right, read(&model("run", "cross-ap-p80").join("test.txt")));
    assert_ne!(
        right,
        read(&model("run", "cross-ap-p80").join("test-paper-rows.txt"))
    );
    // Tests of differences read what the right rows wrote.
    let text = stdout(
        &bench
            .sparta("compare run/seed-1/softmax/rows/p0 run/seed-1/softmax/rows/cross-ap-p80")
            .success(),
    );
    assert_says(&text, &["cross-ap-p80"]);
}

/// The released code takes the percentile over the causal zeros too: 20 % of all cells are none of
/// the legal ones, so the decoder's row must be the control, to the bit.
#[test]
fn the_paper_semantics_hide_nothing_of_the_decoder_at_p_20() {
    let bench = bench();
    let sets = [
        "model.normalizers=[\"softmax\"]",
        "prune.softmax=[\"decoder_self\"]",
        "prune.entmax15=[]",
        "prune.p=[0, 20, 90]",
        "prune.random_masks=[0, 0, 0]",
        "prune.semantics=paper",
        "data.pad_source=left",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let metrics = |row: &str| bench.read(format!("run/seed-1/softmax/rows/{row}/metrics.jsonl"));
    assert_eq!(metrics("p0"), metrics("decoder-self-ap-p20"));
    assert_ne!(metrics("p0"), metrics("decoder-self-ap-p90"));
}

#[test]
fn from_scratch_with_random_masks_two_seeds_and_the_best_bleu() {
    let bench = bench();
    let sets = [
        "model.normalizers=[\"entmax15\"]",
        "prune.softmax=[]",
        "prune.entmax15=[\"self\"]",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 1]",
        "retrain.mode=scratch",
        "train.keep=best_bleu",
        "train.valid_every=5",
        "eval.tokenize=13a",
    ];
    bench
        .tiny_with("--out run --device flex --seeds 1,2", &sets)
        .success();
    let csv = bench.csv("run");
    assert_eq!(cell(&csv, "self-attention", "60", "ap", 7), "2");
    assert_eq!(cell(&csv, "self-attention", "60", "random", 7), "2");
    assert!(csv.contains("tok:13a"), "{csv}");
    let metrics = bench.read("run/seed-1/entmax15/dense/metrics.jsonl");
    assert_eq!(metrics.matches("valid/bleu").count(), 4);
}

/// Training learns: a model far too small still says more than nothing after a few hundred steps,
/// and its loss is far below that of words drawn by frequency.
#[test]
fn the_loss_falls_with_every_normalizer_and_output() {
    let bench = bench();
    for (name, sets) in [
        (
            "softmax",
            ["model.normalizers=[\"softmax\"]", "model.output=softmax"],
        ),
        (
            "sparsemax",
            ["model.normalizers=[\"sparsemax\"]", "model.output=softmax"],
        ),
        (
            "alpha",
            [
                "model.normalizers=[\"alpha_entmax\"]",
                "model.output=entmax15",
            ],
        ),
    ] {
        let more = [
            "prune.softmax=[]",
            "prune.entmax15=[]",
            "train.steps=120",
            "train.warmup_steps=20",
            "train.lr=0.01",
        ];
        let sets = [&sets[..], &more[..]].concat();
        bench
            .tiny_with(&format!("train --out {name} --device flex"), &sets)
            .success();
        let folder = fs::read_dir(bench.path(format!("{name}/seed-1"))).unwrap();
        let model = folder.map(|e| e.unwrap().path()).next().expect("a model");
        let losses = bench.losses(model.join("dense"));
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.8 * first, "{name}: {first} {last}");
    }
}

#[test]
fn a_table_without_masks_is_the_dense_models_alone() {
    let bench = bench();
    let sets = [ONE, &["prune.softmax=[]"]].concat();
    bench.tiny_with("--out run --device flex", &sets).success();
    let csv = bench.csv("run");
    assert!(score(&csv, "softmax", "0", "ap") >= 0.0);
    assert!(
        !bench
            .path("run/seed-1/softmax/pattern.safetensors")
            .exists()
    );
}
