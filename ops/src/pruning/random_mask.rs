//! Random masks that hide as much as another mask does.

use super::cells::LayerKey;
use super::error::PruningError;
use super::global_mask::{GlobalMask, MaskKind, MaskLayer};
use super::pattern::AttentionPattern;
use super::random::Draws;
use super::weighing::{Weighing, nearest_sum};

/// Head, row and column.
type Place = (u32, u32, u32);

impl GlobalMask {
    /// A random mask that hides, for each layer and type, exactly as many legal cells as `mask`,
    /// drawn uniformly over the legal cells of all heads of that layer.
    ///
    /// Cells that are illegal, were never observed or are hidden by a static pattern stay as they are in `mask`. The same seed
    /// gives the same mask on every platform and in every release.
    pub fn random_like(mask: &Self, seed: u64) -> Self {
        let mut random = mask.clone();
        (random.kind, random.weighing) = (MaskKind::Random { seed }, Weighing::Cells);
        for (&key, layer) in &mut random.layers {
            let (mut candidates, hidden) = layer.clear();
            stream(seed, key).draw_to_front(&mut candidates, hidden.len());
            layer.hide(&candidates[..hidden.len()]);
        }
        random
    }

    /// A random mask that hides, for each layer and type, as many *uses* as `mask`: the legal cells of all heads of that layer
    /// in an order drawn uniformly, as many as bring the sum of their uses nearest to that of the cells that `mask` hides.
    ///
    /// `pattern` is the one that `mask` was made from, and says how often each cell is used. What stays as it is, is that of
    /// [`random_like`](Self::random_like), as is what a seed gives.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`] or [`PruningError::Mismatch`] if the pattern has other layers or grids.
    pub fn random_like_by_uses(
        mask: &Self,
        pattern: &AttentionPattern,
        seed: u64,
    ) -> Result<Self, PruningError> {
        let mut random = mask.clone();
        (random.kind, random.weighing) = (MaskKind::Random { seed }, Weighing::Uses);
        for (&key, layer) in &mut random.layers {
            let cells = pattern.layer(key)?;
            if cells.grid != layer.grid {
                let (left, right) = (layer.grid.to_string(), cells.grid.to_string());
                let what = "the grids of mask and pattern";
                return Err(PruningError::Mismatch { what, left, right });
            }
            let (mut candidates, hidden) = layer.clear();
            let uses = |&(_, row, col): &Place| cells.count(row as usize, col as usize);
            let wanted: f64 = hidden.iter().map(|cell| uses(cell) as f64).sum();
            let n = candidates.len();
            stream(seed, key).draw_to_front(&mut candidates, n);
            let n_hidden = nearest_sum(candidates.iter().map(uses), wanted);
            layer.hide(&candidates[..n_hidden]);
        }
        Ok(random)
    }
}

/// The draws of a layer.
fn stream(seed: u64, key: LayerKey) -> Draws {
    Draws::keyed(seed, (key.0.code() << 56) ^ key.1 as u64)
}

impl MaskLayer {
    /// Shows every cell that could be hidden; returns these, and those of them that were.
    fn clear(&mut self) -> (Vec<Place>, Vec<Place>) {
        let (mut candidates, mut hidden) = (Vec::new(), Vec::new());
        for head in 0..self.heads.len() {
            for row in 0..self.grid.n_rows {
                for col in 0..self.grid.n_cols.min(self.grid.rule.legal_cols(row)) {
                    if !self.is_candidate(head, row, col) {
                        continue;
                    }
                    let place = (head as u32, row as u32, col as u32);
                    candidates.push(place);
                    if self.heads[head].get(row, col) {
                        hidden.push(place);
                        self.heads[head].set(row, col, false);
                    }
                }
            }
        }
        (candidates, hidden)
    }

    fn hide(&mut self, cells: &[Place]) {
        for &(head, row, col) in cells {
            self.heads[head as usize].set(row as usize, col as usize, true);
        }
    }
}
