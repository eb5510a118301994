//! `sparta analyze` on a toy run of every program.

use std::fs;
use std::path::Path;

use assert_cmd::assert::Assert;
use serde_json::Value;

use crate::bench::{Bench, Program, assert_says, refused, said, stdout};
use crate::glue::{GLUE, published};
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::mlm::MLM;
use crate::squad::SQUAD;

/// `sparta` in the folder of a bench.
fn sparta(bench: &Bench, line: &str) -> Assert {
    bench.sparta(line)
}

/// A toy run in `run`.
fn made(program: Program, sets: &[&str]) -> Bench {
    let bench = Bench::of(program);
    bench.tiny_with("--out run --device flex", sets).success();
    bench
}

/// What `sparta analyze` said on standard error when it succeeded.
fn told(assert: Assert) -> String {
    let assert = assert.success();
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

/// Names of the pictures in a folder; each has its numbers beside it, and nothing else is there but the claims.
fn pictures(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).expect("figures") {
        let path = entry.expect("a file").path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        match path.extension().unwrap().to_str() {
            Some("svg") => {
                let svg = fs::read_to_string(&path).unwrap();
                assert!(svg.starts_with("<svg") && svg.contains("</svg>"), "{name}");
                for ending in ["json", "csv"] {
                    assert!(path.with_extension(ending).is_file(), "{name}.{ending}");
                }
                names.push(name);
            }
            Some("json" | "csv" | "md") => {}
            other => panic!("{other:?}"),
        }
    }
    names.sort();
    names
}

fn json(bench: &Bench, path: &str) -> Value {
    serde_json::from_str(&bench.read(path)).expect("JSON")
}

/// Every number of a list of lists.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::Number(number) => number.as_f64().into_iter().collect(),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Object(_) => Vec::new(),
    }
}

/// Ours among the entries of a figure, by attention type and variant.
fn entry<'a>(figure: &'a Value, list: &str, attention: &str, variant: &str) -> &'a Value {
    let entries = figure["data"][list].as_array();
    let entries = entries.or_else(|| figure[list].as_array()).expect(list);
    let is_it = |of: &&Value| of["attention"] == attention && of["variant"] == variant;
    entries
        .iter()
        .find(is_it)
        .unwrap_or_else(|| panic!("{attention} {variant}: {figure}"))
}

/// A list of a figure.
fn list<'a>(figure: &'a Value, name: &str) -> &'a Vec<Value> {
    let list = figure["data"][name].as_array();
    list.or_else(|| figure[name].as_array()).expect(name)
}

