//! `train.precision`: half types where the device has them, and an error before anything is trained where it has not.

use crate::bench::{Bench, assert_says, said, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::mlm::MLM;
use crate::squad::SQUAD;

#[test]
fn a_device_without_half_types_is_refused_before_anything_is_trained() {
    for program in [LM, IWSLT, GLUE, SQUAD, MLM] {
        let bench = Bench::of(program);
        for line in ["--dry-run", "--out run", "train --out run"] {
            let run = bench.tiny_with(&format!("{line} --device flex"), &["train.precision=bf16"]);
            assert_says(
                &said(&run, 1),
                &[
                    "`train.precision = \"bf16\"` is not for device `flex`",
                    "--set train.precision=f32",
                    "--device tch:cpu",
                ],
            );
        }
        assert!(!bench.path("run").exists());
    }
    #[cfg(feature = "ndarray")]
    {
        let run = Bench::of(LM).tiny_with("--dry-run --device ndarray", &["train.precision=f16"]);
        assert_says(
            &said(&run, 1),
            &["device `ndarray`, which does not have this type"],
        );
    }
}

#[test]
fn what_is_no_precision_is_named_with_those_that_are() {
    let bench = Bench::of(LM);
    let run = bench.tiny_with("--dry-run --device flex", &["train.precision=half"]);
    assert_says(&said(&run, 1), &["train.precision", "half", "`bf16`"]);
    let text = stdout(&bench.tiny_with("--dry-run --device flex", &[]).success());
    assert_says(&text, &["precision   f32"]);
}

#[cfg(feature = "tch")]
mod on_libtorch {
    use serde_json::Value;

    use super::*;
    use crate::bench::wait_for;
    use crate::lm::value;

    /// Enough steps to learn: a perplexity of 26 from 190.
    const LEARNING: &[&str] = &[
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 1]",
        "train.steps=200",
        "train.log_every=50",
        "train.warmup_steps=10",
        "train.lr=0.02",
    ];

    fn with<'a>(sets: &[&'a str], precision: &'a str) -> Vec<&'a str> {
        [sets, &[precision]].concat()
    }

    /// The records of a run, by name.
    fn records(bench: &Bench, run: &str) -> Vec<Value> {
        let folder = std::fs::read_dir(bench.path(format!("{run}/records"))).unwrap();
        let mut paths: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let read = |path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        paths.into_iter().map(read).collect()
    }

    /// Trained, observed, pruned, trained again and scored in bf16, with nearly the scores of f32, and records that say so.
    #[test]
    fn a_table_in_bf16_is_nearly_that_in_f32() {
        let bench = Bench::of(LM);
        for precision in ["f32", "bf16"] {
            let key = format!("train.precision={precision}");
            let line = format!("--out {precision} --device tch:cpu");
            bench.tiny_with(&line, &with(LEARNING, &key)).success();
        }
        for (mask, p) in [("ap", "0"), ("ap", "60"), ("random", "60")] {
            let [full, half] = ["f32", "bf16"].map(|run| {
                let value = value(&bench.csv(run), mask, p);
                value.parse::<f64>().unwrap()
            });
            assert!(full < 60.0, "nothing is learned: {full}");
            assert!(
                (half / full - 1.0).abs() < 0.01,
                "{mask} {p}: {half} {full}"
            );
            assert_ne!(half, full);
        }
        let of = |run: &str| records(&bench, run);
        for (full, half) in of("f32").iter().zip(of("bf16")) {
            assert!(full.get("precision").is_none());
            let is_network = half["steps"].as_u64() > Some(0);
            assert_eq!(half.get("precision").is_some(), is_network, "{half}");
            assert!(!is_network || half["precision"] == "bf16");
            assert_ne!(full["recipe_hash"], half["recipe_hash"]);
            assert_says(half["recipe"].as_str().unwrap(), &["precision = \"bf16\""]);
        }
        assert_says(&bench.read("bf16/TABLE.md"), &["tch:cpu in bf16"]);
        // Side by side they have lines of their own, and a comparison says what differs.
        bench.sparta("report . --csv").success();
        let csv = bench.read("REPORT.csv");
        let dense = csv
            .lines()
            .filter(|line| line.contains(",transformer-xl,") && line.contains("PPL|"));
        assert!(
            dense.clone().any(|line| line.contains("tch:cpu in bf16")),
            "{csv}"
        );
        assert!(dense.clone().any(|line| line.contains("tch:cpu,")), "{csv}");
        assert!(!csv.contains("tch:cpu; tch:cpu in bf16"), "{csv}");
        let compared = bench
            .sparta("compare f32/seed-1/dense bf16/seed-1/dense")
            .success();
        let said = String::from_utf8_lossy(&compared.get_output().stderr).into_owned();
        assert_says(&said, &["different precision", "bf16", "f32"]);
    }

    #[test]
    fn a_run_in_bf16_that_is_killed_goes_on_to_the_same_bits() {
        let bench = Bench::of(LM);
        let sets = [
            "train.steps=200",
            "train.log_every=10",
            "train.checkpoint_every=10",
            "train.precision=bf16",
            "model.dropatt=0.1",
        ];
        let mut child = bench.spawn("train --out killed --device tch:cpu", &sets);
        let checkpoint = bench.path("killed/seed-1/dense/checkpoint.safetensors");
        wait_for(|| checkpoint.exists());
        child.kill().expect("it runs");
        child.wait().expect("the end");
        assert!(checkpoint.exists(), "it ended before it was killed");
        let line = "train --out killed --device tch:cpu --resume";
        bench.tiny_with(line, &sets).success();
        let line = "train --out whole --device tch:cpu";
        bench.tiny_with(line, &sets).success();
        for file in ["metrics.jsonl", "model.safetensors"] {
            let [killed, whole] = ["killed", "whole"].map(|run| {
                std::fs::read(bench.path(format!("{run}/seed-1/dense/{file}"))).unwrap()
            });
            assert!(killed == whole, "{file}");
        }
    }

    /// The scale of the loss is told, and the first steps of a network need no smaller one.
    #[test]
    fn a_training_in_f16_has_a_scale() {
        let bench = Bench::of(LM);
        for precision in ["f32", "f16"] {
            let key = format!("train.precision={precision}");
            let line = format!("train --out {precision} --device tch:cpu");
            bench.tiny_with(&line, &with(LEARNING, &key)).success();
        }
        let [full, half] = ["f32", "f16"].map(|run| {
            let text = bench.read(format!("{run}/seed-1/dense/metrics.jsonl"));
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            lines.collect::<Vec<Value>>()
        });
        let losses = |lines: &[Value]| -> Vec<f64> {
            let losses = lines.iter().filter_map(|line| line["train/nll"].as_f64());
            losses.collect()
        };
        let (full, found) = (losses(&full), losses(&half));
        assert_eq!(full.len(), found.len());
        for (full, half) in full.iter().zip(&found) {
            assert!((half / full - 1.0).abs() < 0.01, "{half} {full}");
        }
        let last = half.iter().rfind(|line| line.get("train/nll").is_some());
        let scale = last.unwrap()["train/loss_scale"].as_f64().unwrap();
        assert!((1024.0..=65536.0).contains(&scale), "{scale}");
    }

    /// Each program's own networks, losses and scores.
    #[test]
    fn every_program_computes_in_bf16() {
        for (program, sets) in [
            (
                IWSLT,
                &[
                    "model.normalizers=[\"entmax15\"]",
                    "prune.entmax15=[\"cross\"]",
                    "prune.softmax=[]",
                    "prune.p=[0, 80]",
                    "prune.random_masks=[0, 0]",
                ][..],
            ),
            (GLUE, &["train.steps=2"]),
            (SQUAD, &["train.steps=2"]),
            (
                MLM,
                &[
                    "train.steps=2",
                    "prune.block_sizes=[]",
                    "prune.random_masks=[0, 0]",
                ],
            ),
        ] {
            let bench = Bench::of(program);
            let sets = with(sets, "train.precision=bf16");
            bench
                .tiny_with("--out run --device tch:cpu", &sets)
                .success();
            let of_networks = records(&bench, "run")
                .into_iter()
                .filter(|of| of["steps"] != 0);
            let precisions: Vec<Value> = of_networks.map(|of| of["precision"].clone()).collect();
            assert!(precisions.len() > 1 && precisions.iter().all(|of| of == "bf16"));
        }
    }
}
