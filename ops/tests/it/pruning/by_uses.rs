//! Masks of which p is a share of the uses of cells.

use std::fs;

use proptest::prelude::*;
use sparta_ops::pruning::{
    AttentionPattern, BlockState, GlobalMask, Grid, MaskKind, PatternHeader, Placement,
    PruningError, Scope, Semantics, SparsityReport, Valid, Weighing,
};

use super::{
    SELF, full_grid, generic, generic_pattern, lm_grid, of_earlier_version, shape, weights,
};

/// A pattern of layers that examples of these lengths were observed on.
fn pattern_of_lengths(n_layers: usize, grid: Grid, lengths: &[usize]) -> AttentionPattern {
    let header = PatternHeader::new("corpus", "model").with_layers(SELF, n_layers, grid);
    let mut pattern = AttentionPattern::new(header);
    for layer in 0..n_layers {
        for &n in lengths {
            let valid = Valid::first(n.min(grid.n_rows), n.min(grid.n_cols));
            let placement = Placement::default().with_valid(vec![valid]);
            let weights = weights(&grid, |head, row, col| generic(layer, head, row, col));
            pattern
                .observe(SELF, layer, &weights, shape(&grid), &placement)
                .unwrap();
        }
    }
    pattern
}

fn by_uses(pattern: &AttentionPattern, p: f64, scope: Scope) -> GlobalMask {
    GlobalMask::from_pattern_by_uses(pattern, p, scope).unwrap()
}

fn by_cells(pattern: &AttentionPattern, p: f64, scope: Scope) -> GlobalMask {
    GlobalMask::from_pattern(pattern, p, scope, Semantics::Corrected).unwrap()
}

/// Every legal cell of the layers with its mean, its uses, and whether it is hidden.
fn cells(pattern: &AttentionPattern, mask: &GlobalMask) -> Vec<(f64, u64, bool)> {
    let mut all = Vec::new();
    for (kind, layer) in mask.layers() {
        let grid = *mask.grid(kind, layer).unwrap();
        for head in 0..grid.n_heads {
            for row in 0..grid.n_rows {
                for col in (0..grid.n_cols).filter(|&col| grid.rule.is_legal(row, col)) {
                    let Some(mean) = pattern.mean(kind, layer, head, row, col).unwrap() else {
                        continue;
                    };
                    let uses = pattern.count(kind, layer, row, col).unwrap();
                    let hidden = mask.hidden(kind, layer, head, row, col).unwrap();
                    all.push((mean, uses, hidden));
                }
            }
        }
    }
    all
}

fn hidden_uses(pattern: &AttentionPattern, mask: &GlobalMask) -> u64 {
    let cells = cells(pattern, mask);
    cells.iter().filter(|of| of.2).map(|of| of.1).sum()
}

/// One query, five keys that 10, 6, 3, 2 and 1 examples have, with means 0.5, 0.1, 0.2, 0.3 and 0.4.
#[test]
fn cells_are_hidden_by_rising_mean_until_their_uses_are_p() {
    let grid = full_grid(1, 1, 5);
    let header = PatternHeader::new("corpus", "model").with(SELF, 0, grid);
    let mut pattern = AttentionPattern::new(header);
    let lengths = [5, 4, 3, 2, 2, 2, 1, 1, 1, 1];
    for n in lengths {
        let placement = Placement::default().with_valid(vec![Valid::first(1, n)]);
        let weights = [0.5, 0.1, 0.2, 0.3, 0.4];
        pattern
            .observe(SELF, 0, &weights, [1, 1, 1, 5], &placement)
            .unwrap();
    }
    let uses = [0, 1, 2, 3, 4].map(|col| pattern.count(SELF, 0, 0, col).unwrap());
    assert_eq!(uses, [10, 6, 3, 2, 1]);
    let hidden = |mask: &GlobalMask| {
        [0, 1, 2, 3, 4].map(|col| u8::from(mask.hidden(SELF, 0, 0, 0, col).unwrap()))
    };
    // By rising mean the uses are 6, 3, 2, 1, 10, and their sums 6, 9, 11, 12, 22.
    for (p, expected) in [
        (0.0, [0, 0, 0, 0, 0]),
        (0.13, [0, 0, 0, 0, 0]), // 2.86
        (0.14, [0, 1, 0, 0, 0]), // 3.08
        (0.35, [0, 1, 1, 0, 0]), // 7.7
        (0.5, [0, 1, 1, 1, 0]),  // 11
        (0.7, [0, 1, 1, 1, 1]),  // 15.4
        (0.8, [1, 1, 1, 1, 1]),  // 17.6
        (1.0, [1, 1, 1, 1, 1]),
    ] {
        assert_eq!(hidden(&by_uses(&pattern, p, Scope::Layer)), expected, "{p}");
    }
    // Four of five cells, and 12 of 22 uses.
    assert_eq!(
        hidden(&by_cells(&pattern, 0.8, Scope::Layer)),
        [0, 1, 1, 1, 1]
    );
    let mask = by_uses(&pattern, 0.5, Scope::Layer);
    assert_eq!(
        (mask.weighing(), mask.kind()),
        (Weighing::Uses, MaskKind::Ap)
    );
    let report = SparsityReport::new(&mask, &pattern).unwrap();
    assert_eq!((report.total.hidden_uses, report.total.uses), (11, 22));
    assert_eq!(report.total.token_weighted, 0.5);
    let text = report.to_string();
    assert!(
        text.starts_with("mask ap, nominal 50.00 % of the uses, threshold by layer"),
        "{text}"
    );
}