#[test]
fn translation_gives_every_figure() {
    let bench = made(IWSLT, &["prune.p=[0, 80]", "prune.random_masks=[0, 1]"]);
    let before = tree(&bench.path("run"));
    let text = told(sparta(&bench, "analyze run --device flex"));
    assert_says(&text, &["published claims:"]);
    let figures = bench.path("run/figures");
    let expected = [
        "alpha",
        "curves",
        "density",
        "density-histogram",
        "diversity",
        "interrogation",
        "merging",
        "pattern-cross-1.5-entmax",
        "pattern-cross-softmax",
        "pattern-decoder-self-1.5-entmax",
        "pattern-decoder-self-softmax",
        "pattern-encoder-self-1.5-entmax",
        "pattern-encoder-self-softmax",
        "pattern-overlap",
        "pattern-sparsity",
        "positional",
        "trajectory",
    ];
    assert_eq!(pictures(&figures), expected);
    // Softmax hides nothing; 1.5-entmax does.
    let density = json(&bench, "run/figures/density.json");
    for attention in ["encoder-self", "decoder-self", "cross"] {
        let of = |variant| {
            let entry = entry(&density, "panels", attention, variant);
            let values = numbers(&entry["density"]);
            assert_eq!(values.len(), 2);
            values.iter().sum::<f64>() / values.len() as f64
        };
        assert!(of("softmax") > 0.999, "{attention}: {}", of("softmax"));
        assert!(of("1.5-entmax") < of("softmax"), "{attention}");
    }
    // Every validation pair was read.
    let source = density["data"]["source"]
        .as_object()
        .or(density["source"].as_object());
    assert_eq!(source.unwrap()["n_sequences"], 20);
    // α is that of the network: at the last step the log and the parameters agree.
    let alpha = json(&bench, "run/figures/alpha.json");
    let trajectory = json(&bench, "run/figures/trajectory.json");
    let types = list(&alpha, "types");
    let cross = types.iter().find(|of| of["attention"] == "cross").unwrap();
    let first = &list(&trajectory, "heads")
        .iter()
        .find(|of| of["attention"] == "cross")
        .unwrap();
    let end = *numbers(&first["alphas"]).last().unwrap();
    assert!((numbers(&cross["alphas"])[0] - end).abs() < 1e-4, "{end}");
    let steps = numbers(&Value::Array(list(&trajectory, "steps").clone()));
    assert_eq!(steps, [0.0, 5.0, 10.0, 15.0, 20.0]);
    // Weights of an example are those of sentences: rows sum to 1.
    let positional = json(&bench, "run/figures/positional.json");
    let example = list(&positional, "examples")
        .iter()
        .find(|of| of["attention"] == "encoder-self")
        .unwrap();
    let pieces = example["queries"].as_array().unwrap();
    assert_eq!(pieces.last().unwrap(), "</s>");
    for row in example["weights"].as_array().unwrap() {
        let sum: f64 = numbers(row).iter().sum();
        assert!((sum - 1.0).abs() < 0.02, "{row}");
    }
    let claims = json(&bench, "run/figures/claims.json");
    assert_eq!(claims["seed"], 1);
    assert!(claims["claims"].as_array().unwrap().len() > 20);
    // One figure alone does not replace what all of them have told.
    told(sparta(&bench, "analyze run --device flex --figure density"));
    assert_eq!(json(&bench, "run/figures/claims.json"), claims);
    // A line that lacks a head is no reason to take another's α for it.
    let log = "run/seed-1/alpha_entmax/dense/metrics.jsonl";
    let whole = bench.read(log);
    let line = whole
        .lines()
        .find(|line| line.contains("alpha/cross/0"))
        .unwrap();
    let mut torn: Value = serde_json::from_str(line).unwrap();
    torn["alpha/cross/0"].as_array_mut().unwrap().remove(0);
    fs::write(bench.path(log), whole.replacen(line, &torn.to_string(), 1)).unwrap();
    let refused = sparta(&bench, "analyze run --figure trajectory").code(1);
    let text = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert_says(&text, &["no trajectory", "lacks α of cross layer 0"]);
    fs::write(bench.path(log), &whole).unwrap();
    // Nothing else of the run has changed.
    fs::remove_dir_all(&figures).unwrap();
    assert_eq!(tree(&bench.path("run")), before);
}

/// Every file of a folder with its bytes.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        match path.is_dir() {
            true => files.extend(tree(&path)),
            false => files.push((path.display().to_string(), fs::read(&path).unwrap())),
        }
    }
    files.sort();
    files
}

