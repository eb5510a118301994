//! One row of scores to weights in groups of equal ones, and the gradient through it.
//!
//! Both mappings are `argmin_{y ∈ Δ} ½‖y − x‖² + λR(y)`, and for both the exact solution is
//! `y = sparsemax(z)` with `z = argmin ½‖z − x‖² + λR(z)`, in which neighbours (in the row, or by rank) have
//! grown together to groups of one value. A group has weight as a whole or has none. Hidden scores are
//! taken out before anything else: the visible ones beside a hole are neighbours.

use super::{StructuredMapping, isotonic, total_variation};

/// The group of a score without weight.
pub(crate) const NO_GROUP: i32 = 0;
/// The group of every score of a row that holds a NaN.
pub(crate) const INVALID: i32 = -1;

/// So many neighbours have the same value.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub len: usize,
    pub value: f64,
}

/// Solves rows one after the other in the same memory.
#[derive(Default)]
pub(crate) struct RowSolver {
    /// The visible scores less the largest, with their places in the row, along the chain of groups.
    visible: Vec<(f64, u32)>,
    x: Vec<f64>,
    groups: Vec<Group>,
    /// Indices of the groups, those with the largest value first.
    descending: Vec<u32>,
}

impl RowSolver {
    /// Tells `set` the weight and the group, from 1, of every place that has weight; of a row with a NaN,
    /// NaN and [`INVALID`] for all. Scores ≤ `hidden` are hidden.
    pub fn solve(
        &mut self,
        scores: impl ExactSizeIterator<Item = f64>,
        hidden: f64,
        mapping: StructuredMapping,
        mut set: impl FnMut(usize, f64, i32),
    ) {
        let n = scores.len();
        let is_visible = |(score, _): &(f64, u32)| *score > hidden || score.is_nan();
        let scores = scores.zip(0u32..).filter(is_visible);
        self.visible.clear();
        self.visible.extend(scores);
        let is_valid = |&(score, _): &(f64, u32)| score < f64::INFINITY;
        if !self.visible.iter().all(is_valid) {
            return (0..n).for_each(|place| set(place, f64::NAN, INVALID));
        }
        if self.visible.is_empty() {
            return;
        }
        self.group(mapping);
        let tau = self.threshold();
        let mut members = self.visible.iter();
        for (id, group) in (1..).zip(&self.groups) {
            // The threshold is rounded: the only group may end a digit above 1.
            let weight = (group.value - tau).min(1.0);
            for (_, place) in members.by_ref().take(group.len) {
                if weight > 0.0 {
                    set(*place as usize, weight, id);
                }
            }
        }
    }

    /// Fills `groups` with z.
    fn group(&mut self, mapping: StructuredMapping) {
        let Self {
            visible, x, groups, ..
        } = self;
        let n = visible.len() as f64;
        let (mut smallest, mut largest) = (f64::INFINITY, f64::NEG_INFINITY);
        for (score, _) in &*visible {
            smallest = smallest.min(*score);
            largest = largest.max(*score);
        }
        // From there on everything is one group: a larger λ would only swallow digits.
        let cap = |lambda: f64| lambda.min(n * (largest - smallest));
        // The largest z is within 2λ, or (n − 1)λ, of the largest score, and the threshold within 1 of that. A
        // score so much lower that no group with weight can want it may be raised: no sum holds numbers that
        // swallow the others' digits.
        let floor = match mapping {
            StructuredMapping::Fusedmax { lambda } => -4.0 * lambda - 2.0,
            StructuredMapping::Oscarmax { lambda } => (1.0 - n) * lambda - 2.0,
        };
        for (score, _) in &mut *visible {
            *score = (*score - largest).max(floor);
        }
        match mapping {
            StructuredMapping::Fusedmax { lambda } => {
                x.clear();
                x.extend(visible.iter().map(|(score, _)| score));
                total_variation::runs(x, cap(lambda), groups);
            }
            // The weights are in the order of the scores, so that R = Σ (n − r)·y_(r): the r-th largest is the
            // maximum of as many pairs.
            StructuredMapping::Oscarmax { lambda } => {
                let lambda = cap(lambda);
                visible.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                let values = visible.iter().zip(1..).map(|((score, _), rank)| {
                    let n_below = n - f64::from(rank);
                    score - lambda * n_below
                });
                isotonic::non_increasing(values, groups);
            }
        }
    }

    /// τ of sparsemax, `Σ[z − τ]₊ = 1`, over groups.
    fn threshold(&mut self) -> f64 {
        let Self {
            groups, descending, ..
        } = self;
        descending.clear();
        descending.extend(0..groups.len() as u32);
        let value = |i: &u32| groups[*i as usize].value;
        descending.sort_unstable_by(|a, b| value(b).total_cmp(&value(a)));
        let largest = descending.first().map_or(0.0, value);
        let (mut excess, mut count, mut tau) = (-1.0, 0.0, 0.0);
        for i in descending {
            let Group { len, value } = groups[*i as usize];
            let value = value - largest;
            if count > 0.0 && value <= tau {
                break;
            }
            count += len as f64;
            excess += len as f64 * value;
            tau = excess / count;
        }
        largest + tau
    }
}

/// Gradients of rows one after the other in the same memory.
#[derive(Default)]
pub(crate) struct RowGradient {
    /// Of each group: the sum of the gradients in its weights, and their number.
    sums: Vec<(f64, f64)>,
}

impl RowGradient {
    /// Tells `set` the gradient in every score that has weight: the mean over its group of the gradients in the
    /// weights, less their mean over all weights. Elsewhere it is 0; in a row that holds a NaN it is NaN.
    ///
    /// The Jacobian of sparsemax takes the mean over the support away, that of the proximal operator replaces
    /// each number by its group's mean, and both are symmetric.
    pub fn solve(
        &mut self,
        n: usize,
        group: impl Fn(usize) -> i32,
        grad: impl Fn(usize) -> f64,
        mut set: impl FnMut(usize, f64),
    ) {
        self.sums.clear();
        for place in 0..n {
            match group(place) {
                NO_GROUP => {}
                id if id < 0 => return (0..n).for_each(|place| set(place, f64::NAN)),
                id => {
                    let id = id as usize;
                    if self.sums.len() < id {
                        self.sums.resize(id, (0.0, 0.0));
                    }
                    let (sum, count) = &mut self.sums[id - 1];
                    *sum += grad(place);
                    *count += 1.0;
                }
            }
        }
        let all = self.sums.iter();
        let (sum, count) = all.fold((0.0, 0.0), |all, of| (all.0 + of.0, all.1 + of.1));
        let mean = sum / count;
        for place in 0..n {
            let id = group(place);
            if id != NO_GROUP {
                let (sum, count) = self.sums[id as usize - 1];
                set(place, sum / count - mean);
            }
        }
    }
}
