//! Thresholds: what a fraction p hides under each semantics and scope.

use proptest::prelude::*;
use rstest::rstest;
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, CellRule, GlobalMask, Grid, Padding, PatternHeader, Placement,
    PruningError, Scope, Semantics, SparsityReport, Valid,
};

use super::{SELF, full_grid, generic, generic_pattern, lm_grid, pattern_of};

/// (layer, head, row, col) of all legal cells, hidden or not as asked.
fn cells(mask: &GlobalMask, hidden: bool, legal: bool) -> Vec<(usize, usize, usize, usize)> {
    let mut found = Vec::new();
    for (attention_type, layer) in mask.layers() {
        let &Grid {
            n_heads,
            n_rows,
            n_cols,
            rule,
        } = mask.grid(attention_type, layer).unwrap();
        for head in 0..n_heads {
            for row in 0..n_rows {
                for col in 0..n_cols {
                    let is = mask.hidden(attention_type, layer, head, row, col).unwrap();
                    if is == hidden && rule.is_legal(row, col) == legal {
                        found.push((layer, head, row, col));
                    }
                }
            }
        }
    }
    found
}

fn effective(pattern: &AttentionPattern, p: f64, semantics: Semantics) -> f64 {
    let mask = GlobalMask::from_pattern(pattern, p, Scope::Layer, semantics).unwrap();
    SparsityReport::new(&mask, pattern).unwrap().total.effective
}

/// The table of the reference report: Transformer-XL of 150 × 300 and a decoder of 175.
#[rstest]
#[case::txl(lm_grid(2, 150, 150), 0.2483, &[(0.2, 0.0), (0.4, 20.2), (0.5, 33.5), (0.6, 46.8), (0.8, 73.4), (0.9, 86.7)])]
#[case::decoder(lm_grid(2, 175, 0), 0.497, &[(0.2, 0.0), (0.4, 0.0), (0.5, 0.6), (0.6, 20.5), (0.8, 60.2), (0.9, 80.1)])]
fn paper_share_of_legal_cells(#[case] grid: Grid, #[case] f: f64, #[case] table: &[(f64, f64)]) {
    let illegal = 1.0 - grid.legal_per_head() as f64 / (grid.n_rows * grid.n_cols) as f64;
    assert!(
        (illegal - f).abs() < 1e-3,
        "fraction of illegal cells {illegal}"
    );
    let pattern = generic_pattern(1, grid);
    for &(p, percent) in table {
        let found = effective(&pattern, p, Semantics::Paper);
        let formula = ((p - illegal) / (1.0 - illegal)).max(0.0);
        assert!(
            (found - formula).abs() < 1e-4,
            "p {p}: {found} against {formula}"
        );
        assert!(
            (100.0 * found - percent).abs() < 0.051,
            "p {p}: {found} against {percent} %"
        );
    }
}

#[test]
fn paper_p20_hides_no_legal_cell_when_memory_is_as_long_as_the_target() {
    for rows in [8, 64, 150] {
        let pattern = generic_pattern(2, lm_grid(3, rows, rows));
        let mask = GlobalMask::from_pattern(&pattern, 0.2, Scope::Layer, Semantics::Paper).unwrap();
        assert_eq!(cells(&mask, true, true), []);
        assert_eq!(
            cells(&mask, false, false),
            [],
            "the structural zeros are ≤ τ"
        );
    }
}

#[test]
fn p_zero() {
    let causal = generic_pattern(1, lm_grid(2, 6, 2));
    let full = generic_pattern(1, full_grid(2, 6, 8));
    let hidden = |pattern, semantics| {
        cells(
            &GlobalMask::from_pattern(pattern, 0.0, Scope::Layer, semantics).unwrap(),
            true,
            true,
        )
    };
    assert_eq!(hidden(&causal, Semantics::Corrected), []);
    assert_eq!(hidden(&full, Semantics::Corrected), []);
    // numpy's 0th percentile is the smallest element: a structural zero, or the smallest cell.
    assert_eq!(hidden(&causal, Semantics::Paper), []);
    assert_eq!(hidden(&full, Semantics::Paper).len(), 1);
}

#[test]
fn p_one_hides_every_legal_cell() {
    let pattern = generic_pattern(2, lm_grid(2, 6, 2));
    for semantics in [Semantics::Corrected, Semantics::Paper] {
        for scope in [Scope::Layer, Scope::Head, Scope::Model] {
            let mask = GlobalMask::from_pattern(&pattern, 1.0, scope, semantics).unwrap();
            assert_eq!(cells(&mask, false, true), []);
        }
    }
}

