//! `sparta compare` on toy runs of every program, and on what it must refuse.

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, Program, assert_says, said, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::mlm::MLM;
use crate::squad::SQUAD;

/// Dense, p = 0 and one mask.
const ONE_MASK: &[&str] = &["prune.p=[0, 60]", "prune.random_masks=[0, 0]"];

/// A toy run in `run`.
fn made(program: Program, sets: &[&str]) -> Bench {
    let bench = Bench::of(program);
    bench.tiny_with("--out run --device flex", sets).success();
    bench
}

/// The comparisons as JSON.
fn json(bench: &Bench, line: &str) -> Vec<Value> {
    let text = stdout(&bench.sparta(&format!("{line} --json")).success());
    serde_json::from_str(&text).expect("JSON")
}

/// Metric, test and names of each comparison.
fn words(comparisons: &[Value]) -> Vec<[String; 4]> {
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    let all = |of: &Value| {
        let system = &of["systems"][0];
        [
            &of["metric"],
            &system["test"],
            &of["baseline"],
            &system["name"],
        ]
        .map(word)
    };
    comparisons.iter().map(all).collect()
}

/// The score that a record of the run has.
fn recorded(bench: &Bench, name: &str) -> f64 {
    let records = fs::read_dir(bench.path("run/records")).unwrap();
    let path = records
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.to_string_lossy()
                .ends_with(&format!("-{name}.run.json"))
        })
        .unwrap_or_else(|| panic!("no record {name}"));
    let record: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    record["value"].as_f64().unwrap()
}

#[test]
fn perplexities_are_compared_by_segments_of_the_text() {
    let bench = made(LM, ONE_MASK);
    // Each row with its control, and the difference is that of the table.
    let found = json(&bench, "compare run");
    assert_eq!(
        words(&found),
        [[
            "perplexity",
            "block-bootstrap",
            "seed-1/rows/p0",
            "seed-1/rows/ap-p60"
        ]
        .map(String::from)]
    );
    let difference = recorded(&bench, "ap-p60") - recorded(&bench, "p0");
    let told = found[0]["systems"][0]["difference"].as_f64().unwrap();
    assert!((difference - told).abs() < 1e-9, "{difference} {told}");
    let text = stdout(&bench.sparta("compare run").success());
    assert_says(
        &text,
        &[
            "run:",
            "PPL|unit:word|",
            "95 % interval",
            "Seed 12345",
            "not what other seeds would",
        ],
    );
    assert_eq!(text, stdout(&bench.sparta("compare run").success()));
    // No other control takes the place of one whose record is all that is left.
    let [control, away] = ["run/seed-1/rows/p0", "p0"].map(|name| bench.path(name));
    fs::rename(&control, &away).unwrap();
    let refused = said(&bench.sparta("compare run"), 1);
    assert_says(
        &refused,
        &[
            "seed-1/rows/ap-p60 is compared with p = 0",
            "run/seed-1/rows/p0 is no scored model",
            "delete those in run/records",
            "lm reproduce --recipe run/recipe.toml --out run --resume",
        ],
    );
    fs::rename(&away, &control).unwrap();
    // The models that are named, by folder or by record.
    let [dense, row] = ["dense", "rows/ap-p60"].map(|name| format!("run/seed-1/{name}"));
    let by_folder = json(&bench, &format!("compare {row} {dense}"));
    assert_eq!(by_folder[0]["baseline"], "seed-1/rows/ap-p60");
    let name = bench
        .record_names("run")
        .into_iter()
        .find(|name| name.ends_with("-ap-p60.run.json"));
    let by_record = json(
        &bench,
        &format!("compare run/records/{} {dense}", name.unwrap()),
    );
    assert_eq!(by_folder, by_record);
    let other_seed = stdout(&bench.sparta("compare run --seed 7 --samples 50").success());
    assert_says(&other_seed, &["50 samples", "Seed 7"]);

    // A scoring of an earlier version left no segments: `eval` adds them and leaves the records alone.
    let segments = bench.path("run/seed-1/dense/test-segments.csv");
    let kept = fs::read_to_string(&segments).unwrap();
    let records = |bench: &Bench| {
        let read = |name: &String| bench.read(format!("run/records/{name}"));
        bench
            .record_names("run")
            .iter()
            .map(read)
            .collect::<Vec<_>>()
    };
    let before = records(&bench);
    fs::remove_file(&segments).unwrap();
    let text = said(&bench.sparta(&format!("compare {dense} {row}")), 1);
    let command = "lm eval --recipe run/recipe.toml --out run --resume";
    assert_says(
        &text,
        &["run/seed-1/dense has no test-segments.csv", command],
    );
    bench
        .run(&format!("{} --quiet --device flex", &command[3..]))
        .success();
    assert_eq!(fs::read_to_string(&segments).unwrap(), kept);
    assert_eq!(records(&bench), before);
    // What is of another scoring is told from what the record says.
    fs::write(&segments, kept.replacen("0,", "0,1", 1)).unwrap();
    let text = said(
        &bench.sparta("compare run/seed-1/dense run/seed-1/rows/p0"),
        1,
    );
    assert_says(
        &text,
        &[
            "test-segments.csv",
            "the record",
            "different scorings",
            command,
        ],
    );
    fs::write(&segments, &kept[..kept.len() / 2]).unwrap();
    let text = said(
        &bench.sparta("compare run/seed-1/dense run/seed-1/rows/p0"),
        1,
    );
    assert_says(&text, &["test-segments.csv"]);
}

