//! `--dry-run` of every shipped recipe.

use super::bench;
use crate::bench::{assert_says, stdout};

#[test]
fn the_small_table_says_its_cost_and_writes_nothing() {
    let bench = bench();
    let text = bench.run("--dry-run --set model.normalizers=[\"softmax\",\"entmax15\"]");
    let text = stdout(&text.success());
    assert_says(
        &text,
        &[
            "libreoffice-help",
            "parameters",
            "12 rows fine-tuned",
            "step, entmax15",
            "tokens/s",
            "runs/iwslt-small-",
        ],
    );
    assert!(bench.is_empty());
}

#[test]
fn every_published_recipe_runs_dry_without_its_corpus() {
    let bench = bench();
    let small = "--set model.d_model=32 --set model.d_ff=64 --set model.n_encoder_layers=1 \
                 --set model.n_decoder_layers=1 --set train.max_tokens=200";
    for (recipe, table) in [
        ("multi30k", "iwslt-multi30k"),
        ("iwslt14-de-en", "iwslt14-de-en"),
        ("iwslt17-de-en", "iwslt17-de-en"),
        ("wmt17-en-de", "wmt17-en-de"),
        ("wmt16-ro-en", "wmt16-ro-en"),
        ("wmt14-en-de", "wmt14-en-de"),
        ("kftt-ja-en", "kftt-ja-en"),
    ] {
        let text = bench
            .run(&format!("--dry-run --recipe {recipe} {small}"))
            .success();
        let text = stdout(&text);
        assert_says(&text, &["SYNTHETIC", "step, softmax", table]);
    }
    assert!(bench.is_empty());
}
