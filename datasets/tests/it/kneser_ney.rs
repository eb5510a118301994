//! Kneser–Ney models against an independent formula, by hand, and at size.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use proptest::prelude::*;
use sparta_datasets::Error;
use sparta_datasets::baseline::ngram::{self, KneserNey, NgramModel, Order, Unigram};

/// The definition, written for sets and maps of slices, with every count taken from the text anew.
fn by_definition(train: &[u32], vocab_size: usize, n: usize, context: &[u32], token: u32) -> f64 {
    let mut counts: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    train
        .windows(n)
        .for_each(|gram| *counts.entry(gram.to_vec()).or_default() += 1);
    let mut orders = vec![counts];
    while orders[0].keys().next().unwrap().len() > 1 {
        let mut lower: BTreeMap<Vec<u32>, BTreeSet<u32>> = BTreeMap::new();
        for gram in orders[0].keys() {
            lower.entry(gram[1..].to_vec()).or_default().insert(gram[0]);
        }
        orders.insert(
            0,
            lower
                .into_iter()
                .map(|(gram, firsts)| (gram, firsts.len()))
                .collect(),
        );
    }
    let mut probability = 1.0 / vocab_size as f64;
    for (length, counts) in orders.iter().enumerate() {
        if length > context.len() {
            break;
        }
        let history = &context[context.len() - length..];
        let of = |k| counts.values().filter(|&&c| c == k).count() as f64;
        let discount = if of(1) == 0.0 {
            0.5
        } else {
            of(1) / (of(1) + 2.0 * of(2))
        };
        let continued: Vec<_> = counts
            .iter()
            .filter(|(gram, _)| &gram[..length] == history)
            .collect();
        let total: usize = continued.iter().map(|(_, c)| **c).sum();
        if total == 0 {
            break;
        }
        let count = continued
            .iter()
            .find(|(gram, _)| gram[length] == token)
            .map_or(0, |(_, c)| **c);
        probability = ((count as f64 - discount).max(0.0)
            + discount * continued.len() as f64 * probability)
            / total as f64;
    }
    probability
}

#[test]
fn bigram_by_hand() {
    // a b a b a c (a = 0, b = 1, c = 2), vocabulary of 4.
    // Bigrams: ab 2, ba 2, ac 1, so n1 = 1, n2 = 2, D2 = 1/5.
    // Continuations N1+(• w): a 1, b 1, c 1, so n1 = 3, n2 = 0, D1 = 1; the unigrams are 1/4 each.
    let model = KneserNey::count(&[0, 1, 0, 1, 0, 2], 4, Order::Bigram).unwrap();
    let near =
        |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    near(model.probability(&[], 0), 0.25);
    // After a, seen three times with two followers: (2 − 0.2)/3 + 0.2·2/3 · 1/4.
    near(model.probability(&[0], 1), 1.8 / 3.0 + 0.4 / 3.0 * 0.25);
    near(model.probability(&[0], 2), 0.8 / 3.0 + 0.4 / 3.0 * 0.25);
    near(model.probability(&[0], 3), 0.4 / 3.0 * 0.25);
    // c and the unseen fourth word have no followers.
    near(model.probability(&[2], 1), 0.25);
    near(model.probability(&[3], 3), 0.25);
    // Only the last token of a longer context counts.
    near(model.probability(&[2, 3, 0], 1), 1.8 / 3.0 + 0.1 / 3.0);
}

#[test]
fn trigram_by_hand() {
    // Trigrams of a b a b a c: aba 2, bab 1, bac 1, so n1 = 2, n2 = 1, D3 = 1/2. Continuations:
    // N1+(• ba) = 1, N1+(• ab) = 1, N1+(• ac) = 1, D2 = 1. N1+(• w): a 1, b 1, c 1, D1 = 1.
    let model = KneserNey::count(&[0, 1, 0, 1, 0, 2], 4, Order::Trigram).unwrap();
    // After b a: (1 − 1/2)/2 + 1/2·2/2 · p(b | a), where p(b | a) = (1 − 1)/2 + 1·2/2 · 1/4.
    let expected = 0.25 + 0.5 * 0.25;
    assert!((model.probability(&[1, 0], 1) - expected).abs() < 1e-12);
}

#[test]
fn scores_every_token_but_the_first() {
    let train = [0, 1, 0, 1, 0, 2];
    let model = KneserNey::count(&train, 4, Order::Bigram).unwrap();
    let score = model.score(&[0, 1, 3]).unwrap();
    assert_eq!(score.n_tokens, 2);
    // b after a as above; after b (seen twice, always before a) the unseen fourth word gets 0.2·1/2
    // · 1/4.
    let expected = -(1.8_f64 / 3.0 + 0.1 / 3.0).ln() - (0.2_f64 / 2.0 * 0.25).ln();
    assert!(
        (score.nll_sum - expected).abs() < 1e-12,
        "{} {expected}",
        score.nll_sum
    );
}