/// Most sentences are short: 80 % of the cells are those that few sentences have.
#[test]
fn p_of_the_uses_is_what_short_sentences_lose() {
    let lengths: Vec<usize> = (0..60)
        .map(|i| if i % 20 == 0 { 24 } else { 5 + i % 4 })
        .collect();
    let grid = full_grid(4, 24, 24);
    // Attention spreads over the keys there are, so that cells of long sentences have small means.
    let header = PatternHeader::new("corpus", "model").with(SELF, 0, grid);
    let mut pattern = AttentionPattern::new(header);
    for n in lengths {
        let weights = weights(&grid, |head, row, col| {
            generic(0, head, row, col) / n as f32
        });
        let placement = Placement::default().with_valid(vec![Valid::first(n, n)]);
        pattern
            .observe(SELF, 0, &weights, shape(&grid), &placement)
            .unwrap();
    }
    let report = |mask: &GlobalMask| SparsityReport::new(mask, &pattern).unwrap().total;
    let cells = report(&by_cells(&pattern, 0.8, Scope::Layer));
    assert!((cells.effective - 0.8).abs() < 1e-3, "{cells:?}");
    assert!(cells.token_weighted < 0.5, "{cells:?}");
    let uses = report(&by_uses(&pattern, 0.8, Scope::Layer));
    assert!((uses.token_weighted - 0.8).abs() < 0.01, "{uses:?}");
    assert!(uses.effective > 0.9, "{uses:?}");
}

#[test]
fn cells_that_are_used_equally_often_are_hidden_as_without_weights() {
    let scopes = [Scope::Layer, Scope::Head, Scope::Model];
    for grid in [lm_grid(2, 7, 3), full_grid(3, 5, 5)] {
        let pattern = pattern_of_lengths(2, grid, &[10; 3]);
        for scope in scopes {
            for p in 0..=16 {
                let p = f64::from(p) / 16.0;
                let (uses, cells) = (by_uses(&pattern, p, scope), by_cells(&pattern, p, scope));
                let blocks = |by: fn(&AttentionPattern, f64, Scope, usize) -> Result<_, _>| {
                    by(&pattern, p, scope, 2).unwrap()
                };
                let in_blocks = [
                    blocks(GlobalMask::from_pattern_in_blocks_by_uses),
                    blocks(GlobalMask::from_pattern_in_blocks),
                ];
                let random = [
                    GlobalMask::random_like_by_uses(&uses, &pattern, 7).unwrap(),
                    GlobalMask::random_like(&cells, 7),
                ];
                for [a, b] in [[uses, cells], in_blocks, random] {
                    assert_eq!(
                        (a.weighing(), b.weighing()),
                        (Weighing::Uses, Weighing::Cells)
                    );
                    for layer in 0..2 {
                        let of = |mask: &GlobalMask| {
                            mask.cells(SELF, layer, grid.n_rows, grid.n_cols).unwrap()
                        };
                        assert_eq!(of(&a), of(&b), "{scope}, p = {p}");
                    }
                }
            }
        }
    }
}

#[test]
fn blocks_count_for_the_uses_of_their_cells() {
    let pattern = pattern_of_lengths(1, full_grid(2, 8, 8), &[2, 2, 2, 3, 4, 8]);
    for p in [0.2, 0.5, 0.8] {
        let make = GlobalMask::from_pattern_in_blocks_by_uses;
        let mask = make(&pattern, p, Scope::Layer, 2).unwrap();
        assert_eq!(mask.kind(), MaskKind::ApBlocks { block_size: 2 });
        let layout = mask.block_layout(SELF, 0, 8, 8, 2).unwrap();
        for head in 0..2 {
            assert_eq!(layout.count(head, BlockState::Partial), 0);
        }
        // A block of the shortest sentences is used 24 times; the sum is off by half of that at most.
        let all: u64 = cells(&pattern, &mask).iter().map(|of| of.1).sum();
        let off = (hidden_uses(&pattern, &mask) as f64 - p * all as f64).abs();
        assert!(off <= 12.0, "{off} at {p}");
    }
    type Make = fn(&AttentionPattern, f64, Scope, usize) -> Result<GlobalMask, PruningError>;
    let hidden = |make: Make| {
        [1, 2, 3, 4, 5, 6, 7, 8, 9].map(|tenths| {
            let mask = make(&pattern, f64::from(tenths) / 10.0, Scope::Layer, 2).unwrap();
            hidden_uses(&pattern, &mask)
        })
    };
    let (cells, uses) = (
        hidden(GlobalMask::from_pattern_in_blocks),
        hidden(GlobalMask::from_pattern_in_blocks_by_uses),
    );
    assert_ne!(cells, uses);
}

