//! The shipped parallel corpus: whole, and nothing of one split in another.

use std::collections::HashSet;

use sparta_datasets::Split;
use sparta_datasets::embedded::{libreoffice_help, libreoffice_help_text};

fn key(sentence: &str) -> String {
    sentence
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric())
        .collect()
}

#[test]
fn no_sentence_of_either_side_is_in_two_splits() {
    let corpus = libreoffice_help().unwrap();
    let sides = |split: Split| -> (HashSet<String>, HashSet<String>) {
        let pairs = corpus.pairs(split);
        assert!(pairs.len() > 1000, "{split}: {}", pairs.len());
        pairs.iter().map(|(de, en)| (key(de), key(en))).unzip()
    };
    let [train, valid, test] = Split::ALL.map(sides);
    for (one, other) in [(&train, &valid), (&train, &test), (&valid, &test)] {
        assert_eq!(one.0.intersection(&other.0).next(), None, "German");
        assert_eq!(one.1.intersection(&other.1).next(), None, "English");
    }
    for (split, sides) in [(Split::Valid, &valid), (Split::Test, &test)] {
        assert_eq!(
            sides.1.len(),
            corpus.pairs(split).len(),
            "{split} repeats a sentence"
        );
    }
}

#[test]
fn pairs_are_those_of_the_file() {
    let text = libreoffice_help_text().unwrap();
    let lines: HashSet<&str> = text.lines().collect();
    assert_eq!(lines.len(), 35_614);
    let corpus = libreoffice_help().unwrap();
    let mut n_pairs = 0;
    for split in Split::ALL {
        for (german, english) in corpus.pairs(split) {
            assert!(lines.contains(format!("{german}\t{english}").as_str()));
        }
        n_pairs += corpus.pairs(split).len();
    }
    assert!((35_000..=35_614).contains(&n_pairs), "{n_pairs}");
    let readme = include_str!("../../data/README.md");
    println!("{:?}", Split::ALL.map(|split| corpus.pairs(split).len()));
    for split in Split::ALL {
        let row = format!("| {split} pairs | {} |", corpus.pairs(split).len());
        assert!(
            readme.contains(&row),
            "datasets/data/README.md lacks `{row}`"
        );
    }
}

/// What the small translation tables use (`experiments/recipes/small/iwslt.toml`).
#[test]
fn the_short_pairs_are_tokenised_and_enough_to_report_on() {
    let corpus = libreoffice_help().unwrap().tokenized(true);
    let corpus = corpus.with_target_words(3..=12);
    assert_eq!(corpus.name, "libreoffice-help-3to12");
    let sizes = Split::ALL.map(|split| corpus.pairs(split).len());
    println!("train, valid, test: {sizes:?}");
    assert!(sizes[2] >= 500, "{sizes:?}");
    let readme = include_str!("../../data/README.md");
    for (split, size) in Split::ALL.into_iter().zip(sizes) {
        let row = format!("| {split} pairs of 3 to 12 words | {size} |");
        assert!(
            readme.contains(&row),
            "datasets/data/README.md lacks `{row}`"
        );
        for (german, english) in corpus.pairs(split) {
            assert!((3..=12).contains(&english.split(' ').count()), "{english}");
            for side in [german, english] {
                assert!(!side.chars().any(char::is_uppercase), "{side}");
                let last = side.rsplit(' ').next().unwrap();
                let cut = last.len() < 6 || !last.ends_with('.') || last.matches('.').count() > 1;
                assert!(cut, "a period was not cut: {side}");
            }
        }
    }
}