#[test]
fn runs_of_other_protocols_are_refused_with_both() {
    let bench = made(LM, &["prune.p=[0]", "prune.random_masks=[0]"]);
    let line = "--out other --device flex";
    bench
        .tiny_with(
            line,
            &[
                "prune.p=[0]",
                "prune.random_masks=[0]",
                "data.test_tokens=900",
            ],
        )
        .success();
    let text = said(&bench.sparta("compare run other"), 1);
    assert_says(
        &text,
        &[
            "different protocols",
            "|n:1499",
            "|n:899",
            "run/seed-1/dense",
            "other/seed-1/dense",
        ],
    );
    // A run of the same protocol is compared model by model.
    bench
        .tiny_with(
            "--out third --device flex",
            &["prune.p=[0]", "prune.random_masks=[0]", "train.lr=0.01"],
        )
        .success();
    let found = words(&json(&bench, "compare run third"));
    let names: Vec<&str> = found.iter().map(|of| of[3].as_str()).collect();
    assert_eq!(names, ["third/seed-1/dense", "third/seed-1/rows/p0"]);
    let text = said(&bench.sparta("compare run/seed-1/dense run"), 1);
    assert_says(&text, &["run has 2 models", "run/seed-1/rows/p0"]);
    let text = said(
        &bench.sparta("compare run/seed-1/dense run/seed-1/dense"),
        1,
    );
    assert_says(&text, &["named twice"]);
    let text = said(&bench.sparta("compare run/seed-1/dense"), 1);
    assert_says(&text, &["one scored model", "give another one"]);
    // One seed, and no row but the control: nothing is compared within the run.
    let text = said(&bench.sparta("compare run"), 1);
    assert_says(&text, &["none is compared with another"]);
    let text = said(&bench.sparta("compare run/seed-1"), 1);
    assert_says(
        &text,
        &[
            "run/seed-1 is no trained and scored model of run",
            "run/seed-1/dense",
        ],
    );
    let text = said(&bench.sparta("compare run third --samples 0"), 1);
    assert_says(&text, &["0 samples", "at least one"]);
    // More than a memory holds, or anybody waits for.
    let text = said(
        &bench.sparta("compare run third --samples 1000000000000"),
        1,
    );
    assert_says(
        &text,
        &["--samples 1000000000000", "40000.0 GB", "at most 10000000"],
    );
    let text = said(
        &bench.sparta("compare run third --trials 18446744073709551615"),
        1,
    );
    assert_says(
        &text,
        &["--trials 18446744073709551615", "at most 10000000"],
    );
}

/// Own files that are read in two ways are two texts, of as many words and by one name.
#[test]
fn language_models_of_other_texts_are_not_compared() {
    let bench = Bench::of(LM);
    let line = |i: usize| {
        let (who, what) = (["dog", "cat", "cow"][i % 3], ["sun", "sea"][i % 2]);
        format!("The {who} saw the {what}\n")
    };
    fs::create_dir(bench.path("mine")).unwrap();
    for (split, n) in [("train", 400), ("valid", 60), ("test", 60)] {
        let text: String = (0..n).map(line).collect();
        fs::write(bench.path(format!("mine/{split}.txt")), text).unwrap();
    }
    let sets = [
        "data.corpus=files",
        "data.files.words=spaces",
        "data.vocab_size=8",
        "prune.p=[0]",
        "prune.random_masks=[0]",
    ];
    for (run, more) in [
        ("run", "data.files.lowercase=false"),
        ("lower", "data.files.lowercase=true"),
        ("again", "train.lr=0.01"),
    ] {
        let line = format!("--out {run} --device flex --data mine");
        let sets = [&sets[..], &[more]].concat();
        bench.tiny_with(&line, &sets).success();
    }
    let different = "were scored on different test sets, although both say `PPL|unit:word|";
    let text = said(&bench.sparta("compare run lower"), 1);
    assert_says(&text, &[different]);
    assert_eq!(json(&bench, "compare run again").len(), 2);
    // Where the text is gone, nobody can tell.
    fs::rename(bench.path("again/data"), bench.path("away")).unwrap();
    let text = said(&bench.sparta("compare run again"), 1);
    assert_says(&text, &["no prepared data in again", "lm prepare"]);
}