#[test]
fn files_keep_the_weighing_and_earlier_ones_are_of_cells() {
    let pattern = pattern_of_lengths(2, full_grid(2, 6, 6), &[2, 3, 6]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask");
    let mask = by_uses(&pattern, 0.6, Scope::Head);
    let random = GlobalMask::random_like_by_uses(&mask, &pattern, 3).unwrap();
    for mask in [mask, random] {
        mask.save(&path).unwrap();
        assert_eq!(GlobalMask::load(&path).unwrap(), mask);
    }
    let mask = by_cells(&pattern, 0.6, Scope::Head);
    mask.save(&path).unwrap();
    // A checksum of the header tells of every other one.
    let written = of_earlier_version(&fs::read(&path).unwrap());
    let entry = br#","weigh":"cells""#;
    let at = written.windows(entry.len()).position(|of| of == entry);
    let at = at.expect("the entry");
    let with = |new: &[u8]| {
        let mut bytes = written.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        fs::write(&path, bytes).unwrap();
        GlobalMask::load(&path)
    };
    assert_eq!(with(&vec![b' '; entry.len()]).unwrap(), mask);
    let error = with(br#","weigh":"rows" "#).unwrap_err().to_string();
    assert!(error.contains("`weigh` is `rows`"), "{error}");
}

#[test]
fn bad_requests_are_errors() {
    let pattern = pattern_of_lengths(1, full_grid(1, 4, 4), &[2, 4]);
    let attempt = |p| GlobalMask::from_pattern_by_uses(&pattern, p, Scope::Layer);
    assert!(matches!(attempt(1.5), Err(PruningError::Share { .. })));
    let mask = attempt(0.5).unwrap();
    let other = generic_pattern(1, full_grid(1, 4, 5));
    let error = GlobalMask::random_like_by_uses(&mask, &other, 1).unwrap_err();
    assert!(matches!(error, PruningError::Mismatch { .. }), "{error}");
    let none = AttentionPattern::new(PatternHeader::new("c", "m"));
    let error = GlobalMask::random_like_by_uses(&mask, &none, 1).unwrap_err();
    assert!(
        matches!(error, PruningError::UnknownLayer { .. }),
        "{error}"
    );
}

proptest! {
    /// Hidden cells have smaller means than those of their scope that stay; their uses are as near to p as the next cell
    /// allows; a greater p hides all that a smaller one does; random masks hide as many uses.
    #[test]
    fn uses_are_as_near_to_p_as_cells_allow(
        lengths in prop::collection::vec(1usize..=7, 1..12),
        p in 0.0f64..=1.0,
        more in 0.0f64..=1.0,
        seed: u64,
        causal: bool,
    ) {
        let grid = match causal {
            true => lm_grid(2, 7, 0),
            false => full_grid(2, 7, 7),
        };
        let pattern = pattern_of_lengths(1, grid, &lengths);
        let mask = by_uses(&pattern, p, Scope::Layer);
        let larger = by_uses(&pattern, p.max(more), Scope::Layer);
        let (of, of_larger) = (cells(&pattern, &mask), cells(&pattern, &larger));
        let most = of.iter().map(|of| of.1).max().unwrap() as f64;
        let all: u64 = of.iter().map(|of| of.1).sum();
        let off = (hidden_uses(&pattern, &mask) as f64 - p * all as f64).abs();
        prop_assert!(off <= 0.5 * most + 1e-9, "{} of {} off", off, all);
        let highest = of.iter().filter(|of| of.2).map(|of| of.0).fold(0.0, f64::max);
        let lowest = of.iter().filter(|of| !of.2).map(|of| of.0).fold(1.0, f64::min);
        prop_assert!(highest <= lowest);
        prop_assert!(of.iter().zip(&of_larger).all(|(small, large)| !small.2 || large.2));

        let random = GlobalMask::random_like_by_uses(&mask, &pattern, seed).unwrap();
        prop_assert_eq!(&random, &GlobalMask::random_like_by_uses(&mask, &pattern, seed).unwrap());
        prop_assert_eq!(random.kind(), MaskKind::Random { seed });
        let off = hidden_uses(&pattern, &random).abs_diff(hidden_uses(&pattern, &mask));
        prop_assert!(2.0 * off as f64 <= most, "{}", off);
        // What no example has stays visible, and what is illegal as it is.
        for head in 0..2 {
            for row in 0..7 {
                for col in 0..7 {
                    if pattern.count(SELF, 0, row, col).unwrap() == 0 || !grid.rule.is_legal(row, col) {
                        prop_assert!(!random.hidden(SELF, 0, head, row, col).unwrap());
                    }
                }
            }
        }
    }
}
