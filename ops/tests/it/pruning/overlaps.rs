//! The overlap of two masks.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, GlobalMask, MaskOverlap, PatternHeader, Placement,
    PruningError, Scope, Semantics,
};

use super::{SELF, full_grid, generic_pattern, lm_grid, pattern_of};

fn corrected(pattern: &AttentionPattern, p: f64) -> GlobalMask {
    GlobalMask::from_pattern(pattern, p, Scope::Head, Semantics::Corrected).unwrap()
}

#[test]
fn by_hand() {
    // Of four cells of each of two heads, half are hidden.
    let a = corrected(
        &pattern_of(full_grid(2, 1, 4), |_, _, col| 0.1 + col as f32),
        0.5,
    );
    let b = pattern_of(full_grid(2, 1, 4), |head, _, col| match head {
        0 => 0.1 + ((col + 3) % 4) as f32, // hides columns 1 and 2
        _ => 0.1 + col as f32,
    });
    let b = corrected(&b, 0.5);
    let overlap = MaskOverlap::new(&a, &b).unwrap();
    let [first, second] = &overlap.heads[..] else {
        panic!("{overlap:?}")
    };
    assert_eq!(
        (first.attention_type, first.layer, first.head),
        (SELF, 0, 0)
    );
    let of = &first.overlap;
    assert_eq!((of.cells, of.hidden, of.hidden_by_both), (4, [2, 2], 1));
    assert_eq!(of.jaccard(), Some(1.0 / 3.0));
    assert_eq!(of.expected(), Some(1.0 / 3.0));
    assert_eq!(second.overlap.jaccard(), Some(1.0));
    assert_eq!(overlap.total.jaccard(), Some(3.0 / 5.0));
    let (none, all) = (
        corrected(&pattern_of(full_grid(2, 1, 4), |_, _, _| 0.5), 0.0),
        1.0,
    );
    let nothing = MaskOverlap::new(&none, &none).unwrap().total;
    assert_eq!((nothing.jaccard(), nothing.expected()), (None, None));
    let all = corrected(&pattern_of(full_grid(2, 1, 4), |_, _, _| 0.5), all);
    let everything = MaskOverlap::new(&all, &all).unwrap().total;
    assert_eq!(everything.jaccard(), Some(1.0));
    assert_eq!(everything.expected(), Some(1.0));
    assert_eq!(
        MaskOverlap::new(&all, &none).unwrap().total.jaccard(),
        Some(0.0)
    );
}

proptest! {
    #[test]
    fn as_sets_of_cells(rows in 1usize..9, memory in 0usize..9, p in 0.0f64..=1.0, seed: u64, paper: bool) {
        let pattern = generic_pattern(2, lm_grid(2, rows, memory));
        let semantics = if paper { Semantics::Paper } else { Semantics::Corrected };
        let a = GlobalMask::from_pattern(&pattern, p, Scope::Layer, semantics).unwrap();
        let b = GlobalMask::random_like(&a, seed);
        let hidden = |mask: &GlobalMask, layer, head| {
            let mut cells = BTreeSet::new();
            for row in 0..rows {
                cells.extend((0..=memory + row)
                    .filter(|&col| mask.hidden(SELF, layer, head, row, col).unwrap())
                    .map(|col| (row, col)));
            }
            cells
        };
        let overlap = MaskOverlap::new(&a, &b).unwrap();
        prop_assert_eq!(overlap.heads.len(), 4);
        for head in &overlap.heads {
            let [a, b] = [&a, &b].map(|mask| hidden(mask, head.layer, head.head));
            let either = a.union(&b).count();
            let expected = (either > 0).then(|| a.intersection(&b).count() as f64 / either as f64);
            prop_assert_eq!(head.overlap.jaccard(), expected);
        }
    }
}

#[test]
fn only_cells_that_both_observed_count() {
    let observed = |cols: usize| {
        let header = PatternHeader::new("c", "m").with(SELF, 0, full_grid(1, 1, 4));
        let mut pattern = AttentionPattern::new(header);
        let weights = vec![0.5; cols];
        pattern
            .observe(SELF, 0, &weights, [1, 1, 1, cols], &Placement::default())
            .unwrap();
        GlobalMask::from_pattern(&pattern, 1.0, Scope::Layer, Semantics::Paper).unwrap()
    };
    // Paper semantics hides what was never observed: no reason to call two masks alike.
    let overlap = MaskOverlap::new(&observed(2), &observed(3)).unwrap().total;
    assert_eq!((overlap.cells, overlap.hidden_by_both), (2, 2));
}

#[test]
fn masks_of_other_networks_are_refused() {
    let mask = |grid| corrected(&pattern_of(grid, |_, _, _| 0.5), 0.5);
    let error = MaskOverlap::new(&mask(full_grid(2, 4, 4)), &mask(full_grid(2, 4, 5))).unwrap_err();
    assert!(matches!(error, PruningError::Mismatch { .. }), "{error}");
    let two = corrected(&generic_pattern(2, full_grid(2, 4, 4)), 0.5);
    for (a, b) in [
        (&mask(full_grid(2, 4, 4)), &two),
        (&two, &mask(full_grid(2, 4, 4))),
    ] {
        let error = MaskOverlap::new(a, b).unwrap_err();
        assert!(
            matches!(error, PruningError::UnknownLayer { .. }),
            "{error}"
        );
    }
    let grid = full_grid(2, 4, 4);
    let header = PatternHeader::new("c", "m").with(AttentionType::Cross, 0, grid);
    let mut cross = AttentionPattern::new(header);
    cross
        .observe(
            AttentionType::Cross,
            0,
            &[0.5; 32],
            [1, 2, 4, 4],
            &Placement::default(),
        )
        .unwrap();
    assert!(MaskOverlap::new(&mask(grid), &corrected(&cross, 0.5)).is_err());
}