#[test]
fn paths_without_a_scored_model_say_what_to_type() {
    let bench = Bench::of(LM);
    fs::create_dir(bench.path("empty")).unwrap();
    let text = said(&bench.sparta("compare nowhere run"), 1);
    assert_says(&text, &["there is no nowhere", "RUN/seed-1/dense"]);
    let text = said(&bench.sparta("compare empty empty"), 1);
    assert_says(&text, &["empty is in no run folder", "recipe.toml"]);
    // Trained and not scored yet.
    bench.tiny("train --out half --device flex").success();
    let text = said(&bench.sparta("compare half"), 1);
    assert_says(
        &text,
        &[
            "half has no records yet",
            "lm eval --recipe half/recipe.toml --out half --resume",
        ],
    );
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/published/lm-small");
    let text = said(&bench.sparta(&format!("compare {published}")), 1);
    assert_says(
        &text,
        &[
            "no trained and scored model",
            "published runs keep records alone",
        ],
    );
    assert_eq!(bench.sparta("compare").get_output().status.code(), Some(2));
}

#[test]
fn translations_are_compared_by_all_their_scores() {
    let bench = made(IWSLT, &["prune.p=[0, 80]", "prune.random_masks=[0, 0]"]);
    let line = "compare run/seed-1/softmax/rows/p0 run/seed-1/softmax/rows/cross-ap-p80";
    let found = json(&bench, line);
    let metrics: Vec<&str> = found
        .iter()
        .map(|of| of["metric"].as_str().unwrap())
        .collect();
    // The recipe's BLEU, sacreBLEU's default, tokenised BLEU, chrF.
    assert_eq!(metrics, ["bleu", "bleu", "bleu", "chrf"]);
    let signature = |at: usize| found[at]["signature"].as_str().unwrap();
    for (at, part) in [
        (0, "tok:none|smooth:exp"),
        (1, "tok:13a"),
        (2, "multi-bleu.perl"),
        (3, "chrF2|"),
    ] {
        assert!(signature(at).contains(part), "{}", signature(at));
    }
    let difference =
        recorded(&bench, "softmax-cross-ap-p80") - recorded(&bench, "softmax-p0-cross");
    let told = found[0]["systems"][0]["difference"].as_f64().unwrap();
    assert!((difference - told).abs() < 1e-9, "{difference} {told}");
    assert_eq!(found[0]["systems"][0]["test"], "randomization");
    assert!(found[3]["systems"][0]["p_sacrebleu_bootstrap"].is_number());
    // Dense models of the other normalisers with softmax, together.
    let text = stdout(&bench.sparta("compare run").success());
    assert_says(
        &text,
        &[
            "seed-1/softmax/dense (baseline)",
            "seed-1/entmax15/dense",
            "adjusted for 2 comparisons",
        ],
    );

    // The same lines give the further scores of the tables.
    let plain = stdout(&bench.sparta("report run").success());
    assert!(!plain.contains("chrF"), "{plain}");
    let all = stdout(&bench.sparta("report run --all-scores --csv").success());
    assert_says(&all, &["chrF2|corpus:", "multi-bleu.perl", "tok:13a"]);
    let csv = bench.read("run/REPORT.csv");
    let chrf = csv
        .lines()
        .find(|l| l.contains(",cross,") && l.contains(",80,") && l.contains(",chrf,"));
    let system: f64 = chrf.unwrap().split(',').nth(9).unwrap().parse().unwrap();
    let told = found[3]["systems"][0]["score"].as_f64().unwrap();
    assert!((system - told).abs() < 1e-5, "{system} {told}");
    // Records stay as they are, and lines that are gone are said to be.
    assert!(
        bench
            .record_names("run")
            .iter()
            .all(|name| !name.contains("chrf"))
    );
    let path = bench.path("run/seed-1/softmax/dense/test.txt");
    let lines = fs::read_to_string(&path).unwrap();
    fs::write(&path, lines.lines().skip(1).collect::<Vec<_>>().join("\n")).unwrap();
    let text = said(&bench.sparta("compare run"), 1);
    assert_says(&text, &["23 lines", "24 sentences"]);
    fs::remove_file(&path).unwrap();
    let text = said(&bench.sparta("compare run"), 1);
    assert_says(&text, &["has no test.txt", "iwslt eval"]);
}

