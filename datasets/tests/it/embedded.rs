//! The shipped corpus: whole, split by address, no leak.

use std::collections::{BTreeSet, HashSet};

use sparta_datasets::embedded::{addresses, state_of_the_union};
use sparta_datasets::{CorpusName, Split};

#[test]
fn every_address_is_in_one_split_and_splits_span_the_years() {
    let addresses = addresses().unwrap();
    assert_eq!(addresses.len(), 249);
    let names: HashSet<&str> = addresses
        .iter()
        .map(|address| address.name.as_str())
        .collect();
    assert_eq!(names.len(), addresses.len(), "an address is listed twice");

    for split in Split::ALL {
        let years: BTreeSet<u32> = addresses
            .iter()
            .filter(|address| address.split == split)
            .map(|address| address.year)
            .collect();
        assert!(
            years.first().unwrap() < &1830,
            "{split} has no early address: {years:?}"
        );
        assert!(
            years.last().unwrap() > &1980,
            "{split} has no late address: {years:?}"
        );
        let elsewhere = |address: &&sparta_datasets::embedded::Address| {
            address.split != split && years.contains(&address.year)
        };
        assert_eq!(
            addresses.iter().find(elsewhere),
            None,
            "a year of {split} is in two splits"
        );
    }
}

/// Salutations repeat over the years; no paragraph of 30 tokens or more may.
#[test]
fn no_long_paragraph_is_in_two_splits() {
    let corpus = state_of_the_union().unwrap();
    let long = |split| -> HashSet<&str> {
        corpus
            .text(split)
            .lines()
            .filter(|line| line.split(' ').count() >= 30)
            .collect()
    };
    let (train, valid, test) = (long(Split::Train), long(Split::Valid), long(Split::Test));
    assert!(
        test.len() > 300 && valid.len() > 300,
        "{} {}",
        test.len(),
        valid.len()
    );
    assert_eq!(
        train.intersection(&test).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
    assert_eq!(
        train.intersection(&valid).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
    assert_eq!(
        valid.intersection(&test).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
}

#[test]
fn sizes_are_the_documented_ones() {
    let corpus = CorpusName::StateOfTheUnion
        .load(None, "unused".as_ref())
        .unwrap();
    assert_eq!(corpus.name, "sotu");
    let sizes = Split::ALL.map(|split| corpus.n_tokens(split));
    println!("train, valid, test: {sizes:?}");
    assert!(sizes[1] >= 50_000 && sizes[2] >= 50_000, "{sizes:?}");
    let readme = include_str!("../../data/README.md");
    for (split, size) in Split::ALL.into_iter().zip(sizes) {
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| {split} |")))
            .unwrap();
        let digits: String = row.rsplit('|').nth(1).unwrap().replace([',', ' '], "");
        assert_eq!(digits, size.to_string(), "datasets/data/README.md: {row}");
    }
}

#[test]
fn text_is_normalised_and_headings_are_gone() {
    let corpus = state_of_the_union().unwrap();
    assert!(
        corpus
            .train
            .starts_with("fellow @-@ citizens of the senate and house of")
    );
    for split in Split::ALL {
        let text = corpus.text(split);
        assert!(
            !text.chars().any(|c| c.is_uppercase()),
            "{split} has capitals"
        );
        assert!(
            !text.contains("  ") && !text.contains("\n\n"),
            "{split} has empty tokens"
        );
        assert!(
            !text.contains("= 18") && !text.contains("- washington -"),
            "{split}: heading"
        );
    }
}
