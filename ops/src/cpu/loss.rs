//! Cross-entropy of a row.

use super::float::Float;
use super::isa;
use super::pack::{LANES, larger, largest_by_lane, sums};
use super::rows::Work;

/// `log Σexp(z) − z_target`.
pub(crate) fn cross_entropy<T: Float>(work: &mut Work<T>, target: usize) -> T {
    let row = &work.row.packs;
    let (largest, sum) = isa::dispatch(
        #[inline(always)]
        || {
            let largest = largest_by_lane(row).across(larger);
            let [sum] = sums(row, |z| [(z - largest).map(T::exp)]);
            (largest, sum)
        },
    );
    T::from_f64(sum.ln()) + (largest - row[target / LANES].0[target % LANES])
}

/// `g·(softmax(z) − e_target)`, written over the logits; `log Σexp(z) = loss + z_target`.
pub(crate) fn cross_entropy_backward<T: Float>(
    work: &mut Work<T>,
    target: usize,
    loss: T,
    grad: T,
) {
    let row = &mut work.row.packs;
    let target = (target / LANES, target % LANES);
    let log_partition = loss + row[target.0].0[target.1];
    isa::dispatch(
        #[inline(always)]
        || {
            for pack in row.iter_mut() {
                *pack = (*pack - log_partition).map(T::exp) * grad;
            }
        },
    );
    let at_target = &mut row[target.0].0[target.1];
    *at_target = *at_target - grad;
}
