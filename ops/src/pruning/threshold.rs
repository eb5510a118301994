//! Which cells a fraction p hides.
//!
//! **Paper**: τ is the p-th percentile of *all* cells of the observed bounds, illegal ones (which
//! are zeros) included, as numpy's `percentile(…, interpolation='nearest')` gives it: the sorted
//! element number `round_half_even((N − 1)·p)`. Every cell with mean ≤ τ is hidden. With a fraction
//! f of illegal cells the fraction of legal cells hidden is `max(0, (p − f) / (1 − f))`; at p = 0,
//! τ is the smallest mean: only zeros go where there are any, else the smallest cell.
//!
//! **Corrected**: of the N legal cells that were observed, the `round_half_even(N·p)` smallest
//! are hidden: p = 0 hides nothing, p = 1 everything, and the fraction is as near to p as N allows.
//! Equal means stand in a fixed order mixed over heads, rows and columns (exact zeros of sparse
//! normalisers are many; neither the first head nor the first rows should pay for all of them),
//! so the cells hidden at a smaller p are always hidden at a greater p as well.
//!
//! **Corrected, by uses**: the same cells in the same order; a cell counts `u` times where `u` observed examples use it, and
//! the first n are hidden with which `Σ u` over them is nearest to p of all uses (of two as near, the even n). Where all
//! cells are used equally often it is the mask by cells.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::bits::BitMatrix;
use super::cells::{AttentionType, Grid, LayerKey};
use super::error::PruningError;
use super::observation::Padding;
use super::pattern::{AttentionPattern, Cells};
use super::random::mix;
use super::weighing::{Weighing, nearest_sum};

/// What p is a fraction of, and what becomes of padding and of cells never observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Semantics {
    /// Legal observed cells only; padding left out of the means; what was never observed stays
    /// visible.
    Corrected,
    /// The released code: all cells, structural zeros included; padding averaged in; what was
    /// never observed is hidden.
    Paper,
}

impl Semantics {
    /// The name used in files and recipes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Corrected => "corrected",
            Self::Paper => "paper",
        }
    }

    /// The treatment of padding that the semantics needs.
    pub const fn padding(self) -> Padding {
        match self {
            Self::Corrected => Padding::LeftOut,
            Self::Paper => Padding::AveragedIn,
        }
    }
}

/// Which cells share one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All heads of one layer and type (the paper).
    Layer,
    /// Each head alone.
    Head,
    /// All heads of all layers of one attention type.
    Model,
}

impl Scope {
    /// The name used in files and recipes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Head => "head",
            Self::Model => "model",
        }
    }
}

impl fmt::Display for Semantics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Semantics {
    type Err = PruningError;

    fn from_str(word: &str) -> Result<Self, PruningError> {
        [Self::Corrected, Self::Paper]
            .into_iter()
            .find(|s| s.as_str() == word)
            .ok_or_else(|| {
                let (what, choices) = ("mask semantics", "corrected, paper");
                PruningError::Word {
                    what,
                    found: word.to_string(),
                    choices,
                }
            })
    }
}

impl FromStr for Scope {
    type Err = PruningError;

    fn from_str(word: &str) -> Result<Self, PruningError> {
        [Self::Layer, Self::Head, Self::Model]
            .into_iter()
            .find(|s| s.as_str() == word)
            .ok_or_else(|| {
                let (what, choices) = ("threshold scope", "layer, head, model");
                PruningError::Word {
                    what,
                    found: word.to_string(),
                    choices,
                }
            })
    }
}

/// The hidden cells of each head, for each layer.
pub(super) type Hidden = BTreeMap<LayerKey, Vec<BitMatrix>>;

