//! LSH attention in the programs: dense and pruned rows where it can stand, and errors before anything is trained where it cannot.

use crate::bench::{Bench, assert_says, said, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;

#[test]
fn a_language_model_with_it_is_observed_pruned_and_scored() {
    let bench = Bench::of(LM);
    let sets = [
        "model.normalizers=[\"lsh(m=4,rounds=2)\"]",
        "model.dropatt=0.1",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let table = bench.csv("run");
    // The only mechanism of a table is not named in its rows.
    let rows = table
        .lines()
        .filter(|line| line.contains(",ap,perplexity,"));
    assert_eq!(rows.count(), 2, "{table}");
    let again = stdout(&bench.run("report --out run").success());
    assert!(!again.contains("missing"), "{again}");
}

#[test]
fn what_it_cannot_do_is_said_before_anything_is_trained() {
    let refused = |program, sets: &[&str], words: &[&str]| {
        let bench = Bench::of(program);
        let text = said(&bench.tiny_with("--dry-run --device flex", sets), 1);
        assert_says(&text, words);
        assert!(bench.is_empty());
    };
    let clamped = [
        "model.normalizers=[\"softmax\", \"lsh(m=4)\"]",
        "model.clamp_len=3",
    ];
    refused(LM, &clamped, &["clamp_len", "lsh(m=4) knows no distances"]);
    let everywhere = [
        "model.normalizers=[\"softmax\", \"lsh(m=4)\"]",
        "prune.entmax15=[]",
    ];
    refused(
        IWSLT,
        &everywhere,
        &["lsh(m=4) cannot attend to another sequence"],
    );
    let pretrained = ["model.normalizers=[\"softmax\", \"lsh(m=4)\"]"];
    refused(
        GLUE,
        &pretrained,
        &["lsh(m=4) cannot start from pretrained weights"],
    );
}
