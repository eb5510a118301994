//! Every record names the files that its data were read from, and a run goes on with the same ones alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sparta_datasets::source::sha256_file;

use crate::bench::{Bench, Program, assert_says, said};
use crate::glue::{GLUE, published};
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::mlm::MLM;
use crate::squad::SQUAD;

/// No masks.
const DENSE: &[&str] = &[
    "prune.p=[0]",
    "prune.random_masks=[0]",
    "prune.block_sizes=[]",
];
/// One model of translation.
const SOFTMAX: &[&str] = &[
    "model.normalizers=[\"softmax\"]",
    "prune.softmax=[\"cross\"]",
    "prune.entmax15=[]",
];

/// What a record's data have the hash of pretrained weights under.
const WEIGHTS: &str = "pretrained weights";

/// The data of a record of a run, without its pretrained weights.
fn data(record: &str) -> BTreeMap<String, String> {
    let mut all = made_of(record);
    all.remove(WEIGHTS);
    all
}

/// All that a record names the hashes of.
fn made_of(record: &str) -> BTreeMap<String, String> {
    let record: Value = serde_json::from_str(record).expect("JSON");
    let data = record["data"].as_object().expect("data");
    let hash = |hash: &Value| hash.as_str().expect("a hash").to_owned();
    data.iter()
        .map(|(name, of)| (name.clone(), hash(of)))
        .collect()
}

/// The hashes of files in a folder, by their names there.
fn hashes(folder: &Path, names: &[&str]) -> BTreeMap<String, String> {
    let hash = |name: &&str| {
        (
            (*name).to_owned(),
            sha256_file(&folder.join(name)).expect("a file"),
        )
    };
    names.iter().map(hash).collect()
}

/// The recipe and all records of a run but one, in a folder of their own.
fn copy_records(bench: &Bench, run: &str, to: &str, without: &str) {
    let records = bench.path(format!("{to}/records"));
    fs::create_dir_all(&records).unwrap();
    let [of, copy] = [run, to].map(|run| bench.path(format!("{run}/recipe.toml")));
    fs::copy(of, copy).unwrap();
    for name in bench.record_names(run) {
        if !name.contains(without) {
            fs::copy(
                bench.path(format!("{run}/records/{name}")),
                records.join(name),
            )
            .unwrap();
        }
    }
}

/// The same recipe, data and build: only the weights say that these are not seeds of one row.
#[test]
fn models_of_other_weights_stand_apart() {
    let bench = Bench::of(GLUE);
    bench.tiny("--out run --device flex").success();
    let model = "run/seed-1/question-sentence/dense";
    let export = [
        "export", model, "--format", "hf", "--out", "other", "--device", "flex",
    ];
    bench.sparta_of(&export).success();
    let again = "--out again --device flex --weights other --seeds 2";
    bench.tiny(again).success();
    let of = |run: &str| -> String {
        let all = bench.records(run).into_iter();
        let dense = all
            .map(|record| made_of(&record))
            .find_map(|mut of| of.remove(WEIGHTS));
        dense.expect("the weights")
    };
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/minilm-l3/model.safetensors");
    assert_eq!(of("run"), sha256_file(&shipped).unwrap());
    assert_eq!(
        of("again"),
        sha256_file(&bench.path("other/model.safetensors")).unwrap()
    );
    bench
        .sparta("report run again --out page --markdown")
        .success();
    let table = bench.read("page/REPORT.md");
    let of_networks = |line: &&str| line.starts_with("|   0 |") || line.starts_with("|  80 |");
    let lines: Vec<&str> = table.lines().filter(of_networks).collect();
    assert!(
        lines.len() == 2 && !lines.concat().contains("(2)"),
        "{table}"
    );
    assert!(table.contains("@pretrained weights"), "{table}");

    // Side by side they are what is compared.
    let compared = format!("compare {model} again/seed-2/question-sentence/dense");
    bench.sparta(&compared).success();

    copy_records(&bench, "run", "alone", "ap-p80");
    let refused = said(
        &bench.tiny("--out alone --resume --device flex --weights other"),
        1,
    );
    assert_says(&refused, &["of other data: pretrained weights of sha256 "]);
}

