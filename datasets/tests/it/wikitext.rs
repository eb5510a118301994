//! The reader of the published WikiText files, on small files in their format.

use std::fs;
use std::path::Path;

use sparta_datasets::wikitext::{WikiText, check, file_name, open};
use sparta_datasets::{Error, Split};

/// A few lines as published: blank lines are a space, headings have `=`, words are split.
const PUBLISHED: &str = " \n = Robert <unk> = \n \n Robert <unk> is an English film actor . He had a guest @-@ starring role in 2000 . \n";

/// Text of exactly `n` tokens that starts with [`PUBLISHED`] (26 tokens): filled up with lines of
/// one word (two tokens) and one of two.
pub fn text_of(n: u64) -> String {
    let mut text = PUBLISHED.to_owned();
    let mut left = n - sparta_datasets::tokenize::count_tokens(PUBLISHED);
    if left % 2 == 1 {
        text.push_str(" film actor \n");
        left -= 3;
    }
    text.push_str(&" film \n".repeat(left as usize / 2));
    text
}

pub fn write_published(dir: &Path, which: WikiText) {
    fs::create_dir_all(dir).unwrap();
    for split in Split::ALL {
        fs::write(dir.join(file_name(split)), text_of(which.n_tokens(split))).unwrap();
    }
}

#[test]
fn a_file_with_the_published_counts_opens_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    write_published(dir.path(), WikiText::Two);
    check(dir.path(), WikiText::Two).unwrap();
    let corpus = open(dir.path(), WikiText::Two).unwrap();
    assert_eq!(corpus.name, "wikitext2");
    assert!(corpus.test.starts_with(PUBLISHED));
    assert_eq!(
        Split::ALL.map(|split| corpus.n_tokens(split)),
        [2_088_628, 217_646, 245_569]
    );
}

#[test]
fn a_small_file_is_named_with_both_counts() {
    let dir = tempfile::tempdir().unwrap();
    write_published(dir.path(), WikiText::Two);
    fs::write(dir.path().join("wiki.valid.tokens"), PUBLISHED).unwrap();
    for error in [
        open(dir.path(), WikiText::Two).unwrap_err(),
        check(dir.path(), WikiText::Two).unwrap_err(),
    ] {
        let message = error.to_string();
        assert!(matches!(error, Error::WrongFile { .. }), "{message}");
        assert!(message.contains("wiki.valid.tokens: expected 217646 tokens with <eos> (WikiText-2 valid), found 26 tokens;"), "{message}");
        assert!(message.contains("run `prepare --from DIR`"), "{message}");
    }
}

#[test]
fn the_other_wikitext_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    write_published(dir.path(), WikiText::Two);
    let message = open(dir.path(), WikiText::OneHundredThree)
        .unwrap_err()
        .to_string();
    assert!(message.contains("expected 103227021 tokens"), "{message}");
    assert!(
        message.contains("found 2088628 tokens, the file of WikiText-2"),
        "{message}"
    );
}

#[test]
fn missing_and_raw_files_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let message = open(dir.path(), WikiText::Two).unwrap_err().to_string();
    assert!(
        message.contains("WikiText-2 not found in")
            && message.contains("wiki.train.tokens is missing;"),
        "{message}"
    );
    assert!(message.contains("wikitext-2-v1.zip"), "{message}");
    fs::write(dir.path().join("wiki.train.raw"), PUBLISHED).unwrap();
    let message = open(dir.path(), WikiText::Two).unwrap_err().to_string();
    assert!(
        message.contains("wiki.train.raw is the raw-text edition"),
        "{message}"
    );
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("wiki.train.tokens"), b" a b \n \xff\xfe \n").unwrap();
    let message = open(dir.path(), WikiText::Two).unwrap_err().to_string();
    assert!(
        message.contains("expected UTF-8 text, found another byte at offset 7"),
        "{message}"
    );
}
