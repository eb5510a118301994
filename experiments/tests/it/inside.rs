//! Models that are named from inside of their run folder, where `.` and `..` are all that is typed of a path.

use std::fs;

use assert_cmd::Command;
use assert_cmd::assert::Assert;

use crate::bench::{Bench, assert_says, said, stdout};
use crate::lm::LM;

/// Runs `sparta` in a folder of the bench.
fn inside(bench: &Bench, folder: &str, words: &[&str]) -> Assert {
    Command::new(env!("CARGO_BIN_EXE_sparta"))
        .current_dir(bench.path(folder))
        .env("SPARTA_CACHE", bench.path("cache"))
        .args(words)
        .assert()
}

/// Every way to name one model of a run, and the folder where it is typed.
const WAYS: [(&str, &str); 5] = [
    (".", "run/seed-1/rows/ap-p60"),
    (".", "run/seed-1/../seed-1/rows/ap-p60/"),
    ("run/seed-1/rows/ap-p60", "."),
    ("run/seed-1/dense", "../rows/ap-p60"),
    ("run", "seed-1/rows/ap-p60"),
];

#[test]
fn a_model_is_the_same_from_wherever_it_is_named() {
    let bench = Bench::of(LM);
    let one_mask = ["prune.p=[0, 60]", "prune.random_masks=[0, 0]"];
    bench
        .tiny_with("--out run --device flex", &one_mask)
        .success();
    let mut exported = Vec::new();
    for (at, (folder, model)) in WAYS.into_iter().enumerate() {
        let out = bench.path(format!("exported-{at}"));
        let out = out.to_str().expect("UTF-8");
        let words = ["export", model, "--out", out, "--device", "flex"];
        inside(&bench, folder, &words).success();
        exported.push(fs::read(bench.path(out).join("model.safetensors")).unwrap());
        assert!(exported[0] == exported[at], "{folder}: {model}");

        let page = bench.path("run/figures/attention.html");
        let words = [
            "attend", model, "--text", "a", "--device", "flex", "--quiet",
        ];
        inside(&bench, folder, &words).success();
        fs::remove_file(page).expect("a page in the run folder");

        let control = match model
            .strip_suffix("ap-p60")
            .or(model.strip_suffix("ap-p60/"))
        {
            Some(rows) => format!("{rows}p0"),
            None => "../p0".to_owned(),
        };
        let compared = stdout(&inside(&bench, folder, &["compare", &control, model]).success());
        assert_says(&compared, &["seed-1/rows/p0", "seed-1/rows/ap-p60"]);

        let words = ["analyze", model, "--figure", "curves", "--quiet"];
        inside(&bench, folder, &words).success();
        fs::remove_dir_all(bench.path("run/seed-1/rows/ap-p60/figures")).expect("figures");
    }
    // The dense model is the run's, from inside too.
    let words = ["export", "..", "--out", "../../whole", "--device", "flex"];
    inside(&bench, "run/seed-1", &words).success();
    assert!(bench.path("whole/model.safetensors").exists());
    // What is beside a run is in none.
    fs::create_dir(bench.path("beside")).unwrap();
    for words in [
        &["compare", "../beside", "."][..],
        &["export", "../beside", "--out", "../none"],
        &["attend", "../beside", "--text", "a"],
    ] {
        let text = said(&inside(&bench, "run", words), 1);
        assert_says(&text, &["../beside", "no recipe.toml in it or above it"]);
    }
}