/// Without `data/` the records say what a table was made of, whatever the user's files are called.
#[test]
fn records_alone_refuse_other_files() {
    let bench = Bench::of(LM);
    let text = |word: &str| -> String {
        let line = |i: usize| format!("the {word} of the world {i} is here .\n");
        (0..600).map(line).collect()
    };
    fs::write(bench.path("mine.txt"), text("end")).unwrap();
    fs::write(bench.path("moved.txt"), text("end")).unwrap();
    fs::write(bench.path("other.txt"), text("start")).unwrap();
    let sets = [
        "data.corpus=files",
        "data.files.valid_fraction=0.1",
        "data.files.test_fraction=0.1",
        "prune.p=[0]",
        "prune.random_masks=[0]",
    ];
    let run = |out: &str, data: &str| {
        let line = format!("--out {out} --resume --recipe small/lm --device flex --data {data}");
        bench.tiny_with(&line, &sets)
    };
    run("run", "mine.txt").success();
    copy_records(&bench, "run", "alone", "-p0");
    let refused = said(&run("alone", "other.txt"), 1);
    assert_says(
        &refused,
        &["of other files (mine.txt then)", "--data PATH", "--out DIR"],
    );
    run("alone", "moved.txt").success();
}

#[test]
fn records_name_the_shipped_corpora() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/data");
    let questions: &[&str] = &["squaddev_v1.1.json.xz", "new_wiki_v1.0.json.xz"];
    let cases: [(Program, &[&str], &[&str]); 5] = [
        (LM, &[], &["state_of_the_union.txt.xz"]),
        (MLM, &[], &["state_of_the_union.txt.xz"]),
        (IWSLT, SOFTMAX, &["libreoffice_help.de-en.tsv.xz"]),
        (GLUE, &[], questions),
        (SQUAD, &["cost.batches=0"], questions),
    ];
    for (program, sets, files) in cases {
        let bench = Bench::of(program);
        let sets = [sets, DENSE].concat();
        bench.tiny_with("--out run --device flex", &sets).success();
        let records = bench.records("run");
        assert!(!records.is_empty());
        for record in records {
            assert_eq!(data(&record), hashes(&shipped, files), "{record}");
        }
    }
}

#[test]
fn published_tables_are_the_same_ones_as_long_as_a_run_goes_on() {
    let bench = Bench::of(GLUE);
    published(&bench);
    let line = "--recipe small/glue --out run --device flex --data GLUE --resume";
    let run = |tasks: &str| bench.tiny_with(&format!("{line} --tasks {tasks}"), &[]);
    let record = |task: &str| {
        let all = bench.records("run").into_iter();
        let mut of = all.filter(|record| record.contains(&format!("task:{task}|")));
        of.next().expect("a record")
    };
    run("rte").success();
    let glue = bench.path("GLUE");
    let rte = ["RTE/train.tsv", "RTE/dev.tsv"];
    assert_eq!(data(&record("rte")), hashes(&glue, &rte));
    // Of a further task its own, and records that are there stay as they are.
    run("rte,stsb").success();
    assert_eq!(data(&record("rte")), hashes(&glue, &rte));
    let stsb = ["STS-B/train.tsv", "STS-B/dev.tsv"];
    assert_eq!(data(&record("stsb")), hashes(&glue, &stsb));
    // Another place is the same files.
    fs::rename(&glue, bench.path("moved")).unwrap();
    let moved = format!("{} --tasks rte", line.replace("GLUE", "moved"));
    bench.tiny_with(&moved, &[]).success();
    fs::rename(bench.path("moved"), &glue).unwrap();

    let dev = glue.join("RTE/dev.tsv");
    let text = fs::read_to_string(&dev).unwrap();
    fs::write(&dev, text.replace("dogs", "cats")).unwrap();
    let refused = said(&run("rte"), 1);
    assert_says(
        &refused,
        &[
            "RTE/dev.tsv has other text than the run in",
            "(sha256 ",
            "--out DIR",
        ],
    );
    // Who only looks is told the same.
    let analyzed = bench.sparta("analyze run --device flex --quiet").success();
    let told = String::from_utf8_lossy(&analyzed.get_output().stderr).into_owned();
    assert_says(
        &told,
        &["no density", "RTE/dev.tsv has other text than the run in"],
    );
    run("stsb").success();
    // The records alone, without the data that they were made of.
    let records = bench.path("run/records");
    fs::create_dir(bench.path("copy")).unwrap();
    fs::rename(records, bench.path("copy/records")).unwrap();
    fs::rename(
        bench.path("run/recipe.toml"),
        bench.path("copy/recipe.toml"),
    )
    .unwrap();
    let copied = format!("{} --tasks rte", line.replace("run", "copy"));
    let refused = said(&bench.tiny_with(&copied, &[]), 1);
    assert_says(
        &refused,
        &["of other data: RTE/dev.tsv of sha256", "--out DIR"],
    );
    fs::write(&dev, text).unwrap();
    bench.tiny_with(&copied, &[]).success();
}

