//! The counts of one sentence that BLEU is made of: [length, closest reference length, matches by
//! order, n-grams by order].

use std::collections::HashMap;

pub(super) fn width(max_order: usize) -> usize {
    2 + 2 * max_order
}

/// Appends the counts of one sentence. A match counts up to the number of times that one of the
/// references has it.
pub(super) fn count(
    hypothesis: &[&str],
    references: &[Vec<&str>],
    max_order: usize,
    counts: &mut Vec<u64>,
) {
    let mut allowed: HashMap<&[&str], u64> = HashMap::new();
    for reference in references {
        for (ngram, n) in ngrams(reference, max_order) {
            let most = allowed.entry(ngram).or_default();
            *most = n.max(*most);
        }
    }
    let mut matches = vec![0; max_order];
    let mut totals = vec![0; max_order];
    for (ngram, n) in ngrams(hypothesis, max_order) {
        let order = ngram.len() - 1;
        totals[order] += n;
        matches[order] += allowed.get(ngram).map_or(0, |&most| n.min(most));
    }
    counts.extend([
        hypothesis.len() as u64,
        closest(hypothesis.len(), references),
    ]);
    counts.extend(matches);
    counts.extend(totals);
}

/// How often each n-gram of order 1 to `max_order` occurs.
fn ngrams<'a>(words: &'a [&'a str], max_order: usize) -> HashMap<&'a [&'a str], u64> {
    let mut counts = HashMap::new();
    for order in 1..=max_order {
        for ngram in words.windows(order) {
            *counts.entry(ngram).or_default() += 1;
        }
    }
    counts
}

/// Length of the reference whose length is closest; of two as close, the shorter.
fn closest(length: usize, references: &[Vec<&str>]) -> u64 {
    let lengths = references.iter().map(Vec::len);
    lengths
        .min_by_key(|&of| (of.abs_diff(length), of))
        .unwrap_or(0) as u64
}
