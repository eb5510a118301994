//! A table goes on from committed records alone: without the models, by the same recipe and build.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{bench, value};
use crate::bench::{Bench, assert_says, said, stdout};

const MASKS: &[&str] = &["prune.p=[0, 60]", "prune.random_masks=[0, 1]"];

/// A run folder that has what is committed of another: its recipe and its records.
fn committed(bench: &Bench, from: &str, to: &str) {
    fs::create_dir_all(bench.path(to).join("records")).unwrap();
    for name in bench.record_names(from) {
        let inner = Path::new("records").join(name);
        fs::copy(bench.path(from).join(&inner), bench.path(to).join(&inner)).unwrap();
    }
    fs::copy(
        bench.path(from).join("recipe.toml"),
        bench.path(to).join("recipe.toml"),
    )
    .unwrap();
}

/// Deletes the record of a model, which has the end of its name.
fn forget(bench: &Bench, run: &str, model: &str) {
    let name = (bench.record_names(run).into_iter())
        .find(|name| name.ends_with(&format!("-{model}.run.json")));
    fs::remove_file(bench.path(run).join("records").join(name.unwrap())).unwrap();
}

/// Changes every record of a run.
fn change(bench: &Bench, run: &str, change: impl Fn(&mut Value)) {
    for name in bench.record_names(run) {
        let path = bench.path(run).join("records").join(name);
        let mut record: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        change(&mut record);
        fs::write(&path, record.to_string()).unwrap();
    }
}

#[test]
fn a_row_that_has_its_record_is_not_trained_again() {
    let bench = bench();
    bench.tiny_with("--out run --device flex", MASKS).success();
    committed(&bench, "run", "copy");
    let line = "--out copy --device flex --resume";
    let told = bench.told(line, MASKS);
    assert_says(
        &told,
        &["not trained again", "dense, p0, ap-p60, random-p60-m1"],
    );
    assert!(!bench.path("copy/seed-1").exists());
    assert_eq!(bench.csv("copy"), bench.csv("run"));
    // It is complete, and a seed that is added counts.
    let state = |run: &str| stdout(&bench.sparta(&format!("runs {run}")).success());
    assert_says(&state("copy"), &["4/4", "complete"]);
    let wrong = said(
        &bench.run("--out copy --resume --set prune.block_sizes=[8]"),
        1,
    );
    assert_says(
        &wrong,
        &["copy/recipe.toml with `--set prune.block_sizes=[8]`"],
    );

    // A row without its record is made from the dense model, which is trained again; the others are not, and no record changes.
    forget(&bench, "copy", "ap-p60");
    assert_says(&state("copy"), &["3/4", "stopped"]);
    let records = |run: &str| -> Vec<(String, String)> {
        let read = |name: String| {
            let text = bench.read(Path::new(run).join("records").join(&name));
            (name, text)
        };
        bench.record_names(run).into_iter().map(read).collect()
    };
    let before = records("copy");
    let told = bench.told(line, MASKS);
    assert_says(
        &told,
        &[
            "dense of seed 1 has its record and no parameters, and ap-p60 is made from it: it is trained again",
            "not trained again, for the records are there: p0, random-p60-m1",
        ],
    );
    let model = |row: &str| bench.path(format!("copy/seed-1/{row}/model.safetensors"));
    assert!(model("dense").exists() && model("rows/ap-p60").exists());
    assert!(!model("rows/p0").exists() && !model("rows/random-p60-m1").exists());
    assert_eq!(bench.csv("copy"), bench.csv("run"));
    let after = records("copy");
    assert_eq!(after.len(), before.len() + 1);
    assert!(before.iter().all(|record| after.contains(record)));

    // Deleted weights come back where a row that is added later is made from them, and not else.
    fs::remove_file(model("dense")).unwrap();
    bench.tiny_with(line, MASKS).success();
    assert!(!model("dense").exists());
    let more = [MASKS, &["prune.block_sizes=[16]"]].concat();
    bench.tiny_with(line, &more).success();
    assert!(model("dense").exists() && model("rows/blocks16-p60").exists());
    assert!(!model("rows/p0").exists());
    // A stage that is asked for by itself makes what it makes.
    fs::remove_file(model("dense")).unwrap();
    bench
        .tiny_with("train --out copy --device flex --resume", MASKS)
        .success();
    assert!(model("dense").exists());
}

