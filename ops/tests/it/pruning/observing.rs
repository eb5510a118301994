//! The running mean.

use proptest::prelude::*;
use rstest::rstest;
use sparta_ops::pruning::{
    AttentionPattern, Padding, PatternHeader, Placement, PruningError, Valid,
};

use super::{SELF, full_grid, generic, lm_grid, pattern_of, weights};

fn empty(grid: sparta_ops::pruning::Grid) -> AttentionPattern {
    AttentionPattern::new(PatternHeader::new("corpus", "model").with(SELF, 0, grid))
}

#[test]
fn mean_over_the_examples_that_have_the_cell() {
    let grid = lm_grid(1, 2, 2);
    let mut pattern = empty(grid);
    // First segment: no memory yet, so two columns, placed behind the empty memory.
    let first = [1.0, 0.0, 0.25, 0.75];
    pattern
        .observe(SELF, 0, &first, [1, 1, 2, 2], &Placement::at(0, 2))
        .unwrap();
    // Second segment: full memory, a batch of two.
    let second = [
        0.5, 0.25, 0.25, 0.0, 0.25, 0.25, 0.25, 0.25, //
        0.25, 0.25, 0.5, 0.0, 0.5, 0.0, 0.25, 0.25,
    ];
    pattern
        .observe(SELF, 0, &second, [2, 1, 2, 4], &Placement::default())
        .unwrap();
    // Last segment: one row.
    pattern
        .observe(
            SELF,
            0,
            &[0.0, 0.0, 1.0, 0.0],
            [1, 1, 1, 4],
            &Placement::default(),
        )
        .unwrap();

    let mean = |row, col| pattern.mean(SELF, 0, 0, row, col).unwrap().unwrap();
    let count = |row, col| pattern.count(SELF, 0, row, col).unwrap();
    assert_eq!((mean(0, 0), count(0, 0)), (0.75 / 3.0, 3));
    assert_eq!((mean(0, 2), count(0, 2)), ((1.0 + 0.75 + 1.0) / 4.0, 4));
    assert_eq!((mean(1, 2), count(1, 2)), ((0.25 + 0.5) / 3.0, 3));
    assert_eq!((mean(1, 0), count(1, 0)), (0.75 / 2.0, 2));
    assert_eq!(pattern.mean(SELF, 0, 0, 2, 0).unwrap(), None);
    assert_eq!(pattern.count(SELF, 0, 0, 4).unwrap(), 0);
}

#[test]
fn never_observed_is_none_not_zero() {
    let mut pattern = empty(full_grid(1, 2, 2));
    pattern
        .observe(SELF, 0, &[1.0], [1, 1, 1, 1], &Placement::default())
        .unwrap();
    assert_eq!(pattern.mean(SELF, 0, 0, 0, 0).unwrap(), Some(1.0));
    assert_eq!(pattern.mean(SELF, 0, 0, 1, 1).unwrap(), None);
}

#[test]
fn padding_is_left_out_or_averaged_in() {
    let weights = [
        0.5, 0.5, 0.5, 0.5, // an example of two rows and two columns
        1.0, 0.0, 0.75, 0.25, // one of one row and one column, the rest padding
    ];
    let placement = Placement::default().with_valid(vec![Valid::first(2, 2), Valid::first(1, 1)]);
    let observe = |padding| {
        let header = PatternHeader::new("c", "m").with(SELF, 0, full_grid(1, 2, 2));
        let mut pattern = AttentionPattern::new(header.with_padding(padding));
        pattern
            .observe(SELF, 0, &weights, [2, 1, 2, 2], &placement)
            .unwrap();
        pattern
    };
    let cells = |pattern: &AttentionPattern| {
        [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(row, col)| {
            let mean = pattern.mean(SELF, 0, 0, row, col).unwrap().unwrap();
            (mean, pattern.count(SELF, 0, row, col).unwrap())
        })
    };
    let (left_out, averaged_in) = (observe(Padding::LeftOut), observe(Padding::AveragedIn));
    assert_eq!(cells(&left_out), [(0.75, 2), (0.5, 1), (0.5, 1), (0.5, 1)]);
    assert_eq!(
        cells(&averaged_in),
        [(0.75, 2), (0.25, 2), (0.625, 2), (0.375, 2)]
    );
    assert!(left_out.padding_seen() && averaged_in.padding_seen());
}

#[test]
fn padding_on_the_left_is_left_out_too() {
    let mut pattern = empty(full_grid(1, 1, 3));
    let valid = vec![Valid {
        rows: 0..1,
        cols: 1..3,
    }];
    let placement = Placement::default().with_valid(valid);
    pattern
        .observe(SELF, 0, &[f32::NAN, 0.5, 0.5], [1, 1, 1, 3], &placement)
        .unwrap();
    assert_eq!(pattern.mean(SELF, 0, 0, 0, 0).unwrap(), None);
    assert_eq!(pattern.mean(SELF, 0, 0, 0, 1).unwrap(), Some(0.5));
}