/// A worked example, the paper's percentile by hand.
#[test]
fn paper_on_six_cells() {
    let pattern = pattern_of(full_grid(1, 2, 3), |_, row, col| {
        [[0.3, 0.1, 0.6], [0.2, 0.2, 0.6]][row][col]
    });
    let hidden = |p| {
        let mask = GlobalMask::from_pattern(&pattern, p, Scope::Layer, Semantics::Paper).unwrap();
        cells(&mask, true, true)
            .into_iter()
            .map(|(_, _, row, col)| (row, col))
            .collect::<Vec<_>>()
    };
    assert_eq!(hidden(0.1), [(0, 1)]); // index 0.5 → 0, τ = 0.1
    assert_eq!(hidden(0.2), [(0, 1), (1, 0), (1, 1)]); // index 1, τ = 0.2: both ties go
    assert_eq!(hidden(0.5), [(0, 1), (1, 0), (1, 1)]); // index 2.5 → 2, τ = 0.2
    assert_eq!(
        hidden(0.7),
        [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    ); // 3.5 → 4, τ = 0.6
}

#[test]
fn scopes_share_thresholds_differently() {
    // Head 1 is used ten times as much as head 0, layer 1 a hundred times as much as layer 0.
    let grid = full_grid(2, 2, 5);
    let header = PatternHeader::new("c", "m").with_layers(SELF, 2, grid);
    let mut pattern = AttentionPattern::new(header);
    for layer in 0..2 {
        let scale = |head| 1e-4 * 10f32.powi(head as i32) * 100f32.powi(layer as i32);
        let weights = super::weights(&grid, |h, r, c| scale(h) * (1.0 + generic(layer, h, r, c)));
        pattern
            .observe(SELF, layer, &weights, [1, 2, 2, 5], &Placement::default())
            .unwrap();
    }
    let counts = |scope| {
        let mask = GlobalMask::from_pattern(&pattern, 0.5, scope, Semantics::Corrected).unwrap();
        let hidden = cells(&mask, true, true);
        [(0, 0), (0, 1), (1, 0), (1, 1)]
            .map(|(l, h)| hidden.iter().filter(|c| (c.0, c.1) == (l, h)).count())
    };
    assert_eq!(counts(Scope::Head), [5, 5, 5, 5]);
    assert_eq!(counts(Scope::Layer), [10, 0, 10, 0]);
    assert_eq!(counts(Scope::Model), [10, 10, 0, 0]);
}

#[test]
fn model_scope_keeps_attention_types_apart() {
    let (small, large) = (full_grid(1, 2, 4), full_grid(1, 2, 4));
    let header = PatternHeader::new("c", "m")
        .with(AttentionType::EncoderSelf, 0, small)
        .with(AttentionType::Cross, 0, large);
    let mut pattern = AttentionPattern::new(header);
    for (attention_type, scale) in [
        (AttentionType::EncoderSelf, 0.01),
        (AttentionType::Cross, 1.0),
    ] {
        let weights = super::weights(&small, |h, r, c| scale * generic(0, h, r, c));
        pattern
            .observe(
                attention_type,
                0,
                &weights,
                [1, 1, 2, 4],
                &Placement::default(),
            )
            .unwrap();
    }
    let mask = GlobalMask::from_pattern(&pattern, 0.5, Scope::Model, Semantics::Corrected).unwrap();
    for attention_type in [AttentionType::EncoderSelf, AttentionType::Cross] {
        let hidden = mask
            .cells(attention_type, 0, 2, 4)
            .unwrap()
            .into_iter()
            .filter(|&h| h)
            .count();
        assert_eq!(hidden, 4);
    }
}

/// A sparse normaliser leaves many exact zeros: as many go as p asks, not all of them, and they
/// are not all of the first head or the first row.
#[test]
fn ties_are_split_evenly_in_corrected() {
    let pattern = pattern_of(
        full_grid(4, 10, 10),
        |_, _, col| if col < 6 { 0.0 } else { 0.25 },
    );
    let mask = GlobalMask::from_pattern(&pattern, 0.3, Scope::Layer, Semantics::Corrected).unwrap();
    let hidden = cells(&mask, true, true);
    assert_eq!(hidden.len(), 120);
    assert!(hidden.iter().all(|&(_, _, _, col)| col < 6));
    for head in 0..4 {
        // Hypergeometric, 60 of 240: mean 30, standard deviation 3.4.
        let n = hidden.iter().filter(|c| c.1 == head).count();
        assert!((17..=43).contains(&n), "head {head} loses {n} of 60");
    }
    let again =
        GlobalMask::from_pattern(&pattern, 0.3, Scope::Layer, Semantics::Corrected).unwrap();
    assert_eq!(mask, again);
}

#[test]
fn cells_never_observed() {
    // Only 3 × 4 of 5 × 6 cells are ever seen.
    let header = PatternHeader::new("c", "m").with(SELF, 0, full_grid(1, 5, 6));
    let mut pattern = AttentionPattern::new(header);
    let weights: Vec<f32> = (0..12).map(|i| generic(0, 0, i / 4, i % 4)).collect();
    pattern
        .observe(SELF, 0, &weights, [1, 1, 3, 4], &Placement::default())
        .unwrap();

    let corrected =
        GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, Semantics::Corrected).unwrap();
    let paper = GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, Semantics::Paper).unwrap();
    assert_eq!(corrected.bounds(SELF, 0).unwrap(), (3, 4));
    // 12 cells: six of them; and the sorted element 5.5 → 6, so seven.
    let within = |mask: &GlobalMask| {
        mask.cells(SELF, 0, 3, 4)
            .unwrap()
            .iter()
            .filter(|&&h| h)
            .count()
    };
    assert_eq!((within(&corrected), within(&paper)), (6, 7));
    // Beyond the bounds, inside the grid (5 × 6) and outside of it.
    for (row, col) in [(3, 0), (0, 4), (4, 5), (5, 0), (0, 6), (100, 100)] {
        assert!(!corrected.hidden(SELF, 0, 0, row, col).unwrap());
        assert!(paper.hidden(SELF, 0, 0, row, col).unwrap());
    }
    let hidden = |mask: &GlobalMask| {
        mask.cells(SELF, 0, 10, 10)
            .unwrap()
            .iter()
            .filter(|&&h| h)
            .count()
    };
    assert_eq!((hidden(&corrected), hidden(&paper)), (6, 100 - 12 + 7));
}

