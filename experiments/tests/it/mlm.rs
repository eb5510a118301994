//! The table of masked language models as a user makes it.

use std::fs;

use safetensors::SafeTensors;

use crate::bench::{Bench, Program, assert_says, said, stdout};
use crate::glue::weights::{Head, any_bert};

/// Four steps of four short windows.
pub const MLM: Program = Program {
    exe: env!("CARGO_BIN_EXE_mlm"),
    tiny: TINY,
};

const TINY: &[&str] = &[
    "data.max_len=24",
    "data.train_windows=40",
    "data.valid_windows=8",
    "data.test_windows=12",
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "train.warmup_steps=1",
    "observe.batch_size=8",
    "observe.windows=16",
    "prune.p=[0, 80]",
    "prune.random_masks=[0, 1]",
    "prune.block_sizes=[16]",
    "retrain.steps=2",
    "retrain.warmup_steps=1",
    "eval.batch_size=8",
];

/// A network of one layer of 8 from the folder `weights`.
const ANY_BERT: &[&str] = &["model.network=\"bert\""];

fn bench() -> Bench {
    Bench::of(MLM)
}

/// Lines of a TABLE.csv by score: row, p and mask of each.
fn lines<'a>(csv: &'a str, metric: &str) -> Vec<[&'a str; 3]> {
    let cells = |line: &'a str| -> Vec<&'a str> { line.split(',').collect() };
    let all = csv.lines().map(cells).filter(|cells| cells[4] == metric);
    all.map(|cells| [cells[0], cells[1], cells[3]]).collect()
}

/// The score of a line.
fn score(csv: &str, metric: &str, p: &str, mask: &str) -> f64 {
    let of = |line: &&str| {
        let cells: Vec<&str> = line.split(',').collect();
        [cells[1], cells[3], cells[4]] == [p, mask, metric]
    };
    let line = csv.lines().find(of);
    let value = line.and_then(|line| line.split(',').nth(5));
    value
        .unwrap_or_else(|| panic!("no line {metric} {p} {mask} in {csv}"))
        .parse()
        .expect("a number")
}

#[test]
fn stages_one_by_one_make_the_same_table_as_all_at_once() {
    let bench = bench();
    let printed = bench.whole_and_in_parts();
    // Each score has a table of its own; the dense checkpoint stands in the text alone.
    let tables = [
        ("TABLE.csv", "pseudo-perplexity"),
        ("TABLE-2.csv", "accuracy"),
    ];
    for (file, metric) in tables {
        let csv = bench.read(format!("whole/{file}"));
        assert_eq!(csv, bench.read(format!("parts/{file}")));
        let mut expected = [
            ["minilm-l3", "0", "ap"],
            ["minilm-l3", "0", "random"],
            ["minilm-l3", "80", "ap"],
            ["minilm-l3", "80", "random"],
            ["minilm-l3", "80", "ap-blocks-16"],
            ["minilm-l3", "", "unigram"],
        ];
        let mut found = lines(&csv, metric);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{csv}");
    }
    assert_says(&bench.read("whole/TABLE.md"), &["dense checkpoint"]);
    // The most frequent word piece alone is right more often than by chance, and never surely.
    let accuracy = score(&bench.read("whole/TABLE-2.csv"), "accuracy", "", "unigram");
    assert!(accuracy > 1.0 && accuracy < 20.0, "{accuracy}");
    assert_says(
        &printed,
        &["pseudo-perplexity|task:sotu|split:test|unit:wordpiece|vocab:30522|len:24|passes:7|n:"],
    );
    assert!(!printed.contains("missing"), "{printed}");
    bench.report_again();
}

#[test]
fn kill_9_and_resume_give_the_table_of_an_unstopped_run() {
    let bench = bench();
    any_bert(&bench, Head::None);
    let long = [
        ANY_BERT,
        &[
            "train.steps=400",
            "train.checkpoint_every=10",
            "model.dropout=0.1",
        ],
    ]
    .concat();
    let dense = "seed-1/dense";
    let files = [format!("{dense}/metrics.jsonl")];
    let files = files.each_ref().map(String::as_str);
    bench.kill_and_resume("--weights weights", &long, dense, &files);
}

#[test]
fn normalizers_share_a_table_and_each_has_its_masks() {
    let bench = bench();
    any_bert(&bench, Head::None);
    let sets = [ANY_BERT, &["model.normalizers=[\"softmax\", \"entmax15\"]"]].concat();
    let line = "--out run --device flex --weights weights";
    bench.tiny_with(line, &sets).success();
    let csv = bench.csv("run");
    for mask in ["ap", "random", "ap-blocks-16"] {
        for row in ["\"bert, softmax\"", "\"bert, entmax15\""] {
            let is_line = |l: &&str| {
                l.starts_with(row)
                    && l.contains(",80,")
                    && l.contains(&format!(",{mask},pseudo-perplexity,"))
            };
            assert_eq!(
                csv.lines().filter(is_line).count(),
                1,
                "{row} {mask}: {csv}"
            );
        }
    }
}

/// A parameter of a model after training.
fn parameter(bench: &Bench, run: &str, name: &str) -> Vec<f32> {
    let path = bench.path(format!("{run}/seed-1/dense/model.safetensors"));
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let view = tensors.tensor(name).unwrap();
    let (floats, _) = view.data().as_chunks::<4>();
    floats.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[test]
fn the_head_comes_from_the_weights_where_they_have_one() {
    let bench = bench();
    let still = ["train.lr=1e-12", "train.weight_decay=0"];
    let sets = [ANY_BERT, &still].concat();
    let train = |out: &str| {
        let line = format!("train --out {out} --device flex --weights weights");
        bench.told(&line, &sets)
    };
    any_bert(&bench, Head::None);
    assert_says(&train("new"), &["with a new head for word pieces"]);
    let bias = parameter(&bench, "new", "model.head.bias");
    assert!(bias.iter().all(|b| b.abs() < 1e-6), "{bias:?}");
    let published = any_bert(&bench, Head::MaskedLm);
    assert_says(&train("published"), &["with their head for word pieces"]);
    let bias = parameter(&bench, "published", "model.head.bias");
    let differs = bias
        .iter()
        .zip(&published)
        .any(|(a, b)| (a - b).abs() > 1e-6);
    assert!(!differs && bias.len() == published.len(), "{bias:?}");
    any_bert(&bench, Head::WithoutBias);
    assert_says(&train("damaged"), &["error:", "cls.predictions.bias"]);
}

#[test]
fn full_recipes_are_tried_without_their_files() {
    let bench = bench();
    let line = "--dry-run --device flex --recipe mlm/bert-base";
    let small = ["model.network=\"minilm-l6\""];
    let text = stdout(&bench.tiny_with(line, &small).success());
    assert_says(
        &text,
        &["random", "SYNTHETIC", "wikitext103", "step, softmax"],
    );
    let corpus = ["data.corpus=\"wikitext2\""];
    let text = said(&bench.tiny_with("train --device flex", &corpus), 1);
    assert_says(&text, &["WikiText-2", "mlm -- prepare"]);
    let long = ["data.max_len=600"];
    let text = said(&bench.tiny_with("train --device flex", &long), 1);
    assert_says(&text, &["data.max_len = 600", "512 positions"]);
}
