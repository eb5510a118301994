//! What `sparta attend` says of what it cannot do.

use std::fs;

use super::attend;
use crate::bench::{Bench, assert_says, refused, said};
use crate::lm::LM;

#[test]
fn texts_and_folders_that_cannot_be_are_named() {
    let bench = Bench::of(LM);
    let says = |model: &str, options: &[&str], words: &[&str]| {
        assert_says(&said(&attend(&bench, model, options), 1), words);
    };
    says(
        "nowhere",
        &["--text", "a"],
        &["no folder nowhere", "RUN/seed-1/NAME/dense"],
    );
    fs::create_dir(bench.path("empty")).unwrap();
    says("empty", &["--text", "a"], &["empty", "no recipe.toml"]);
    bench.tiny("prepare --out run").success();
    says(
        "run",
        &["--text", "a"],
        &["run", "no model yet", "lm train"],
    );
    bench.tiny("train --out run --device flex").success();
    says("run", &["--text", ""], &["`--text` is empty"]);
    says("run", &["--text", " \n"], &["`--text` is empty"]);
    says(
        "run",
        &["--text", "a", "--target", "b"],
        &["language model", "leave out `--target`"],
    );
    says("run/data", &["--text", "a"], &["run/data", "is no model"]);
    says("run/seed-1/rows/p0", &["--text", "a"], &["p0"]);
    assert_says(&refused(&bench.sparta("attend run")), &["--text"]);
    // Nothing was written by any of these.
    assert!(!bench.path("run/figures").exists());

    fs::write(bench.path("thesis.html"), "precious").unwrap();
    says(
        "run",
        &["--text", "a", "--out", "thesis.html"],
        &["thesis.html", "not overwritten", "--out"],
    );
    assert_eq!(bench.read("thesis.html"), "precious");
    says(
        "run",
        &["--text", "a", "--out", "run"],
        &["cannot write a page to run", "--out"],
    );
    attend(&bench, "run", &["--text", "a"]).success();
    assert!(bench.path("run/figures/attention.html").is_file());
    // Without its training data a model attends all the same; with another vocabulary it does not.
    for split in ["train", "valid", "test"] {
        fs::remove_file(bench.path(format!("run/data/{split}.tok"))).unwrap();
    }
    attend(&bench, "run", &["--text", "a"]).success();
    bench
        .tiny_with("prepare --out other", &["data.vocab_size=150"])
        .success();
    fs::copy(
        bench.path("other/data/vocab.txt"),
        bench.path("run/data/vocab.txt"),
    )
    .unwrap();
    says("run", &["--text", "a"], &["does not fit the tokenizers"]);
    fs::remove_file(bench.path("run/data/vocab.txt")).unwrap();
    says("run", &["--text", "a"], &["no vocabulary", "lm prepare"]);
}