/// Hides the fraction `p` of every group of heads that has one threshold.
pub(super) fn select(
    pattern: &AttentionPattern,
    p: f64,
    scope: Scope,
    semantics: Semantics,
) -> Result<Hidden, PruningError> {
    let mut hidden = nothing_hidden(pattern, p, semantics)?;
    for group in groups(pattern, scope) {
        match semantics {
            Semantics::Corrected => hide_corrected(&group, p, Weighing::Cells, &mut hidden),
            Semantics::Paper => hide_paper(&group, p, &mut hidden),
        }
    }
    Ok(hidden)
}

/// Hides the fraction `p` of the uses of every group of heads that has one threshold.
pub(super) fn select_by_uses(
    pattern: &AttentionPattern,
    p: f64,
    scope: Scope,
) -> Result<Hidden, PruningError> {
    let mut hidden = nothing_hidden(pattern, p, Semantics::Corrected)?;
    for group in groups(pattern, scope) {
        hide_corrected(&group, p, Weighing::Uses, &mut hidden);
    }
    Ok(hidden)
}

/// Room for every head's hidden cells, once the request is seen to be sound.
pub(super) fn nothing_hidden(
    pattern: &AttentionPattern,
    p: f64,
    semantics: Semantics,
) -> Result<Hidden, PruningError> {
    if !(0.0..=1.0).contains(&p) {
        return Err(PruningError::Share { found: p });
    }
    let padding = pattern.header().padding;
    if pattern.padding_seen() && padding != semantics.padding() {
        return Err(PruningError::PaddingPolicy {
            found: padding.as_str(),
            semantics: semantics.as_str(),
            needed: semantics.padding().as_str(),
        });
    }
    let mut hidden = Hidden::new();
    for (key, cells) in pattern.layers() {
        if bounds(&cells.observed(), &cells.grid) == (0, 0) {
            let (attention_type, layer) = key;
            return Err(PruningError::NothingObserved {
                attention_type,
                layer,
            });
        }
        let Grid {
            n_heads,
            n_rows,
            n_cols,
            ..
        } = cells.grid;
        hidden.insert(key, vec![BitMatrix::new(n_rows, n_cols); n_heads]);
    }
    Ok(hidden)
}

/// A head and the statistics of its layer.
pub(super) type Head<'a> = (LayerKey, usize, &'a Cells);

pub(super) fn groups(pattern: &AttentionPattern, scope: Scope) -> Vec<Vec<Head<'_>>> {
    let heads_of = |(key, cells): (LayerKey, _)| layer_heads(key, cells);
    match scope {
        Scope::Layer => pattern.layers().map(heads_of).collect(),
        Scope::Head => pattern
            .layers()
            .flat_map(heads_of)
            .map(|head| vec![head])
            .collect(),
        Scope::Model => AttentionType::ALL
            .into_iter()
            .map(|t| {
                pattern
                    .layers()
                    .filter(|(key, _)| key.0 == t)
                    .flat_map(heads_of)
                    .collect()
            })
            .collect(),
    }
}

fn layer_heads(key: LayerKey, cells: &Cells) -> Vec<Head<'_>> {
    (0..cells.grid.n_heads)
        .map(|head| (key, head, cells))
        .collect()
}

/// The extent of the observed cells: one past the last row and the last column.
pub(super) fn bounds(observed: &BitMatrix, grid: &Grid) -> (usize, usize) {
    let mut extent = (0, 0);
    for row in 0..grid.n_rows {
        for col in (0..grid.n_cols).rev() {
            if observed.get(row, col) {
                extent = (row + 1, extent.1.max(col + 1));
                break;
            }
        }
    }
    extent
}

