//! Cross-entropy of a row.

use super::float::Float;
use super::pack::{LANES, max, sums};
use super::rows::Work;

/// `log Σexp(z) − z_target`.
#[inline(always)]
pub(crate) fn cross_entropy<T: Float>(work: &mut Work<T>, target: usize) -> T {
    let row = &work.row.packs;
    let largest = max(row);
    let [sum] = sums(row, |z| [(z - largest).exp()]);
    sum.ln() + (largest - row[target / LANES].0[target % LANES])
}

/// `g·(softmax(z) − e_target)`, written over the logits; `log Σexp(z) = loss + z_target`.
#[inline(always)]
pub(crate) fn cross_entropy_backward<T: Float>(
    work: &mut Work<T>,
    target: usize,
    loss: T,
    grad: T,
) {
    let row = &mut work.row.packs;
    let target = (target / LANES, target % LANES);
    let log_partition = loss + row[target.0].0[target.1];
    for pack in row.iter_mut() {
        pack.map(|z| (z - log_partition).exp() * grad);
    }
    let at_target = &mut row[target.0].0[target.1];
    *at_target = *at_target - grad;
}
