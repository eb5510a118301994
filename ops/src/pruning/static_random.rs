//! Random cells that are the same however many positions there are.
//!
//! Shell k holds the cells of position k with the positions up to it: row k up to the diagonal, and on both sides
//! column k as well. The first n shells are the first n positions' square, so that drawing in each shell what the
//! share asks of the next square gives every square its share.

use std::ops::Range;

use super::random::Draws;

pub(super) struct Share {
    pub(super) keep_millionths: u32,
    pub(super) seed: u64,
    pub(super) causal: bool,
    pub(super) first_visible: bool,
}

impl Share {
    /// Appends the cells of a head at these positions, row by row.
    pub(super) fn hide(
        &self,
        head: usize,
        rows: Range<usize>,
        cols: Range<usize>,
        hidden: &mut Vec<bool>,
    ) {
        let start = hidden.len();
        hidden.resize(start + rows.len() * cols.len(), true);
        let hidden = &mut hidden[start..];
        let shells = match self.causal {
            true => rows.clone(),
            // The shell of a cell is the later of its positions.
            false => rows.start.max(cols.start)..rows.end.max(cols.end),
        };
        for shell in shells {
            for (i, j) in self.drawn(head, shell) {
                if rows.contains(&i) && cols.contains(&j) {
                    hidden[(i - rows.start) * cols.len() + j - cols.start] = false;
                }
            }
        }
    }

    /// The cells of a shell that are seen.
    fn drawn(&self, head: usize, shell: usize) -> Vec<(usize, usize)> {
        let mut always = vec![(shell, shell)];
        let mut others: Vec<_> = (0..shell).map(|j| (shell, j)).collect();
        if !self.causal {
            others.extend((0..shell).map(|i| (i, shell)));
        }
        if self.first_visible && shell > 0 {
            always.extend(others.iter().filter(|(i, j)| *i == 0 || *j == 0));
            others.retain(|(i, j)| *i > 0 && *j > 0);
        }
        let n_seen = self.n_seen(shell + 1) - self.n_seen(shell);
        let n_drawn = n_seen.saturating_sub(always.len()).min(others.len());
        let stream = ((head as u64) << 32) ^ shell as u64;
        Draws::keyed(self.seed, stream).draw_to_front(&mut others, n_drawn);
        always.extend(&others[..n_drawn]);
        always
    }

    /// The cells that are seen of the first n positions' square.
    fn n_seen(&self, n: usize) -> usize {
        let (cells, always) = match (self.causal, self.first_visible) {
            (true, false) => (n * (n + 1) / 2, n),
            (true, true) => (n * (n + 1) / 2, (2 * n).saturating_sub(1)),
            (false, false) => (n * n, n),
            (false, true) => (n * n, (3 * n).saturating_sub(2)),
        };
        let share = f64::from(self.keep_millionths) / 1e6;
        ((share * cells as f64).round() as usize).max(always)
    }
}