#[rstest]
#[case::length(&[0.5; 3], [1, 1, 2, 2], Placement::default(), "need 4 numbers, and 3 were given")]
#[case::outside(&[0.5; 4], [1, 1, 2, 2], Placement::at(1, 0), "placed at row 1, column 0")]
#[case::heads(&[0.5; 8], [1, 2, 2, 2], Placement::default(), "but 2 heads of 2×2")]
#[case::negative(&[0.5, -0.5, 0.5, 0.5], [1, 1, 2, 2], Placement::at(0, 0), "head 0, row 0, column 1")]
#[case::nan(&[0.5, 0.5, 0.5, f32::NAN], [1, 1, 2, 2], Placement::at(0, 0), "pass the weights, not the scores")]
#[case::illegal(&[0.5, 0.5, 0.5, 0.5], [1, 1, 2, 2], Placement::at(0, 1), "row 0, column 2: the weight is 0.5; the cell is illegal")]
#[case::batch(&[0.5; 4], [1, 1, 2, 2], Placement::default().with_valid(vec![]), "0 were given for a batch of 1")]
#[case::range(&[0.5; 4], [1, 1, 2, 2], Placement::default().with_valid(vec![Valid::first(3, 1)]), "inside a block of 2×2")]
#[case::overflow(&[0.5; 4], [1, 1, 2, 2], Placement::at(usize::MAX, 0), "correct the placement")]
fn refuses_what_cannot_be(
    #[case] weights: &[f32],
    #[case] shape: [usize; 4],
    #[case] placement: Placement,
    #[case] message: &str,
) {
    let mut pattern = empty(lm_grid(1, 2, 1));
    let untouched = pattern.clone();
    let error = pattern
        .observe(SELF, 0, weights, shape, &placement)
        .unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(
        pattern, untouched,
        "an error must leave the pattern as it was"
    );
}

#[test]
fn a_negative_weight_does_not_hide_in_the_sum() {
    let mut pattern = empty(full_grid(1, 1, 1));
    let error = pattern.observe(SELF, 0, &[0.9, -0.5], [2, 1, 1, 1], &Placement::default());
    assert!(matches!(error, Err(PruningError::Weight { .. })));
}

#[test]
fn unknown_layer_names_what_there_is() {
    let pattern = empty(full_grid(1, 1, 1));
    let error = pattern.mean(SELF, 3, 0, 0, 0).unwrap_err().to_string();
    assert_eq!(
        error,
        "no decoder-self attention of layer 3 here; there is: decoder-self layer 0"
    );
}

#[test]
fn merging_needs_equal_headers() {
    let grid = full_grid(1, 2, 2);
    let mut pattern = empty(grid);
    let header = PatternHeader::new("other corpus", "model").with(SELF, 0, grid);
    let error = pattern
        .merge(&AttentionPattern::new(header))
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"corpus\" and \"other corpus\""), "{error}");
    let error = pattern
        .merge(&empty(full_grid(1, 2, 3)))
        .unwrap_err()
        .to_string();
    assert!(error.contains("grids"), "{error}");
}

/// A mean of many small numbers, where an f32 sum would stand still.
#[test]
fn sums_do_not_saturate() {
    let mut pattern = empty(full_grid(1, 1, 2));
    let big = f64::from(1u32 << 24);
    pattern
        .observe_sum(
            SELF,
            0,
            &[big, 0.0],
            [1, 1, 2],
            1 << 24,
            &Placement::default(),
        )
        .unwrap();
    for _ in 0..1000 {
        pattern
            .observe(SELF, 0, &[0.5, 0.5], [1, 1, 1, 2], &Placement::default())
            .unwrap();
    }
    let expected = (big + 500.0) / (big + 1000.0);
    assert_eq!(pattern.mean(SELF, 0, 0, 0, 0).unwrap(), Some(expected));
}

proptest! {
    /// Weights are multiples of 1/256, so sums are exact in any order and the patterns equal.
    #[test]
    fn merge_equals_one_pass(
        examples in prop::collection::vec((0usize..3, 1usize..=3, prop::collection::vec(0u8..=255, 36)), 1..12),
        cut in 0usize..12,
    ) {
        let grid = lm_grid(2, 3, 3);
        let observe = |pattern: &mut AttentionPattern, examples: &[(usize, usize, Vec<u8>)]| {
            for (missing, rows, bytes) in examples {
                let cols = grid.n_cols - missing;
                let mut block = Vec::new();
                for head in 0..2 {
                    for row in 0..*rows {
                        block.extend((0..cols).map(|col| {
                            let legal = grid.rule.is_legal(row, col + missing);
                            let byte = bytes[head * 18 + row * 6 + col];
                            if legal { f32::from(byte) / 256.0 } else { 0.0 }
                        }));
                    }
                }
                let at = Placement::at(0, *missing);
                pattern.observe(SELF, 0, &block, [1, 2, *rows, cols], &at).unwrap();
            }
        };
        let (left, right) = examples.split_at(cut.min(examples.len()));
        let (mut one_pass, mut a, mut b) = (empty(grid), empty(grid), empty(grid));
        observe(&mut one_pass, &examples);
        observe(&mut a, left);
        observe(&mut b, right);
        a.merge(&b).unwrap();
        prop_assert_eq!(&a, &one_pass);
    }

    #[test]
    fn observing_a_sum_equals_observing_the_batch(batch in 1usize..5) {
        let grid = lm_grid(2, 4, 2);
        let examples: Vec<Vec<f32>> = (0..batch)
            .map(|b| weights(&grid, |head, row, col| generic(b, head, row, col)))
            .collect();
        let mut summed = vec![0.0; examples[0].len()];
        for example in &examples {
            summed.iter_mut().zip(example).for_each(|(sum, &w)| *sum += f64::from(w));
        }
        let (mut a, mut b) = (empty(grid), empty(grid));
        let all = examples.concat();
        a.observe(SELF, 0, &all, [batch, 2, 4, 6], &Placement::default()).unwrap();
        b.observe_sum(SELF, 0, &summed, [2, 4, 6], batch, &Placement::default()).unwrap();
        prop_assert_eq!(a, b);
    }
}

#[test]
fn pattern_of_one_example_is_that_example() {
    let pattern = pattern_of(lm_grid(2, 3, 1), |h, r, c| generic(0, h, r, c));
    let mean = pattern.mean(SELF, 0, 1, 2, 3).unwrap();
    assert_eq!(mean, Some(f64::from(generic(0, 1, 2, 3))));
}