#[test]
fn rows_from_scratch_need_no_dense_model() {
    let bench = bench();
    let scratch = [MASKS, &["retrain.start=scratch"]].concat();
    let line = "--out run --device flex";
    bench.tiny_with(line, &scratch).success();
    let model = bench.path("run/seed-1/dense/model.safetensors");
    fs::remove_file(&model).unwrap();
    let more = [&scratch[..], &["prune.block_sizes=[16]"]].concat();
    bench
        .tiny_with(&format!("{line} --resume"), &more)
        .success();
    // The pattern that its mask is made from is there.
    assert!(!model.exists());
    let ppl: f64 = value(&bench.csv("run"), "ap-blocks-16", "60")
        .parse()
        .unwrap();
    assert!(ppl.is_finite());
}

#[test]
fn records_of_another_build_or_recipe_are_not_gone_on_with_unasked() {
    let bench = bench();
    bench.tiny_with("--out run --device flex", MASKS).success();
    committed(&bench, "run", "other");
    change(&bench, "other", |record| {
        record["versions"]["commit"] = json!("0123456789ab");
    });
    // A table that is whole is of one build.
    let line = "--out other --device flex --resume";
    bench.tiny_with(line, MASKS).success();
    assert_says(
        &bench.read("other/TABLE.md"),
        &["Made by sparta", "0123456789ab"],
    );
    forget(&bench, "other", "p0");
    let text = said(&bench.tiny_with(line, MASKS), 1);
    assert_says(
        &text,
        &[
            "of another build",
            "commit 0123456789ab",
            "--mixed",
            "--out",
        ],
    );
    assert!(!bench.path("other/seed-1").exists());
    bench.tiny_with(&format!("{line} --mixed"), MASKS).success();
    assert_says(&bench.read("other/TABLE.md"), &["Made by several builds"]);

    // Two seeds of two builds: their mean is made if it is asked for.
    bench
        .tiny_with("--out seeds --device flex --seeds 2", MASKS)
        .success();
    committed(&bench, "run", "both");
    change(&bench, "both", |record| {
        record["versions"]["commit"] = json!("0123456789ab");
    });
    for name in bench.record_names("seeds") {
        let from = bench.path("seeds/records").join(&name);
        fs::copy(from, bench.path("both/records").join(&name)).unwrap();
    }
    let apart = stdout(&bench.run("report --out both --seeds 1,2").success());
    assert_says(&apart, &["@commit 0123456789ab", "not averaged", "--mixed"]);
    assert!(!apart.contains("(2)"), "{apart}");
    let mixed = stdout(&bench.run("report --out both --seeds 1,2 --mixed").success());
    assert!(
        mixed.contains("(2)") && !mixed.contains("@commit"),
        "{mixed}"
    );
    // Of one seed alone, if it is asked; a seed that was added to a run is one of its seeds.
    bench.run("report --out both --seeds 2").success();
    assert_eq!(bench.csv("both"), bench.csv("seeds"));
    let text = said(&bench.run("report --out both --seeds 9"), 1);
    assert_says(&text, &["no record of seed 9", "those of 1,2"]);
    let runs = stdout(&bench.sparta("runs both").success());
    assert_says(&runs, &["1,2", "8/8", "complete"]);
    let apart = stdout(&bench.sparta("report both").success());
    assert!(
        apart.contains("@commit 0123456789ab") && !apart.contains("(2)"),
        "{apart}"
    );
    let mixed = stdout(&bench.sparta("report both --mixed").success());
    assert!(
        mixed.contains("(2)") && !mixed.contains("@commit"),
        "{mixed}"
    );

    // Models of another build without records are no other thing.
    fs::remove_dir_all(bench.path("seeds/records")).unwrap();
    for row in ["dense", "rows/ap-p60"] {
        let path = bench.path("seeds/seed-2").join(row).join("trained.json");
        let mut trained: Value = serde_json::from_str(&bench.read(&path)).unwrap();
        trained["by"][0]["commit"] = json!("0123456789ab");
        fs::write(&path, trained.to_string()).unwrap();
    }
    let line = "--out seeds --device flex --seeds 2 --resume";
    let text = said(&bench.tiny_with(line, MASKS), 1);
    assert_says(
        &text,
        &["models by commit 0123456789ab", "--mixed", "--out"],
    );
    assert!(!bench.path("seeds/records").exists());
    bench.tiny_with(&format!("{line} --mixed"), MASKS).success();
    // The rows went on from the dense model: all of them are of both builds.
    let table = bench.read("seeds/TABLE.md");
    assert_says(&table, &["commit 0123456789ab then "]);
    assert!(!table.contains("@commit"), "{table}");

    // A record of another recipe has no place here.
    change(&bench, "both", |record| {
        record["recipe_hash"] = json!("0".repeat(64));
    });
    let text = said(
        &bench.tiny_with("--out both --device flex --resume", MASKS),
        1,
    );
    assert_says(&text, &["of another recipe", "000000"]);
}
