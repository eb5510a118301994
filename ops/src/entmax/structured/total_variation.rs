//! The proximal operator of total variation: `argmin_z ½‖z − x‖² + λ·Σ|z_{j+1} − z_j|`.

use super::row::Group;

/// The runs of equal values of z, in order.
///
/// Walks along x with the two bounds between which the value of the run at hand can still lie, and closes it
/// at the last place where a bound was tight as soon as the next score contradicts that bound. Takes n steps
/// as a rule and n² at worst.
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
    // The dual variables at k if the run had the value `low` or `high`, and where each was last tight.
    let (mut low_slack, mut high_slack) = (lambda, -lambda);
    let (mut low_tight, mut high_tight) = (0, 0);
    // Closes the run at a place and returns the next one.
    let mut close = |start: usize, tight: usize, value: f64| {
        let end = tight.max(start);
        let len = end - start + 1;
        runs.push(Group { len, value });
        end + 1
    };
    loop {
        if k == last {
            if low_slack < 0.0 {
                start = close(start, low_tight, low);
                (k, low_tight) = (start, start);
                low = x[k];
                low_slack = lambda;
                high_slack = low + lambda - high;
            } else if high_slack > 0.0 {
                start = close(start, high_tight, high);
                (k, high_tight) = (start, start);
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
        let (falls, rises) = (low_slack < -lambda, high_slack > lambda);
        if falls || rises {
            start = match falls {
                true => close(start, low_tight, low),
                false => close(start, high_tight, high),
            };
            (k, low_tight, high_tight) = (start, start, start);
            (low, high) = match falls {
                true => (x[k], x[k] + 2.0 * lambda),
                false => (x[k] - 2.0 * lambda, x[k]),
            };
            (low_slack, high_slack) = (lambda, -lambda);
            continue;
        }
        k += 1;
        let len = (k - start + 1) as f64;
        if low_slack >= lambda {
            low += (low_slack - lambda) / len;
            low_slack = lambda;
            low_tight = k;
        }
        if high_slack <= -lambda {
            high += (high_slack + lambda) / len;
            high_slack = -lambda;
            high_tight = k;
        }
    }
}
