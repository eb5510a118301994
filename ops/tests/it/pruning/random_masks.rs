//! Random masks: exact counts, uniform, the same for ever.

use proptest::prelude::*;
use sparta_ops::pruning::{
    AttentionPattern, GlobalMask, Grid, MaskKind, PatternHeader, Placement, Scope, Semantics,
};

use super::{SELF, generic_pattern, lm_grid};

/// Hidden legal cells of one layer, all heads.
fn n_hidden(mask: &GlobalMask, layer: usize) -> usize {
    let &Grid {
        n_rows,
        n_cols,
        rule,
        ..
    } = mask.grid(SELF, layer).unwrap();
    let cells = mask.cells(SELF, layer, n_rows, n_cols).unwrap();
    let place = |i: usize| (i / n_cols % n_rows, i % n_cols);
    let legal = |i: usize| rule.is_legal(place(i).0, place(i).1);
    cells
        .iter()
        .enumerate()
        .filter(|&(i, &hidden)| hidden && legal(i))
        .count()
}

proptest! {
    #[test]
    fn as_many_as_the_ap_mask_in_every_layer(
        p in 0.0f64..=1.0,
        seed: u64,
        paper: bool,
        scope in prop::sample::select(vec![Scope::Layer, Scope::Head, Scope::Model]),
    ) {
        let grid = lm_grid(3, 5, 4);
        let pattern = generic_pattern(3, grid);
        let semantics = if paper { Semantics::Paper } else { Semantics::Corrected };
        let ap = GlobalMask::from_pattern(&pattern, p, scope, semantics).unwrap();
        let random = GlobalMask::random_like(&ap, seed);
        prop_assert_eq!(random.kind(), MaskKind::Random { seed });
        prop_assert_eq!(&random, &GlobalMask::random_like(&ap, seed));
        for layer in 0..3 {
            prop_assert_eq!(n_hidden(&random, layer), n_hidden(&ap, layer));
            for head in 0..3 {
                for (row, col) in (0..5).flat_map(|r| (0..9).map(move |c| (r, c))) {
                    if !grid.rule.is_legal(row, col) {
                        let at = |mask: &GlobalMask| mask.hidden(SELF, layer, head, row, col).unwrap();
                        prop_assert_eq!(at(&random), at(&ap));
                    }
                }
            }
        }
    }
}

/// Σ (observed − expected)² / expected over the legal cells of a 2 × 4 × 6 layer.
fn chi_square(ap: &GlobalMask, masks: impl Iterator<Item = GlobalMask>) -> f64 {
    let grid = *ap.grid(SELF, 0).unwrap();
    let mut counts = vec![0u32; grid.n_heads * grid.n_rows * grid.n_cols];
    let mut n_masks = 0.0;
    for mask in masks {
        n_masks += 1.0;
        let cells = mask.cells(SELF, 0, grid.n_rows, grid.n_cols).unwrap();
        counts
            .iter_mut()
            .zip(cells)
            .for_each(|(count, hidden)| *count += u32::from(hidden));
    }
    let legal = grid.n_heads * grid.legal_per_head();
    let expected = n_masks * n_hidden(ap, 0) as f64 / legal as f64;
    let place = |i: usize| (i / grid.n_cols % grid.n_rows, i % grid.n_cols);
    counts
        .iter()
        .enumerate()
        .filter(|&(i, _)| grid.rule.is_legal(place(i).0, place(i).1))
        .map(|(_, &count)| (f64::from(count) - expected).powi(2) / expected)
        .sum()
}

#[test]
fn uniform_over_the_legal_cells_of_all_heads() {
    let pattern = generic_pattern(1, lm_grid(2, 4, 2));
    let ap = GlobalMask::from_pattern(&pattern, 0.25, Scope::Layer, Semantics::Corrected).unwrap();
    // 36 cells, 9 hidden: the sum has mean 35 · 0.75 = 26 and standard deviation 6.
    let uniform = chi_square(
        &ap,
        (0..4000).map(|seed| GlobalMask::random_like(&ap, seed)),
    );
    assert!((8.0..56.0).contains(&uniform), "{uniform}");
    // The same statistic finds a sampler out that always takes the same cells.
    let biased = chi_square(&ap, (0..4000).map(|_| ap.clone()));
    assert!(biased > 10_000.0, "{biased}");
}

#[test]
fn layers_and_seeds_differ() {
    let pattern = generic_pattern(2, lm_grid(2, 8, 8));
    let ap = GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, Semantics::Corrected).unwrap();
    let cells = |seed, layer| {
        GlobalMask::random_like(&ap, seed)
            .cells(SELF, layer, 8, 16)
            .unwrap()
    };
    assert_ne!(cells(1, 0), cells(1, 1));
    assert_ne!(cells(1, 0), cells(2, 0));
}

/// Fails if a release, a platform or a library ever changes the masks of a seed.
#[test]
fn a_seed_names_the_same_mask_for_ever() {
    let pattern = generic_pattern(1, lm_grid(1, 4, 0));
    let ap = GlobalMask::from_pattern(&pattern, 0.4, Scope::Layer, Semantics::Corrected).unwrap();
    let cells = GlobalMask::random_like(&ap, 42)
        .cells(SELF, 0, 4, 4)
        .unwrap();
    let drawn: Vec<usize> = (0..16).filter(|&i| cells[i]).collect();
    assert_eq!(drawn, GOLDEN);
}

/// Drawn by the same recipe written in Python.
const GOLDEN: [usize; 4] = [0, 4, 8, 10];

#[test]
fn cells_never_observed_are_not_drawn() {
    let header = PatternHeader::new("c", "m").with(SELF, 0, lm_grid(1, 4, 4));
    let mut pattern = AttentionPattern::new(header);
    // No memory was ever there: columns 4 to 7 only.
    let weights: Vec<f32> = (0..16)
        .map(|i| if i % 4 <= i / 4 { 0.25 } else { 0.0 })
        .collect();
    pattern
        .observe(SELF, 0, &weights, [1, 1, 4, 4], &Placement::at(0, 4))
        .unwrap();
    for semantics in [Semantics::Corrected, Semantics::Paper] {
        let ap = GlobalMask::from_pattern(&pattern, 0.4, Scope::Layer, semantics).unwrap();
        for seed in 0..20 {
            let random = GlobalMask::random_like(&ap, seed);
            for (row, col) in (0..4).flat_map(|r| (0..4).map(move |c| (r, c))) {
                let hidden = random.hidden(SELF, 0, 0, row, col).unwrap();
                assert_eq!(hidden, semantics == Semantics::Paper);
            }
            assert_eq!(n_hidden(&random, 0), n_hidden(&ap, 0));
        }
    }
}
