//! Language-model batches: columns as Transformer-XL's, evaluation without a gap.

use proptest::prelude::*;
use sparta_datasets::Error;
use sparta_datasets::batch::{IGNORE, LmStream};

#[test]
fn train_columns_are_contiguous_and_go_on() {
    let tokens: Vec<u32> = (0..23).collect();
    let stream = LmStream::new(&tokens, 2, 4).unwrap();
    // 23 tokens in two columns of 11: 0..=10 and 11..=21; ten inputs each.
    assert_eq!((stream.n_batches(), stream.n_targets()), (3, 20));
    let batches: Vec<_> = stream.iter().collect();
    assert_eq!(batches[0].input, [0, 1, 2, 3, 11, 12, 13, 14]);
    assert_eq!(batches[0].target, [1, 2, 3, 4, 12, 13, 14, 15]);
    assert_eq!(batches[1].input, [4, 5, 6, 7, 15, 16, 17, 18]);
    assert_eq!(batches[2].input, [8, 9, 19, 20]);
    assert_eq!(batches[2].target, [9, 10, 20, 21]);
    assert_eq!(
        (batches[2].batch_size, batches[2].len, batches[2].index),
        (2, 2, 2)
    );
    assert_eq!(stream.get(3), None);
}

#[test]
fn eval_pads_the_last_column() {
    let tokens: Vec<u32> = (0..8).collect();
    let stream = LmStream::for_eval(&tokens, 3, 2).unwrap();
    // Seven targets, three a column: 1 2 3 | 4 5 6 | 7 - -
    assert_eq!((stream.n_batches(), stream.n_targets()), (2, 7));
    let first = stream.get(0).unwrap();
    assert_eq!(first.input, [0, 1, 3, 4, 6, 0]);
    assert_eq!(first.target, [1, 2, 4, 5, 7, IGNORE]);
    let last = stream.get(1).unwrap();
    assert_eq!(last.target, [3, 6, IGNORE]);
    assert_eq!(first.n_targets() + last.n_targets(), 7);
}

#[test]
fn one_column_of_eval_is_the_text() {
    let tokens: Vec<u32> = (5..12).collect();
    let stream = LmStream::for_eval(&tokens, 1, 4).unwrap();
    let targets: Vec<i32> = stream.iter().flat_map(|batch| batch.target).collect();
    assert_eq!(targets, [6, 7, 8, 9, 10, 11]);
}

#[test]
fn impossible_shapes_are_errors() {
    let tokens = [1, 2, 3];
    for (batch_size, tgt_len, next) in [
        (0, 4, "at least 1"),
        (2, 0, "at least 1"),
        (2, 4, "batch size of at most 1"),
    ] {
        let error = LmStream::new(&tokens, batch_size, tgt_len).unwrap_err();
        assert!(matches!(error, Error::BadStream { n_tokens: 3, .. }));
        assert!(error.to_string().contains(next), "{error}");
    }
    assert!(LmStream::for_eval(&tokens[..1], 1, 4).is_err());
    assert!(LmStream::for_eval(&tokens, 0, 4).is_err());
    assert!(LmStream::for_eval(&[], 1, 4).is_err());
}

proptest! {
    /// Evaluation scores each token but the first exactly once, after the token before it.
    #[test]
    fn eval_scores_every_target_once(n in 2_usize..200, batch_size in 1_usize..9, tgt_len in 1_usize..17) {
        let tokens: Vec<u32> = (0..n as u32).collect();
        let stream = LmStream::for_eval(&tokens, batch_size, tgt_len).unwrap();
        let mut scored = Vec::new();
        for batch in stream.iter() {
            prop_assert_eq!(batch.input.len(), batch_size * batch.len);
            for (&input, &target) in batch.input.iter().zip(&batch.target) {
                if target != IGNORE {
                    prop_assert_eq!(input + 1, target);
                    scored.push(target);
                }
            }
        }
        prop_assert_eq!(scored.len(), stream.n_targets());
        scored.sort_unstable();
        prop_assert_eq!(scored, (1..n as i32).collect::<Vec<_>>());
    }

    /// Training: each column's batches put together are a contiguous piece of the text.
    #[test]
    fn train_columns_join(n in 4_usize..200, batch_size in 1_usize..3, tgt_len in 1_usize..17) {
        let tokens: Vec<u32> = (0..n as u32).collect();
        let stream = LmStream::new(&tokens, batch_size, tgt_len).unwrap();
        for column in 0..batch_size {
            let part = |batch: sparta_datasets::batch::LmBatch| {
                batch.input[column * batch.len..(column + 1) * batch.len].to_vec()
            };
            let joined: Vec<i32> = stream.iter().flat_map(part).collect();
            let first = (column * (n / batch_size)) as i32;
            prop_assert_eq!(joined, (first..first + (n / batch_size) as i32 - 1).collect::<Vec<_>>());
        }
        let n_targets: usize = stream.iter().map(|batch| batch.n_targets()).sum();
        prop_assert_eq!(n_targets, stream.n_targets());
    }
}
