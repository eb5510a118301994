//! Several row normalisers in one table, each with masks of its own.

use std::fs;

use crate::bench::{Bench, assert_says, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::squad::SQUAD;

/// The lines of TABLE.csv as (row, p, mask, value).
fn lines(bench: &Bench, run: &str) -> Vec<[String; 4]> {
    let line = |line: &str| {
        // Only the name may hold a comma, and is then in quotes.
        let (row, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\",").unwrap(),
            None => line.split_once(',').unwrap(),
        };
        let cells: Vec<&str> = [row].into_iter().chain(rest.split(',')).collect();
        [0, 1, 3, 5].map(|column| cells[column].to_owned())
    };
    bench.csv(run).lines().skip(1).map(line).collect()
}

#[test]
fn the_language_model_has_masks_on_each_of_six_normalizers() {
    let bench = Bench::of(LM);
    let names = [
        "softmax",
        "sparsemax",
        "entmax15",
        "alpha_entmax",
        "fusedmax(0.1)",
        "oscarmax(0.01)",
    ];
    let folder = |name: &str| name.replace('(', "-").replace(')', "");
    let list = format!("model.normalizers={names:?}");
    let sets = [&list, "prune.p=[0, 60]", "prune.random_masks=[0, 1]"];
    bench.tiny_with("--out run --device flex", &sets).success();
    let found = lines(&bench, "run");
    for name in names {
        for (p, mask) in [("0", "ap"), ("60", "ap"), ("60", "random")] {
            let is_it = |l: &&[String; 4]| l[0].ends_with(name) && l[1] == p && l[2] == mask;
            let of: Vec<_> = found.iter().filter(is_it).collect();
            assert_eq!(of.len(), 1, "{name} {p} {mask}: {found:?}");
            assert!(of[0][3].parse::<f64>().unwrap() > 1.0);
        }
        let rows = [
            "dense/model",
            "pattern",
            "masks/ap-p60",
            "rows/random-p60-m1/model",
        ];
        for file in rows {
            let path = bench.path(format!("run/seed-1/{}/{file}.safetensors", folder(name)));
            assert!(path.exists(), "{}", path.display());
        }
    }
    // They are of one text: the n-gram models stand in the table once.
    assert_eq!(found.iter().filter(|l| l[2] == "trigram").count(), 1);
    // Each is pruned by its own attention.
    let mask = |name: &str| {
        fs::read(bench.path(format!("run/seed-1/{name}/masks/ap-p60.safetensors"))).unwrap()
    };
    assert_ne!(mask("softmax"), mask("sparsemax"));
    // α is logged from the start, a number a head, where it is learned, and moves.
    for name in names {
        let metrics = bench.read(format!("run/seed-1/{}/dense/metrics.jsonl", folder(name)));
        let alphas: Vec<Vec<f64>> = metrics
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter_map(|line| serde_json::from_value(line["alpha/decoder-self/0"].clone()).ok())
            .collect();
        assert_eq!(!alphas.is_empty(), name == "alpha_entmax", "{name}");
        let in_range = |alphas: &Vec<f64>| alphas.iter().all(|a| (1.0..2.0).contains(a));
        assert!(
            alphas.iter().all(|of| of.len() == 2 && in_range(of)),
            "{alphas:?}"
        );
        assert!(alphas.first() != alphas.last() || alphas.is_empty());
        // Times are beside them, for as many steps.
        let timing = bench.read(format!("run/seed-1/{}/dense/timing.jsonl", folder(name)));
        let steps = metrics.lines().filter(|line| line.contains("train/nll"));
        assert_eq!(timing.lines().count(), steps.count());
    }
    // What is published is of softmax.
    for record in bench.records("run") {
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let is_published = record["variant"] == "softmax" && !record["p_nominal"].is_null();
        assert_eq!(!record["paper"].is_null(), is_published, "{record}");
    }
}

#[test]
fn a_pretrained_encoder_is_fine_tuned_with_each() {
    for (program, data) in [(GLUE, "question-sentence"), (SQUAD, "squad")] {
        let bench = Bench::of(program);
        let list = "model.normalizers=[\"softmax\", \"alpha_entmax\"]";
        bench
            .tiny_with("--out run --device flex", &[list])
            .success();
        let table = bench.read("run/TABLE.md");
        assert_says(&table, &["variant", "alpha_entmax"]);
        let printed = stdout(&bench.run("report --out run").success());
        assert!(!printed.contains("missing"), "{printed}");
        for name in ["softmax", "alpha_entmax"] {
            let rows = bench.path(format!("run/seed-1/{data}/{name}/rows"));
            assert!(rows.is_dir(), "{}", rows.display());
        }
    }
}

#[test]
fn a_model_of_several_answers_for_itself() {
    let bench = Bench::of(GLUE);
    let list = "model.normalizers=[\"softmax\", \"sparsemax\"]";
    bench
        .tiny_with("--out run --device flex", &[list])
        .success();
    let predict = |name: &str| {
        let model = format!("run/seed-1/question-sentence/{name}/rows/ap-p80");
        let line = format!("predict --quiet --device flex --model {model}");
        stdout(&bench.piped(&line, "who\tme\n").success())
    };
    assert_ne!(predict("softmax"), predict("sparsemax"));
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
    let without = lines(&bench, "run");
    let more = [&sets[..], &["prune.block_sizes=[16]"]].concat();
    let line = "--out run --device flex --resume";
    bench.tiny_with(line, &more).success();
    let with = lines(&bench, "run");
    for row in ["enc-self", "cross"] {
        let is_it =
            |l: &&[String; 4]| l[0].starts_with(row) && l[1] == "60" && l[2] == "ap-blocks-16";
        assert_eq!(with.iter().filter(is_it).count(), 1, "{with:?}");
        let mask = match row {
            "cross" => "cross-blocks16-p60",
            _ => "encoder-self-blocks16-p60",
        };
        let mask = bench.path(format!("run/seed-1/softmax/masks/{mask}.safetensors"));
        assert!(mask.exists(), "{}", mask.display());
    }
    // What was there stays as it was.
    assert!(without.iter().all(|line| with.contains(line)), "{with:?}");
}
