//! Pages of encoders: pairs, questions with their paragraph, masked texts.

use sparta_ops::pruning::GlobalMask;

use super::{Page, attend, page};
use crate::bench::{Bench, assert_says, said};
use crate::glue::GLUE;
use crate::mlm::MLM;
use crate::squad::SQUAD;

/// That a page's only view hides what a mask hides.
fn check(page: &Page, mask: Option<&GlobalMask>) {
    assert_eq!(page.n_views(), 1);
    let n_hidden = page.check_hidden(0, mask.map(|mask| (mask, 0)));
    assert_eq!(n_hidden > 0, mask.is_some());
    page.check_rows(0);
}

#[test]
fn pairs_are_read_as_one_sequence() {
    let bench = Bench::of(GLUE);
    bench.tiny("--out run --device flex").success();
    let pair = [
        "--text",
        "Who wrote Unbelievableness?",
        "--target",
        "A poët.",
    ];
    let model = "run/seed-1/question-sentence";
    let dense = page(&bench, "run", &pair);
    check(&dense, None);
    let pieces = dense.pieces(0, "keys");
    assert_eq!((pieces[0], pieces[pieces.len() - 1]), ("[CLS]", "[SEP]"));
    let start = dense.sequence(0, "keys")["starts"][0].as_u64().unwrap() as usize;
    assert_eq!((pieces[start - 1], pieces[start]), ("[SEP]", "a"));
    // Words as they were typed over the pieces of a vocabulary without case.
    let words = dense.words(0, "keys");
    let long = words
        .iter()
        .find(|word| word.0 == "Unbelievableness")
        .unwrap();
    assert!(
        long.1 > 1 && words.iter().any(|word| word.0 == "poët"),
        "{words:?}"
    );
    let mask = GlobalMask::load(bench.path(format!("{model}/masks/ap-p80.safetensors"))).unwrap();
    check(
        &page(&bench, &format!("{model}/rows/ap-p80"), &pair),
        Some(&mask),
    );

    let refused = |options: &[&str]| said(&attend(&bench, "run", options), 1);
    assert_says(&refused(&["--text", "Who?"]), &["pairs", "--target"]);
    let long = "word ".repeat(40);
    assert_says(
        &refused(&["--text", "Who?", "--target", &long]),
        &["45 tokens", "at most 24"],
    );
}

#[test]
fn questions_are_read_with_their_paragraph() {
    let bench = Bench::of(SQUAD);
    bench.tiny("train --out run --device flex").success();
    let texts = [
        "--text",
        "Who wrote it?",
        "--target",
        "It was written by a poet.",
    ];
    check(&page(&bench, "run", &texts), None);
    let refused = |options: &[&str]| said(&attend(&bench, "run", options), 1);
    assert_says(&refused(&["--text", "Who?"]), &["paragraph", "--target"]);
    let long = "word ".repeat(80);
    assert_says(
        &refused(&["--text", "Who?", "--target", &long]),
        &["85 tokens", "at most 64"],
    );
    assert_says(
        &refused(&["--text", &long, "--target", "He."]),
        &["80 tokens", "at most 16"],
    );
}

#[test]
fn masked_texts_are_read_as_they_are() {
    let bench = Bench::of(MLM);
    bench.tiny("train --out run --device flex").success();
    let page = page(
        &bench,
        "run",
        &["--text", "The [MASK] of the union is <unk> ."],
    );
    check(&page, None);
    let pieces = page.pieces(0, "keys");
    assert!(
        pieces.contains(&"[MASK]") && pieces.contains(&"[UNK]"),
        "{pieces:?}"
    );
    let refused = |options: &[&str]| said(&attend(&bench, "run", options), 1);
    assert_says(
        &refused(&["--text", "a", "--target", "b"]),
        &["leave out `--target`"],
    );
    assert_says(
        &refused(&["--text", &"word ".repeat(30)]),
        &["32 tokens", "at most 24"],
    );
}
