//! Block layouts and the sparsity report.

use proptest::prelude::*;
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, BlockState, GlobalMask, PatternHeader, Placement,
    PruningError, Scope, Semantics, SparsityReport,
};

use super::{SELF, full_grid, generic_pattern, lm_grid, pattern_of};

proptest! {
    #[test]
    fn blocks_by_brute_force(
        rows in 1usize..12,
        memory in 0usize..12,
        block_size in 1usize..8,
        p in 0.0f64..=1.0,
        extra in 0usize..6,
        paper: bool,
    ) {
        let grid = lm_grid(2, rows, memory);
        let pattern = generic_pattern(1, grid);
        let semantics = if paper { Semantics::Paper } else { Semantics::Corrected };
        let mask = GlobalMask::from_pattern(&pattern, p, Scope::Layer, semantics).unwrap();
        let (n, m) = (rows + extra, memory + rows + extra);
        let layout = mask.block_layout(SELF, 0, n, m, block_size).unwrap();
        prop_assert_eq!(layout.n_blocks(), (n.div_ceil(block_size), m.div_ceil(block_size)));
        for head in 0..2 {
            let mut totals = [0; 4];
            for block_row in 0..n.div_ceil(block_size) {
                for block_col in 0..m.div_ceil(block_size) {
                    let mut seen = Vec::new();
                    for row in (0..n).filter(|r| r / block_size == block_row) {
                        for col in (0..m).filter(|c| c / block_size == block_col) {
                            if col <= memory + row {
                                seen.push(mask.hidden(SELF, 0, head, row, col).unwrap());
                            }
                        }
                    }
                    let (any, all) = (seen.contains(&true), !seen.contains(&false));
                    let expected = match (seen.is_empty(), any, all) {
                        (true, ..) => BlockState::Illegal,
                        (_, true, true) => BlockState::Hidden,
                        (_, true, false) => BlockState::Partial,
                        (_, false, _) => BlockState::Visible,
                    };
                    prop_assert_eq!(layout.state(head, block_row, block_col), Some(expected));
                    totals[expected as usize] += 1;
                }
            }
            let states = [BlockState::Illegal, BlockState::Hidden, BlockState::Partial, BlockState::Visible];
            prop_assert_eq!(states.map(|state| layout.count(head, state)), totals);
        }
        prop_assert_eq!(layout.state(0, n.div_ceil(block_size), 0), None);
        prop_assert_eq!(layout.state(2, 0, 0), None);
    }
}

#[test]
fn a_block_of_no_size_is_an_error() {
    let pattern = generic_pattern(1, full_grid(1, 2, 2));
    let mask = GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, Semantics::Corrected).unwrap();
    assert!(matches!(
        mask.block_layout(SELF, 0, 2, 2, 0),
        Err(PruningError::BlockSize)
    ));
}

/// 32 × 32 cells of which one 16 × 16 quarter is unused, and rows 16 to 31 used three times.
fn quarter() -> (AttentionPattern, GlobalMask) {
    let grid = full_grid(2, 32, 32);
    let header = PatternHeader::new("c", "m").with(SELF, 0, grid);
    let mut pattern = AttentionPattern::new(header);
    let weight = |head: usize, row: usize, col: usize| {
        if head == 1 && row >= 16 && col < 16 {
            0.0
        } else {
            0.5
        }
    };
    let all = super::weights(&grid, weight);
    pattern
        .observe(SELF, 0, &all, [1, 2, 32, 32], &Placement::default())
        .unwrap();
    let lower: Vec<f32> = (0..2 * 16 * 32)
        .map(|i| weight(i / 512, 16 + i / 32 % 16, i % 32))
        .collect();
    pattern
        .observe(
            SELF,
            0,
            &lower.repeat(2),
            [2, 2, 16, 32],
            &Placement::at(16, 0),
        )
        .unwrap();
    let mask =
        GlobalMask::from_pattern(&pattern, 0.125, Scope::Layer, Semantics::Corrected).unwrap();
    (pattern, mask)
}

/// 4 × 4 cells of two heads, of which no example reaches those of the last two rows and columns.
#[test]
fn cells_that_no_example_used_are_counted() {
    let header = PatternHeader::new("c", "m").with(SELF, 0, full_grid(2, 4, 4));
    let mut pattern = AttentionPattern::new(header);
    for shape in [[1, 2, 2, 4], [1, 2, 4, 2]] {
        pattern
            .observe(SELF, 0, &[0.25; 16], shape, &Placement::default())
            .unwrap();
    }
    let mask = GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, Semantics::Corrected).unwrap();
    let total = SparsityReport::new(&mask, &pattern).unwrap().total;
    assert_eq!(
        (
            total.legal_cells,
            total.unobserved_cells,
            total.hidden_cells
        ),
        (32, 8, 12)
    );
    let (pattern, mask) = quarter();
    let total = SparsityReport::new(&mask, &pattern).unwrap().total;
    assert_eq!(total.unobserved_cells, 0);
}

