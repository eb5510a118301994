//! Attention pruning, tested by mechanism: statistics, masks, files, reports, tensors.

mod block_masks;
mod by_uses;
mod files;
mod masks;
mod observing;
mod overlaps;
mod random_masks;
mod reports;
mod static_patterns;
mod tensors;

use sparta_ops::pruning::{
    AttentionPattern, AttentionType, CellRule, Grid, PatternHeader, Placement,
};

const SELF: AttentionType = AttentionType::DecoderSelf;

/// A grid of a language model: `rows` queries over `memory` carried and `rows` current keys.
fn lm_grid(n_heads: usize, rows: usize, memory: usize) -> Grid {
    let rule = CellRule::Causal { memory };
    Grid {
        n_heads,
        n_rows: rows,
        n_cols: memory + rows,
        rule,
    }
}

fn full_grid(n_heads: usize, n_rows: usize, n_cols: usize) -> Grid {
    Grid {
        n_heads,
        n_rows,
        n_cols,
        rule: CellRule::Full,
    }
}

/// A number in (0, 1) that no other cell has.
fn generic(layer: usize, head: usize, row: usize, col: usize) -> f32 {
    let index = ((layer * 13 + head) * 331 + row) * 673 + col + 1;
    (index as f64 * 0.618_033_988_749_895).fract() as f32 * 0.9 + 0.05
}

/// Weights of one example over the whole grid: `weight(head, row, col)` on legal cells, else 0.
fn weights(grid: &Grid, weight: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let mut all = Vec::new();
    for head in 0..grid.n_heads {
        for row in 0..grid.n_rows {
            all.extend((0..grid.n_cols).map(|col| {
                if grid.rule.is_legal(row, col) {
                    weight(head, row, col)
                } else {
                    0.0
                }
            }));
        }
    }
    all
}

fn shape(grid: &Grid) -> [usize; 4] {
    [1, grid.n_heads, grid.n_rows, grid.n_cols]
}

/// A pattern of `n_layers` decoder layers, observed once, without ties.
fn generic_pattern(n_layers: usize, grid: Grid) -> AttentionPattern {
    let header = PatternHeader::new("corpus", "model").with_layers(SELF, n_layers, grid);
    let mut pattern = AttentionPattern::new(header);
    for layer in 0..n_layers {
        let weights = weights(&grid, |head, row, col| generic(layer, head, row, col));
        pattern
            .observe(SELF, layer, &weights, shape(&grid), &Placement::default())
            .unwrap();
    }
    pattern
}

/// A pattern of one layer observed once with the given weights.
fn pattern_of(grid: Grid, weight: impl Fn(usize, usize, usize) -> f32) -> AttentionPattern {
    let header = PatternHeader::new("corpus", "model").with(SELF, 0, grid);
    let mut pattern = AttentionPattern::new(header);
    pattern
        .observe(
            SELF,
            0,
            &weights(&grid, weight),
            shape(&grid),
            &Placement::default(),
        )
        .unwrap();
    pattern
}

/// The bytes of a file with other text of the same length in place of its first such.
fn altered(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut windows = bytes.windows(old.len());
    let at = windows.position(|window| window == old.as_bytes()).unwrap();
    [&bytes[..at], new.as_bytes(), &bytes[at + old.len()..]].concat()
}

/// The bytes of a file as earlier versions wrote it, without a checksum of its metadata.
fn of_earlier_version(bytes: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, data) = bytes[8..].split_at(length);
    let header = std::str::from_utf8(header).unwrap();
    let (before, rest) = header.split_once(r#""metadata_checksum":"#).unwrap();
    let (_, after) = rest.split_once(',').unwrap();
    let header = format!("{before}{after}");
    let spaces = " ".repeat(length - header.len());
    [&bytes[..8], header.as_bytes(), spaces.as_bytes(), data].concat()
}
