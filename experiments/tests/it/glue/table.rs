//! The tables as they should be.

use super::{bench, published};
use crate::bench::{assert_says, cell, read, said, stdout};

#[test]
fn stages_one_by_one_make_the_same_table_as_all_at_once() {
    let bench = bench();
    let printed = bench.whole_and_in_parts();
    let csv = bench.csv("whole");
    assert_eq!(csv, bench.csv("parts"));
    let header = "row,p_nominal,p_effective,mask,metric,value,paper,n_runs,n_seeds,signature";
    assert_eq!(csv.lines().next(), Some(header));
    let row = "question-sentence";
    for p in ["0", "80"] {
        let accuracy: f64 = cell(&csv, row, p, "ap", 5).parse().unwrap();
        assert!((0.0..=100.0).contains(&accuracy));
    }
    let effective: f64 = cell(&csv, row, "80", "ap", 2).parse().unwrap();
    assert!((effective - 80.0).abs() < 1.0, "{effective}");
    assert!(csv.contains(",majority,accuracy,"), "{csv}");
    assert!(csv.contains(",word-overlap,accuracy,"), "{csv}");
    assert_says(
        &printed,
        &[
            "accuracy|task:question-sentence|split:test|len:24|padding:fixed|n:12",
            "fine-tuned from the pretrained weights",
            "the most frequent class",
        ],
    );
    // Fine-tuning again starts from the pretrained weights: under the same seed the first loss differs
    // from the dense model's by the mask alone, and p = 0 is the dense model.
    let run = bench.path("whole/seed-1/question-sentence");
    assert!(!run.join("rows/p0").exists());
    let [dense, masked] = ["dense", "rows/ap-p80"].map(|row| bench.losses(run.join(row)));
    assert_ne!(dense, masked);
    assert!((dense[0] - masked[0]).abs() < 0.5);
    let predictions = read(&run.join("dense/predictions.tsv"));
    assert_eq!(predictions.lines().count(), 13);
    bench.report_again();
}

/// A recipe switches who computes attention, and hides whole blocks beside cells.
#[test]
fn masks_of_blocks_under_fused_attention() {
    let bench = bench();
    let sets = ["data.max_len=48", "prune.block_sizes=[16]"];
    let line = "--out run --device flex --attention-by fused";
    bench.tiny_with(line, &sets).success();
    let csv = bench.csv("run");
    let row = "question-sentence";
    let accuracy: f64 = cell(&csv, row, "80", "ap-blocks-16", 5).parse().unwrap();
    assert!((0.0..=100.0).contains(&accuracy));
    assert!(bench.read("run/TABLE.md").contains("| ap-blocks-16 "));
    let run = bench.path("run/seed-1/question-sentence");
    let losses = |row: &str| bench.losses(run.join(row));
    assert_ne!(losses("rows/ap-p80"), losses("rows/blocks16-p80"));
}

/// Classes and numbers from published folders, the paper's numbers beside ours; a task that is added
/// later joins the same records.
#[test]
fn published_tasks_from_the_dense_model_with_dynamic_padding_and_random_masks() {
    let bench = bench();
    published(&bench);
    let sets = [
        "retrain.start=dense",
        "data.padding=dynamic",
        "prune.random_masks=[0, 1]",
        "prune.semantics=paper",
        "paper.table=glue_bert_base",
        "model.normalizer=entmax15",
    ];
    let line = "--out run --device flex --data GLUE";
    bench
        .tiny_with(&format!("{line} --tasks rte"), &sets)
        .success();
    let csv = bench.csv("run");
    assert!(!csv.contains("STS-B"), "{csv}");
    bench
        .tiny_with(&format!("{line} --tasks rte,stsb --resume"), &sets)
        .success();
    let csv = bench.csv("run");
    assert_eq!(cell(&csv, "RTE", "80", "ap", 6), "57.22");
    assert_eq!(cell(&csv, "RTE", "80", "random", 7), "1");
    for metric in ["pearson", "spearman", "pearson-spearman"] {
        assert!(csv.contains("STS-B,80,"), "{csv}");
        assert!(csv.contains(&format!(",{metric},")), "{metric}: {csv}");
    }
    assert!(
        csv.contains("task:stsb|split:dev|len:24|padding:dynamic|n:12"),
        "{csv}"
    );
    assert!(bench.path("run/seed-1/rte/rows/p0/trained.json").exists());
    // Of one task alone, if it is asked; of one that there is not, nothing.
    bench.run("report --out run --tasks stsb").success();
    let one = bench.csv("run");
    assert!(one.contains("STS-B,80,") && !one.contains("RTE"), "{one}");
    let text = said(&bench.run("report --out run --tasks cola"), 1);
    assert_says(&text, &["no record of these tasks", "RTE, STS-B"]);
    bench.run("report --out run --tasks rte,stsb").success();
    assert_eq!(bench.csv("run"), csv);
}

