//! Static patterns: which keys a query sees, whatever they hold.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use burn::prelude::*;
use sparta_ops::attention::AttentionOptions;
use sparta_ops::pruning::StaticPattern;

use crate::masks::LayerMask;

/// Grids are made for so many positions at least, and then for twice as many.
const LEAST_POSITIONS: usize = 64;

/// Masks with a global mask are kept for so many parts of it, the latest ones.
const KEPT: usize = 8;

/// Where queries and keys are among the positions that a static pattern counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Place {
    /// Queries and keys are one sequence from its first position on; where there are fewer queries, or under a
    /// causal mask, the last query is the last key.
    #[default]
    Sequence,
    /// A segment of a stream after a memory of up to this many positions, which the first segments do not have
    /// yet.
    Segment {
        /// Positions of a full memory.
        mem_len: usize,
    },
}

/// A static pattern and the masks made of it so far, which copies share.
#[derive(Clone)]
pub struct StaticMasks {
    /// What is seen.
    pub pattern: StaticPattern,
    made: Arc<Mutex<Made>>,
}

#[derive(Default)]
struct Made {
    /// From the first position on: causal or not, heads, and device.
    grids: Vec<(bool, usize, Device, LayerMask)>,
    /// A global mask, the pattern's part, and what both hide.
    joined: Vec<[LayerMask; 3]>,
    /// Keys that a query sees of a part.
    counts: Vec<(LayerMask, Tensor<4>)>,
}

impl fmt::Debug for StaticMasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticMasks({})", self.pattern)
    }
}

impl From<StaticPattern> for StaticMasks {
    fn from(pattern: StaticPattern) -> Self {
        let made = Arc::default();
        Self { pattern, made }
    }
}

impl StaticMasks {
    /// What the pattern hides in a call: `[n_heads or 1, seq_q, seq_kv]`.
    ///
    /// # Panics
    /// For packed sequences, whose positions it does not know, and for more queries than keys.
    pub(crate) fn part(
        &self,
        options: &AttentionOptions,
        place: Place,
        [n_heads, seq_q, seq_kv]: [usize; 3],
        device: &Device,
    ) -> LayerMask {
        assert!(
            options.packing.is_none(),
            "the static pattern {} counts the positions of one sequence: leave `packing` out",
            self.pattern
        );
        let causal = options.causal || seq_q < seq_kv;
        let (rows, columns) = self.positions(causal, place, [seq_q, seq_kv]);
        self.grid(causal, n_heads, rows.end.max(columns.end), device)
            .part(rows, columns)
    }

    /// The positions of queries and keys.
    fn positions(
        &self,
        causal: bool,
        place: Place,
        [seq_q, seq_kv]: [usize; 2],
    ) -> (Range<usize>, Range<usize>) {
        let Some(before) = seq_kv.checked_sub(seq_q) else {
            panic!(
                "the static pattern {} is of one sequence: {seq_q} queries are more than {seq_kv} keys",
                self.pattern
            );
        };
        let first = match place {
            Place::Sequence => before,
            Place::Segment { mem_len } if causal => self.pattern.first_position(mem_len),
            Place::Segment { .. } => before,
        };
        (first..first + seq_q, first - before..first + seq_q)
    }

    /// The mask of the first positions, of at least `n`.
    fn grid(&self, causal: bool, n_heads: usize, n: usize, device: &Device) -> LayerMask {
        let device = device.clone().inner();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(c, h, d, _): &(bool, usize, Device, LayerMask)| {
            *c == causal && *h == n_heads && *d == device
        };
        let place = made.grids.iter().position(is_it);
        if let Some(place) = place
            && made.grids[place].3.dims()[1] >= n
        {
            return made.grids[place].3.clone();
        }
        if let Some(place) = place {
            made.grids.remove(place);
        }
        let size = n.next_power_of_two().max(LEAST_POSITIONS);
        let grid = LayerMask::of_pattern(self.pattern, n_heads, causal, size, &device);
        made.grids.push((causal, n_heads, device, grid.clone()));
        grid
    }

    /// Keys that each query sees of a part, which is of a causal sequence or not, by `count` where they are not yet
    /// known.
    pub(crate) fn counts(&self, part: &LayerMask, count: impl FnOnce() -> Tensor<4>) -> Tensor<4> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, counts)) = made.counts.iter().find(|(of, _)| of.is(part)) {
            return counts.clone();
        }
        let counts = count();
        if made.counts.len() == KEPT {
            made.counts.remove(0);
        }
        made.counts.push((part.clone(), counts.clone()));
        counts
    }

    /// What a global mask or the pattern's part hides, as blocks are cut from it.
    pub(crate) fn joined(&self, global: &LayerMask, part: &LayerMask) -> LayerMask {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let found = (made.joined.iter()).find(|[a, b, _]| a.is(global) && b.is(part));
        if let Some([_, _, joined]) = found {
            return joined.clone();
        }
        let joined = global.join(part);
        if made.joined.len() == KEPT {
            made.joined.remove(0);
        }
        let entry = [global.clone(), part.clone(), joined.clone()];
        made.joined.push(entry);
        joined
    }
}
