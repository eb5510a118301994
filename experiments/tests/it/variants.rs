//! Several row normalisers in one table, each with masks of its own.

use std::fs;

use crate::bench::{Bench, assert_says, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::squad::SQUAD;

/// The lines of the table of `run` as (row, p, mask, value).
fn lines(bench: &Bench) -> Vec<[String; 4]> {
    let line = |line: &str| {
        // Only the name may hold a comma, and is then in quotes.
        let (row, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\",").unwrap(),
            None => line.split_once(',').unwrap(),
        };
        let cells: Vec<&str> = [row].into_iter().chain(rest.split(',')).collect();
        [0, 1, 3, 5].map(|column| cells[column].to_owned())
    };
    bench.csv("run").lines().skip(1).map(line).collect()
}

#[test]
fn the_language_model_has_masks_on_each_of_four_normalizers() {
    let bench = Bench::of(LM);
    let names = ["softmax", "sparsemax", "entmax15", "alpha_entmax"];
    let list = format!("model.normalizers={names:?}");
    let sets = [
        list.as_str(),
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 1]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let found = lines(&bench);
    for name in names {
        for (p, mask) in [("0", "ap"), ("60", "ap"), ("60", "random")] {
            let is_it = |l: &&[String; 4]| l[0].ends_with(name) && l[1] == p && l[2] == mask;
            let of: Vec<_> = found.iter().filter(is_it).collect();
            assert_eq!(of.len(), 1, "{name} {p} {mask}: {found:?}");
            assert!(of[0][3].parse::<f64>().unwrap() > 1.0);
        }
        for file in [
            "dense/model",
            "pattern",
            "masks/ap-p60",
            "rows/random-p60-m1/model",
        ] {
            let path = bench.path(format!("run/seed-1/{name}/{file}.safetensors"));
            assert!(path.exists(), "{}", path.display());
        }
    }
    // They are of one text: the n-gram models stand in the table once.
    assert_eq!(found.iter().filter(|l| l[2] == "trigram").count(), 1);
    // Sparse rows hide other cells than dense ones.
    let mask = |name: &str| {
        fs::read(bench.path(format!("run/seed-1/{name}/masks/ap-p60.safetensors"))).unwrap()
    };
    assert_ne!(mask("softmax"), mask("sparsemax"));
    assert_says(&bench.read("run/TABLE.md"), &names);
    // What is published is of softmax.
    for record in bench.records("run") {
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let is_softmax = record["variant"] == "softmax";
        assert_eq!(
            !record["paper"].is_null(),
            is_softmax && !record["p_nominal"].is_null()
        );
    }
}

#[test]
fn a_pretrained_encoder_is_fine_tuned_with_each() {
    let list = "model.normalizers=[\"softmax\", \"alpha_entmax\"]";
    for (program, data) in [(GLUE, "question-sentence"), (SQUAD, "squad")] {
        let bench = Bench::of(program);
        let sets: &[&str] = match data {
            "squad" => &[list, "cost.batches=0"],
            _ => &[list],
        };
        bench.tiny_with("--out run --device flex", sets).success();
        assert_says(&bench.read("run/TABLE.md"), &["variant", "alpha_entmax"]);
        for name in ["softmax", "alpha_entmax"] {
            let rows = bench.path(format!("run/seed-1/{data}/{name}/rows"));
            assert!(rows.is_dir(), "{}", rows.display());
        }
        let printed = stdout(&bench.run("report --out run").success());
        assert!(!printed.contains("missing"), "{printed}");
        if data == "question-sentence" {
            let model = format!("run/seed-1/{data}/alpha_entmax/rows/ap-p80");
            let line = format!("predict --quiet --device flex --model {model}");
            assert!(!stdout(&bench.piped(&line, "who\tme\n").success()).is_empty());
        }
    }
}

#[test]
fn translation_hides_whole_blocks_of_each_type_too() {
    let bench = Bench::of(IWSLT);
    let sets = [
        "model.normalizers=[\"softmax\"]",
        "prune.softmax=[\"encoder_self\", \"cross\"]",
        "prune.entmax15=[]",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let without = lines(&bench);
    let more = [&sets[..], &["prune.block_sizes=[16]"]].concat();
    let line = "--out run --device flex --resume";
    bench.tiny_with(line, &more).success();
    let with = lines(&bench);
    let blocks: Vec<_> = with.iter().filter(|l| l[2] == "ap-blocks-16").collect();
    for row in ["enc-self", "cross"] {
        let of = |l: &&&[String; 4]| l[0].starts_with(row) && l[1] == "60";
        assert_eq!(blocks.iter().filter(of).count(), 1, "{with:?}");
    }
    // What was there stays as it was.
    assert!(without.iter().all(|line| with.contains(line)), "{with:?}");
    let mask = bench.path("run/seed-1/softmax/masks/cross-blocks16-p60.safetensors");
    assert!(mask.exists());
}