#[test]
fn bad_streams_are_refused() {
    let error = KneserNey::count(&[0, 1], 2, Order::Trigram).unwrap_err();
    assert!(matches!(
        error,
        Error::TooFewTokens {
            found: 2,
            needed: 3
        }
    ));
    let error = KneserNey::count(&[0, 1, 5], 5, Order::Bigram).unwrap_err();
    assert!(matches!(
        error,
        Error::TokenOutOfVocabulary {
            id: 5,
            position: 2,
            vocab_size: 5
        }
    ));
    assert!(matches!(
        Unigram::count(&[0], 0),
        Err(Error::VocabularySize { found: 0, .. })
    ));
    assert!(KneserNey::count(&[0, 1, 2], ngram::MAX_VOCABULARY + 1, Order::Bigram).is_err());
    let model = Unigram::count(&[0, 1], 2).unwrap();
    assert!(matches!(
        model.score(&[0]),
        Err(Error::TooFewTokens {
            found: 1,
            needed: 2
        })
    ));
    assert!(matches!(
        model.score(&[0, 2]),
        Err(Error::TokenOutOfVocabulary { id: 2, .. })
    ));
}

#[test]
fn largest_ids_do_not_collide() {
    let top = ngram::MAX_VOCABULARY as u32 - 1;
    let train = [top, 0, top, 0, 1, top, top, 1];
    let model = KneserNey::count(&train, ngram::MAX_VOCABULARY, Order::Trigram).unwrap();
    for (context, token) in [
        ([0, top], 0),
        ([top, top], 1),
        ([top, 0], 1),
        ([1, top], top),
    ] {
        let expected = by_definition(&train, ngram::MAX_VOCABULARY, 3, &context, token);
        assert!((model.probability(&context, token) - expected).abs() < 1e-12);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn follows_the_definition_and_sums_to_one(
        train in prop::collection::vec(0u32..7, 3..80),
        context in prop::collection::vec(0u32..9, 0..4),
        trigram: bool,
    ) {
        let vocab_size = 9; // ids 7 and 8 are never seen
        let order = if trigram { Order::Trigram } else { Order::Bigram };
        let model = KneserNey::count(&train, vocab_size, order).unwrap();
        let mut sum = 0.0;
        for token in 0..vocab_size as u32 {
            let found = model.probability(&context, token);
            let used = &context[context.len().saturating_sub(order.n() - 1)..];
            let expected = by_definition(&train, vocab_size, order.n(), used, token);
            prop_assert!(found > 0.0);
            prop_assert!((found - expected).abs() < 1e-12, "{context:?} {token}: {found} {expected}");
            sum += found;
        }
        prop_assert!((sum - 1.0).abs() < 1e-9, "{context:?}: {sum}");
    }
}

/// A Markov chain with a Zipf-like spread of words: next = a function of the last two words and a
/// random number.
fn markov_text(n: usize, vocab_size: u32, seed: u64) -> Vec<u32> {
    let mut state = seed;
    let mut random = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let mut text = vec![0, 1];
    while text.len() < n {
        let rank = (f64::from(vocab_size).powf(random()) - 1.0) as u32;
        let last = text[text.len() - 1] * 31 + text[text.len() - 2] * 7;
        let structured = random() < 0.7;
        text.push(if structured {
            (rank / 8 + last) % vocab_size
        } else {
            rank % vocab_size
        });
    }
    text
}

#[test]
fn counts_and_scores_a_corpus_in_seconds() {
    let (train, test) = (
        markov_text(1_800_000, 4000, 1),
        markov_text(60_000, 4000, 2),
    );
    let started = Instant::now();
    let scores = ngram::scores(&train, &test, 4000).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "1.8 M + 60 k tokens: {seconds:.2} s, {:?}",
        scores.map(|score| score.ppl())
    );
    assert!(seconds < 30.0, "{seconds} s");
    assert!(scores.iter().all(|score| score.n_tokens == 59_999));
    assert!(scores[2].ppl() < scores[0].ppl());

    let model = KneserNey::count(&train, 4000, Order::Trigram).unwrap();
    let seen = [train[10], train[11]];
    for context in [seen, [3999, 3999]] {
        let sum: f64 = (0..4000)
            .map(|token| model.probability(&context, token))
            .sum();
        assert!((sum - 1.0).abs() < 1e-9, "{context:?}: {sum}");
    }
}