#[test]
fn report_by_hand() {
    let (pattern, mask) = quarter();
    let report = SparsityReport::new(&mask, &pattern).unwrap();
    let total = &report.total;
    assert_eq!(
        (total.legal_cells, total.hidden_cells, total.effective),
        (2048, 256, 0.125)
    );
    // Uses: 2 heads of 512 cells once and 512 three times; hidden: 256 cells three times.
    assert_eq!(
        (total.uses, total.hidden_uses, total.token_weighted),
        (4096, 768, 0.1875)
    );
    let blocks: Vec<_> = total
        .blocks
        .iter()
        .map(|b| (b.block_size, b.n_blocks, b.n_skipped, b.share))
        .collect();
    assert_eq!(
        blocks,
        [
            (16, 8, 1, 0.125),
            (32, 2, 0, 0.0),
            (64, 2, 0, 0.0),
            (128, 2, 0, 0.0)
        ]
    );

    let [first, second] = &report.heads[..] else {
        panic!("{:?}", report.heads)
    };
    assert_eq!(
        (
            first.head,
            first.sparsity.hidden_cells,
            first.sparsity.effective
        ),
        (0, 0, 0.0)
    );
    assert_eq!(
        (
            second.head,
            second.sparsity.hidden_cells,
            second.sparsity.effective
        ),
        (1, 256, 0.25)
    );
    assert_eq!(second.sparsity.blocks[0].share, 0.25);
}

#[test]
fn blocks_without_a_legal_cell_do_not_count() {
    // 64 × 64 causal: of the 16 blocks of 16, six lie above the diagonal.
    let pattern = generic_pattern(1, lm_grid(1, 64, 0));
    let mask = GlobalMask::from_pattern(&pattern, 1.0, Scope::Layer, Semantics::Corrected).unwrap();
    let report = SparsityReport::new(&mask, &pattern).unwrap();
    assert_eq!(
        (
            report.total.blocks[0].n_blocks,
            report.total.blocks[0].n_skipped
        ),
        (10, 10)
    );
    assert_eq!(report.total.effective, 1.0);
}

#[test]
fn beyond_the_observed_bounds_nothing_counts() {
    let header = PatternHeader::new("c", "m").with(SELF, 0, full_grid(1, 100, 100));
    let mut pattern = AttentionPattern::new(header);
    pattern
        .observe(SELF, 0, &[0.1, 0.9], [1, 1, 1, 2], &Placement::default())
        .unwrap();
    let mask = GlobalMask::from_pattern(&pattern, 0.1, Scope::Layer, Semantics::Paper).unwrap();
    let report = SparsityReport::new(&mask, &pattern).unwrap();
    assert_eq!(
        (report.total.legal_cells, report.total.hidden_cells),
        (2, 1)
    );
}

#[test]
fn random_masks_have_the_same_effective_share() {
    let (pattern, mask) = quarter();
    let random = SparsityReport::new(&GlobalMask::random_like(&mask, 3), &pattern).unwrap();
    assert_eq!(random.total.effective, 0.125);
    assert_eq!(
        random.total.blocks[0].n_skipped, 0,
        "256 random cells do not fill a block"
    );
}

#[test]
fn report_serialises_and_prints() {
    let (pattern, mask) = quarter();
    let report = SparsityReport::new(&mask, &pattern).unwrap();
    let json = serde_json::to_string(&report).unwrap();
    assert!(
        json.contains(r#""attention_type":"decoder-self""#),
        "{json}"
    );
    assert_eq!(
        serde_json::from_str::<SparsityReport>(&json).unwrap(),
        report
    );
    let printed = report.to_string();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 5, "{printed}");
    assert_eq!(
        lines[0],
        "mask ap, nominal 12.50 % of the cells, threshold by layer, corrected semantics"
    );
    let last: Vec<&str> = lines[4].split_whitespace().collect();
    assert_eq!(
        last,
        ["total", "12.50", "18.75", "12.50", "0.00", "0.00", "0.00"],
        "{printed}"
    );
    assert!(
        lines.iter().skip(1).all(|l| l.len() == lines[1].len()),
        "columns align:\n{printed}"
    );
}

#[test]
fn report_needs_the_pattern_of_the_mask() {
    let (_, mask) = quarter();
    let other = pattern_of(full_grid(2, 32, 33), |_, _, _| 0.5);
    assert!(matches!(
        SparsityReport::new(&mask, &other),
        Err(PruningError::Mismatch { .. })
    ));
    let header = PatternHeader::new("c", "m").with(AttentionType::Cross, 0, full_grid(2, 32, 32));
    let other = AttentionPattern::new(header);
    assert!(matches!(
        SparsityReport::new(&mask, &other),
        Err(PruningError::UnknownLayer { .. })
    ));
}
