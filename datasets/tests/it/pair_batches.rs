//! Bucketing and padding of sentence pairs.

use std::collections::HashSet;

use proptest::prelude::*;
use rstest::rstest;
use sparta_datasets::batch::{BucketOptions, IGNORE, PaddingSide, PairBatch, TokenBucket};

const TOKENS_20: BucketOptions = BucketOptions::tokens(20);

fn batches(bucket: &TokenBucket) -> Vec<Vec<u32>> {
    bucket.iter().map(<[u32]>::to_vec).collect()
}

#[test]
fn pairs_of_similar_length_share_a_batch() {
    let lengths = [(2, 3), (9, 4), (3, 2), (9, 10), (2, 2)];
    let bucket = TokenBucket::in_order(&lengths, &TOKENS_20).unwrap();
    assert_eq!(batches(&bucket), [vec![4, 0, 2], vec![1, 3]]);
    assert_eq!(
        (bucket.n_batches(), bucket.get(1), bucket.get(2)),
        (2, Some(&[1, 3][..]), None)
    );
}

/// Sizes worked out by hand from fairseq's rule: a full batch gives up its largest multiple, what
/// is over goes on.
#[test]
fn batches_are_multiples_where_they_can() {
    let lengths = [(2, 2); 13];
    let options = BucketOptions {
        multiple_of: 4,
        ..TOKENS_20
    };
    let bucket = TokenBucket::in_order(&lengths, &options).unwrap();
    let sizes: Vec<usize> = bucket.iter().map(<[u32]>::len).collect();
    assert_eq!(sizes, [8, 5]);
    let options = BucketOptions {
        max_sentences: Some(3),
        ..TOKENS_20
    };
    let bucket = TokenBucket::in_order(&lengths, &options).unwrap();
    assert_eq!(
        bucket.iter().map(<[u32]>::len).collect::<Vec<_>>(),
        [3, 3, 3, 3, 1]
    );
}

#[test]
fn epochs_reorder_the_same_batches() {
    let lengths: Vec<(usize, usize)> = (0..300).map(|i| (1 + i * 7 % 13, 1 + i * 5 % 11)).collect();
    let epoch =
        |seed, epoch| batches(&TokenBucket::new(&lengths, &TOKENS_20, seed, epoch).unwrap());
    assert_eq!(epoch(1, 1), epoch(1, 1));
    assert_ne!(epoch(1, 1), epoch(1, 2));
    let set = |batches: Vec<Vec<u32>>| batches.into_iter().collect::<HashSet<_>>();
    assert_eq!(set(epoch(1, 1)), set(epoch(1, 2)));
    assert_ne!(set(epoch(1, 1)), set(epoch(2, 1)));
    // The order is part of what a recipe and a seed promise.
    assert_eq!(epoch(1, 1)[0], FIRST_BATCH);
}

const FIRST_BATCH: [u32; 2] = [181, 38];

#[rstest]
#[case(&[(3, 4), (21, 2)], TOKENS_20, "sentence pair 1 has 21 tokens, more than max_tokens = 20")]
#[case(&[(3, 4)], BucketOptions::tokens(0), "max_tokens = 0")]
#[case(&[(3, 4)], BucketOptions { multiple_of: 0, ..TOKENS_20 }, "multiple_of = 0: each must be")]
fn what_does_not_fit_is_told(
    #[case] lengths: &[(usize, usize)],
    #[case] options: BucketOptions,
    #[case] problem: &str,
) {
    let message = TokenBucket::new(lengths, &options, 1, 1)
        .unwrap_err()
        .to_string();
    assert!(message.contains(problem), "{message}");
}

#[test]
fn padding_and_shift() {
    let pairs: [(&[u32], &[u32]); 2] = [(&[5, 6, 2], &[7, 2]), (&[8, 2], &[9, 10, 11, 2])];
    let right = PairBatch::new(&pairs, PaddingSide::Right);
    assert_eq!(
        (right.batch_size, right.source_len, right.target_len),
        (2, 3, 4)
    );
    assert_eq!(right.source, [5, 6, 2, 8, 2, 1]);
    assert_eq!(right.target_input, [2, 7, 1, 1, 2, 9, 10, 11]);
    assert_eq!(right.target_output, [7, 2, IGNORE, IGNORE, 9, 10, 11, 2]);
    assert_eq!(
        right.source_padding(),
        [false, false, false, false, false, true]
    );
    assert_eq!(right.n_targets(), 6);
    let left = PairBatch::new(&pairs, PaddingSide::Left);
    assert_eq!(left.source, [5, 6, 2, 1, 8, 2]);
    assert_eq!(
        left.source_padding(),
        [false, false, false, true, false, false]
    );
    assert_eq!(left.target_input, right.target_input);
}

#[test]
fn to_translate_the_target_is_one_token() {
    let batch = PairBatch::new(&[(&[5, 2], &[2])], PaddingSide::Right);
    assert_eq!(
        (batch.target_input, batch.target_output),
        (vec![2], vec![2])
    );
}

proptest! {
    /// Every pair is in one batch, and no batch is larger than asked.
    #[test]
    fn whole_and_within_limits(
        lengths in prop::collection::vec((1_usize..30, 1_usize..30), 0..200),
        max_tokens in 30_usize..200,
        max_sentences in prop::option::of(1_usize..20),
        multiple_of in 1_usize..9,
        seed: u64,
    ) {
        let options = BucketOptions { max_tokens, max_sentences, multiple_of };
        let bucket = TokenBucket::new(&lengths, &options, seed, 3).unwrap();
        let mut seen: Vec<u32> = bucket.iter().flatten().copied().collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..lengths.len() as u32).collect::<Vec<_>>());
        for batch in bucket.iter() {
            let longest = batch.iter().map(|&i| lengths[i as usize]).map(|(a, b)| a.max(b)).max();
            prop_assert!(!batch.is_empty() && batch.len() * longest.unwrap() <= max_tokens);
            prop_assert!(max_sentences.is_none_or(|limit| batch.len() <= limit));
        }
    }
}