#[test]
fn the_same_run_gives_the_same_bytes_and_one_model_its_own_figures() {
    let sets = ["prune.p=[0, 80]", "prune.random_masks=[0, 0]"];
    let bench = made(IWSLT, &sets);
    let line = "analyze run --device flex --quiet --figure density,merging";
    told(sparta(&bench, line));
    let first = tree(&bench.path("run/figures"));
    told(sparta(&bench, line));
    assert_eq!(first, tree(&bench.path("run/figures")));
    // A model under a mask attends to fewer keys, and its figures stand in its own folder.
    let row = "run/seed-1/softmax/rows/encoder-self-decoder-self-ap-p80";
    let row = match bench.path(row).is_dir() {
        true => row.to_owned(),
        false => {
            let rows = fs::read_dir(bench.path("run/seed-1/softmax/rows")).unwrap();
            let names = rows.map(|e| e.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.filter(|of| of.contains("encoder-self")).collect();
            names.sort();
            format!("run/seed-1/softmax/rows/{}", names[0])
        }
    };
    let line = format!("analyze {row} --device flex --quiet --figure density");
    told(sparta(&bench, &line));
    let density = json(&bench, &format!("{row}/figures/density.json"));
    let entry = entry(&density, "panels", "encoder-self", "softmax");
    let values = numbers(&entry["density"]);
    assert!(
        values.iter().sum::<f64>() / (values.len() as f64) < 0.9,
        "{values:?}"
    );
    assert_eq!(first, tree(&bench.path("run/figures")));
}

#[test]
fn a_language_model_gives_what_a_decoder_has() {
    let sets = [
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
        "prune.block_sizes=[16]",
    ];
    let bench = made(LM, &sets);
    let text = told(sparta(&bench, "analyze run --device flex --quiet"));
    assert_says(
        &text,
        &[
            "no alpha: no network of this run learns α",
            "no trajectory",
            "no merging",
            "no interrogation",
        ],
    );
    let expected = [
        "curves",
        "density",
        "density-histogram",
        "diversity",
        "pattern-decoder-self",
        "pattern-sparsity",
        "positional",
    ];
    assert_eq!(pictures(&bench.path("run/figures")), expected);
    let positional = json(&bench, "run/figures/positional.json");
    let scores = list(&positional, "scores");
    // No word sees the one after it.
    assert_eq!(scores.len(), 1);
    assert_eq!(scores[0]["attention"], "decoder-self");
    // All 1500 words but the last are read, in four columns.
    let positional = sparta(
        &bench,
        "analyze run --device flex --figure positional --offset -1,-2,0 --examples 4",
    );
    told(positional);
    let positional = json(&bench, "run/figures/positional.json");
    assert_eq!(list(&positional, "scores").len(), 3);
}

#[test]
fn encoders_give_what_an_encoder_has() {
    for (program, part) in [(GLUE, "valid"), (SQUAD, "dev"), (MLM, "valid")] {
        let bench = made(program, &[]);
        let text = told(sparta(&bench, "analyze run --device flex --quiet"));
        assert_says(&text, &["no alpha: no network of this run learns α"]);
        let found = pictures(&bench.path("run/figures"));
        for name in [
            "curves",
            "density",
            "diversity",
            "interrogation",
            "merging",
            "pattern-encoder-self",
            "pattern-sparsity",
            "positional",
        ] {
            assert!(found.iter().any(|of| of == name), "{name}: {found:?}");
        }
        let density = json(&bench, "run/figures/density.json");
        let source = density["data"]["source"]
            .as_object()
            .or(density["source"].as_object());
        let corpus = source.unwrap()["corpus"].as_str().unwrap();
        assert!(corpus.ends_with(part), "{corpus}");
    }
}

#[test]
fn tasks_of_one_run_stand_beside_each_other_also_those_that_joined_it() {
    let bench = Bench::of(GLUE);
    published(&bench);
    let sets = ["prune.p=[0, 80]", "prune.random_masks=[0, 0]"];
    let line = "--out run --device flex --data GLUE";
    bench
        .tiny_with(&format!("{line} --tasks rte"), &sets)
        .success();
    let joined = format!("{line} --tasks stsb --resume");
    bench.tiny_with(&joined, &sets).success();
    told(sparta(&bench, "analyze run --device flex --quiet"));
    let diversity = json(&bench, "run/figures/diversity.json");
    for variant in ["rte, softmax", "stsb, softmax"] {
        entry(&diversity, "series", "encoder-self", variant);
    }
    let overlap = json(&bench, "run/figures/pattern-overlap.json");
    let matrices = list(&overlap, "matrices");
    let of_tasks = matrices
        .iter()
        .find(|of| of["title"].as_str().unwrap().contains("between tasks"));
    let of_tasks = of_tasks.expect("a matrix between tasks");
    // In the order of the table.
    assert_eq!(of_tasks["labels"], serde_json::json!(["stsb", "rte"]));
    let values = numbers(&of_tasks["overlap"]);
    assert_eq!(values.len(), 4);
    assert_eq!((values[0], values[3]), (1.0, 1.0));
    assert!(
        values[1] > 0.0 && values[1] < 1.0 && values[1] == values[2],
        "{values:?}"
    );
}

#[test]
fn omega_needs_no_run() {
    let bench = Bench::of(LM);
    let printed = stdout(&sparta(&bench, "analyze omega --device flex").success());
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        [
            "figures/omega.json",
            "figures/omega.csv",
            "figures/omega.svg"
        ]
    );
    let other =
        stdout(&sparta(&bench, "analyze --figure omega --out other --device flex").success());
    assert!(other.contains("other/omega.svg"), "{other}");
    let bytes = |path| fs::read(bench.path(path)).unwrap();
    assert_eq!(bytes("figures/omega.svg"), bytes("other/omega.svg"));
}

#[test]
fn curves_of_several_runs_stand_in_one_figure() {
    let bench = Bench::of(LM);
    for run in ["one", "two"] {
        let line = format!("train --out {run} --device flex");
        bench.tiny(&line).success();
    }
    told(sparta(&bench, "analyze one two --figure curves --quiet"));
    let text = bench.read("figures/curves.csv");
    assert_says(
        &text,
        &["one: softmax", "two: softmax", "perplexity", "tokens/s"],
    );
    let text = said(&sparta(&bench, "analyze one two --figure density"), 1);
    assert_says(&text, &["--figure curves"]);
}

