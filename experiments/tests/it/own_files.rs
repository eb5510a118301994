//! Tables on files of the user's own.

use std::fmt::Write as _;
use std::fs;

use crate::bench::{Bench, Program, assert_says, said, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::mlm::MLM;

const LM_FILES: &[&str] = &[
    "data.corpus=files",
    "data.files.valid_fraction=0.1",
    "data.files.test_fraction=0.1",
    "prune.p=[0, 80]",
    "prune.random_masks=[0, 0]",
    "prune.block_sizes=[]",
];

/// Sentences as people write them, of few words.
fn sentences(n: usize) -> Vec<[String; 2]> {
    const NAMES: [[&str; 2]; 4] = [
        ["de hond", "the dog"],
        ["een kat", "a cat"],
        ["het paard", "the horse"],
        ["zij", "she"],
    ];
    const ACTS: [[&str; 2]; 4] = [
        ["loopt", "walks"],
        ["slaapt", "sleeps"],
        ["eet", "eats"],
        ["wacht", "waits"],
    ];
    let of = |i: usize| {
        let side = |s: usize| {
            format!(
                "{} {}, {} {}.",
                NAMES[i % 4][s],
                ACTS[i / 4 % 4][s],
                NAMES[i / 16 % 4][s],
                ACTS[i / 64 % 4][s]
            )
        };
        [side(0), side(1)]
    };
    (0..n).map(of).collect()
}

fn bench(program: Program) -> Bench {
    Bench::of(program)
}

#[test]
fn a_language_model_of_a_text_of_ones_own() {
    let bench = bench(LM);
    let text: String = sentences(256)
        .iter()
        .fold("\u{feff}".to_owned(), |mut text, [_, line]| {
            let _ = write!(text, "{line}\r\n");
            text
        });
    fs::write(bench.path("mine.txt"), &text).unwrap();
    let line = "--out run --device flex";
    // Nothing given.
    let text_of = said(&bench.tiny_with(line, LM_FILES), 1);
    assert_says(
        &text_of,
        &["give them, `lm --data PATH`, where PATH is FILE, or a folder with train.txt"],
    );
    assert!(!bench.path("run").exists());
    let dry = stdout(
        &bench
            .tiny_with("--dry-run --device flex --data mine.txt", LM_FILES)
            .success(),
    );
    assert_says(&dry, &["files-"]);
    bench
        .tiny_with(&format!("{line} --data mine.txt"), LM_FILES)
        .success();
    let csv = bench.csv("run");
    assert_eq!(
        csv.lines().filter(|line| line.contains(",80,")).count(),
        1,
        "{csv}"
    );
    let records = bench.record_names("run");
    let record = bench.read(format!("run/records/{}", records[0]));
    let name =
        serde_json::from_str::<serde_json::Value>(&bench.read("run/data/files.json")).unwrap();
    assert_eq!(name[0]["bytes"], text.len() as u64);
    assert_says(&record, &["corpus:files-", "[data.files]"]);
    // Punctuation is by itself; no published value stands beside.
    assert_says(&bench.read("run/data/vocab.txt"), &["\n.\t", "\n,\t"]);
    assert!(
        !csv.lines()
            .skip(1)
            .any(|line| line.contains("transformer-xl-base"))
    );

    // The run goes on without the file, with the same, and not with another.
    bench
        .tiny_with(&format!("{line} --resume"), LM_FILES)
        .success();
    fs::rename(bench.path("mine.txt"), bench.path("moved.txt")).unwrap();
    bench
        .tiny_with(&format!("{line} --resume --data moved.txt"), LM_FILES)
        .success();
    fs::write(bench.path("moved.txt"), format!("{text}more\n")).unwrap();
    let text = said(
        &bench.tiny_with(&format!("{line} --resume --data moved.txt"), LM_FILES),
        1,
    );
    assert_says(&text, &["moved.txt has other text than the run in"]);
    let figures = stdout(&bench.sparta("analyze run --device flex --quiet").success());
    assert_says(&figures, &["density"]);
}

#[test]
fn what_is_no_text_is_said_before_anything_is_made() {
    let bench = bench(LM);
    for (bytes, words) in [
        (
            &b"one\ntw\xf6\n"[..],
            "line 2: expected UTF-8, found byte 0xf6",
        ),
        (b"one line alone\n", "expected a paragraph for the"),
        (b"PK\x03\x04....", "found a zip archive"),
        (b"", "found none"),
    ] {
        fs::write(bench.path("mine.txt"), bytes).unwrap();
        let text = said(
            &bench.tiny_with("--out run --device flex --data mine.txt", LM_FILES),
            1,
        );
        assert_says(&text, &["mine.txt", words]);
        assert!(!bench.path("run").exists());
    }
    let text = said(
        &bench.tiny_with("--out run --device flex --data nothing.txt", LM_FILES),
        1,
    );
    assert_says(&text, &["cannot read nothing.txt"]);
}

#[test]
fn a_masked_language_model_of_a_folder_of_ones_own() {
    let bench = bench(MLM);
    fs::create_dir(bench.path("mine")).unwrap();
    for (name, n) in [("train", 200), ("valid", 40), ("test", 30)] {
        let lines: Vec<String> = sentences(n).into_iter().map(|[_, line]| line).collect();
        fs::write(bench.path(format!("mine/{name}.txt")), lines.join("\n")).unwrap();
    }
    let sets = ["data.corpus=files", "prune.block_sizes=[]"];
    bench
        .tiny_with("--out run --device flex --data mine", &sets)
        .success();
    let csv = bench.csv("run");
    assert_says(&csv, &["pseudo-perplexity|task:files-", ",80,"]);
    // Text is read again for every stage: it has to be the same.
    bench
        .tiny_with("eval --out run --device flex --resume", &sets)
        .success();
    fs::write(bench.path("mine/test.txt"), "other\nlines of\nwords\n").unwrap();
    let text = said(
        &bench.tiny_with("--out run --device flex --resume", &sets),
        1,
    );
    assert_says(&text, &["mine has other text than the run in"]);
}

#[test]
fn translation_of_pairs_of_ones_own() {
    let bench = bench(IWSLT);
    let pairs = sentences(256);
    let lines: Vec<String> = pairs
        .iter()
        .map(|[source, target]| format!("{source}\t{target}"))
        .collect();
    fs::write(bench.path("mine.tsv"), lines.join("\n") + "\n\t\n").unwrap();
    let sets = [
        "data.corpus=files",
        "data.files.source=nl",
        "data.files.valid_fraction=0.1",
        "data.files.test_fraction=0.1",
        "model.normalizers=[\"softmax\"]",
        "prune.softmax=[\"cross\"]",
        "prune.entmax15=[]",
        "prune.p=[0, 80]",
        "prune.random_masks=[0, 0]",
    ];
    let told = bench.told("--out run --device flex --data mine.tsv", &sets);
    assert_says(&told, &["1 pairs left out, a side of which has no word"]);
    let record = bench.read(format!("run/records/{}", bench.record_names("run")[0]));
    assert_says(&record, &["files-", "source = \\\"nl\\\""]);
    let out = bench
        .piped(
            "translate --device flex --model run",
            "De hond loopt, zij wacht.\n",
        )
        .success();
    assert_eq!(stdout(&out).lines().count(), 1);
    // The same pairs in two files are another corpus by their bytes, and the same by their text.
    for (side, code) in [(0, "nl"), (1, "en")] {
        let lines: Vec<&str> = pairs.iter().map(|pair| pair[side].as_str()).collect();
        fs::write(bench.path(format!("two.{code}")), lines.join("\n")).unwrap();
    }
    bench
        .tiny_with("--out other --device flex --data two", &sets)
        .success();
    for split in ["valid", "test"] {
        for code in ["nl", "en"] {
            let file = |run: &str| bench.read(format!("{run}/data/{split}.{code}"));
            assert_eq!(file("run"), file("other"));
        }
    }
    fs::write(bench.path("two.en"), "one\n").unwrap();
    let text = said(
        &bench.tiny_with("--out third --device flex --data two", &sets),
        1,
    );
    assert_says(&text, &["two.nl has 256 lines and two.en has 1"]);
    assert!(!bench.path("third").exists());
}

/// Three classes in a file with quotes: trained, told apart on lines of ones own, compared with itself.
#[test]
fn classes_of_a_table_of_ones_own() {
    let bench = bench(GLUE);
    let mut text = "id,review,stars\r\n".to_owned();
    for (i, [_, line]) in sentences(90).iter().enumerate() {
        let _ = write!(
            text,
            "{i},\"{line} \"\"{i}\"\"\",{}\r\n",
            ["good", "bad", "fair"][i % 3]
        );
    }
    fs::write(bench.path("mine.csv"), &text).unwrap();
    let line = "--tasks files --out run --device flex";
    let refused = said(&bench.tiny_with(&format!("{line} --data mine.csv"), &[]), 1);
    assert_says(
        &refused,
        &["line 1: expected a column `text`, found id, review, stars"],
    );
    let sets = ["data.files.first=review", "data.files.label=stars"];
    let refused = said(&bench.tiny_with(line, &sets), 1);
    assert_says(&refused, &["give them, `glue --data PATH`"]);
    let f1 = [&sets[..], &["data.files.metric=f1"]].concat();
    let refused = said(&bench.tiny_with(&format!("{line} --data mine.csv"), &f1), 1);
    assert_says(
        &refused,
        &["is a score of two classes, and column `stars` has 3"],
    );
    assert!(!bench.path("run").exists());
    bench
        .tiny_with(&format!("{line} --data mine.csv"), &sets)
        .success();
    let csv = bench.csv("run");
    assert_says(
        &csv,
        &["files,0,", ",majority,accuracy,", "accuracy|task:files-"],
    );
    assert_says(
        &bench.read("run/data/labels.json"),
        &["bad", "fair", "good"],
    );
    let out = bench
        .piped("predict --device flex --model run", "The dog walks.\n")
        .success();
    let out = stdout(&out);
    let cells: Vec<&str> = out.trim_end().split('\t').collect();
    assert!(
        cells.len() == 4 && ["bad", "fair", "good"].contains(&cells[0]),
        "{out}"
    );
    let compared = stdout(&bench.sparta("compare run").success());
    assert_says(&compared, &["accuracy"]);
    fs::write(bench.path("mine.csv"), text.replace("good", "best")).unwrap();
    let refused = said(&bench.tiny_with(&format!("{line} --resume"), &sets), 1);
    assert_says(&refused, &["mine.csv has other text than the run in"]);
}

#[test]
fn numbers_of_pairs_of_ones_own() {
    let bench = bench(GLUE);
    fs::create_dir(bench.path("mine")).unwrap();
    for (name, n) in [("train", 40), ("dev", 12), ("test", 12)] {
        let rows = sentences(n).into_iter().enumerate();
        let rows =
            rows.map(|(i, [a, b])| serde_json::json!({"nl": a, "en": b, "like": i as f64 - 6.5}));
        let rows: Vec<String> = rows.map(|row| row.to_string()).collect();
        fs::write(bench.path(format!("mine/{name}.jsonl")), rows.join("\n")).unwrap();
    }
    let sets = [
        "data.files.first=nl",
        "data.files.second=en",
        "data.files.label=like",
        "data.files.labels=score",
        "data.files.metric=spearman",
    ];
    bench
        .tiny_with("--tasks files --out run --device flex --data mine", &sets)
        .success();
    assert_says(&bench.csv("run"), &[",spearman,", "spearman|task:files-"]);
    let out = bench
        .piped("predict --device flex --model run", "De hond.\tThe dog.\n")
        .success();
    assert!(stdout(&out).trim().parse::<f64>().is_ok());
}
