//! A fraction of the cells hidden in whole blocks, so that a kernel can skip what the mask hides.
//!
//! A block's rank is the mean of the pattern over its legal observed cells. Of each group of heads the
//! blocks of smallest mean are hidden, as many as bring the fraction of hidden cells nearest to p; blocks at a
//! border or on the diagonal of a causal pattern have fewer cells and count for as many. Those hidden at a
//! smaller p are hidden at a greater one as well.
//!
//! By uses, a block keeps its rank and counts for as many as its legal observed cells are used.

use std::ops::Range;

use super::cells::Grid;
use super::error::PruningError;
use super::pattern::AttentionPattern;
use super::random::mix;
use super::threshold::{Head, Hidden, Scope, Semantics, groups, nothing_hidden};
use super::weighing::Weighing;

/// A candidate: its mean, its place among equals, and where it is.
struct BlockCandidate {
    mean: f64,
    tie: u64,
    member: usize,
    rows: Range<usize>,
    cols: Range<usize>,
    /// Its legal observed cells, or how often these are used.
    weight: u64,
}

/// Hides about the fraction `p` of every group of heads that has one threshold, in blocks.
pub(super) fn select(
    pattern: &AttentionPattern,
    p: f64,
    scope: Scope,
    size: usize,
    weighing: Weighing,
) -> Result<Hidden, PruningError> {
    if size == 0 {
        return Err(PruningError::BlockSize);
    }
    let mut hidden = nothing_hidden(pattern, p, Semantics::Corrected)?;
    for group in groups(pattern, scope) {
        hide(&group, p, (size, weighing), &mut hidden);
    }
    Ok(hidden)
}

fn hide(group: &[Head<'_>], p: f64, (size, weighing): (usize, Weighing), hidden: &mut Hidden) {
    let mut blocks: Vec<BlockCandidate> = group
        .iter()
        .enumerate()
        .flat_map(|(member, head)| blocks_of(member, head, size, weighing))
        .collect();
    blocks.sort_by(|a, b| {
        let place =
            |block: &BlockCandidate| (block.tie, block.member, block.rows.start, block.cols.start);
        let order = a.mean.total_cmp(&b.mean);
        order.then_with(|| place(a).cmp(&place(b)))
    });
    let all: f64 = blocks.iter().map(|block| block.weight as f64).sum();
    let wanted = p * all;
    let mut n_hidden = 0.0;
    for block in &blocks {
        let more = n_hidden + block.weight as f64;
        if (more - wanted).abs() > (n_hidden - wanted).abs() {
            break;
        }
        n_hidden = more;
        let (key, head, cells) = group[block.member];
        let Some(bits) = hidden.get_mut(&key).and_then(|heads| heads.get_mut(head)) else {
            continue;
        };
        for row in block.rows.clone() {
            for col in block.cols.clone() {
                if cells.grid.rule.is_legal(row, col) && cells.is_candidate(head, row, col) {
                    bits.set(row, col, true);
                }
            }
        }
    }
}

/// The blocks of a head that have a legal observed cell.
fn blocks_of(
    member: usize,
    &(key, head, cells): &Head<'_>,
    size: usize,
    weighing: Weighing,
) -> Vec<BlockCandidate> {
    let Grid {
        n_rows,
        n_cols,
        rule,
        ..
    } = cells.grid;
    let mixed_head = mix(((key.1 as u64) << 32) ^ head as u64);
    let mut blocks = Vec::new();
    for first_row in (0..n_rows).step_by(size) {
        for first_col in (0..n_cols).step_by(size) {
            let rows = first_row..(first_row + size).min(n_rows);
            let cols = first_col..(first_col + size).min(n_cols);
            let (mut sum, mut n_cells, mut uses) = (0.0, 0, 0);
            for row in rows.clone() {
                for col in cols.start..cols.end.min(rule.legal_cols(row)) {
                    if cells.is_candidate(head, row, col) {
                        sum += cells.mean(head, row, col);
                        n_cells += 1;
                        uses = cells.count(row, col).saturating_add(uses);
                    }
                }
            }
            if n_cells > 0 {
                blocks.push(BlockCandidate {
                    mean: sum / n_cells as f64,
                    tie: mix(mixed_head ^ ((first_row as u64) << 32) ^ first_col as u64),
                    member,
                    rows,
                    cols,
                    weight: match weighing {
                        Weighing::Cells => n_cells,
                        Weighing::Uses => uses,
                    },
                });
            }
        }
    }
    blocks
}