#[test]
fn labels_are_compared_by_mcnemars_test() {
    let bench = made(GLUE, &[]);
    let found = json(&bench, "compare run");
    let [dense, row] =
        ["dense", "rows/ap-p80"].map(|name| format!("seed-1/question-sentence/{name}"));
    assert_eq!(
        words(&found),
        [["accuracy".to_owned(), "mcnemar".to_owned(), dense, row]]
    );
    assert!(found[0]["systems"][0]["discordant"].is_array());
    assert_eq!(found[0]["n_units"], 12);
    let text = said(&bench.sparta("compare run ./run"), 1);
    assert_says(&text, &["are the same run"]);
    // Rows that were made from pretrained weights have the dense model beside them, and no other.
    let dense = bench.path("run/seed-1/question-sentence/dense");
    fs::rename(dense, bench.path("away")).unwrap();
    let text = said(&bench.sparta("compare run"), 1);
    let away = "run/seed-1/question-sentence/dense is no scored model";
    assert_says(&text, &["is compared with the dense model", away]);
}

#[test]
fn answers_are_compared_question_by_question() {
    let bench = made(SQUAD, &["cost.batches=0"]);
    let found = json(&bench, "compare run");
    let tests: Vec<[&str; 2]> = found
        .iter()
        .map(|of| [&of["metric"], &of["systems"][0]["test"]].map(|word| word.as_str().unwrap()))
        .collect();
    assert_eq!(
        tests,
        [["answer-f1", "randomization"], ["exact-match", "mcnemar"]]
    );
    let questions = bench.read("run/seed-1/squad/dense/test-questions.csv");
    assert_eq!(questions.lines().count(), 9);
}

#[test]
fn masked_language_models_are_compared_window_by_window() {
    let bench = made(
        MLM,
        &[
            "prune.p=[0, 80]",
            "prune.random_masks=[0, 0]",
            "prune.block_sizes=[]",
        ],
    );
    let found = json(&bench, "compare run");
    let tests: Vec<[&str; 2]> = found
        .iter()
        .map(|of| [&of["metric"], &of["systems"][0]["test"]].map(|word| word.as_str().unwrap()))
        .collect();
    let block = "block-bootstrap";
    assert_eq!(tests, [["accuracy", block], ["pseudo-perplexity", block]]);
    assert_eq!(found[0]["n_units"], 12);
    // A run of an earlier version does not say of which text it is: `eval` adds that and leaves the records alone.
    let note = bench.path("run/data/test-text.sha256");
    let kept = fs::read_to_string(&note).unwrap();
    fs::remove_file(&note).unwrap();
    let text = said(&bench.sparta("compare run"), 1);
    let command = "mlm eval --recipe run/recipe.toml --out run --resume";
    assert_says(&text, &["run/data/test-text.sha256", command]);
    bench
        .run(&format!("{} --quiet --device flex", &command[4..]))
        .success();
    assert_eq!(fs::read_to_string(&note).unwrap(), kept);
    assert_eq!(json(&bench, "compare run"), found);
}

/// As many windows of as many word pieces, of one file that is split in two ways.
#[test]
fn masked_language_models_of_other_texts_are_not_compared() {
    const NOUNS: &str = "dog cat horse bird fish man woman boy girl child king queen teacher doctor farmer soldier singer writer driver player";
    const WORDS: &str = "old new good great small large long high low young red blue green black white cold hot dark light strong";
    let bench = Bench::of(MLM);
    let sentence = |noun| move |word| format!("the {noun} is {word} .\n");
    let nouns = NOUNS.split(' ');
    let text: String = nouns
        .flat_map(|noun| WORDS.split(' ').map(sentence(noun)))
        .collect();
    fs::write(bench.path("mine.txt"), text).unwrap();
    let sets = [
        "data.corpus=files",
        "data.files.valid_fraction=0.2",
        "data.files.test_fraction=0.4",
        "prune.p=[0, 80]",
        "prune.random_masks=[0, 0]",
        "prune.block_sizes=[]",
    ];
    for (run, more) in [
        ("run", "data.files.split_seed=1"),
        ("other", "data.files.split_seed=2"),
        ("again", "train.lr=0.001"),
    ] {
        let line = format!("--out {run} --device flex --data mine.txt");
        bench
            .tiny_with(&line, &[&sets[..], &[more]].concat())
            .success();
    }
    let text = said(&bench.sparta("compare run other"), 1);
    let different = "were scored on different test sets, although both say `accuracy|task:files-";
    assert_says(&text, &[different]);
    assert_eq!(json(&bench, "compare run again").len(), 6);
}