fn hide_paper(group: &[Head<'_>], p: f64, hidden: &mut Hidden) {
    let mut means = Vec::new();
    for &(_, head, cells) in group {
        let (rows, cols) = bounds(&cells.observed(), &cells.grid);
        means
            .extend((0..rows).flat_map(|row| (0..cols).map(move |col| cells.mean(head, row, col))));
    }
    let Some(tau) = nearest_percentile(&mut means, p) else {
        return;
    };
    for &(key, head, cells) in group {
        let Some(bits) = hidden.get_mut(&key).and_then(|heads| heads.get_mut(head)) else {
            continue;
        };
        for row in 0..cells.grid.n_rows {
            for col in 0..cells.grid.n_cols {
                bits.set(row, col, cells.mean(head, row, col) <= tau);
            }
        }
    }
}

/// numpy's `percentile(values, 100·p, interpolation='nearest')`; reorders the values.
fn nearest_percentile(values: &mut [f64], p: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let index = (last as f64 * p).round_ties_even() as usize;
    Some(
        *values
            .select_nth_unstable_by(index.min(last), f64::total_cmp)
            .1,
    )
}

/// A candidate of `corrected`: mean, place among equals, and where the cell is.
struct Candidate {
    mean: f64,
    tie: u64,
    member: u32,
    row: u32,
    col: u32,
}

fn hide_corrected(group: &[Head<'_>], p: f64, weighing: Weighing, hidden: &mut Hidden) {
    let mut candidates = Vec::new();
    for (member, &(key, head, cells)) in group.iter().enumerate() {
        let Grid {
            n_rows,
            n_cols,
            rule,
            ..
        } = cells.grid;
        let mixed_head = mix(((key.1 as u64) << 32) ^ head as u64);
        for row in 0..n_rows {
            for col in 0..n_cols.min(rule.legal_cols(row)) {
                if cells.is_candidate(head, row, col) {
                    candidates.push(Candidate {
                        mean: cells.mean(head, row, col),
                        tie: mix(mixed_head ^ ((row as u64) << 32) ^ col as u64),
                        member: member as u32,
                        row: row as u32,
                        col: col as u32,
                    });
                }
            }
        }
    }
    let order = |a: &Candidate, b: &Candidate| {
        let place = |c: &Candidate| (c.tie, c.member, c.row, c.col);
        a.mean
            .total_cmp(&b.mean)
            .then_with(|| place(a).cmp(&place(b)))
    };
    let n_hidden = match weighing {
        Weighing::Cells => {
            let n_hidden = (candidates.len() as f64 * p).round_ties_even() as usize;
            if (1..candidates.len()).contains(&n_hidden) {
                candidates.select_nth_unstable_by(n_hidden, order);
            }
            n_hidden
        }
        Weighing::Uses => {
            candidates.sort_unstable_by(order);
            let uses = |cell: &Candidate| {
                let (_, _, cells) = group[cell.member as usize];
                cells.count(cell.row as usize, cell.col as usize)
            };
            // As numbers that cannot overflow: a file may say anything.
            let all: f64 = candidates.iter().map(|cell| uses(cell) as f64).sum();
            nearest_sum(candidates.iter().map(uses), all * p)
        }
    };
    for cell in &candidates[..n_hidden] {
        let (key, head, _) = group[cell.member as usize];
        if let Some(bits) = hidden.get_mut(&key).and_then(|heads| heads.get_mut(head)) {
            bits.set(cell.row as usize, cell.col as usize, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::nearest_percentile;

    #[test]
    fn percentile_rounds_half_to_even_like_numpy() {
        // np.percentile([0, 1, 2, 3, 4, 5], 100*p, interpolation='nearest')
        let at = |p| nearest_percentile(&mut [5.0, 3.0, 1.0, 0.0, 4.0, 2.0], p);
        assert_eq!(at(0.0), Some(0.0));
        assert_eq!(at(0.1), Some(0.0)); // 0.5 → 0
        assert_eq!(at(0.3), Some(2.0)); // 1.5 → 2
        assert_eq!(at(0.5), Some(2.0)); // 2.5 → 2
        assert_eq!(at(0.7), Some(4.0)); // 3.5 → 4
        assert_eq!(at(1.0), Some(5.0));
        assert_eq!(nearest_percentile(&mut [], 0.5), None);
    }
}