#[test]
fn bad_input_is_told_what_to_type() {
    let bench = Bench::of(IWSLT);
    let text = said(&sparta(&bench, "analyze nowhere"), 1);
    assert_says(&text, &["no folder nowhere", "RUN/seed-1/NAME/dense"]);
    let text = said(&sparta(&bench, "analyze ."), 1);
    assert_says(&text, &["no run folder", "recipe.toml", "iwslt"]);
    let text = said(&sparta(&bench, "analyze"), 1);
    assert_says(&text, &["give a run folder", "sparta analyze omega"]);
    let text = said(&sparta(&bench, "analyze density"), 1);
    assert_says(&text, &["`density` is a figure", "--figure density"]);
    let text = refused(&sparta(&bench, "analyze run --figure densty"));
    assert_says(&text, &["densty", "density"]);

    let one = ["model.normalizers=[\"softmax\"]", "prune.entmax15=[]"];
    bench.tiny_with("prepare --out run", &one).success();
    let text = said(&sparta(&bench, "analyze run"), 1);
    assert_says(&text, &["no model yet", "iwslt train"]);
    bench
        .tiny_with("train --out run --device flex", &one)
        .success();
    let text = said(&sparta(&bench, "analyze run --seed 7 --device flex"), 1);
    assert_says(&text, &["seed 7", "it has the seeds 1"]);
    let text = said(&sparta(&bench, "analyze run/data --device flex"), 1);
    assert_says(&text, &["run/data", "is no model"]);

    // Nothing was pruned: no pattern. The others come.
    let text = told(sparta(&bench, "analyze run --device flex --quiet"));
    assert_says(&text, &["no pattern", "observe"]);
    // A figure alone that cannot be is an error.
    let text = sparta(&bench, "analyze run --device flex --quiet --figure alpha");
    assert_eq!(text.get_output().status.code(), Some(1));
    let text = String::from_utf8_lossy(&text.get_output().stderr).into_owned();
    assert_says(
        &text,
        &[
            "no alpha: no network of this run learns α",
            "no figure was made",
        ],
    );
}

#[test]
fn a_run_whose_data_are_gone_gives_what_its_files_hold() {
    let sets = ["prune.p=[0, 80]", "prune.random_masks=[0, 0]"];
    let bench = made(IWSLT, &sets);
    fs::remove_dir_all(bench.path("run/data")).unwrap();
    let text = told(sparta(&bench, "analyze run --device flex --quiet"));
    assert_says(
        &text,
        &[
            "no alpha: the data of the run cannot be read",
            "no density: for the same reason",
            "iwslt prepare",
        ],
    );
    let found = pictures(&bench.path("run/figures"));
    for name in [
        "curves",
        "pattern-cross-softmax",
        "pattern-sparsity",
        "trajectory",
    ] {
        assert!(found.iter().any(|of| of == name), "{name}: {found:?}");
    }
    assert!(!found.iter().any(|of| of == "density"), "{found:?}");
    assert!(!bench.path("run/data").exists());
}

#[test]
fn a_list_of_interrogative_words_can_be_given_and_changes_no_hash() {
    let one = [
        "model.normalizers=[\"softmax\"]",
        "prune.entmax15=[]",
        "prune.p=[0]",
        "prune.random_masks=[0]",
    ];
    let bench = made(IWSLT, &one);
    let hash = |run: &str| {
        let mut records = bench.records(run);
        let record: Value = serde_json::from_str(&records.remove(0)).unwrap();
        record["recipe_hash"].clone()
    };
    let listed = [&one[..], &["interrogatives=[\"die\", \"das\"]"]].concat();
    bench
        .tiny_with("--out listed --device flex", &listed)
        .success();
    assert_eq!(hash("run"), hash("listed"));
    let n = |run: &str, options: &str| {
        let line = format!("analyze {run} --device flex --quiet --figure interrogation {options}");
        told(sparta(&bench, &line));
        let figure = json(&bench, &format!("{run}/figures/interrogation.json"));
        list(&figure, "scores")[0]["n"].as_u64().unwrap()
    };
    // Few questions are asked of a help text, if any: both say as much as the list allows.
    assert_eq!(n("run", "--interrogatives die,das"), n("listed", ""));
    let line = "analyze run --interrogatives --quiet";
    assert_eq!(sparta(&bench, line).get_output().status.code(), Some(2));
}
