//! The proximal operator of total variation: `argmin_z ½‖z − x‖² + λ·Σ|z_{j+1} − z_j|`.

use super::row::Group;

/// The runs of equal values of z, in order.
///
/// Walks along x with the two bounds between which the value of the run at hand can still lie, and closes it
/// at the last place where a bound was tight as soon as the next score contradicts that bound. Takes n steps
/// as a rule and n² at worst. A bound that the run before left, and that was not tight since, is contradicted by rounding
/// alone, where both bounds were one number: that closes nothing.
///
/// # Source
/// Condat 2013, "A direct algorithm for 1-D total variation denoising".
pub(super) fn runs(x: &[f64], lambda: f64, runs: &mut Vec<Group>) {
    runs.clear();
    let Some(&first) = x.first() else {
        return;
    };
    let last = x.len() - 1;
    let (mut start, mut k) = (0, 0);
    let (mut low, mut high) = (first - lambda, first + lambda);
    // The dual variables at k if the run had the value `low` or `high`, and where in the run each was last tight.
    let (mut low_slack, mut high_slack) = (lambda, -lambda);
    let (mut low_tight, mut high_tight) = (Some(0), Some(0));
    // Closes the run at a place and returns the next one.
    let mut close = |start: usize, end: usize, value: f64| {
        let len = end - start + 1;
        runs.push(Group { len, value });
        end + 1
    };
    loop {
        if k == last {
            if let Some(tight) = low_tight.filter(|_| low_slack < 0.0) {
                start = close(start, tight, low);
                k = start;
                (low_tight, high_tight) = (Some(start), None);
                low = x[k];
                low_slack = lambda;
                high_slack = low + lambda - high;
            } else if let Some(tight) = high_tight.filter(|_| high_slack > 0.0) {
                start = close(start, tight, high);
                k = start;
                (low_tight, high_tight) = (None, Some(start));
                high = x[k];
                high_slack = -lambda;
                low_slack = high - lambda - low;
            } else {
                let value = low + low_slack / (k - start + 1) as f64;
                close(start, k, value);
                return;
            }
            continue;
        }
        low_slack += x[k + 1] - low;
        high_slack += x[k + 1] - high;
        let falls = low_tight.filter(|_| low_slack < -lambda);
        let rises = high_tight.filter(|_| high_slack > lambda);
        if let Some(tight) = falls.or(rises) {
            let value = if falls.is_some() { low } else { high };
            start = close(start, tight, value);
            k = start;
            (low_tight, high_tight) = (Some(start), Some(start));
            (low, high) = match falls {
                Some(_) => (x[k], x[k] + 2.0 * lambda),
                None => (x[k] - 2.0 * lambda, x[k]),
            };
            (low_slack, high_slack) = (lambda, -lambda);
            continue;
        }
        k += 1;
        let len = (k - start + 1) as f64;
        if low_slack >= lambda {
            low += (low_slack - lambda) / len;
            low_slack = lambda;
            low_tight = Some(k);
        }
        if high_slack <= -lambda {
            high += (high_slack + lambda) / len;
            high_slack = -lambda;
            high_tight = Some(k);
        }
    }
}