#[test]
fn illegal_cells_are_never_hidden_in_corrected() {
    let pattern = generic_pattern(1, lm_grid(2, 6, 2));
    let mask = GlobalMask::from_pattern(&pattern, 0.7, Scope::Layer, Semantics::Corrected).unwrap();
    assert_eq!(cells(&mask, true, false), []);
}

#[rstest]
#[case(Padding::LeftOut, Semantics::Paper)]
#[case(Padding::AveragedIn, Semantics::Corrected)]
fn padding_must_fit_the_semantics(#[case] padding: Padding, #[case] semantics: Semantics) {
    let header = PatternHeader::new("c", "m")
        .with(SELF, 0, full_grid(1, 1, 2))
        .with_padding(padding);
    let mut pattern = AttentionPattern::new(header);
    let observe = |pattern: &mut AttentionPattern, cols| {
        let placement = Placement::default().with_valid(vec![Valid::first(1, cols)]);
        pattern
            .observe(SELF, 0, &[1.0, 0.0], [1, 1, 1, 2], &placement)
            .unwrap();
    };
    observe(&mut pattern, 2);
    assert!(
        GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, semantics).is_ok(),
        "nothing padded"
    );
    observe(&mut pattern, 1);
    let error = GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, semantics).unwrap_err();
    assert!(
        matches!(error, PruningError::PaddingPolicy { .. }),
        "{error}"
    );
}

#[rstest]
#[case(20.0)]
#[case(-0.1)]
#[case(f64::NAN)]
fn p_is_a_share(#[case] p: f64) {
    let pattern = generic_pattern(1, full_grid(1, 2, 2));
    let error =
        GlobalMask::from_pattern(&pattern, p, Scope::Layer, Semantics::Corrected).unwrap_err();
    assert!(error.to_string().contains("write 20 % as 0.2"), "{error}");
}

#[test]
fn errors_name_both_shapes() {
    let pattern = generic_pattern(1, lm_grid(2, 4, 4));
    let mask = GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, Semantics::Corrected).unwrap();
    mask.check_shape(SELF, 0, 2, 4, 8).unwrap();
    let error = mask
        .check_shape(SELF, 0, 4, 64, 128)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("4 heads of 64×128") && error.contains("2 heads of 4×8"),
        "{error}"
    );
    assert!(matches!(
        mask.check_shape(SELF, 1, 2, 4, 8),
        Err(PruningError::UnknownLayer { .. })
    ));
    assert!(matches!(
        mask.hidden(SELF, 0, 2, 0, 0),
        Err(PruningError::UnknownHead { .. })
    ));
    let empty = AttentionPattern::new(PatternHeader::new("c", "m").with(SELF, 0, lm_grid(2, 4, 4)));
    let error =
        GlobalMask::from_pattern(&empty, 0.5, Scope::Layer, Semantics::Corrected).unwrap_err();
    assert!(
        matches!(error, PruningError::NothingObserved { .. }),
        "{error}"
    );
}

#[test]
fn words_read_back() {
    for semantics in [Semantics::Corrected, Semantics::Paper] {
        assert_eq!(
            semantics.to_string().parse::<Semantics>().unwrap(),
            semantics
        );
    }
    for scope in [Scope::Layer, Scope::Head, Scope::Model] {
        assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
    }
    for rule in [CellRule::Full, CellRule::Causal { memory: 64 }] {
        assert_eq!(rule.to_string().parse::<CellRule>().unwrap(), rule);
    }
    let error = "papre".parse::<Semantics>().unwrap_err().to_string();
    assert_eq!(
        error,
        "`papre` is no mask semantics; choose one of corrected, paper"
    );
}

