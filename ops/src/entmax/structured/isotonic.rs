//! Regression on non-increasing sequences: `argmin ½‖z − v‖²` subject to `z_1 ≥ z_2 ≥ …`.

use super::row::Group;

/// The runs of equal values of z, in order: neighbours that are in the wrong order are pooled to their mean
/// until none are.
///
/// # Source
/// Pool adjacent violators, Ayer et al. 1955; for the OSCAR penalty: Zeng & Figueiredo 2014.
pub(super) fn non_increasing(values: impl Iterator<Item = f64>, runs: &mut Vec<Group>) {
    runs.clear();
    for value in values {
        let mut pooled = Group { len: 1, value };
        while let Some(before) = runs.pop_if(|before| pooled.value >= before.value) {
            let len = before.len + pooled.len;
            // A mean from the difference: equal values stay what they are.
            let step = (pooled.value - before.value) * (pooled.len as f64 / len as f64);
            pooled = Group {
                len,
                value: before.value + step,
            };
        }
        runs.push(pooled);
    }
}