/// The prepared texts of a cache, of which the run folder keeps what it needs.
#[test]
fn prepared_translations_are_named() {
    let bench = Bench::of(IWSLT);
    let folder = bench.path("cache/translation/multi30k-de-en-v1");
    fs::create_dir_all(&folder).unwrap();
    let names = [
        "train.de", "train.en", "valid.de", "valid.en", "test.de", "test.en",
    ];
    let words = [
        ["hund", "katze", "mann", "frau"],
        ["dog", "cat", "man", "woman"],
    ];
    for (split, n) in [("train", 64), ("valid", 16), ("test", 16)] {
        for (words, language) in words.iter().zip(["de", "en"]) {
            let line = |i: usize| {
                format!(
                    "{} {} {} .\n",
                    words[i % 4],
                    words[i / 4 % 4],
                    words[i / 16 % 4]
                )
            };
            let text: String = (0..n).map(line).collect();
            fs::write(folder.join(format!("{split}.{language}")), text).unwrap();
        }
    }
    let sets = ["data.corpus=multi30k_de_en", "data.bpe_merges=20"];
    let sets = [&sets, SOFTMAX, DENSE].concat();
    let line = "--out run --device flex";
    bench.tiny_with(line, &sets).success();
    let expected: BTreeMap<String, String> = hashes(&folder, &names)
        .into_iter()
        .map(|(name, hash)| (format!("multi30k-de-en-v1/{name}"), hash))
        .collect();
    for record in bench.records("run") {
        assert_eq!(data(&record), expected);
    }
    // It goes on with what it has, with the same again, and not with others.
    let resumed = format!("{line} --resume");
    let given = format!("{resumed} --data cache");
    bench.tiny_with(&given, &sets).success();
    fs::write(folder.join("valid.en"), "a dog .\n").unwrap();
    bench.tiny_with(&resumed, &sets).success();
    let refused = said(&bench.tiny_with(&given, &sets), 1);
    assert_says(&refused, &["valid.en has other text than the run in"]);
    // Gone, they are not needed; what is named has to be there.
    fs::remove_dir_all(&folder).unwrap();
    let refused = said(&bench.tiny_with(&given, &sets), 1);
    assert_says(
        &refused,
        &[
            "`--data cache`: Multi30k task 1 not found in cache",
            "train.de.gz",
            "raw/train.de",
        ],
    );
    bench.tiny_with(&resumed, &sets).success();
}

/// A folder that is named is not passed over for what the cache has.
#[test]
fn a_folder_without_the_published_files_is_not_replaced_by_the_cache() {
    let cases: [(Program, &str, &[&str], &[&str]); 4] = [
        (
            LM,
            "--set data.corpus=wikitext2",
            &[
                "wikitext-2/wiki.train.tokens",
                "wikitext-2/wiki.valid.tokens",
                "wikitext-2/wiki.test.tokens",
            ],
            &["WikiText-2", "wiki.train.tokens", "wikitext-2-v1.zip"],
        ),
        (
            SQUAD,
            "--set data.corpus=squad-v1.1",
            &["squad/train-v1.1.json", "squad/dev-v1.1.json"],
            &["SQuAD v1.1", "train-v1.1.json", "dev-v1.1.json"],
        ),
        (
            GLUE,
            "--tasks rte",
            &["glue/RTE/train.tsv", "glue/RTE/dev.tsv"],
            &["GLUE RTE", "train.tsv", "RTE.zip"],
        ),
        (
            IWSLT,
            "--set data.corpus=multi30k_de_en",
            &[
                "translation/multi30k-de-en-v1/train.de",
                "translation/multi30k-de-en-v1/train.en",
                "translation/multi30k-de-en-v1/valid.de",
                "translation/multi30k-de-en-v1/valid.en",
                "translation/multi30k-de-en-v1/test.de",
                "translation/multi30k-de-en-v1/test.en",
            ],
            &["Multi30k", "train.de.gz", "raw/train.de"],
        ),
    ];
    for (program, corpus, files, looked_for) in cases {
        let bench = Bench::of(program);
        for file in files {
            let path = bench.path("cache").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a\n").unwrap();
        }
        fs::create_dir(bench.path("empty")).unwrap();
        for how in ["--device flex", "--dry-run --device flex", "prepare"] {
            for folder in ["empty", "nowhere"] {
                let line = format!("{how} --out run --data {folder} {corpus}");
                let text = said(&bench.tiny(&line), 1);
                assert_says(&text, &[&format!("not found in {folder}")]);
                assert_says(&text, looked_for);
                assert!(!bench.path("run").exists(), "{line}");
            }
        }
    }
}
