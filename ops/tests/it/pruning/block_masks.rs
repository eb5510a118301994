//! Masks of whole blocks: what they hide, what a kernel may skip, and their file.

use burn::tensor::Device;
use proptest::prelude::*;
use sparta_ops::pruning::{
    AttentionType, BlockState, GlobalMask, MaskKind, PruningError, Scope, Semantics,
};

use super::{SELF, full_grid, generic_pattern, lm_grid, pattern_of};

fn hidden(mask: &GlobalMask, head: usize, row: usize, col: usize) -> bool {
    mask.hidden(SELF, 0, head, row, col).unwrap()
}

/// Two blocks of small mean among six; one holds the largest cell of all.
#[test]
fn the_blocks_of_smallest_mean_are_hidden_whole() {
    let grid = full_grid(1, 4, 6);
    let means = [[0.1, 0.5, 0.3], [0.6, 0.2, 0.4]];
    let pattern = pattern_of(grid, |_, row, col| {
        let outlier = if (row, col) == (1, 1) { 0.3 } else { -0.1 };
        means[row / 2][col / 2]
            + if (row / 2, col / 2) == (0, 0) {
                outlier
            } else {
                0.0
            }
    });
    // The means are 0.1 (−0.1·3 + 0.3 = 0), 0.5, 0.3, 0.6, 0.2, 0.4.
    let mask = GlobalMask::from_pattern_in_blocks(&pattern, 1.0 / 3.0, Scope::Layer, 2).unwrap();
    for row in 0..4 {
        for col in 0..6 {
            let expected = [(0, 0), (1, 1)].contains(&(row / 2, col / 2));
            assert_eq!(hidden(&mask, 0, row, col), expected, "({row}, {col})");
        }
    }
    assert_eq!(mask.kind(), MaskKind::ApBlocks { block_size: 2 });
    assert_eq!(mask.semantics(), Semantics::Corrected);
    let layout = mask.block_layout(SELF, 0, 4, 6, 2).unwrap();
    assert_eq!(layout.count(0, BlockState::Hidden), 2);
    assert_eq!(layout.count(0, BlockState::Partial), 0);
}

/// The same fraction of cells: chosen one by one they leave a kernel nothing to skip.
#[test]
fn a_kernel_can_skip_what_is_hidden() {
    let pattern = generic_pattern(1, lm_grid(2, 64, 64));
    let blocks = GlobalMask::from_pattern_in_blocks(&pattern, 0.5, Scope::Layer, 16).unwrap();
    let cells =
        GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, Semantics::Corrected).unwrap();
    let skipped = |mask: &GlobalMask| {
        let layout = mask.block_layout(SELF, 0, 64, 128, 16).unwrap();
        (0..2)
            .map(|head| layout.count(head, BlockState::Hidden))
            .sum::<usize>()
    };
    assert!(skipped(&blocks) > 20, "{}", skipped(&blocks));
    assert_eq!(skipped(&cells), 0);

    let device = Device::flex();
    let kernel = blocks.block_mask(SELF, 0, 64, 128, 16, &device).unwrap();
    let same = kernel
        .to_tensor()
        .not_equal(blocks.tensor(SELF, 0, 64, 128, &device).unwrap());
    assert_eq!(same.int().sum().into_scalar::<i64>(), 0);
    assert!(kernel.fraction_hidden() > 0.3);
}

#[test]
fn a_file_keeps_the_block_size() {
    let pattern = generic_pattern(2, lm_grid(2, 6, 2));
    let mask = GlobalMask::from_pattern_in_blocks(&pattern, 0.4, Scope::Head, 4).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask.safetensors");
    mask.save(&path).unwrap();
    assert_eq!(GlobalMask::load(&path).unwrap(), mask);
}

#[test]
fn bad_requests_are_errors() {
    let pattern = generic_pattern(1, lm_grid(1, 4, 0));
    let attempt = |p, size| GlobalMask::from_pattern_in_blocks(&pattern, p, Scope::Layer, size);
    assert!(matches!(attempt(0.5, 0), Err(PruningError::BlockSize)));
    assert!(matches!(attempt(1.5, 2), Err(PruningError::Share { .. })));
    let mask = attempt(0.5, 2).unwrap();
    let error = mask
        .block_mask(SELF, 0, 4, 4, 2, &Device::flex())
        .unwrap_err();
    assert!(error.to_string().contains("16, 32, 64 or 128"), "{error}");
    assert!(
        mask.block_mask(AttentionType::Cross, 0, 4, 4, 16, &Device::flex())
            .is_err()
    );
}

proptest! {
    /// No block is hidden in part, the share is as near to p as the next block allows, and a greater p hides
    /// all that a smaller one does.
    #[test]
    fn blocks_go_whole_and_in_order(
        p in 0.0f64..=1.0,
        more in 0.0f64..=1.0,
        size in 1usize..6,
        memory in 0usize..5,
    ) {
        let grid = lm_grid(2, 9, memory);
        let pattern = generic_pattern(1, grid);
        let at = |p| GlobalMask::from_pattern_in_blocks(&pattern, p, Scope::Layer, size).unwrap();
        let (mask, larger) = (at(p), at(p.max(more)));
        let (mut n_hidden, mut n_cells) = (0usize, 0usize);
        for head in 0..2 {
            for row in 0..9 {
                for col in 0..grid.n_cols {
                    if grid.rule.is_legal(row, col) {
                        n_cells += 1;
                        n_hidden += usize::from(hidden(&mask, head, row, col));
                    }
                    prop_assert!(!hidden(&mask, head, row, col) || hidden(&larger, head, row, col));
                }
            }
            let layout = mask.block_layout(SELF, 0, 9, grid.n_cols, size).unwrap();
            prop_assert_eq!(layout.count(head, BlockState::Partial), 0);
        }
        let off = (n_hidden as f64 - p * n_cells as f64).abs();
        prop_assert!(off <= 0.5 * (size * size) as f64 + 1e-9, "{} of {} for {}", n_hidden, n_cells, p);
    }
}