proptest! {
    /// `corrected` by brute force: exactly round_half_even(N·p), none of the kept smaller than
    /// any of the hidden, and a greater p hides all that a smaller one does.
    #[test]
    fn corrected_hides_the_smallest(
        levels in prop::collection::vec(0u8..6, 2 * 4 * 6),
        p in 0.0f64..=1.0,
        more in 0.0f64..=1.0,
    ) {
        let grid = lm_grid(2, 4, 2);
        let value = |h: usize, r: usize, c: usize| f32::from(levels[(h * 4 + r) * 6 + c]) / 8.0;
        let pattern = pattern_of(grid, value);
        let mask = GlobalMask::from_pattern(&pattern, p, Scope::Layer, Semantics::Corrected).unwrap();
        let n = 2 * grid.legal_per_head();
        prop_assert_eq!(n, 2 * (3 + 4 + 5 + 6));
        let (hidden, kept) = (cells(&mask, true, true), cells(&mask, false, true));
        prop_assert_eq!(hidden.len(), (n as f64 * p).round_ties_even() as usize);
        let of = |c: &(usize, usize, usize, usize)| value(c.1, c.2, c.3);
        let greatest = hidden.iter().map(of).fold(0.0, f32::max);
        prop_assert!(kept.iter().all(|c| of(c) >= greatest));

        let p = p.max(more);
        let larger = GlobalMask::from_pattern(&pattern, p, Scope::Layer, Semantics::Corrected).unwrap();
        let larger = cells(&larger, true, true);
        prop_assert!(hidden.iter().all(|c| larger.contains(c)));
    }

    /// `paper` by brute force on the whole matrix, zeros included.
    #[test]
    fn paper_hides_up_to_the_percentile(
        levels in prop::collection::vec(0u8..20, 2 * 4 * 6),
        p in 0.0f64..=1.0,
    ) {
        let grid = lm_grid(2, 4, 2);
        let value = |h: usize, r: usize, c: usize| {
            if grid.rule.is_legal(r, c) { f32::from(levels[(h * 4 + r) * 6 + c]) / 32.0 } else { 0.0 }
        };
        let pattern = pattern_of(grid, value);
        let mask = GlobalMask::from_pattern(&pattern, p, Scope::Layer, Semantics::Paper).unwrap();
        let mut sorted: Vec<f32> = (0..48).map(|i| value(i / 24, i / 6 % 4, i % 6)).collect();
        sorted.sort_by(f32::total_cmp);
        let tau = sorted[(47.0 * p).round_ties_even() as usize];
        for i in 0..48 {
            let (h, r, c) = (i / 24, i / 6 % 4, i % 6);
            prop_assert_eq!(mask.hidden(SELF, 0, h, r, c).unwrap(), value(h, r, c) <= tau);
        }
    }
}

#[test]
fn a_part_of_a_pattern_masks_its_attention_types_alone() {
    let grid = full_grid(2, 4, 5);
    let header = AttentionType::ALL
        .into_iter()
        .fold(PatternHeader::new("corpus", "model"), |header, kind| {
            header.with_layers(kind, 2, grid)
        });
    let mut whole = AttentionPattern::new(header);
    for (number, kind) in AttentionType::ALL.into_iter().enumerate() {
        for layer in 0..2 {
            let cells = (0..2 * 4 * 5).map(|i| generic(number, layer, i / 5, i % 5));
            let shape = [1, 2, 4, 5];
            let weights: Vec<f32> = cells.collect();
            whole
                .observe(kind, layer, &weights, shape, &Placement::default())
                .unwrap();
        }
    }
    let types = [AttentionType::EncoderSelf, AttentionType::DecoderSelf];
    let part = whole.only(&types);
    // One threshold for the model: over these types, not over all three.
    let mask = |pattern: &AttentionPattern| {
        GlobalMask::from_pattern(pattern, 0.5, Scope::Model, Semantics::Corrected).unwrap()
    };
    let found: Vec<_> = mask(&part).layers().collect();
    let expected = types.map(|kind| [(kind, 0), (kind, 1)]).concat();
    assert_eq!(found, expected);
    let total = SparsityReport::new(&mask(&part), &part).unwrap().total;
    assert_eq!((total.legal_cells, total.hidden_cells), (160, 80));
    let unknown = mask(&part).hidden(AttentionType::Cross, 0, 0, 0, 0);
    assert!(matches!(unknown, Err(PruningError::UnknownLayer { .. })));
    assert_eq!(whole.only(&AttentionType::ALL), whole);
}
