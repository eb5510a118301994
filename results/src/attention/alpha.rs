//! The learned α: how it moves, and whether its histogram has two modes.

use serde::{Deserialize, Serialize};

use super::{Bins, Histogram};

/// The bins of the papers' α histogram: 15 on [1, 2].
pub const ALPHA_BINS: Bins = Bins {
    lower: 1.0,
    upper: 2.0,
    count: 15,
};

/// How far α must fall below its start for a head to have become denser. Of the five published trajectories it
/// tells the one that the text names (encoder layer 2 head 8: 1.517 → 1.353 → 1.909) from the one that only
/// trembles (encoder layer 1 head 4: 1.688 → 1.675 → 1.912).
pub const REAL_DROP: f64 = 0.05;

/// Where the α of one head starts, how low it comes, and where it ends.
///
/// # Source
/// AST, figure "trajectories of α" and section 5.1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trajectory {
    /// α at the first step.
    pub start: f64,
    /// The smallest α.
    pub min: f64,
    /// α at the last step.
    pub end: f64,
}

impl Trajectory {
    /// Of the points (step, α), in any order; of a step that is there twice, as after a resumed run, the later
    /// point counts as the later one. `None` without a point of finite α.
    pub fn of(points: &[(u64, f64)]) -> Option<Self> {
        let finite = || points.iter().filter(|(_, alpha)| alpha.is_finite());
        let &(_, start) = finite().min_by_key(|&&(step, _)| step)?;
        let &(_, end) = finite().max_by_key(|&&(step, _)| step)?;
        let min = finite().map(|&(_, alpha)| alpha).fold(start, f64::min);
        Some(Self { start, min, end })
    }

    /// Whether the head first becomes denser and ends sparser than it began: α falls by more than [`REAL_DROP`]
    /// below its start and ends above it.
    pub fn starts_dense_ends_sparse(&self) -> bool {
        self.start - self.min > REAL_DROP && self.end > self.start
    }
}

/// A histogram's two modes and the valley between them.
///
/// The paper calls a distribution of α bimodal by eye. Here it is when its running sums over three neighbouring
/// bins rise to two peaks with a valley between them of at most half the lower peak, and at least a tenth of the
/// values lie on either side of the valley. Of the published histograms that are the encoders of en-de and ro-en,
/// whose second mode is clear, and neither ja-en (three heads of 48) nor de-en nor any other attention type.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Modes {
    /// Centre of the bin of the lower mode.
    pub lower: f64,
    /// Centre of the bin where the valley is deepest.
    pub valley: f64,
    /// Centre of the bin of the upper mode.
    pub upper: f64,
    /// The share of values above the valley.
    pub share_above: f64,
}

/// The largest depth of a valley, as a share of the lower of its two peaks.
const VALLEY: f64 = 0.5;
/// The smallest share of values that makes a mode.
const MODE: f64 = 0.1;

impl Modes {
    /// The two modes of a histogram; `None` where it has one, or none.
    pub fn of(histogram: &Histogram) -> Option<Self> {
        let (counts, total) = (&histogram.counts, histogram.total() as f64);
        let n = counts.len();
        let sums: Vec<u64> = (0..n)
            .map(|bin| counts[bin.saturating_sub(1)..(bin + 2).min(n)].iter().sum())
            .collect();
        let peak =
            |from: usize, to: usize| (from..to).rev().max_by_key(|&bin| (sums[bin], counts[bin]));
        let centre = |bin| (histogram.bins.edge(bin) + histogram.bins.edge(bin + 1)) / 2.0;
        let mut best: Option<(u64, Self)> = None;
        for valley in 1..n.saturating_sub(1) {
            let (Some(left), Some(right)) = (peak(0, valley), peak(valley + 1, n)) else {
                continue;
            };
            let lower_peak = sums[left].min(sums[right]);
            let above: u64 = counts[valley + 1..].iter().sum();
            let below: u64 = counts[..valley].iter().sum();
            let is_deep = sums[valley] as f64 <= VALLEY * lower_peak as f64;
            let both = above.min(below) as f64 >= MODE * total && lower_peak > 0;
            let depth = lower_peak - sums[valley].min(lower_peak);
            if is_deep && both && best.is_none_or(|(deepest, _)| depth > deepest) {
                let share_above = above as f64 / total;
                let modes = Self {
                    lower: centre(left),
                    valley: centre(valley),
                    upper: centre(right),
                    share_above,
                };
                best = Some((depth, modes));
            }
        }
        best.map(|(_, modes)| modes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trajectories_by_hand() {
        let points = [(10, 1.4), (0, 1.5), (20, 1.9), (30, f64::NAN)];
        let trajectory = Trajectory::of(&points).unwrap();
        let (start, min, end) = (1.5, 1.4, 1.9);
        assert_eq!(trajectory, Trajectory { start, min, end });
        assert!(trajectory.starts_dense_ends_sparse());
        for (start, min, end) in [(1.5, 1.46, 1.9), (1.5, 1.3, 1.5), (1.5, 1.3, 1.4)] {
            assert!(!Trajectory { start, min, end }.starts_dense_ends_sparse());
        }
        assert_eq!(Trajectory::of(&[]), None);
        assert_eq!(Trajectory::of(&[(0, f64::NAN)]), None);
        let resumed = Trajectory::of(&[(0, 1.5), (10, 1.4), (10, 1.6)]).unwrap();
        assert_eq!(resumed.end, 1.6);
    }

    #[test]
    fn modes_by_hand() {
        let of = |counts: [u64; 6]| {
            let bins = Bins {
                lower: 0.0,
                upper: 6.0,
                count: 6,
            };
            Modes::of(&Histogram {
                bins,
                counts: counts.to_vec(),
                n_outside: 0,
            })
        };
        let two = of([4, 0, 0, 0, 0, 1]).unwrap();
        assert_eq!((two.valley, two.upper, two.share_above), (2.5, 5.5, 0.2));
        assert_eq!(of([1, 3, 5, 3, 1, 0]), None);
        assert_eq!(of([0; 6]), None);
        assert_eq!(
            of([30, 0, 0, 0, 0, 1]),
            None,
            "one value of many is no mode"
        );
        assert_eq!(
            of([3, 1, 3, 1, 3, 1]),
            None,
            "bins that alternate are noise"
        );
    }
}