/// A few dozen steps on a few examples are enough to know them by heart.
#[test]
fn the_loss_falls_for_classes_and_for_numbers() {
    let bench = bench();
    published(&bench);
    let sets = [
        "train.steps=40",
        "train.lr=0.0005",
        "model.dropout=0.0",
        "model.attention_dropout=0.0",
    ];
    for (task, data) in [("question-sentence", ""), ("stsb", "--data GLUE")] {
        let line = format!("train --out {task} --device flex {data} --tasks {task}");
        bench.tiny_with(&line, &sets).success();
        let losses = bench.losses(format!("{task}/seed-1/{task}/dense"));
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..10]), mean(&losses[30..]));
        assert!(last < 0.7 * first, "{task}: {first} {last}");
    }
}

#[test]
fn a_dry_run_says_what_a_recipe_costs_with_and_without_its_files() {
    let bench = bench();
    let out = |line: &str| {
        let assert = bench.run(line).success();
        stdout(&assert)
    };
    let text = out("--dry-run --device flex --set data.max_len=24 --set train.batch_size=4");
    assert_says(
        &text,
        &[
            "question-sentence: train 11731",
            "step, question-sentence",
            "about",
        ],
    );
    let small = "--set data.max_len=16 --set train.batch_size=2";
    let text = out(&format!(
        "--dry-run --device flex --recipe glue/minilm-l6 {small}"
    ));
    assert_says(&text, &["random", "SYNTHETIC", "step, stsb", "all models"]);
    assert!(!bench.path("runs").exists());
}

/// Seconds of the words after `about`, as `2 days 3 h`, `1 h 57 min`, `34 min 14 s` or `8 s`.
fn seconds_said(line: &str) -> f64 {
    let words: Vec<&str> = line
        .split("about ")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    words
        .chunks_exact(2)
        .map(|of| {
            of[0].parse::<f64>().unwrap()
                * [("days", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)]
                    .into_iter()
                    .find(|(unit, _)| *unit == of[1])
                    .unwrap()
                    .1
        })
        .sum()
}

#[test]
fn a_dry_run_counts_the_positions_of_each_data_set_where_padding_is_dynamic() {
    let bench = bench();
    published(&bench);
    let long = "word ".repeat(200);
    for part in ["train", "dev"] {
        let path = bench.path(format!("GLUE/RTE/{part}.tsv"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            &path,
            text.replace("A man has", &format!("{long}A man has")),
        )
        .unwrap();
    }
    // As many steps of each task, in batches of one line.
    let times = |padding: &str| -> Vec<f64> {
        let text = stdout(&bench.run(&format!(
            "--dry-run --device flex --data GLUE --tasks stsb,rte --seeds 1 --set data.padding={padding} \
             --set data.max_len=128 --set train.batch_size=4 --set train.steps=0 --set train.epochs=2000"
        )).success());
        text.lines()
            .filter(|line| line.contains("steps dense"))
            .map(seconds_said)
            .collect()
    };
    let (fixed, dynamic) = (times("fixed"), times("dynamic"));
    assert!((fixed[1] / fixed[0] - 1.0).abs() < 0.02, "{fixed:?}");
    assert!(dynamic[1] > 5.0 * dynamic[0], "{dynamic:?}");
}
